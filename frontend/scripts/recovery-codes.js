import { emit, one, part, setText } from "./dom.js";
import { inField } from "./failures.js";
import { count, date } from "./format.js";
import { createForm } from "./form.js";
import { createPasswordField } from "./password-field.js";

/** @import { Progress, RecoveryCodesLeft } from "./types.d.ts" */

/**
 * @typedef {Progress & { codes: string[] | null, left: RecoveryCodesLeft | null, username: string }} RecoveryData
 * `codes`: those that were made just now; `left`: null until it is known
 */

/**
 * Making recovery codes: how many are left, the password, and then the codes, this once.
 *
 * @param {HTMLElement} root
 */
export function createRecoveryCodes(root) {
  const intro = part(root, "intro", HTMLElement);
  const leftText = part(root, "left", HTMLElement);
  const warning = part(root, "warning", HTMLElement);
  const formRoot = part(root, "form", HTMLFormElement);
  const account = one(formRoot, "[name='username']", HTMLInputElement);
  const made = part(root, "made", HTMLElement);
  const list = part(root, "list", HTMLElement);
  const copy = part(root, "copy", HTMLButtonElement);
  const result = part(root, "result", HTMLElement);
  /** @type {string[] | null} */
  let shown = null;

  const form = createForm(formRoot, {
    fields: /** @type {const} */ (["password"]),
    action: "Make 8 new codes",
    busyAction: "Making codes…",
    send({ password }) {
      if (!password) return inField("password", "Enter your password, so that nobody else can do this.");
      emit(root, "settings:make-codes", { password });
      return null;
    },
  });
  createPasswordField(formRoot, "password");
  copy.hidden = !("clipboard" in navigator); // browsers have it for pages that came over TLS, or from this machine
  copy.addEventListener("click", () => emit(root, "settings:copy-codes", null));
  part(root, "save", HTMLButtonElement).addEventListener("click", () => emit(root, "settings:save-codes", null));

  return {
    clear: form.clear,

    /** @param {RecoveryData} data */
    update({ codes, left, username, ...progress }) {
      account.defaultValue = username;
      setText(leftText, left === null ? "" : inWords(left));
      warning.hidden = !left?.left;
      form.update({ ...progress, result: "" });
      if (progress.result !== result.textContent) {
        setText(result, progress.result);
        result.scrollIntoView({ block: "nearest" }); // on a phone the codes fill the dialog
      }
      if (codes === shown) return;
      shown = codes;
      list.replaceChildren(...(codes ?? []).map(codeItem));
      made.hidden = codes === null;
      for (const each of [intro, leftText, formRoot]) each.hidden = codes !== null;
      if (codes === null) return;
      form.clear();
      made.focus();
      made.scrollIntoView({ block: "nearest" });
    },
  };
}

/** @param {RecoveryCodesLeft} left */
function inWords({ left, made_at: madeAt }) {
  if (madeAt === null) return "You have no codes left.";
  return `You have ${count(left, "code")} left, made on ${date(new Date(madeAt))}.`;
}

/** @param {string} code */
function codeItem(code) {
  const item = document.createElement("li");
  const text = document.createElement("code");
  text.textContent = code;
  item.append(text);
  return item;
}
