/** A score on its way to the board. */

import { newKey, Pause, pauseAfter } from "../clients/leaderboard.js";
import * as api from "./api.js";
import { explain } from "./failures.js";
import { count, place } from "./format.js";
import { SessionEnded } from "./session.js";

/** @import { ScoreFormData } from "./score-form.js" */
/** @import { Session } from "./session.js" */
/** @import { Standing } from "./types.d.ts" */

/** What is said while there is no answer stays for so long at least: it is to be read. */
const SAID_MS = 1_000;

/** @typedef {{ score: number, key: string }} Attempt one submission, however often it is sent */

/**
 * Sends a score until the board has answered. Its idempotency key makes sending again safe: the board counts it once.
 *
 * Fires "change" with everything that shows; "counted", with the standing that the answer brought, when the score
 * is on the board; and "sign-in", with the score, when its player has to sign in first.
 */
export class Submission extends EventTarget {
  /** @type {ScoreFormData} */
  progress = { draft: { score: null }, busy: false, failure: null, result: "" };

  #session;
  /** The submission whose outcome is not known yet. @type {Attempt | null} */
  #attempt = null;
  #pause = new Pause();

  /** @param {Session} session */
  constructor(session) {
    super();
    this.#session = session;
    window.addEventListener("online", () => this.now());
    session.addEventListener("change", () => this.now()); // what is sent may be nobody's any more
  }

  /** Puts a game's score into the form. @param {number} score */
  offer(score) {
    const { busy, result } = this.progress;
    this.#show({ draft: { score }, failure: null, result: busy ? result : "" });
  }

  /** Takes back what was said. */
  hush() {
    this.#show({ result: "" });
  }

  /** Sends again now what is going to be sent again. */
  now() {
    this.#pause.end();
  }

  /**
   * @param {number} score
   * @param {boolean} fresh whether it is another score than the one sent before, even if both are of equal size
   */
  async send(score, fresh) {
    if (this.#session.status === "signed-out") {
      if (fresh) this.#attempt = null;
      this.#fire("sign-in", score);
      return;
    }
    const attempt = !fresh && this.#attempt?.score === score ? this.#attempt : { score, key: newKey() };
    this.#attempt = attempt;
    const player = this.#session.user?.user_id ?? null;
    this.#show({ busy: true, failure: null, result: "" });
    try {
      const { standing, repeated, held } = await this.#untilAnswered(attempt, player);
      this.#attempt = null;
      this.#show({ busy: false, result: outcome(score, standing, repeated, held) });
      this.#fire("counted", standing);
    } catch (error) {
      if (error instanceof SessionEnded) {
        this.#show({ busy: false, result: "" });
        // Whoever signed out, here or in another tab, does not want to be asked back.
        if (player === null || this.#session.ending === "expired") this.#fire("sign-in", score);
      } else {
        this.#attempt = null;
        this.#show({ busy: false, failure: explain(error), result: "" });
      }
    }
  }

  /**
   * @param {Attempt} attempt
   * @param {number | null} player whose score it is; null takes whoever turns out to be signed in
   */
  async #untilAnswered(attempt, player) {
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.#session.authorized((token) => {
          const caller = this.#session.user?.user_id ?? null;
          player ??= caller;
          if (caller !== player) throw new SessionEnded();
          return api.submit(token, attempt.score, attempt.key);
        });
      } catch (error) {
        if (!isPassing(error, failures)) throw error;
        this.#show({ result: delay(attempt.score, error) });
        await this.#pause.for(Math.max(SAID_MS, pauseAfter(error, failures)));
      }
    }
  }

  /** @param {Partial<ScoreFormData>} change */
  #show(change) {
    this.progress = { ...this.progress, ...change };
    this.dispatchEvent(new Event("change"));
  }

  /**
   * @param {"counted" | "sign-in"} name
   * @param {Standing | number} detail
   */
  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/**
 * Whether sending again may still tell what became of the submission. After a lost answer, "too many requests" does not
 * say that the one before was not stored.
 *
 * @param {unknown} error
 * @param {number} failures how many came before it
 * @returns {error is api.Unreachable | api.Problem}
 */
const isPassing = (error, failures) =>
  error instanceof api.Unreachable || (failures > 0 && error instanceof api.Problem && error.status === 429);

/**
 * @param {number} score
 * @param {Standing} standing
 * @param {boolean} repeated
 * @param {boolean} held
 */
function outcome(score, standing, repeated, held) {
  const points = count(score, "point");
  if (held) return `${points} will be added once somebody has looked at them.`;
  if (repeated) return `${points} had counted already.`;
  return `${points} added.${standing.rank === null ? "" : ` You are ${place(standing.rank)} now.`}`;
}

/**
 * @param {number} score
 * @param {api.Unreachable | api.Problem} failure
 */
function delay(score, failure) {
  const points = count(score, "point");
  return failure instanceof api.Unreachable && failure.offline
    ? `You are offline. Your ${points} will be sent when you are back.`
    : `No answer came. Your ${points} will be sent again until one does, and count once.`;
}
