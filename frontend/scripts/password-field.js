import { copyOf, one, part, setText } from "./dom.js";

/** @import { Strength } from "./strength.js" */

/** @type {Record<Strength, string>} */
const WORDS = {
  none: "",
  short: "Too short so far",
  weak: "Easy to guess. Add a word or two.",
  fair: "Could be stronger. One more word helps.",
  good: "Good",
  strong: "Strong",
};

/**
 * A password that can be shown; where a new one is chosen, with a hint at its strength.
 *
 * @param {HTMLFormElement} form
 * @param {string} name
 */
export function createPasswordField(form, name) {
  const field = one(form, `[data-field="${name}"]`, HTMLElement);
  const input = one(field, "input", HTMLInputElement);
  const label = one(field, "label", HTMLLabelElement);
  const reveal = copyOf("reveal", HTMLButtonElement);
  const updateStrength = input.autocomplete === "new-password" ? createStrength(form, field, input) : () => {};

  reveal.setAttribute("aria-label", `Show ${label.textContent?.toLowerCase()}`);
  input.after(reveal);

  /** @param {boolean} shown */
  function show(shown) {
    input.type = shown ? "text" : "password";
    reveal.setAttribute("aria-pressed", String(shown));
    setText(reveal, shown ? "Hide" : "Show");
  }

  reveal.addEventListener("click", () => show(input.type === "password"));
  // Browsers offer to save a password only from a password field.
  form.addEventListener("submit", () => show(false), { capture: true });
  form.addEventListener("reset", () => {
    show(false);
    queueMicrotask(updateStrength); // the event comes before the fields are empty
  });
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement} field
 * @param {HTMLInputElement} input
 */
function createStrength(form, field, input) {
  const username = one(form, "[name='username']", HTMLInputElement);
  const meter = copyOf("strength", HTMLElement);
  const text = part(meter, "text", HTMLElement);

  async function update() {
    // Most visits go without a new password, and so without what this loads. Where it is lost, so is the hint.
    const rules = input.value === "" ? null : await import("./strength.js").catch(() => null);
    const strength = rules?.strengthOf(input.value, username.value.trim()) ?? "none";
    meter.dataset.strength = strength;
    setText(text, WORDS[strength]);
  }

  part(field, "error", HTMLElement).before(meter);
  input.addEventListener("input", update);
  username.addEventListener("input", update);
  void update();
  return update;
}
