/**
 * The leaderboard's client for JavaScript: browsers and Node 20. One file, no dependencies. Version 1.0.0.
 *
 *     import { Leaderboard } from "./leaderboard.js";
 *
 *     const leaderboard = new Leaderboard("https://leaderboard.example");
 *     await leaderboard.playAsGuest(); // goes on as whoever played here before
 *     await leaderboard.submit(1200); // kept, and sent until it has counted once
 *     const { top } = await leaderboard.top({ limit: 10 });
 *
 * How to use it: docs/javascript.md. Its types: leaderboard.d.ts, beside it.
 */

/** @import * as Types from "./leaderboard.d.ts" */

export const VERSION = "1.0.0";

const API = "/api/leaderboard";
/** A token this near its end is renewed before it is used. */
const MARGIN_MS = 60_000;
/** A read, or whatever else may be done twice without harm, is tried so often. */
const TRIES = 3;
/** The pauses between attempts: twice as long each time, up to the longest. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** A day, in seconds: no timer waits for more than 24 of them. */
const LONGEST_RETRY_AFTER = 86_400;
/** A stream says something at once, and then every 15 s. It lives ten minutes. */
const FIRST_WORD_MS = 4_000;
const SILENCE_MS = 40_000;
const STREAM_MS = 660_000;
/** Where there is no stream, the board is asked for so often. */
const POLL_MS = 5_000;
/** How many sessions one call takes of a game server. */
const BATCH = 1_000;

// ---------------------------------------------------------------------------------------------------------- Errors

/** The server said no (4xx). `type` says why, as "urn:problem:username-taken"; docs and the API's pages list them. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {Types.ProblemDocument} [document] RFC 9457; the gateway's own limits answer without one
   * @param {number} [retryAfter] for how many seconds the same will be refused, where the answer told; else 0
   */
  constructor(status, document = {}, retryAfter = 0) {
    const { type = "about:blank", title = "", detail = "", errors = [] } = document;
    super(detail || title || `HTTP ${status}`);
    this.name = "Problem";
    this.status = status;
    this.type = type;
    this.title = title;
    this.detail = detail;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }
}

/** No answer of the leaderboard came, or one that it cannot give one (5xx). What was asked for may have been done. */
export class Unreachable extends Error {
  /** @param {string} message @param {{ status?: number, retryAfter?: number, offline?: boolean, cause?: unknown }} [more] */
  constructor(message, { status = 0, retryAfter = 0, offline = false, cause } = {}) {
    super(message, { cause });
    this.name = "Unreachable";
    /** 0: no answer at all. */
    this.status = status;
    /** In seconds, as the answer told; else 0. */
    this.retryAfter = retryAfter;
    /** Whether this device has no network. */
    this.offline = offline;
  }
}

/** Nobody is signed in, or is not any more. */
export class SessionEnded extends Error {
  constructor() {
    super("nobody is signed in");
    this.name = "SessionEnded";
  }
}

/** As many scores wait to be sent as may. This one is not among them. */
export class QueueFull extends Error {
  /** @param {number} limit */
  constructor(limit) {
    super(`${limit} scores wait to be sent already`);
    this.name = "QueueFull";
  }
}

// --------------------------------------------------------------------------------------------------------- Storage

/** Keeps text until the program ends. */
export class MemoryStorage {
  /** @type {Map<string, string>} */
  #texts = new Map();

  /** @param {string} name */
  get(name) {
    return this.#texts.get(name) ?? null;
  }

  /** @param {string} name @param {string | null} text */
  set(name, text) {
    if (text === null) this.#texts.delete(name);
    else this.#texts.set(name, text);
  }
}

/** Keeps text in the browser's localStorage, which all tabs of the game share. */
export class BrowserStorage {
  /** @param {string} [prefix] what the names of this game's entries begin with */
  constructor(prefix = "leaderboard") {
    /** What tabs that share the entries know each other by. */
    this.shared = prefix;
  }

  /** @param {string} name */
  get(name) {
    return localStorage.getItem(`${this.shared}:${name}`);
  }

  /** @param {string} name @param {string | null} text */
  set(name, text) {
    if (text === null) localStorage.removeItem(`${this.shared}:${name}`);
    else localStorage.setItem(`${this.shared}:${name}`, text);
  }
}

/** Keeps text in files of a folder (Node). One program at a time may use a folder. */
export class FileStorage {
  #folder;

  /** @param {string} folder */
  constructor(folder) {
    this.#folder = folder;
  }

  /** @param {string} name */
  async get(name) {
    const files = await nodeFiles();
    try {
      return /** @type {string} */ (await files.readFile(this.#path(name), "utf8"));
    } catch (error) {
      if (/** @type {{ code?: string }} */ (error).code === "ENOENT") return null;
      throw error;
    }
  }

  /**
   * Another file takes the place of the old one once it is on the disk: whenever the program is killed, one of both is there.
   *
   * @param {string} name
   * @param {string | null} text
   */
  async set(name, text) {
    const files = await nodeFiles();
    await files.mkdir(this.#folder, { recursive: true, mode: 0o700 });
    if (text === null) {
      await files.rm(this.#path(name), { force: true });
    } else {
      const beside = this.#path(`new-${name}`);
      await files.writeFile(beside, text, { mode: 0o600 });
      await onDisk(files, beside, "r+");
      await files.rename(beside, this.#path(name));
    }
    // The folder's own list of files, which Windows writes by itself.
    await onDisk(files, this.#folder, "r").catch((error) => error.code === "EPERM" || error.code === "EISDIR" || reject(error));
  }

  /** @param {string} name */
  #path(name) {
    return `${this.#folder}/${name}.json`;
  }
}

/** @returns {Promise<any>} Asked for by a variable, so that no bundler looks for it when it packs a game for browsers. */
function nodeFiles() {
  const name = "node:fs/promises";
  return import(/* webpackIgnore: true */ /* @vite-ignore */ name);
}

/** @param {any} files @param {string} path @param {string} mode */
async function onDisk(files, path, mode) {
  const file = await files.open(path, mode);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** @param {unknown} error @returns {never} */
function reject(error) {
  throw error;
}

/** @returns {Types.Storage} localStorage where there is one that may be used, else memory */
function defaultStorage() {
  try {
    // Node has a localStorage too, where it is told to: a program says itself what it keeps.
    if (typeof document === "undefined") return new MemoryStorage();
    localStorage.getItem("leaderboard:session");
    return new BrowserStorage();
  } catch {
    return new MemoryStorage();
  }
}

// ----------------------------------------------------------------------------------------------------- Pauses, turns

/**
 * How long to stay away from a server that did not answer: longer with each failure, and never shorter than it asked for.
 * At random, so that the games that lost the server together do not come back to it together.
 *
 * @param {unknown} error
 * @param {number} failures how many came before it in a row
 * @returns {number} milliseconds
 */
export function pauseAfter(error, failures, longest = LONGEST_PAUSE_MS) {
  const asked = error instanceof Unreachable || error instanceof Problem ? error.retryAfter * 1000 : 0;
  const random = Math.random();
  return Math.max(asked * (1 + 0.2 * random), Math.min(longest, FIRST_PAUSE_MS * 2 ** failures) * random);
}

/** A pause that somebody else can end. */
export class Pause {
  end = () => {};

  /** @param {number} ms */
  for(ms) {
    return new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      const timer = setTimeout(resolve, ms);
      this.end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Lets one piece of work of a name be done at a time: in this program, and in all tabs that share the storage. */
class Turns {
  #shared;
  /** @type {Map<string, Promise<unknown>>} */
  #last = new Map();

  /** @param {string | undefined} shared */
  constructor(shared) {
    this.#shared = shared;
  }

  /** @template T @param {string} name @param {() => Promise<T>} work @returns {Promise<T>} */
  async take(name, work) {
    // Browsers keep the Web Locks API from pages that came over plain HTTP from elsewhere than this machine.
    const locks = this.#shared && globalThis.navigator?.locks;
    if (locks) return locks.request(`${this.#shared} ${name}`, work);
    const turn = (this.#last.get(name) ?? Promise.resolve()).then(work);
    this.#last.set(name, turn.catch(() => null));
    return turn;
  }
}

// ------------------------------------------------------------------------------------------------------- Transport

/** Sends requests. Each resolves to the answer, or rejects with Problem, Unreachable, or an AbortError of the caller's. */
class Transport {
  #site;
  #timeout;

  /** @param {string} site @param {number} timeout */
  constructor(site, timeout) {
    this.#site = site.replace(/\/+$/, "");
    this.#timeout = timeout;
  }

  /** @param {Types.Method} method @param {string} path @param {Types.RequestOptions} [options] @returns {Promise<any>} */
  async send(method, path, options = {}) {
    const { body, form, token, signal, keepalive = false, timeout = this.#timeout, read = (answer) => answer.json() } = options;
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json", ...options.headers };
    if (token) headers["Authorization"] = `Bearer ${token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const late = AbortSignal.timeout(timeout);
    /** @type {RequestInit} */
    const init = { method, headers, keepalive, cache: "no-cache", signal: signal ? AbortSignal.any([signal, late]) : late };
    if (body !== undefined) init.body = JSON.stringify(body);
    else if (form) init.body = form;
    try {
      const answer = await fetch(this.#site + path, init);
      if (!answer.ok) throw await refusal(answer);
      return answer.status === 204 ? null : await read(answer);
    } catch (error) {
      if (error instanceof Problem || error instanceof Unreachable || signal?.aborted) throw error;
      const message = `${method} ${path} was not answered${late.aborted ? ` within ${timeout} ms` : ""}`;
      throw new Unreachable(message, { offline: globalThis.navigator?.onLine === false, cause: error });
    }
  }

  /**
   * Does it again when no answer came, while there is time. For what may be done twice without harm.
   *
   * @template T @param {(timeout: number) => Promise<T>} work @returns {Promise<T>}
   */
  async patiently(work) {
    const end = Date.now() + this.#timeout;
    for (let failures = 0; ; failures += 1) {
      try {
        return await work(Math.max(1, end - Date.now()));
      } catch (error) {
        const pause = pauseAfter(error, failures);
        if (!isPassing(error) || failures === TRIES - 1 || Date.now() + pause >= end) throw error;
        await new Pause().for(pause);
      }
    }
  }

  /** @param {string} path @param {Types.RequestOptions} options @returns {Promise<any>} */
  post(path, options) {
    return this.patiently((timeout) => this.send("POST", path, { ...options, timeout }));
  }
}

/** @param {Response} answer */
async function refusal(answer) {
  const { status } = answer;
  const told = Number(answer.headers.get("Retry-After"));
  const retryAfter = told > 0 ? Math.min(told, LONGEST_RETRY_AFTER) : 0;
  const document = await answer.json().catch(() => null);
  // What says no without a document is not the leaderboard, but a gateway that has just started, or a network that wants to be
  // signed in to. Only the gateway's own limits answer 429 without one.
  if (status >= 500 || (document === null && status !== 429)) return new Unreachable(`HTTP ${status}`, { status, retryAfter });
  return new Problem(status, document ?? {}, retryAfter);
}

/** @param {unknown} error whether the same may succeed soon */
function isPassing(error) {
  if (error instanceof Unreachable) return error.status < 500 || [502, 503, 504].includes(error.status);
  return error instanceof Problem && error.status === 429;
}

/** @param {unknown} error @returns {error is Problem} whether the same will be refused for good */
const isFinal = (error) => error instanceof Problem && ![401, 408, 425, 429].includes(error.status);

/** @param {Record<string, string | number | undefined | null>} parameters */
function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
  return given.length > 0 ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}

/** @param {string | null} text @returns {any} null where it is no JSON */
function parsed(text) {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

/** 128 random bits, as hex. (Browsers keep `crypto.randomUUID` from pages that came over plain HTTP from elsewhere.) */
export function newKey() {
  const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// --------------------------------------------------------------------------------------------------------- Sessions

/** @typedef {(event: string, ...what: any[]) => void} Tell */
/** @typedef {{ transport: Transport, storage: Types.Storage, turns: Turns, tell: Tell }} Parts what parts of a client share */

/**
 * A player's session, kept in the storage. It is read there each time: another tab may have renewed it.
 *
 * @implements {Types.Session}
 */
class PlayerSession {
  /** @type {Types.User | null} */
  user = null;
  #parts;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  async owner() {
    return (await this.#held())?.user_id ?? null;
  }

  /** @returns {Promise<Types.KeptSession | null>} */
  async #held() {
    const held = parsed(await this.#parts.storage.get("session"));
    this.user = held && { user_id: held.user_id, username: held.username, guest: held.guest };
    return held;
  }

  /** @param {Types.KeptSession | null} session */
  async #hold(session) {
    await this.#parts.storage.set("session", session && JSON.stringify(session));
    await this.#held();
  }

  /** @param {Types.Tokens} tokens @param {Types.User} user */
  async #begin({ access_token, expires_in, refresh_token }, { user_id, username, guest }) {
    const expires_at = Date.now() + expires_in * 1000;
    const session = { user_id, username, guest, access_token, expires_at, refresh_token };
    await this.#hold(session);
    return session;
  }

  /** Nobody else changes the session meanwhile, in no other tab either. @template T @param {() => Promise<T>} work */
  #alone(work) {
    return this.#parts.turns.take("session", work);
  }

  /** @param {string} username @param {string} password */
  async register(username, password) {
    const { transport } = this.#parts;
    let lost = false;
    try {
      await transport.patiently((timeout) =>
        transport.send("POST", "/auth/register", { body: { username, password }, timeout }).catch((error) => {
          lost ||= error instanceof Unreachable;
          throw error;
        }),
      );
    } catch (error) {
      // The name is taken: by this very call, if its first answer was lost. Then the password is the right one.
      if (!(lost && error instanceof Problem && error.status === 409)) throw error;
    }
    await this.login(username, password);
  }

  /** @param {string} username @param {string} password */
  login(username, password) {
    const { transport } = this.#parts;
    return this.#alone(async () => {
      const tokens = await transport.post("/auth/login", { body: { username, password, session: "token" } });
      const token = tokens.access_token;
      await this.#begin(tokens, await transport.patiently((timeout) => transport.send("GET", "/auth/me", { token, timeout })));
    });
  }

  playAsGuest() {
    return this.#alone(async () => {
      // Another guest would have none of the scores, and nobody can come back to this one.
      if (await this.#held()) return;
      const made = await this.#parts.transport.post("/auth/guest", { body: { session: "token" } });
      await this.#begin(made, { ...made, guest: true });
    });
  }

  /** @param {string} username @param {string} password */
  async keepAccount(username, password) {
    const { access_token: token } = await this.#fresh();
    try {
      await this.#alone(async () => {
        const held = await this.#held();
        if (!held) throw new SessionEnded();
        const tokens = await this.#parts.transport.post("/auth/me/credentials", { token, body: { username, password } });
        await this.#begin(tokens, { ...held, username: username.normalize("NFC"), guest: false });
      });
    } catch (error) {
      // The guest's session has ended, or is no guest's: the account was kept before, and that answer was lost.
      const kept = error instanceof Problem && (error.status === 401 || error.type === "urn:problem:not-a-guest");
      if (!kept) throw error;
      await this.login(username, password);
    }
  }

  async logout() {
    await this.#alone(async () => {
      const held = await this.#held();
      await this.#hold(null);
      if (!held) return;
      const body = { refresh_token: held.refresh_token };
      await this.#parts.transport.send("POST", "/auth/logout", { body, keepalive: true }).catch(() => null);
    });
  }

  /** @template T @param {(token: string, owner: number) => Promise<T>} call @returns {Promise<T>} */
  async authorized(call) {
    const held = await this.#fresh();
    try {
      return await call(held.access_token, held.user_id);
    } catch (error) {
      if (!(error instanceof Problem && error.status === 401)) throw error;
      const renewed = await this.#renew(held);
      return call(renewed.access_token, renewed.user_id);
    }
  }

  async #fresh() {
    const held = await this.#held();
    if (!held) throw new SessionEnded();
    if (Date.now() < held.expires_at - MARGIN_MS) return held;
    try {
      return await this.#renew(held);
    } catch (error) {
      // It was ahead of time.
      if (error instanceof Unreachable && Date.now() < held.expires_at) return held;
      throw error;
    }
  }

  /** @param {Types.KeptSession} old @returns {Promise<Types.KeptSession>} */
  #renew(old) {
    return this.#alone(async () => {
      const held = await this.#held();
      if (!held) throw new SessionEnded();
      if (held.access_token !== old.access_token) return held; // somebody else did it meanwhile
      try {
        // Sent again within 30 s, a token whose answer was lost gets the same answer.
        const body = { refresh_token: held.refresh_token };
        return await this.#begin(await this.#parts.transport.post("/auth/refresh", { body, keepalive: true }), held);
      } catch (error) {
        if (!(error instanceof Problem && error.status === 401)) throw error;
        await this.#hold(null);
        this.#parts.tell("sessionEnded");
        throw new SessionEnded();
      }
    });
  }
}

/**
 * What a game server asks with: a key of its own. Its access token lives in memory only.
 *
 * @implements {Types.Session}
 */
class ServerSession {
  user = null;
  #transport;
  #key;
  #token = "";
  #expiresAt = 0;

  /** @param {Transport} transport @param {{ client_id: string, client_secret: string }} key */
  constructor(transport, key) {
    this.#transport = transport;
    this.#key = key;
  }

  async owner() {
    return this.#key.client_id;
  }

  /** @template T @param {(token: string, owner: string) => Promise<T>} call @returns {Promise<T>} */
  async authorized(call) {
    if (Date.now() >= this.#expiresAt - MARGIN_MS) await this.#renew();
    try {
      return await call(this.#token, this.#key.client_id);
    } catch (error) {
      if (!(error instanceof Problem && error.status === 401)) throw error;
      await this.#renew();
      return call(this.#token, this.#key.client_id);
    }
  }

  async #renew() {
    const form = new URLSearchParams({ grant_type: "client_credentials", ...this.#key });
    const { access_token, expires_in } = await this.#transport.post("/auth/token", { form });
    this.#token = access_token;
    this.#expiresAt = Date.now() + expires_in * 1000;
  }
}

// ------------------------------------------------------------------------------------------------------------ Queue

/** The scores that are on their way: kept in the storage, sent one after the other, each until the server has answered. */
class Queue {
  #parts;
  #session;
  #limit;
  #pause = new Pause();
  /** Whether somebody is at it in this program, and whether to look again afterwards. */
  #busy = false;
  #again = false;
  #closed = false;
  /** How many attempts in a row had no answer. */
  #failures = 0;
  /** Who waits for the answer to a key. @type {Map<string, { resolve: (told: any) => void, reject: (error: any) => void }>} */
  #waiting = new Map();
  /** @type {Set<() => void>} */
  #lookers = new Set();
  /** Of tabs that share the queue one sends, and tells the others. @type {BroadcastChannel | null} */
  #tabs = null;

  /** @param {Parts} parts @param {Types.Session} session @param {number} limit */
  constructor(parts, session, limit) {
    this.#parts = parts;
    this.#session = session;
    this.#limit = limit;
    const { shared } = parts.storage;
    if (shared && globalThis.BroadcastChannel) {
      this.#tabs = new BroadcastChannel(`${shared} queue`);
      this.#tabs.addEventListener("message", ({ data }) => this.#hear(data));
    }
    globalThis.addEventListener?.("online", this.now);
  }

  close() {
    this.#closed = true;
    this.#pause.end();
    this.#tabs?.close();
    globalThis.removeEventListener?.("online", this.now);
  }

  /** @returns {Promise<Types.Entry[]>} */
  async entries() {
    return parsed(await this.#parts.storage.get("queue")) ?? [];
  }

  /** @param {(entries: Types.Entry[]) => Types.Entry[]} change */
  async #change(change) {
    await this.#parts.turns.take("queue", async () => {
      const entries = change(await this.entries());
      await this.#parts.storage.set("queue", entries.length === 0 ? null : JSON.stringify(entries));
    });
  }

  /**
   * Keeps a score before anything else is done with it: from then on it is sent, whatever happens to the program.
   *
   * @param {Types.Entry["body"]} body
   * @returns {Promise<Types.Submission>}
   */
  async add(body) {
    const entry = { key: newKey(), user_id: await this.#session.owner(), body, queued_at: new Date().toISOString() };
    const result = new Promise((resolve, reject) => this.#waiting.set(entry.key, { resolve, reject }));
    result.catch(() => null); // a game that does not ask has not made a mistake
    try {
      await this.#change((entries) => {
        if (entries.length >= this.#limit) throw new QueueFull(this.#limit);
        return [...entries, entry];
      });
    } catch (error) {
      this.#waiting.delete(entry.key);
      throw error;
    }
    this.send();
    return { key: entry.key, result };
  }

  /** Until every score of who is signed in is sent. */
  async flush() {
    for (;;) {
      const looked = new Promise((/** @type {(value?: undefined) => void} */ resolve) => this.#lookers.add(resolve));
      const owner = await this.#session.owner();
      const entries = await this.entries();
      if (entries.length > 0 && owner === null) throw new SessionEnded();
      if (!entries.some(isOf(owner))) return;
      this.send();
      await looked;
    }
  }

  /** Sends what can be sent. */
  send() {
    this.#again = true;
    if (!this.#busy) void this.#run();
  }

  /** The same, without waiting for the end of a pause: the network is back, or somebody has signed in. */
  now = () => {
    this.#pause.end();
    this.send();
  };

  async #run() {
    this.#busy = true;
    while (this.#again && !this.#closed) {
      this.#again = false;
      // In a pause it is another tab's turn, which may be the one that is looked at.
      const failure = await this.#parts.turns.take("sending", () => this.#sendAll()).catch((error) => {
        report(error); // of the storage
        return error;
      });
      if (failure === null || this.#closed) continue;
      this.#again = true;
      await this.#pause.for(pauseAfter(failure, this.#failures++));
    }
    this.#busy = false;
  }

  /** @returns {Promise<unknown>} why it has to be tried again later; null: it is done */
  async #sendAll() {
    while (!this.#closed) {
      const owner = await this.#session.owner();
      const entries = await this.entries();
      const { length } = entries;
      const next = owner === null ? undefined : entries.find(isOf(owner));
      if (!next) {
        this.#announce({ kind: "queue", length, reason: length === 0 ? "empty" : "waiting" });
        break;
      }
      if (this.#failures === 0) this.#announce({ kind: "queue", length, reason: "sending" });
      const entry = next.user_id === null ? await this.#claim(next, owner) : next;
      const outcome = await this.#sendOne(entry);
      if (outcome instanceof SessionEnded && (await this.#session.owner()) !== owner) continue; // it is somebody else's turn
      if (outcome instanceof Error) {
        this.#announce({ kind: "queue", length, reason: "offline" });
        return outcome;
      }
      this.#failures = 0;
      await this.#change((kept) => kept.filter(({ key }) => key !== entry.key));
      this.#announce(outcome);
    }
    return null;
  }

  /**
   * A score that was kept while nobody was signed in becomes this player's before it is sent: the same key sent for another
   * player would be another score.
   *
   * @param {Types.Entry} entry
   * @param {number | string | null} owner
   */
  async #claim(entry, owner) {
    const claimed = { ...entry, user_id: owner };
    await this.#change((entries) => entries.map((each) => (each.key === entry.key ? claimed : each)));
    return claimed;
  }

  /** @param {Types.Entry} entry @returns {Promise<Error | { kind: string, [more: string]: any }>} an error: tell me later */
  async #sendOne(entry) {
    try {
      const result = await this.#session.authorized((token, owner) => {
        if (owner !== entry.user_id) throw new SessionEnded();
        return this.#parts.transport.send("POST", `${API}/submit`, {
          token,
          body: entry.body,
          headers: { "Idempotency-Key": entry.key },
          read: async (answer) => ({ ...(await answer.json()), repeated: answer.headers.has("Idempotent-Replayed") }),
        });
      });
      return { kind: "submitted", entry, result };
    } catch (error) {
      if (!isFinal(error)) return /** @type {Error} */ (error);
      const { status, type, title, detail, errors } = error;
      return { kind: "refused", entry, status, problem: { type, title, detail, errors } };
    }
  }

  /** @param {{ kind: string, [more: string]: any }} message */
  #announce(message) {
    if (this.#closed) return;
    this.#tabs?.postMessage(message);
    this.#hear(message);
  }

  /** @param {any} message */
  #hear({ kind, entry, length, reason, result, status, problem }) {
    const { tell } = this.#parts;
    const waiting = this.#waiting.get(entry?.key);
    this.#waiting.delete(entry?.key);
    if (kind === "queue") {
      tell("queueChanged", length, reason);
    } else if (kind === "submitted") {
      waiting?.resolve(result);
      tell("submitted", entry, result);
    } else {
      const refusal = new Problem(status, problem);
      waiting?.reject(refusal);
      tell("refused", entry, refusal);
    }
    for (const look of this.#lookers) look();
    this.#lookers.clear();
  }
}

/** @param {number | string | null} owner @returns {(entry: Types.Entry) => boolean} whether it is theirs, or may be */
const isOf = (owner) => (entry) => entry.user_id === owner || entry.user_id === null;

/** An error that is nobody's here is told as if nobody had caught it. @param {unknown} error */
function report(error) {
  if (globalThis.reportError) globalThis.reportError(error);
  else console.error(error);
}

// ------------------------------------------------------------------------------------------------------------- Live

/** Takes a `text/event-stream` apart as WHATWG's HTML does (9.2.6, "Interpreting an event stream"), wherever it was cut. */
export class EventStream {
  /** How long its sender wants everybody to stay away after its end, in milliseconds. */
  retryMs = 0;

  #rest = "";
  #endedByCr = false;
  #type = "";
  #id = "";
  /** @type {string[]} */
  #data = [];

  /** @param {string} text the next piece @returns {Types.StreamEvent[]} the events that it completes */
  push(text) {
    if (text === "") return [];
    // CR LF is one line end, between two pieces too.
    const lines = (this.#rest + (this.#endedByCr ? text.replace(/^\n/, "") : text)).split(/\r\n|\r|\n/);
    this.#endedByCr = text.endsWith("\r");
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.#read(line));
  }

  /** @param {string} line */
  #read(line) {
    if (line === "") {
      const event = { type: this.#type || "message", id: this.#id, data: this.#data.join("\n") };
      const events = this.#data.length > 0 ? [event] : [];
      this.#type = "";
      this.#data = [];
      return events;
    }
    // A comment is a line whose field has no name.
    const [, field, value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    return [];
  }
}

/** A board as it changes: streamed, and asked for where no stream can be had. */
class Watch {
  #transport;
  #session;
  #handlers;
  #path;
  #query;
  #withMe;
  /** Whether to ask as the player: nobody may be signed in. */
  #signed;
  #streaming;
  #lastEventId;
  #closing = new AbortController();
  #pause = new Pause();
  #silence = new AbortController();
  #flows = false;
  #asked = false;
  /** When a stream is tried again. */
  #streamAt = 0;
  /** What was told last, by event. @type {Map<string, string>} */
  #told = new Map();

  /**
   * @param {Transport} transport
   * @param {Types.Session} session
   * @param {Types.WatchOptions & { board: string }} options
   * @param {Types.WatchHandlers} handlers
   */
  constructor(transport, session, options, handlers) {
    const { board, window, period, limit, withMe = Boolean(handlers.me), streaming = true, lastEventId = "" } = options;
    this.#transport = transport;
    this.#session = session;
    this.#handlers = handlers;
    this.#path = `${API}/boards/${encodeURIComponent(board)}`;
    this.#query = { window, period, limit };
    this.#withMe = this.#signed = withMe;
    this.#streaming = streaming;
    this.#lastEventId = lastEventId;
    globalThis.addEventListener?.("online", this.now);
    void this.#run();
  }

  get closed() {
    return this.#closing.signal;
  }

  close() {
    this.#closing.abort();
    this.#pause.end();
    globalThis.removeEventListener?.("online", this.now);
  }

  /** Has what changed just now be told soon: where there is a stream it comes by itself. */
  now = () => {
    if (this.#flows) return;
    this.#asked = true;
    this.#pause.end();
  };

  /** Somebody else is signed in now, or nobody is: asks as they do. */
  again() {
    this.#signed = this.#withMe;
    this.#told.clear();
    this.#silence.abort();
    this.#flows = false;
    this.now();
  }

  async #run() {
    for (let refusals = 0, failures = 0; !this.#closing.signal.aborted; ) {
      const streams = this.#streaming && Date.now() >= this.#streamAt;
      let pause = 0;
      this.#asked = false;
      try {
        if (streams) {
          const retryMs = await this.#stream();
          if (retryMs === null) return this.#end(null);
          refusals = 0;
          pause = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, retryMs)) * (1 + 0.4 * Math.random());
        } else {
          await this.#poll();
          failures = 0;
          pause = POLL_MS * (0.8 + 0.4 * Math.random()); // at random, so that games that were opened together drift apart
        }
        this.#signed = this.#withMe;
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        if (error instanceof SessionEnded) this.#signed = false;
        else if (streams) {
          const wait = Math.max(FIRST_PAUSE_MS, pauseAfter(error, refusals++));
          this.#streamAt = this.#asked ? 0 : Date.now() + wait;
        } else if (isFinal(error)) {
          return this.#end(error);
        } else {
          pause = pauseAfter(error, failures++, 2 * POLL_MS); // as often, in the mean, as if there were answers
          this.#tell("state", "offline", error);
        }
      }
      if (!this.#asked && !this.#closing.signal.aborted) await this.#pause.for(pause);
    }
  }

  /**
   * Hears a stream to its end: after ten minutes, with the token, or when somebody cuts it. Rejects if nothing came.
   *
   * @returns {Promise<number | null>} after how many milliseconds it wants to be asked for again; null: no more
   */
  async #stream() {
    const events = new EventStream();
    const silence = (this.#silence = new AbortController());
    let flowed = false;
    /** @type {any} */
    let alarm;
    const listen = (/** @type {number} */ ms) => {
      clearTimeout(alarm);
      alarm = setTimeout(() => silence.abort(), ms);
    };
    const open = (/** @type {string | undefined} */ token) => {
      listen(FIRST_WORD_MS);
      return this.#transport.send("GET", `${this.#path}/live${query(this.#query)}`, {
        token,
        signal: AbortSignal.any([this.#closing.signal, silence.signal]),
        timeout: STREAM_MS,
        headers: { Accept: "text/event-stream", ...(this.#lastEventId && { "Last-Event-ID": this.#lastEventId }) },
        read,
      });
    };
    const read = async (/** @type {Response} */ { body, headers }) => {
      if (!body || !headers.get("Content-Type")?.startsWith("text/event-stream")) throw new Unreachable("no stream");
      const reader = body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) throw new Unreachable("the stream ended");
        listen(SILENCE_MS);
        if (silence.signal.aborted) throw new Unreachable("the stream was left");
        if (!flowed) this.#tell("state", "live");
        flowed = this.#flows = true;
        for (const event of events.push(value)) this.#hear(event);
      }
    };
    try {
      // Only an answer without content (204) ends here.
      await this.#authorized(open);
      return null;
    } catch (error) {
      if (!flowed) throw error;
    } finally {
      this.#flows = false;
      clearTimeout(alarm);
      silence.abort();
    }
    return events.retryMs;
  }

  /** @template T @param {(token: string | undefined) => Promise<T>} call */
  #authorized(call) {
    return this.#signed ? this.#session.authorized((token) => call(token)) : call(undefined);
  }

  /** @param {Types.StreamEvent} event */
  #hear({ type, id, data }) {
    this.#lastEventId = id;
    if (type === "period") this.#told.clear();
    this.#tellOnce(type, parsed(data), id);
  }

  async #poll() {
    const { signal } = this.#closing;
    const { limit, ...place } = this.#query;
    const page = this.#transport.send("GET", `${this.#path}/top${query(this.#query)}`, { signal });
    const asked = [page.then((top) => this.#tellOnce("top", top))];
    if (this.#signed) {
      const me = this.#session.authorized((token) =>
        this.#transport.send("GET", `${this.#path}/rank/me${query(place)}`, { token, signal }),
      );
      asked.push(me.then((standing) => this.#tellOnce("me", standing)));
    }
    await Promise.all(asked);
    this.#tell("state", "polling");
  }

  /** @param {string} type @param {unknown} data @param {string} [id] */
  #tellOnce(type, data, id = "") {
    const text = JSON.stringify(data);
    if (this.#told.get(type) === text) return;
    this.#told.set(type, text);
    this.#tell(type, data, id);
  }

  /** @param {string} type @param {any[]} what */
  #tell(type, ...what) {
    if (this.#closing.signal.aborted) return;
    call(/** @type {Record<string, any>} */ (this.#handlers)[type], what);
  }

  /** @param {Problem | null} problem */
  #end(problem) {
    this.#tell("end", problem);
    this.close();
  }
}

/** An error in the game's own function is the game's. @param {any} listener @param {any[]} what */
function call(listener, what) {
  try {
    listener?.(...what);
  } catch (error) {
    report(error);
  }
}

// ----------------------------------------------------------------------------------------------------- Leaderboard

/** @implements {Types.Leaderboard} */
export class Leaderboard {
  /** Who is signed in, once what is kept has been looked at. @type {Promise<Types.User | null>} */
  ready;

  #board;
  #transport;
  #session;
  #player;
  #queue;
  /** @type {Map<string, Set<(...what: any[]) => void>>} */
  #listeners = new Map();
  /** @type {Set<Watch>} */
  #watches = new Set();

  /**
   * @param {string} site where the leaderboard is, as "https://leaderboard.example"; "" for pages that it serves itself
   * @param {Types.Options} [options]
   */
  constructor(site, options = {}) {
    const { board = "main", storage = defaultStorage(), queueLimit = 100, timeout = 10_000, clientId, clientSecret } = options;
    const transport = new Transport(site, timeout);
    const tell = (/** @type {string} */ event, /** @type {any[]} */ ...what) => {
      for (const listener of this.#listeners.get(event) ?? []) call(listener, what);
    };
    const parts = { transport, storage, turns: new Turns(storage.shared), tell };
    this.#board = board;
    this.#transport = transport;
    this.#player = new PlayerSession(parts);
    const key = clientId && clientSecret ? { client_id: clientId, client_secret: clientSecret } : null;
    /** @type {Types.Session} */
    this.#session = options.session ?? (key ? new ServerSession(transport, key) : this.#player);
    this.#queue = new Queue(parts, this.#session, queueLimit);
    this.ready = this.#session.owner().then(() => this.user);
    this.ready.catch(() => null);
    this.#queue.send();
  }

  /** Who is signed in, as far as was heard: known from the start where `ready` was awaited. */
  get user() {
    return this.#session.user;
  }

  /** Stops all that goes on by itself. What is kept is sent by the next one. */
  close() {
    this.#queue.close();
    for (const watch of this.#watches) watch.close();
  }

  /** @type {Types.Leaderboard["on"]} */
  on(event, listener) {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  // Who plays.

  /** @type {Types.Leaderboard["register"]} */
  register = (username, password) => this.#entering(this.#player.register(username, password));
  /** @type {Types.Leaderboard["login"]} */
  login = (username, password) => this.#entering(this.#player.login(username, password));
  /** @type {Types.Leaderboard["playAsGuest"]} */
  playAsGuest = () => this.#entering(this.#player.playAsGuest());
  /** @type {Types.Leaderboard["keepAccount"]} */
  keepAccount = (username, password) => this.#entering(this.#player.keepAccount(username, password));

  async logout() {
    await this.#player.logout();
    for (const watch of this.#watches) watch.again();
  }

  /** @param {Promise<void>} signingIn @returns {Promise<Types.User>} */
  async #entering(signingIn) {
    await signingIn;
    this.#queue.now();
    for (const watch of this.#watches) watch.again();
    if (!this.#player.user) throw new SessionEnded(); // signed out meanwhile
    return this.#player.user;
  }

  // Scores.

  /** @type {Types.Leaderboard["submit"]} */
  submit = (score, fields = {}) => this.#queue.add({ score, ...fields });
  flush = () => this.#queue.flush();
  /** The scores that wait to be sent. */
  queued = () => this.#queue.entries();

  /** @type {Types.Leaderboard["submitMany"]} */
  async submitMany(submissions, { signal } = {}) {
    const keyed = submissions.map((each) => ({ key: newKey(), ...each }));
    /** @type {Types.ServerResult[]} */
    const results = [];
    for (let left = keyed.map((_, at) => at), failures = 0; left.length > 0; ) {
      const batch = left.slice(0, BATCH);
      const body = { submissions: batch.map((at) => keyed[at]) };
      /** @type {unknown} */
      let failure = null;
      try {
        const told = await this.request("POST", `${API}/submissions`, { signed: true, signal, body });
        batch.forEach((at, place) => (results[at] = told.results[place]));
        left = left.filter((at) => (results[at]?.status ?? 503) === 503); // not sent yet, or perhaps not stored
        if (batch.every((at) => results[at]?.status !== 503)) failures = 0;
        else failure = new Unreachable("some were not stored");
      } catch (error) {
        if (!isPassing(error)) throw error;
        failure = error;
      }
      if (failure) await new Pause().for(pauseAfter(failure, failures++));
    }
    return results;
  }

  // Boards.

  /** @type {Types.Leaderboard["boards"]} */
  boards = (options = {}) => this.#read(`/boards${query(options)}`);
  /** @type {Types.Leaderboard["board"]} */
  board = (name = this.#board) => this.#read(`/boards/${encodeURIComponent(name)}`);
  /** @type {Types.Leaderboard["top"]} */
  top = (options = {}) => this.#readBoard("/top", options);
  /** @type {Types.Leaderboard["rank"]} */
  rank = (who = "me", options = {}) => this.#readBoard(`/rank/${who}`, options, who === "me");
  /** @type {Types.Leaderboard["around"]} */
  around = (who = "me", options = {}) => this.#readBoard(`/around/${who}`, options, who === "me");
  /** @type {Types.Leaderboard["ranks"]} */
  ranks = (user_ids, options = {}) => this.#readBoard("/ranks", options, false, { user_ids });
  /** @type {Types.Leaderboard["rankOfScore"]} */
  rankOfScore = (score, options = {}) => this.#readBoard(`/rank/score/${score}`, options);
  /** @type {Types.Leaderboard["distribution"]} */
  distribution = (options = {}) => this.#readBoard("/distribution", options);

  // Players.

  /** @type {Types.Leaderboard["findPlayers"]} */
  findPlayers = (name) => this.#read(`/players${query({ name })}`);
  /** @type {Types.Leaderboard["player"]} */
  player = (user_id) => this.#read(`/players/${user_id}`);
  /** @type {Types.Leaderboard["standings"]} */
  standings = (user_id) => this.#read(`/players/${user_id}/standings`);
  /** @type {Types.Leaderboard["mySessions"]} */
  mySessions = (options = {}) => this.#read(`/sessions/me${query(options)}`, true);

  // What changes, and all else.

  /** @type {Types.Leaderboard["watch"]} */
  watch(options, handlers) {
    const watch = new Watch(this.#transport, this.#session, { board: this.#board, ...options }, handlers);
    this.#watches.add(watch);
    watch.closed.addEventListener("abort", () => this.#watches.delete(watch));
    return watch;
  }

  /** @type {Types.Leaderboard["request"]} */
  request = (method, path, { signed = false, ...options } = {}) => {
    if (!signed) return this.#transport.send(method, path, options);
    return this.#session.authorized((token) => this.#transport.send(method, path, { ...options, token }));
  };

  /** @param {string} path @param {Record<string, any>} options @param {boolean} [signed] @param {object} [body] */
  #readBoard(path, { board = this.#board, ...parameters }, signed = false, body) {
    return this.#read(`/boards/${encodeURIComponent(board)}${path}${query(parameters)}`, signed, body);
  }

  /** @param {string} path @param {boolean} [signed] @param {object} [body] of a question that is too long for an address */
  #read(path, signed = false, body) {
    const method = body ? "POST" : "GET";
    return this.#transport.patiently((timeout) => this.request(method, API + path, { signed, body, timeout }));
  }
}
