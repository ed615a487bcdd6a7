import { Unreachable } from "./api.js";
import { pauseAfter } from "./backoff.js";

const INTERVAL_MS = 5_000;

/**
 * Runs `work` again and again while the page is visible: every few seconds when it succeeds, ever more slowly while
 * nobody answers, at once when the page or the network comes back.
 */
export class Poller {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #running = false;
  #again = false;
  #failures = 0;

  /**
   * @param {() => Promise<void>} work
   * @param {(failure: Unreachable | null) => void} onOutcome
   */
  constructor(work, onOutcome) {
    this.work = work;
    this.onOutcome = onOutcome;
  }

  start() {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.now();
      else clearTimeout(this.#timer);
    });
    window.addEventListener("online", () => this.now());
    window.addEventListener("offline", () => this.now());
    this.now();
  }

  /** Runs now. A run under way does not count: it may have asked before what the caller knows had happened. */
  now() {
    if (this.#running) this.#again = true;
    else void this.#run();
  }

  async #run() {
    clearTimeout(this.#timer);
    this.#running = true;
    let wait = INTERVAL_MS * (0.8 + 0.4 * Math.random()); // spread, so that pages that were opened together drift apart
    try {
      do {
        this.#again = false;
        await this.work();
      } while (this.#again);
      this.#failures = 0;
      this.onOutcome(null);
    } catch (error) {
      if (error instanceof Unreachable) {
        wait = pauseAfter(error, this.#failures);
        this.#failures += 1;
        this.onOutcome(error);
      } else {
        reportError(error);
      }
    } finally {
      this.#running = false;
    }
    if (document.visibilityState === "visible") this.#timer = setTimeout(() => this.now(), wait);
  }
}
