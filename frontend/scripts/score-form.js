import { emit } from "./dom.js";
import { inField } from "./failures.js";
import { createForm } from "./form.js";
import { number } from "./format.js";

/** @import { Progress } from "./types.d.ts" */

/** @typedef {Progress & { draft: { score: number | null } }} ScoreFormData `draft`: what to put into the field; each new object does so once */

/**
 * A score, typed or brought by the game, on its way to the board.
 *
 * @param {HTMLElement} root
 */
export function createScoreForm(root) {
  if (!(root instanceof HTMLFormElement)) throw new TypeError("the score form is not a form");
  const form = createForm(root, {
    fields: /** @type {const} */ (["score"]),
    action: "Submit score",
    busyAction: "Submitting…",
    send() {
      const wrong = fault();
      if (wrong) return inField("score", wrong);
      emit(root, "score:submit", { score: input.valueAsNumber, fresh });
      fresh = false;
      return null;
    },
    done() {
      // What came into the field while the last score was on its way is the next one.
      if (!fresh) root.reset();
    },
  });
  const { input, update: updateField } = form.fields.score;
  const highest = Number(input.max);
  /** @type {ScoreFormData["draft"] | null} */
  let draft = null;
  /** Whether the field was written to since its score was sent. */
  let fresh = true;

  /** @returns {string | null} what is wrong with the score typed */
  function fault() {
    if (input.validity.badInput || !Number.isInteger(input.value === "" ? 0 : input.valueAsNumber)) {
      return "A score is a whole number, like 870.";
    }
    if (input.value === "") return "Enter a score, or play a round above.";
    if (input.valueAsNumber < 0) return "A score cannot be below zero.";
    if (input.valueAsNumber > highest) return `The highest score that counts is ${number(highest)}.`;
    return null;
  }

  input.addEventListener("input", () => {
    fresh = true;
  });
  // A number field counts up and down under a scrolling hand; this page's readers mean to scroll.
  input.addEventListener("wheel", () => input.blur(), { passive: true });

  return {
    /** @param {ScoreFormData} data */
    update(data) {
      form.update(data);
      if (data.draft !== draft) {
        draft = data.draft;
        input.value = draft.score === null ? "" : String(draft.score);
        fresh = true;
        updateField(null);
      }
    },
  };
}
