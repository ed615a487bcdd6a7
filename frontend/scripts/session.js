/** Who is signed in. The access token lives in memory only; the refresh token is a cookie that no script can read. */

import { SessionEnded } from "../clients/leaderboard.js";
import * as api from "./api.js";

export { SessionEnded };

/** @import * as Types from "../clients/leaderboard.d.ts" */
/** @import { AccessToken, Credentials, SessionEnding, SessionStatus, User } from "./types.d.ts" */

/**
 * @typedef {{ value: string, expiresAt: number }} Token
 * @typedef {{ kind: "token", token: Token, user: User } | { kind: "signed-out", ending: SessionEnding }} TabMessage
 */

const LOCK = "session";
const CHANNEL = "session";
/** When a refresh began that has not been heard of since. A time, never a token. */
const UNSETTLED_KEY = "session-refresh-began";
const UNSETTLED_MS = 2_000;
/** That this browser was asked for a session from before there were marks. */
const SOUGHT_KEY = "session-sought";
/** The cookie that stands beside the refresh cookie, over TLS and without it: it says that there is one, and nothing else. */
const MARKS = ["__Host-signed_in", `signed_in_${location.port || "80"}`];
/** A token this near its end could expire on the way. */
const MARGIN_MS = 10_000;

/**
 * Begins with the session that the refresh cookie stands for, if there is one; the first call in the person's name finds
 * out. Fires "change" when somebody signs in or out, here or in another tab, and "rename" when who is signed in has a new
 * name, or is a guest no more.
 *
 * @implements {Types.Session}
 */
export class Session extends EventTarget {
  /** @type {SessionStatus} */
  status = isMarked() ? "restoring" : "signed-out";
  /** @type {User | null} */
  user = null;
  /** How the last session ended. @type {SessionEnding} */
  ending = "left";

  /** @type {Token | null} */
  #token = null;
  /** @type {Promise<Token> | null} */
  #refreshing = null;
  #tabs = new BroadcastChannel(CHANNEL);

  constructor() {
    super();
    this.#tabs.addEventListener("message", ({ data }) => this.#hear(data));
  }

  /** @param {Credentials} credentials */
  async signIn(credentials) {
    await exclusively(async () => {
      const token = keep(await api.login(credentials));
      this.#begin(token, await api.me(token.value));
    });
  }

  /** Makes an account that only this browser knows. */
  async playAsGuest() {
    await exclusively(async () => {
      const token = keep(await api.playAsGuest());
      this.#begin(token, await api.me(token.value));
    });
  }

  /**
   * Gives a guest's account a name and a password; a new session takes the place of this one.
   *
   * @param {Credentials} credentials
   */
  async keepGuest(credentials) {
    await this.authorized((token) =>
      // One tab at a time, as for another name: a refresh beside this would bring back the session that has ended.
      exclusively(async () => {
        if (!this.user) throw new SessionEnded();
        try {
          const kept = keep(await api.keepGuest(token, credentials));
          this.#begin(kept, { ...this.user, username: credentials.username.normalize("NFC"), guest: false });
        } catch (error) {
          if (!(error instanceof api.Problem && error.type === "urn:problem:not-a-guest" && this.#token)) throw error;
          this.#begin(this.#token, await api.me(token)); // kept already, and the answer was lost
        }
      }),
    );
  }

  /**
   * Looks, once in this browser, for a session that began before there were marks: whoever has one need not sign in again.
   */
  async seek() {
    if (this.status !== "signed-out" || noted(SOUGHT_KEY) !== null) return;
    await exclusively(async () => {
      try {
        const token = keep(await api.refresh());
        this.#begin(token, await api.me(token.value));
      } catch (error) {
        if (!(error instanceof api.Problem)) throw error;
      }
      note(SOUGHT_KEY, "1");
    });
  }

  async signOut() {
    await exclusively(async () => {
      await api.logout();
      this.#finish("left");
    });
  }

  /**
   * Gives the person another name: the token that is used from now on carries it.
   *
   * @param {string} username
   */
  async rename(username) {
    await this.authorized((token) =>
      // One tab at a time here too: the token of a refresh that runs beside this would bring back the old name.
      exclusively(async () => {
        if (!this.user) throw new SessionEnded();
        const renamed = keep(await api.rename(token, username));
        this.#begin(renamed, { ...this.user, username: username.normalize("NFC") });
      }),
    );
  }

  /**
   * Deletes the account, and with it every session.
   *
   * @param {string | null} password null for a guest, who has none
   */
  async deleteAccount(password) {
    await this.authorized((token) =>
      exclusively(async () => {
        await api.deleteAccount(token, password);
        this.#finish("deleted");
      }),
    );
  }

  /**
   * Makes a call in the name of the person: renews the token when it is about to expire or was refused, once.
   * Rejects with SessionEnded when that is no longer possible.
   *
   * @template T
   * @param {(token: string, owner: number) => Promise<T>} call
   * @returns {Promise<T>}
   */
  async authorized(call) {
    const token = await this.#freshToken();
    try {
      return await call(token.value, this.#owner);
    } catch (error) {
      if (!(error instanceof api.Problem && error.status === 401)) throw error;
      if (this.#token === token) this.#token = null;
      const renewed = await this.#freshToken();
      return call(renewed.value, this.#owner);
    }
  }

  /** Whose token that is. */
  get #owner() {
    if (!this.user) throw new SessionEnded();
    return this.user.user_id;
  }

  async owner() {
    return this.user?.user_id ?? null;
  }

  /** The token in hand, or a new one; all who ask meanwhile share the one request. */
  #freshToken() {
    if (this.status === "signed-out") return Promise.reject(new SessionEnded());
    if (usable(this.#token)) return Promise.resolve(this.#token);
    this.#refreshing ??= exclusively(() => this.#refresh()).finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** The token that another tab has told of. Throws when it told that the session is over. */
  #renewed() {
    if (this.status === "signed-out") throw new SessionEnded();
    return usable(this.#token) ? this.#token : null;
  }

  /** @returns {Promise<Token>} */
  async #refresh() {
    // Another tab may have done it, or signed out, while this one waited: for its turn, or where there are no turns for that tab.
    let renewed = this.#renewed();
    if (!renewed) {
      await settled();
      renewed = this.#renewed();
    }
    if (renewed) return renewed;
    try {
      note(UNSETTLED_KEY, String(Date.now()));
      const token = keep(await api.refresh());
      const user = this.user ?? (await api.me(token.value));
      this.#begin(token, user);
      note(UNSETTLED_KEY, null);
      return token;
    } catch (error) {
      if (!(error instanceof api.Problem && error.status === 401)) throw error;
      note(UNSETTLED_KEY, null);
      unmark();
      this.#finish(this.status === "signed-in" ? "expired" : "left");
      throw new SessionEnded();
    }
  }

  /**
   * @param {Token} token
   * @param {User} user
   */
  #begin(token, user) {
    this.#adopt(token, user);
    this.#tell({ kind: "token", token, user });
  }

  /**
   * @param {Token} token
   * @param {User} user
   */
  #adopt(token, user) {
    const known = this.status === "signed-in" && this.user?.user_id === user.user_id;
    const renamed = known && (this.user?.username !== user.username || this.user.guest !== user.guest);
    this.#token = token;
    this.user = user;
    this.status = "signed-in";
    this.ending = "left";
    if (!known) this.dispatchEvent(new Event("change"));
    else if (renamed) this.dispatchEvent(new Event("rename"));
  }

  /** @param {SessionEnding} ending */
  #finish(ending) {
    this.#end(ending);
    this.#tell({ kind: "signed-out", ending });
  }

  /** @param {SessionEnding} ending */
  #end(ending) {
    if (this.status === "signed-out") return;
    this.#token = null;
    this.user = null;
    this.status = "signed-out";
    this.ending = ending;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {TabMessage} message */
  #tell(message) {
    this.#tabs.postMessage(message);
  }

  /** @param {TabMessage} message */
  #hear(message) {
    if (message.kind === "token") this.#adopt(message.token, message.user);
    else this.#end(message.ending);
  }
}

/**
 * @param {AccessToken} answer
 * @returns {Token}
 */
const keep = (answer) => ({ value: answer.access_token, expiresAt: Date.now() + answer.expires_in * 1000 });

/**
 * @param {Token | null} token
 * @returns {token is Token}
 */
const usable = (token) => token !== null && Date.now() < token.expiresAt - MARGIN_MS;

/**
 * One tab at a time: each refresh uses up the cookie that all tabs share, and using it again later ends the session.
 * Browsers keep the Web Locks API from pages that came over plain HTTP from elsewhere than this machine.
 *
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function exclusively(work) {
  return navigator.locks ? navigator.locks.request(LOCK, work) : work();
}

/**
 * A page that was reloaded in the middle of a refresh has let go of the lock while its request went on, and where there are no
 * locks other tabs do not wait for it. Its answer brings a new cookie; until then the old one, already used, is the wrong one
 * to send.
 */
async function settled() {
  const began = Number(noted(UNSETTLED_KEY));
  const left = began + UNSETTLED_MS - Date.now();
  if (left <= 0 || left > UNSETTLED_MS) return;
  const signal = AbortSignal.timeout(left);
  await new Promise((resolve) => {
    signal.addEventListener("abort", resolve);
    addEventListener("storage", ({ key }) => key === UNSETTLED_KEY && noted(UNSETTLED_KEY) === null && resolve(null), { signal });
  });
}

const isMarked = () => document.cookie.split("; ").some((cookie) => MARKS.includes(cookie.split("=")[0] ?? ""));

/** The refresh cookie is good for nothing any more: nobody need ask again. */
function unmark() {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  for (const name of MARKS) document.cookie = `${name}=; Path=/; Max-Age=0${secure}`;
}

/**
 * Storage can be forbidden; then nothing is noted.
 *
 * @param {string} key
 * @param {string | null} value
 */
function note(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    return;
  }
}

/** @param {string} key */
function noted(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
