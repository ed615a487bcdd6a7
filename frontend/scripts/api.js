/**
 * What the page asks the services for, by the client that games have (/clients/leaderboard.js). Every call resolves to the
 * service's answer, or rejects with `Problem` (the service said no), `Unreachable` (nobody answered) or an AbortError (the
 * caller lost interest).
 */

import { Leaderboard, MemoryStorage } from "../clients/leaderboard.js";

/** @import { AccessToken, BoardPage, Credentials, Device, Recovery, RecoveryCodesLeft, Standing, User } from "./types.d.ts" */

export { Problem, Unreachable } from "../clients/leaderboard.js";

/** For all that is kept of a busy player, to be sent or to be erased. */
const LONG_TIMEOUT_MS = 300_000;

/** How many players are on a page. */
export const PAGE_SIZE = 10;
const BOARD = "/api/leaderboard/boards/main";

/** Whose calls these are, each call says by its token (session.js). */
const { request } = new Leaderboard("", { storage: new MemoryStorage() });

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
  request("GET", path, { token, timeout: LONG_TIMEOUT_MS, read: (response) => response.blob() });

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
