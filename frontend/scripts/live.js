/** The top of the board and the caller's standing as they change: streamed, and asked for where no stream can be had. */

import * as api from "./api.js";
import { Pause, pauseAfter } from "./backoff.js";
import { EventStream } from "./event-stream.js";

/** @import { Session } from "./session.js" */
/** @import { BoardPage, Outage, Standing } from "./types.d.ts" */

/** @typedef {{ type: "top" | "me" | "period" | "outage" | "hello", data?: any, id?: string }} Message hello: asks for the rest */

/** A stream says something at once, and then every 15 s. Through a proxy that collects answers nothing comes. */
const FIRST_WORD_MS = 4_000;
const SILENCE_MS = 40_000;
const POLL_MS = 5_000;

/**
 * Of the visible tabs of a browser one has the stream, and tells all others what it hears: over plain HTTP a browser has six
 * connections to a server. Who has the lock has the stream. Browsers keep locks from pages that came over plain HTTP from
 * elsewhere; there each visible tab has one.
 */
export class Live {
  #session;
  #hearers;
  /** What was heard last, by type. @type {Map<string, Message>} */
  #heard = new Map();
  #tabs = new BroadcastChannel("live");
  #turn = new AbortController();
  /** Of the turn that got the lock last. @type {AbortSignal | null} */
  #lock = null;
  #flows = false;
  #asked = false;
  #pause = new Pause();

  /**
   * @param {Session} session
   * @param {{ top: (page: BoardPage) => void, me: (standing: Standing) => void, outage: (outage: Outage | null) => void }} hearers
   */
  constructor(session, hearers) {
    this.#session = session;
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
    this.#pause.end();
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
    if (this.#flows) return;
    this.#asked = true;
    this.#pause.end();
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
    this.#lock = signal;
    for (let refusals = 0, failures = 0, streamAt = 0; !signal.aborted; ) {
      // Until it is known who is signed in the board alone is asked for, so that it need not wait.
      const streams = this.#session.status !== "restoring" && Date.now() >= streamAt;
      let pause = 0;
      this.#asked = false;
      try {
        if (streams) {
          const retryAfterMs = await this.#stream(signal);
          refusals = 0;
          pause = pauseAfter({ retryAfterMs }, 0);
        } else {
          await this.#poll(signal);
          failures = 0;
          pause = POLL_MS * (0.8 + 0.4 * Math.random()); // spread, so that pages that were opened together drift apart
        }
      } catch (error) {
        if (signal.aborted) return;
        const failure = /** @type {api.Unreachable} */ (error);
        if (streams) streamAt = Date.now() + pauseAfter(failure, refusals++);
        else {
          pause = pauseAfter(failure, failures++);
          if (failure instanceof api.Unreachable) this.#tell({ type: "outage", data: { offline: failure.offline } });
          else reportError(failure);
        }
      }
      if (!this.#asked && !signal.aborted) await this.#pause.for(pause);
    }
  }

  /**
   * Hears a stream to its end: after ten minutes, with the token, or when somebody cuts it. Rejects if nothing came.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<number>} after how many milliseconds it wants to be asked for again
   */
  async #stream(signal) {
    const events = new EventStream();
    const silence = new AbortController();
    let alarm = 0;
    const listen = (/** @type {number} */ ms) => {
      clearTimeout(alarm);
      alarm = setTimeout(() => silence.abort(), ms);
    };
    const open = (/** @type {string | undefined} */ token) => {
      listen(FIRST_WORD_MS);
      const lastEventId = this.#heard.get("top")?.id;
      return api.live({ token, lastEventId, signal: AbortSignal.any([signal, silence.signal]) });
    };
    try {
      const reader = await (this.#session.status === "signed-out" ? open(undefined) : this.#session.authorized(open));
      for (;;) {
        const { done, value = "" } = await reader.read();
        if (done || signal.aborted) throw new api.Unreachable("the stream ended");
        listen(SILENCE_MS);
        if (!this.#flows) this.#tell({ type: "outage", data: null });
        this.#flows = true;
        for (const { type, id, data } of events.push(value)) {
          this.#tell(/** @type {Message} */ ({ type, id, data: JSON.parse(data) }));
        }
      }
    } catch (error) {
      if (!this.#flows) throw error;
    } finally {
      this.#flows = false;
      clearTimeout(alarm);
      silence.abort();
    }
    return events.retryMs;
  }

  /** @param {AbortSignal} signal */
  async #poll(signal) {
    const tell = (/** @type {"top" | "me" | "outage"} */ type) => (/** @type {unknown} */ data) => {
      if (!signal.aborted) this.#tell({ type, data });
    };
    const asked = [api.top({ offset: 0, signal }).then(tell("top"))];
    if (this.#session.status !== "signed-out") {
      asked.push(this.#session.authorized((token) => api.myStanding(token, signal)).then(tell("me")));
    }
    await Promise.all(asked);
    tell("outage")(null);
  }
}
