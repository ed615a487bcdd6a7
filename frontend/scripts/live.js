/** The top of the board and the caller's standing as they change: one tab of a browser hears of it, and tells the others. */

import { Leaderboard, MemoryStorage, Unreachable } from "../clients/leaderboard.js";
import { PAGE_SIZE } from "./api.js";

/** @import { WatchHandle } from "../clients/leaderboard.d.ts" */
/** @import { Session } from "./session.js" */
/** @import { BoardPage, Outage, Standing } from "./types.d.ts" */

/** @typedef {{ type: "top" | "me" | "period" | "outage" | "hello", data?: any, id?: string }} Message hello: asks for the rest */

/**
 * Of the visible tabs of a browser one has the stream, and tells all others what it hears: over plain HTTP a browser has six
 * connections to a server. Who has the lock has the stream. Browsers keep locks from pages that came over plain HTTP from
 * elsewhere; there each visible tab has one.
 */
export class Live {
  #session;
  #leaderboard;
  #hearers;
  /** What was heard last, by type. @type {Map<string, Message>} */
  #heard = new Map();
  #tabs = new BroadcastChannel("live");
  #turn = new AbortController();
  /** Of the turn that got the lock last. @type {AbortSignal | null} */
  #lock = null;
  /** @type {WatchHandle | null} */
  #watch = null;

  /**
   * @param {Session} session
   * @param {{ top: (page: BoardPage) => void, me: (standing: Standing) => void, outage: (outage: Outage | null) => void }} hearers
   */
  constructor(session, hearers) {
    this.#session = session;
    this.#leaderboard = new Leaderboard("", { session, storage: new MemoryStorage() });
    this.#hearers = /** @type {Partial<Record<string, (data: any) => void>>} */ (hearers);
  }

  start() {
    const restart = () => this.restart();
    document.addEventListener("visibilitychange", restart);
    window.addEventListener("online", restart);
    window.addEventListener("offline", restart);
    this.#session.addEventListener("change", () => {
      this.#heard.clear();
      restart();
    });
    restart();
  }

  /** Begins anew: lets go of the stream, for the next tab that waits for it, and waits for it unless hidden. */
  restart() {
    this.#turn.abort();
    this.#turn = new AbortController();
    const { signal } = this.#turn;
    // Who is signed in is the same in all tabs, but not at each moment.
    const name = `live ${this.#session.user?.user_id ?? ""}`;
    if (this.#tabs.name !== name) {
      this.#tabs.close();
      this.#tabs = new BroadcastChannel(name);
      this.#tabs.addEventListener("message", ({ data }) => {
        if (!this.#holds) this.#hear(data);
        else if (data.type === "hello") this.#answer();
      });
    }
    if (document.visibilityState === "hidden") return;
    this.now();
    if (!navigator.locks) void this.#hold(signal);
    else navigator.locks.request(name, { signal }, () => this.#hold(signal)).catch((error) => signal.aborted || reportError(error));
  }

  /** Has what changed just now be heard soon: where there is a stream it comes by itself. */
  now() {
    if (!this.#holds) this.#tabs.postMessage({ type: "hello" });
    this.#watch?.now();
  }

  get #holds() {
    return this.#lock?.aborted === false;
  }

  #answer() {
    for (const message of this.#heard.values()) this.#tabs.postMessage(message);
    this.now();
  }

  /** @param {Message} message */
  #tell(message) {
    this.#hear(message);
    this.#tabs.postMessage(message);
  }

  /** @param {Message} message */
  #hear(message) {
    const { type, data } = message;
    if (type === "period") this.#heard.clear(); // what has ended
    else if (type !== "hello") this.#heard.set(type, message);
    this.#hearers[type]?.(data);
  }

  /** @param {AbortSignal} signal */
  async #hold(signal) {
    if (signal.aborted) return; // since the lock was given
    this.#lock = signal;
    const { status } = this.#session;
    const lastEventId = this.#heard.get("top")?.id ?? "";
    // Until it is known who is signed in the board alone is asked for, so that it need not wait.
    const streaming = status !== "restoring";
    const watch = this.#leaderboard.watch(
      { window: "all", limit: PAGE_SIZE, withMe: status !== "signed-out", streaming, lastEventId },
      {
        top: (data, id) => this.#tell({ type: "top", data, id }),
        me: (data, id) => this.#tell({ type: "me", data, id }),
        period: (data, id) => this.#tell({ type: "period", data, id }),
        state: (state, error) => this.#tell({ type: "outage", data: state === "offline" ? outage(error) : null }),
        end: (problem) => problem && reportError(problem),
      },
    );
    this.#watch = watch;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    watch.close();
  }
}

/** @param {unknown} error @returns {Outage} */
const outage = (error) => ({ offline: error instanceof Unreachable && error.offline });
