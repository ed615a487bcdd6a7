const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * How long to stay away from a server that did not answer: longer with each failure, and never shorter than it asked for.
 * Spread, so that the pages that lost the server together do not come back to it together.
 *
 * @param {{ retryAfterMs?: number }} failure
 * @param {number} before how many failures came before it in a row
 * @returns {number} milliseconds
 */
export function pauseAfter({ retryAfterMs = 0 }, before) {
  const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** before);
  return Math.max(retryAfterMs, pause) * (1 + 0.4 * Math.random());
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
