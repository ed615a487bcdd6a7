import { Unreachable } from "./api.js";

const INTERVAL_MS = 5_000;
const LONGEST_WAIT_MS = 30_000;

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
    let wait = INTERVAL_MS;
    try {
      do {
        this.#again = false;
        await this.work();
      } while (this.#again);
      this.#failures = 0;
      this.onOutcome(null);
    } catch (error) {
      if (error instanceof Unreachable) {
        wait = Math.max(error.retryAfterMs, Math.min(LONGEST_WAIT_MS, 1000 * 2 ** this.#failures));
        this.#failures += 1;
        this.onOutcome(error);
      } else {
        reportError(error);
      }
    } finally {
      this.#running = false;
    }
    // Spread, so that the pages that lost the server together do not come back to it together.
    if (document.visibilityState === "visible") this.#timer = setTimeout(() => this.now(), wait * (0.8 + 0.4 * Math.random()));
  }
}
