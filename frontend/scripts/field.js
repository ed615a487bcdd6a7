import { one, part, setText } from "./dom.js";

/**
 * A labelled input with its error next to it.
 *
 * @param {ParentNode} root
 * @param {string} name
 */
export function createField(root, name) {
  const field = one(root, `[data-field="${name}"]`, HTMLElement);
  const input = one(field, "input", HTMLInputElement);
  const message = part(field, "error", HTMLElement);

  /** @param {string | null} error */
  function update(error) {
    setText(message, error ?? "");
    message.hidden = error === null;
    if (error === null) input.removeAttribute("aria-invalid");
    else input.setAttribute("aria-invalid", "true");
  }

  // What is being corrected is not wrong any more until it is sent again.
  input.addEventListener("input", () => update(null));

  return { input, update };
}
