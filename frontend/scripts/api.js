/**
 * The only module that talks to the network. Every call resolves to the service's answer, or rejects with
 * `Refused` (the service said no), `Unreachable` (nobody answered) or an AbortError (the caller lost interest).
 */

/** @import { AccessToken, BoardPage, Credentials, FieldError, Standing, User } from "./types.d.ts" */

const TIMEOUT_MS = 10_000;
const LONGEST_RETRY_AFTER_MS = 60_000;

/** A 4xx answer: RFC 9457 problem details, or a bare status from the gateway's own limits. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} type
   * @param {string} detail
   * @param {FieldError[]} errors
   */
  constructor(status, type, detail, errors) {
    super(detail || `HTTP ${status}`);
    this.name = "Refused";
    this.status = status;
    this.type = type;
    this.detail = detail;
    this.errors = errors;
  }
}

/** No answer, or one that says that the system is not able to give one (5xx). A change that was asked for may have happened. */
export class Unreachable extends Error {
  /**
   * @param {string} message
   * @param {{ offline?: boolean, retryAfterMs?: number, cause?: unknown }} [options]
   */
  constructor(message, { offline = false, retryAfterMs = 0, cause } = {}) {
    super(message, { cause });
    this.name = "Unreachable";
    this.offline = offline;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * @typedef {object} RequestOptions
 * @property {object} [body]
 * @property {string} [token]
 * @property {AbortSignal} [signal]
 * @property {Record<string, string>} [headers]
 * @property {boolean} [keepalive]
 */

/**
 * @param {"GET" | "POST"} method
 * @param {string} path
 * @param {RequestOptions} [options]
 * @returns {Promise<any>}
 */
async function request(method, path, { body, token, signal, headers = {}, keepalive = false } = {}) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  /** @type {RequestInit} */
  const init = {
    method,
    keepalive,
    cache: "no-cache",
    headers: { Accept: "application/json", ...headers },
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, "Content-Type": "application/json" };
  }
  if (token !== undefined) init.headers = { ...init.headers, Authorization: `Bearer ${token}` };

  try {
    const response = await fetch(path, init);
    if (!response.ok) throw await refusal(response);
    return response.status === 204 ? null : await response.json();
  } catch (error) {
    if (error instanceof Refused || error instanceof Unreachable || signal?.aborted) throw error;
    throw new Unreachable(`${method} ${path} was not answered`, { offline: !navigator.onLine, cause: error });
  }
}

/** @param {Response} response */
async function refusal(response) {
  if (response.status >= 500) {
    return new Unreachable(`HTTP ${response.status}`, { retryAfterMs: retryAfter(response) });
  }
  const { type = "about:blank", detail = "", errors = [] } = await response.json().catch(() => ({}));
  return new Refused(response.status, type, detail, errors);
}

/** @param {Response} response */
function retryAfter(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return seconds > 0 ? Math.min(seconds * 1000, LONGEST_RETRY_AFTER_MS) : 0;
}

/**
 * @param {Credentials} credentials
 * @returns {Promise<User>}
 */
export const register = (credentials) => request("POST", "/auth/register", { body: credentials });

/**
 * @param {Credentials} credentials
 * @returns {Promise<AccessToken>}
 */
export const login = (credentials) => request("POST", "/auth/login", { body: credentials });

/**
 * Outlives the page (keepalive): a page closed in the middle must not lose the cookie that replaces the one it used up.
 *
 * @returns {Promise<AccessToken>}
 */
export const refresh = () => request("POST", "/auth/refresh", { keepalive: true });

/** @returns {Promise<null>} */
export const logout = () => request("POST", "/auth/logout", { keepalive: true });

/**
 * @param {string} token
 * @returns {Promise<User>}
 */
export const me = (token) => request("GET", "/auth/me", { token });

/**
 * @param {{ limit: number, offset: number, signal?: AbortSignal }} page
 * @returns {Promise<BoardPage>}
 */
export const top = ({ limit, offset, signal }) =>
  request("GET", `/api/leaderboard/top?limit=${limit}&offset=${offset}`, signal ? { signal } : {});

/**
 * @param {string} token
 * @returns {Promise<Standing>}
 */
export const myStanding = (token) => request("GET", "/api/leaderboard/rank/me", { token });

/**
 * @param {string} token
 * @param {number} score
 * @param {string} key the same for every attempt at one submission
 * @returns {Promise<Standing>}
 */
export const submit = (token, score, key) =>
  request("POST", "/api/leaderboard/submit", { token, body: { score }, headers: { "Idempotency-Key": `"${key}"` } });
