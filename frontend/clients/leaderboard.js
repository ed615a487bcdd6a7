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

/** No answer came, or one that says that the server cannot give one (5xx). What was asked for may have been done. */
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
export function pauseAfter(error, failures) {
  const asked = error instanceof Unreachable || error instanceof Problem ? error.retryAfter * 1000 : 0;
  const random = Math.random();
  return Math.max(asked * (1 + 0.2 * random), Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures) * random);
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
   * @template T
   * @param {(options: { timeout: number }) => Promise<T>} work
   * @returns {Promise<T>}
   */
  async patiently(work) {
    const end = Date.now() + this.#timeout;
    for (let failures = 0; ; failures += 1) {
      try {
        return await work({ timeout: Math.max(1, end - Date.now()) });
      } catch (error) {
        const pause = pauseAfter(error, failures);
        if (!isPassing(error) || failures === TRIES - 1 || Date.now() + pause >= end) throw error;
        await new Pause().for(pause);
      }
    }
  }
}

/** @param {Response} answer */
async function refusal(answer) {
  const told = Number(answer.headers.get("Retry-After"));
  const retryAfter = told > 0 ? told : 0;
  const { status } = answer;
  if (status >= 500) return new Unreachable(`HTTP ${status}`, { status, retryAfter });
  return new Problem(status, await answer.json().catch(() => ({})), retryAfter);
}

/** @param {unknown} error whether the same may succeed soon */
function isPassing(error) {
  if (error instanceof Unreachable) return [0, 502, 503, 504].includes(error.status);
  return error instanceof Problem && error.status === 429;
}

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

/**
 * A player's session, kept in the storage. It is read there each time: another tab may have renewed it.
 *
 * @implements {Types.Session}
 */
class PlayerSession {
  /** @type {Types.User | null} */
  user = null;
  #transport;
  #storage;
  #turns;
  #ended;

  /**
   * @param {Transport} transport
   * @param {Types.Storage} storage
   * @param {Turns} turns
   * @param {() => void} ended is told when the server has ended the session
   */
  constructor(transport, storage, turns, ended) {
    this.#transport = transport;
    this.#storage = storage;
    this.#turns = turns;
    this.#ended = ended;
  }

  /** Whose scores are sent now. */
  async owner() {
    return (await this.#held())?.user_id ?? null;
  }

  /** @returns {Promise<Types.KeptSession | null>} */
  async #held() {
    const held = parsed(await this.#storage.get("session"));
    this.user = held && { user_id: held.user_id, username: held.username, guest: held.guest };
    return held;
  }

  /** @param {Types.KeptSession | null} session */
  async #hold(session) {
    await this.#storage.set("session", session && JSON.stringify(session));
    return this.#held();
  }

  /** @param {Types.Tokens} tokens @param {Types.User} user */
  async #begin({ access_token, expires_in, refresh_token }, { user_id, username, guest }) {
    const expires_at = Date.now() + expires_in * 1000;
    await this.#hold({ user_id, username, guest, access_token, expires_at, refresh_token });
    return { user_id, username, guest };
  }

  /** @param {string} username @param {string} password */
  async register(username, password) {
    let lost = false;
    const body = { username, password };
    try {
      await this.#transport.patiently((options) =>
        this.#transport.send("POST", "/auth/register", { body, ...options }).catch((error) => {
          lost ||= error instanceof Unreachable;
          throw error;
        }),
      );
    } catch (error) {
      // The name is taken: by this very call, if its first answer was lost. Then the password is the right one.
      if (!(lost && error instanceof Problem && error.status === 409)) throw error;
    }
    return this.login(username, password);
  }

  /** @param {string} username @param {string} password */
  login(username, password) {
    return this.#turns.take("session", async () => {
      const body = { username, password, session: "token" };
      const tokens = await this.#transport.patiently((options) => this.#transport.send("POST", "/auth/login", { body, ...options }));
      const token = tokens.access_token;
      const user = await this.#transport.patiently((options) => this.#transport.send("GET", "/auth/me", { token, ...options }));
      return this.#begin(tokens, user);
    });
  }

  playAsGuest() {
    return this.#turns.take("session", async () => {
      // Another guest would have none of the scores, and nobody can come back to this one.
      if (await this.#held()) return /** @type {Types.User} */ (this.user);
      const body = { session: "token" };
      const made = await this.#transport.patiently((options) => this.#transport.send("POST", "/auth/guest", { body, ...options }));
      return this.#begin(made, { ...made, guest: true });
    });
  }

  /** @param {string} username @param {string} password */
  async keepAccount(username, password) {
    const { access_token: token } = await this.#fresh();
    const body = { username, password };
    try {
      return await this.#turns.take("session", async () => {
        const held = await this.#held();
        if (!held) throw new SessionEnded();
        const tokens = await this.#transport.patiently((options) =>
          this.#transport.send("POST", "/auth/me/credentials", { token, body, ...options }),
        );
        return this.#begin(tokens, { user_id: held.user_id, username: username.normalize("NFC"), guest: false });
      });
    } catch (error) {
      // The guest's session has ended, or is no guest's: the account was kept before, and that answer was lost.
      const kept = error instanceof Problem && (error.status === 401 || error.type === "urn:problem:not-a-guest");
      if (kept) return this.login(username, password);
      throw error;
    }
  }

  async logout() {
    await this.#turns.take("session", async () => {
      const held = await this.#held();
      await this.#hold(null);
      if (!held) return;
      const body = { refresh_token: held.refresh_token };
      await this.#transport.send("POST", "/auth/logout", { body, keepalive: true }).catch(() => null);
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
    return this.#turns.take("session", async () => {
      const held = await this.#held();
      if (!held) throw new SessionEnded();
      if (held.access_token !== old.access_token) return held; // somebody else did it meanwhile
      const body = { refresh_token: held.refresh_token };
      try {
        // Sent again within 30 s, a token whose answer was lost gets the same answer.
        const tokens = await this.#transport.patiently((options) =>
          this.#transport.send("POST", "/auth/refresh", { body, keepalive: true, ...options }),
        );
        await this.#begin(tokens, held);
      } catch (error) {
        if (!(error instanceof Problem && error.status === 401)) throw error;
        await this.#hold(null);
        this.#ended();
        throw new SessionEnded();
      }
      return /** @type {Types.KeptSession} */ (await this.#held());
    });
  }
}

/**
 * What a game server asks with: a key of its own (docs/players.md). Its access token lives in memory only.
 *
 * @implements {Types.Session}
 */
class ServerSession {
  user = null;
  #transport;
  #key;
  #token = "";
  #expiresAt = 0;

  /** @param {Transport} transport @param {{ clientId: string, clientSecret: string }} key */
  constructor(transport, key) {
    this.#transport = transport;
    this.#key = key;
  }

  async owner() {
    return this.#key.clientId;
  }

  /** @template T @param {(token: string, owner: string) => Promise<T>} call @returns {Promise<T>} */
  async authorized(call) {
    if (Date.now() >= this.#expiresAt - MARGIN_MS) await this.#renew();
    try {
      return await call(this.#token, this.#key.clientId);
    } catch (error) {
      if (!(error instanceof Problem && error.status === 401)) throw error;
      await this.#renew();
      return call(this.#token, this.#key.clientId);
    }
  }

  async #renew() {
    const { clientId: client_id, clientSecret: client_secret } = this.#key;
    const form = new URLSearchParams({ grant_type: "client_credentials", client_id, client_secret });
    const answer = await this.#transport.patiently((options) => this.#transport.send("POST", "/auth/token", { form, ...options }));
    this.#token = answer.access_token;
    this.#expiresAt = Date.now() + answer.expires_in * 1000;
  }
}

// ------------------------------------------------------------------------------------------------------------ Queue

/** The scores that are on their way: kept in the storage, sent one after the other, each until the server has answered. */
class Queue {
  #transport;
  #storage;
  #session;
  #turns;
  #limit;
  #tell;
  #pause = new Pause();
  /** Whether somebody is at it in this program, and whether to look again afterwards. */
  #busy = false;
  #again = false;
  #closed = false;
  /** Who waits for the answer to a key. @type {Map<string, { resolve: (result: any) => void, reject: (error: unknown) => void }>} */
  #waiting = new Map();
  /** @type {Set<() => void>} */
  #lookers = new Set();
  /** Of tabs that share the queue one sends, and tells the others. @type {BroadcastChannel | null} */
  #tabs = null;

  /**
   * @param {Transport} transport
   * @param {Types.Storage} storage
   * @param {Types.Session} session
   * @param {Turns} turns
   * @param {number} limit
   * @param {(event: string, ...what: any[]) => void} tell
   */
  constructor(transport, storage, session, turns, limit, tell) {
    this.#transport = transport;
    this.#storage = storage;
    this.#session = session;
    this.#turns = turns;
    this.#limit = limit;
    this.#tell = tell;
    if (storage.shared && globalThis.BroadcastChannel) {
      this.#tabs = new BroadcastChannel(`${storage.shared} queue`);
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
    return parsed(await this.#storage.get("queue")) ?? [];
  }

  /**
   * Keeps a score before anything else is done with it: from then on it is sent, whatever happens to the program.
   *
   * @param {Types.Entry["body"]} body
   * @returns {Promise<Types.Submission>}
   */
  async add(body) {
    const user_id = await this.#session.owner();
    const entry = { key: newKey(), user_id, body, queued_at: new Date().toISOString() };
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
      if (entries.length === 0) return;
      if (owner === null) throw new SessionEnded();
      if (!entries.some(({ user_id }) => user_id === owner || user_id === null)) return;
      this.send();
      await looked;
    }
  }

  /** Sends what can be sent, once. */
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
      try {
        await this.#turns.take("sending", () => this.#sendAll());
      } catch (error) {
        report(error); // of the storage
        await this.#pause.for(pauseAfter(error, 3));
        this.#again = true;
      }
    }
    this.#busy = false;
  }

  async #sendAll() {
    for (let failures = 0; !this.#closed; ) {
      const owner = await this.#session.owner();
      const entries = await this.entries();
      const { length } = entries;
      const next = owner === null ? undefined : entries.find(({ user_id }) => user_id === owner || user_id === null);
      if (!next) return this.#announce({ kind: "queue", length, reason: length === 0 ? "empty" : "waiting" });
      if (failures === 0) this.#announce({ kind: "queue", length, reason: "sending" });
      const entry = next.user_id === null ? await this.#claim(next, owner) : next;
      const answer = await this.#sendOne(entry);
      if (answer.kind === "later") {
        if (answer.error instanceof SessionEnded) continue; // nobody is signed in, or somebody else
        this.#announce({ kind: "queue", length, reason: "offline" });
        await this.#pause.for(pauseAfter(answer.error, failures));
        failures += 1;
      } else {
        failures = 0;
        await this.#change((entries) => entries.filter(({ key }) => key !== entry.key));
        this.#announce(answer);
      }
    }
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

  /**
   * @param {Types.Entry} entry
   * @returns {Promise<{ kind: "submitted" | "refused", [more: string]: any } | { kind: "later", error: unknown }>}
   */
  async #sendOne(entry) {
    try {
      const result = await this.#session.authorized((token, owner) => {
        if (owner !== entry.user_id) throw new SessionEnded();
        return submitOnce(this.#transport, token, entry.key, entry.body);
      });
      return { kind: "submitted", entry, result };
    } catch (error) {
      const refused = error instanceof Problem && ![401, 408, 425, 429].includes(error.status);
      if (!refused) return { kind: "later", error };
      const { status, type, title, detail, errors, retryAfter } = error;
      return { kind: "refused", entry, problem: { status, type, title, detail, errors }, retryAfter };
    }
  }

  /** @param {(entries: Types.Entry[]) => Types.Entry[]} change */
  async #change(change) {
    await this.#turns.take("queue", async () => {
      const entries = change(await this.entries());
      await this.#storage.set("queue", entries.length === 0 ? null : JSON.stringify(entries));
    });
  }

  /** @param {{ kind: string, [more: string]: any }} message */
  #announce(message) {
    if (this.#closed) return;
    this.#tabs?.postMessage(message);
    this.#hear(message);
  }

  /** @param {any} message */
  #hear(message) {
    if (message.kind === "queue") {
      this.#tell("queueChanged", message.length, message.reason);
    } else {
      const { key } = message.entry;
      const waiting = this.#waiting.get(key);
      this.#waiting.delete(key);
      if (message.kind === "submitted") {
        waiting?.resolve(message.result);
        this.#tell("submitted", message.entry, message.result);
      } else {
        const problem = new Problem(message.problem.status, message.problem, message.retryAfter);
        waiting?.reject(problem);
        this.#tell("refused", message.entry, problem);
      }
    }
    for (const look of this.#lookers) look();
    this.#lookers.clear();
  }
}

/**
 * @param {Transport} transport
 * @param {string} token
 * @param {string} key
 * @param {object} body
 * @returns {Promise<Types.Submitted>}
 */
function submitOnce(transport, token, key, body) {
  return transport.send("POST", `${API}/submit`, {
    token,
    body,
    headers: { "Idempotency-Key": key },
    read: async (answer) => ({ ...(await answer.json()), repeated: answer.headers.has("Idempotent-Replayed") }),
  });
}

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
  #streaming;
  #lastEventId;
  #closing = new AbortController();
  #pause = new Pause();
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
    const { board, window, period, limit, withMe = true, streaming = true, lastEventId = "" } = options;
    this.#transport = transport;
    this.#session = session;
    this.#handlers = handlers;
    this.#path = `${API}/boards/${encodeURIComponent(board)}`;
    this.#query = { window, period, limit };
    this.#withMe = withMe;
    this.#streaming = streaming;
    this.#lastEventId = lastEventId;
    globalThis.addEventListener?.("online", this.now);
    void this.#run();
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
          pause = retryMs * (1 + 0.4 * Math.random());
        } else {
          await this.#poll();
          failures = 0;
          pause = POLL_MS * (0.8 + 0.4 * Math.random()); // at random, so that games that were opened together drift apart
        }
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        if (error instanceof SessionEnded) this.#withMe = false;
        else if (streams) this.#streamAt = Date.now() + Math.max(FIRST_PAUSE_MS, pauseAfter(error, refusals++));
        else if (error instanceof Problem && ![401, 408, 425, 429].includes(error.status)) return this.#end(error);
        else {
          pause = pauseAfter(error, failures++);
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
    const silence = new AbortController();
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
        if (!this.#flows) this.#tell("state", "live");
        this.#flows = true;
        for (const event of events.push(value)) this.#hear(event);
      }
    };
    try {
      // Only an answer without content (204) ends here.
      await (await this.#authorized(open));
      return null;
    } catch (error) {
      if (!this.#flows) throw error;
    } finally {
      this.#flows = false;
      clearTimeout(alarm);
      silence.abort();
    }
    return events.retryMs;
  }

  /** @template T @param {(token: string | undefined) => Promise<T>} call */
  #authorized(call) {
    return this.#withMe ? this.#session.authorized((token) => call(token)) : call(undefined);
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
    const asked = [this.#transport.send("GET", `${this.#path}/top${query(this.#query)}`, { signal }).then((top) => this.#tellOnce("top", top))];
    if (this.#withMe) {
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

/**
 * An error in the game's own function is the game's.
 *
 * @param {((...what: any[]) => void) | undefined} listener
 * @param {any[]} what
 */
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

  /**
   * @param {string} site where the leaderboard is, as "https://leaderboard.example"; "" for pages that it serves itself
   * @param {Types.Options} [options]
   */
  constructor(site, options = {}) {
    const { board = "main", storage = defaultStorage(), queueLimit = 100, timeout = 10_000, clientId, clientSecret } = options;
    const tell = (/** @type {string} */ event, /** @type {any[]} */ ...what) => this.#tell(event, ...what);
    const turns = new Turns(storage.shared);
    this.#board = board;
    this.#transport = new Transport(site, timeout);
    this.#player = new PlayerSession(this.#transport, storage, turns, () => tell("sessionEnded"));
    const key = clientId && clientSecret ? { clientId, clientSecret } : null;
    /** @type {Types.Session} */
    this.#session = options.session ?? (key ? new ServerSession(this.#transport, key) : this.#player);
    this.#queue = new Queue(this.#transport, storage, this.#session, turns, queueLimit, tell);
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
  }

  /** @template {keyof Types.Events} E @param {E} event @param {Types.Events[E]} listener @returns {() => void} ends it */
  on(event, listener) {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** @param {string} event @param {any[]} what */
  #tell(event, ...what) {
    for (const listener of this.#listeners.get(event) ?? []) call(listener, what);
  }

  // Who plays.

  /** @param {string} username @param {string} password */
  register(username, password) {
    return this.#entering(this.#player.register(username, password));
  }

  /** @param {string} username @param {string} password */
  login(username, password) {
    return this.#entering(this.#player.login(username, password));
  }

  playAsGuest() {
    return this.#entering(this.#player.playAsGuest());
  }

  /** @param {string} username @param {string} password */
  keepAccount(username, password) {
    return this.#entering(this.#player.keepAccount(username, password));
  }

  logout() {
    return this.#player.logout();
  }

  /** @param {Promise<Types.User>} signingIn */
  async #entering(signingIn) {
    const user = await signingIn;
    this.#queue.now();
    return user;
  }

  // Scores.

  /** @param {number} score @param {Types.SubmissionFields} [fields] */
  submit(score, fields = {}) {
    return this.#queue.add({ score, ...fields });
  }

  flush() {
    return this.#queue.flush();
  }

  /** The scores that wait to be sent. */
  queued() {
    return this.#queue.entries();
  }

  /**
   * One attempt, which is neither kept nor repeated. With the same key it can be done again.
   *
   * @param {number} score
   * @param {Types.SubmissionFields & { key?: string }} [fields]
   */
  submitOnce(score, { key = newKey(), ...fields } = {}) {
    return this.#session.authorized((token) => submitOnce(this.#transport, token, key, { score, ...fields }));
  }

  /** @param {Types.ServerSubmission[]} submissions @param {{ signal?: AbortSignal }} [options] */
  async submitMany(submissions, { signal } = {}) {
    const keyed = submissions.map((each) => ({ key: newKey(), ...each }));
    /** @type {Types.ServerResult[]} */
    const results = [];
    for (let at = 0; at < keyed.length; at += BATCH) {
      results.push(...(await this.#submitBatch(keyed.slice(at, at + BATCH), signal)));
    }
    return results;
  }

  /** @param {(Types.ServerSubmission & { key: string })[]} batch @param {AbortSignal | undefined} signal */
  async #submitBatch(batch, signal) {
    /** @type {Types.ServerResult[]} */
    const results = [];
    for (let left = batch.map((_, at) => at), failures = 0; left.length > 0; failures += 1) {
      /** @type {unknown} */
      let failure = null;
      try {
        const body = { submissions: left.map((at) => batch[at]) };
        const told = await this.#session.authorized((token) =>
          this.#transport.send("POST", `${API}/submissions`, { token, signal, body }),
        );
        left.forEach((at, place) => (results[at] = told.results[place]));
        left = left.filter((at) => results[at]?.status === 503); // perhaps not stored
      } catch (error) {
        if (!isPassing(error)) throw error;
        failure = error;
      }
      if (left.length > 0) await new Pause().for(pauseAfter(failure, failures));
    }
    return results;
  }

  // Boards.

  /** @param {{ prefix?: string, limit?: number, cursor?: string | null }} [options] */
  boards(options = {}) {
    return this.#read(`/boards${query(options)}`);
  }

  /** @param {string} [name] */
  board(name = this.#board) {
    return this.#read(`/boards/${encodeURIComponent(name)}`);
  }

  /** @param {Types.Place & { limit?: number, cursor?: string | null, offset?: number }} [options] */
  top(options = {}) {
    return this.#readBoard("/top", options);
  }

  /** @param {number | "me"} [who] @param {Types.Place} [options] */
  rank(who = "me", options = {}) {
    return this.#readBoard(`/rank/${who}`, options, who === "me");
  }

  /** @param {number | "me"} [who] @param {Types.Place & { radius?: number }} [options] */
  around(who = "me", options = {}) {
    return this.#readBoard(`/around/${who}`, options, who === "me");
  }

  /** @param {number[]} user_ids @param {Types.Place} [options] */
  ranks(user_ids, options = {}) {
    return this.#readBoard("/ranks", options, false, { user_ids });
  }

  /** @param {number} score @param {Types.Place} [options] */
  rankOfScore(score, options = {}) {
    return this.#readBoard(`/rank/score/${score}`, options);
  }

  /** @param {Types.Place & { bins?: number }} [options] */
  distribution(options = {}) {
    return this.#readBoard("/distribution", options);
  }

  // Players.

  /** @param {string} name what it begins with */
  findPlayers(name) {
    return this.#read(`/players${query({ name })}`);
  }

  /** @param {number} user_id */
  player(user_id) {
    return this.#read(`/players/${user_id}`);
  }

  /** @param {number} user_id */
  standings(user_id) {
    return this.#read(`/players/${user_id}/standings`);
  }

  /** @param {{ board?: string, limit?: number, cursor?: string | null }} [options] */
  mySessions(options = {}) {
    return this.#read(`/sessions/me${query(options)}`, true);
  }

  // What changes, and all else.

  /** @param {Types.WatchOptions} options @param {Types.WatchHandlers} handlers @returns {Types.WatchHandle} */
  watch(options, handlers) {
    return new Watch(this.#transport, this.#session, { board: this.#board, ...options }, handlers);
  }

  /**
   * Any other call of the API. With `signed` it is done as who is signed in.
   *
   * @param {Types.Method} method
   * @param {string} path
   * @param {Types.RequestOptions & { signed?: boolean }} [options]
   */
  request(method, path, { signed = false, ...options } = {}) {
    if (!signed) return this.#transport.send(method, path, options);
    return this.#session.authorized((token) => this.#transport.send(method, path, { ...options, token }));
  }

  /**
   * @param {string} path
   * @param {Types.Place & Record<string, any>} options
   * @param {boolean} [signed]
   * @param {object} [body]
   */
  #readBoard(path, { board = this.#board, ...parameters }, signed = false, body) {
    return this.#read(`/boards/${encodeURIComponent(board)}${path}${query(parameters)}`, signed, body);
  }

  /** @param {string} path @param {boolean} [signed] @param {object} [body] of a question that is too long for an address */
  #read(path, signed = false, body) {
    const method = body ? "POST" : "GET";
    return this.#transport.patiently((options) => this.request(method, API + path, { signed, body, ...options }));
  }
}
