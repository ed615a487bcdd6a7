/**
 * The only module that talks to the network. Every call resolves to the service's answer, or rejects with
 * `Refused` (the service said no), `Unreachable` (nobody answered) or an AbortError (the caller lost interest).
 */

/** @import { AccessToken, BoardPage, Credentials, Device, FieldError, Recovery, RecoveryCodesLeft, Standing, User } from "./types.d.ts" */

const TIMEOUT_MS = 10_000;
/** For all that is kept of a busy player, to be sent or to be erased. */
const LONG_TIMEOUT_MS = 300_000;
/** A stream lives ten minutes. */
const STREAM_TIMEOUT_MS = 660_000;
/** The longest that the page stays away from a server that asked for it. */
const LONGEST_PAUSE_MS = 60_000;

/** How many players are on a page. */
export const PAGE_SIZE = 10;
const BOARD = "/api/leaderboard/boards/main";

/** A 4xx answer: RFC 9457 problem details, or a bare status from the gateway's own limits. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} type
   * @param {string} detail
   * @param {FieldError[]} errors
   * @param {number} retryAfterMs how long the same request will be refused, where the answer told; else 0
   */
  constructor(status, type, detail, errors, retryAfterMs) {
    super(detail || `HTTP ${status}`);
    this.name = "Refused";
    this.status = status;
    this.type = type;
    this.detail = detail;
    this.errors = errors;
    this.retryAfterMs = retryAfterMs;
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
 * @property {string | undefined} [token]
 * @property {AbortSignal | undefined} [signal]
 * @property {Record<string, string>} [headers]
 * @property {boolean} [keepalive]
 * @property {number} [timeoutMs]
 * @property {(response: Response) => Promise<unknown>} [read]
 */

/**
 * @param {"GET" | "POST" | "PUT" | "DELETE"} method
 * @param {string} path
 * @param {RequestOptions} [options]
 * @returns {Promise<any>}
 */
async function request(method, path, options = {}) {
  const { body, token, signal, headers = {}, keepalive = false } = options;
  const { timeoutMs = TIMEOUT_MS, read = (response) => response.json() } = options;
  const timeout = AbortSignal.timeout(timeoutMs);
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
    return response.status === 204 ? null : await read(response);
  } catch (error) {
    if (error instanceof Refused || error instanceof Unreachable || signal?.aborted) throw error;
    throw new Unreachable(`${method} ${path} was not answered`, { offline: !navigator.onLine, cause: error });
  }
}

/** @param {Response} response */
async function refusal(response) {
  if (response.status >= 500) {
    return new Unreachable(`HTTP ${response.status}`, { retryAfterMs: Math.min(retryAfter(response), LONGEST_PAUSE_MS) });
  }
  const { type = "about:blank", detail = "", errors = [] } = await response.json().catch(() => ({}));
  return new Refused(response.status, type, detail, errors, retryAfter(response));
}

/** @param {Response} response */
function retryAfter(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  return seconds > 0 ? seconds * 1000 : 0;
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
 * @param {Recovery} recovery
 * @returns {Promise<null>}
 */
export const recover = (recovery) => request("POST", "/auth/recover", { body: recovery });

/** @returns {Promise<AccessToken>} that of a new account, which has no password */
export const playAsGuest = () => request("POST", "/auth/guest", { body: {} });

/**
 * @param {string} token
 * @param {Credentials} credentials
 * @returns {Promise<AccessToken>} one of a new session, which takes the place of the guest's
 */
export const keepGuest = (token, credentials) => request("POST", "/auth/me/credentials", { token, body: credentials });

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
 * @param {string} token
 * @returns {Promise<{ sessions: Device[] }>}
 */
export const devices = (token) => request("GET", "/auth/sessions", { token });

/**
 * @param {string} token
 * @param {string} id
 * @returns {Promise<null>}
 */
export const endDevice = (token, id) => request("DELETE", `/auth/sessions/${encodeURIComponent(id)}`, { token });

/**
 * @param {string} token
 * @returns {Promise<null>}
 */
export const endOtherDevices = (token) => request("DELETE", "/auth/sessions", { token });

/**
 * @param {string} token
 * @param {{ current_password: string, new_password: string }} passwords
 * @returns {Promise<null>}
 */
export const changePassword = (token, passwords) => request("PUT", "/auth/me/password", { token, body: passwords });

/**
 * @param {string} token
 * @returns {Promise<RecoveryCodesLeft>}
 */
export const recoveryCodesLeft = (token) => request("GET", "/auth/me/recovery-codes", { token });

/**
 * @param {string} token
 * @param {string} password
 * @returns {Promise<{ codes: string[] }>} new codes, which nobody is shown again
 */
export const makeRecoveryCodes = (token, password) => request("POST", "/auth/me/recovery-codes", { token, body: { password } });

/**
 * @param {string} token
 * @param {string} username
 * @returns {Promise<AccessToken>} one that carries the new name
 */
export const rename = (token, username) => request("PUT", "/auth/me/username", { token, body: { username } });

/**
 * @param {string} token
 * @param {string | null} password null for a guest, who has none
 * @returns {Promise<null>}
 */
export const deleteAccount = (token, password) => request("POST", "/auth/me/deletion", { token, body: again(password) });

/** @param {string | null} password */
const again = (password) => (password === null ? {} : { password });

/**
 * @param {string} token
 * @returns {Promise<Blob>}
 */
export const exportAccount = (token) => download("/auth/me/export", token);

/**
 * @param {string} token
 * @returns {Promise<Blob>}
 */
export const exportGames = (token) => download("/api/leaderboard/me/export", token);

/**
 * @param {string} path
 * @param {string} token
 */
const download = (path, token) =>
  request("GET", path, { token, timeoutMs: LONG_TIMEOUT_MS, read: (response) => response.blob() });

/**
 * @param {{ limit?: number, offset: number, signal?: AbortSignal }} page
 * @returns {Promise<BoardPage>}
 */
export const top = ({ limit = PAGE_SIZE, offset, signal }) =>
  request("GET", `${BOARD}/top?window=all&limit=${limit}&offset=${offset}`, { signal });

/**
 * @param {string} token
 * @param {AbortSignal} signal
 * @returns {Promise<Standing>}
 */
export const myStanding = (token, signal) => request("GET", `${BOARD}/rank/me?window=all`, { token, signal });

/**
 * The board's first page and, with a token, the caller's standing, whenever they change.
 *
 * @param {{ token: string | undefined, lastEventId: string | undefined, signal: AbortSignal }} options
 * @returns {Promise<ReadableStreamDefaultReader<string>>}
 */
export const live = ({ token, lastEventId, signal }) =>
  request("GET", `${BOARD}/live?window=all&limit=${PAGE_SIZE}`, {
    token,
    signal,
    timeoutMs: STREAM_TIMEOUT_MS,
    headers: { Accept: "text/event-stream", ...(lastEventId && { "Last-Event-ID": lastEventId }) },
    read: async ({ body, headers }) => {
      if (!body || !headers.get("Content-Type")?.startsWith("text/event-stream")) throw new Unreachable("no stream");
      return body.pipeThrough(new TextDecoderStream()).getReader();
    },
  });

/**
 * @param {string} token
 * @param {number} score
 * @param {string} key the same for every attempt at one submission
 * @returns {Promise<{ standing: Standing, repeated: boolean, held: boolean }>} `repeated`: whether it had counted before: an answer was lost, and this is its repeat. `held`: it counts once somebody has looked at it
 */
export const submit = (token, score, key) =>
  request("POST", "/api/leaderboard/submit", {
    token,
    body: { score },
    headers: { "Idempotency-Key": `"${key}"` },
    read: async (response) => {
      const { user_id, total_score: score, rank, held } = await response.json();
      return { standing: { user_id, score, rank }, repeated: response.headers.has("Idempotent-Replayed"), held };
    },
  });
