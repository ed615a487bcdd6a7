import { emit, part, setText } from "./dom.js";
import { inField } from "./failures.js";
import { createField } from "./field.js";
import { number } from "./format.js";

/** @import { Failure } from "./types.d.ts" */

/**
 * @typedef {object} ScoreFormData
 * @property {{ score: number | null }} draft what to put into the field; each new object does so once
 * @property {boolean} busy
 * @property {Failure | null} failure
 * @property {string} result
 */

/**
 * A score, typed or brought by the game, on its way to the board.
 *
 * @param {HTMLElement} root
 */
export function createScoreForm(root) {
  const { input, update: updateField } = createField(root, "score");
  const failureText = part(root, "failure", HTMLElement);
  const resultText = part(root, "result", HTMLElement);
  const submit = part(root, "submit", HTMLButtonElement);
  const highest = Number(input.max);
  let busy = false;
  /** @type {ScoreFormData["draft"] | null} */
  let draft = null;
  /** The last failure that came from above; what the form finds by itself stays until then. @type {Failure | null} */
  let told = null;

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

  /** @param {Failure | null} failure */
  function show(failure) {
    setText(failureText, failure?.form ?? "");
    failureText.hidden = !failure?.form;
    updateField(failure?.fields.score ?? null);
    if (failure?.fields.score) input.focus();
  }

  root.addEventListener("submit", (event) => {
    event.preventDefault();
    if (busy) return;
    const wrong = fault();
    show(wrong ? inField("score", wrong) : null);
    if (!wrong) emit(root, "score:submit", { score: input.valueAsNumber });
  });
  // A number field counts up and down under a scrolling hand; this page's readers mean to scroll.
  input.addEventListener("wheel", () => input.blur(), { passive: true });

  return {
    /** @param {ScoreFormData} data */
    update(data) {
      busy = data.busy;
      submit.setAttribute("aria-disabled", String(busy));
      setText(submit, busy ? "Submitting…" : "Submit score");
      setText(resultText, data.result);
      if (data.failure !== told) {
        told = data.failure;
        show(told);
      }
      if (data.draft !== draft) {
        draft = data.draft;
        input.value = draft.score === null ? "" : String(draft.score);
        updateField(null);
      }
    },
  };
}
