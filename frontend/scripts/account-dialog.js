import { createCredentialsForm } from "./credentials-form.js";
import { emit, part, setText } from "./dom.js";
import { createRecoveryForm } from "./recovery-form.js";

/** @import { AccountMode, Failure } from "./types.d.ts" */

/**
 * @typedef {object} AccountDialogData
 * @property {AccountMode} mode
 * @property {string | null} notice why the dialog is here, when the person did not ask for it
 * @property {boolean} busy
 * @property {Failure | null} failure
 * @property {string} [username] that of the guest who keeps the account
 */

const WORDS = {
  "sign-in": { title: "Welcome back", question: "New here?", other: "Create an account" },
  "sign-up": { title: "Create your account", question: "Have an account already?", other: "Sign in instead" },
  recover: { title: "Set a new password", question: "Do you know it after all?", other: "Sign in instead" },
  keep: { title: "Keep this account", question: "Nothing to keep?", other: "Sign out for good" },
};

/**
 * Signing in and signing up, what a guest does instead, and the way back for who forgot the password.
 *
 * @param {HTMLElement} root
 */
export function createAccountDialog(root) {
  if (!(root instanceof HTMLDialogElement)) throw new TypeError("the account dialog is not a dialog");
  const title = part(root, "title", HTMLElement);
  const notice = part(root, "notice", HTMLElement);
  const forms = {
    "sign-in": createCredentialsForm(part(root, "sign-in", HTMLFormElement), { action: "Sign in", busyAction: "Signing in…" }),
    "sign-up": createCredentialsForm(part(root, "sign-up", HTMLFormElement), {
      action: "Create account",
      busyAction: "Creating account…",
    }),
    keep: createCredentialsForm(part(root, "keep", HTMLFormElement), {
      action: "Keep this account",
      busyAction: "Keeping it…",
    }),
    recover: createRecoveryForm(part(root, "recover", HTMLFormElement)),
  };
  const switchText = part(root, "switch-text", HTMLElement);
  const switchButton = part(root, "switch", HTMLButtonElement);
  const recoverWay = part(root, "recover-way", HTMLElement);
  const guestWay = part(root, "guest-way", HTMLElement);
  /** @type {AccountMode} */
  let mode = "closed";

  part(root, "close", HTMLButtonElement).addEventListener("click", () => root.close());
  root.addEventListener("close", () => {
    if (mode !== "closed") emit(root, "account:close", null);
  });
  root.addEventListener("credentials:submit", ({ detail }) => {
    if (mode !== "closed" && mode !== "recover") emit(root, "account:submit", { mode, credentials: detail });
  });
  switchButton.addEventListener("click", () => {
    if (mode === "keep") emit(root, "account:sign-out", { sure: true });
    else emit(root, "account:open", { mode: mode === "sign-in" ? "sign-up" : "sign-in" });
  });
  part(recoverWay, "forgot", HTMLButtonElement).addEventListener("click", () => emit(root, "account:open", { mode: "recover" }));
  part(guestWay, "guest", HTMLButtonElement).addEventListener("click", () => emit(root, "account:guest", null));

  return {
    /** @param {AccountDialogData} data */
    update(data) {
      const turned = data.mode !== mode;
      const before = mode;
      mode = data.mode;
      for (const [name, form] of Object.entries(forms)) {
        const shown = name === mode;
        form.update({ shown, busy: shown && data.busy, failure: shown ? data.failure : null, result: "" });
      }
      setText(notice, data.notice ?? "");
      notice.hidden = data.notice === null;

      if (mode === "closed") {
        if (root.open) root.close();
        return;
      }
      setText(title, WORDS[mode].title);
      setText(switchText, WORDS[mode].question);
      setText(switchButton, WORDS[mode].other);
      recoverWay.hidden = mode !== "sign-in";
      guestWay.hidden = mode === "keep" || mode === "recover";
      if (turned) {
        if (mode === "keep") forms.keep.setUsername(data.username ?? "");
        else if (before !== "closed") forms[mode].setUsername(forms[before].username);
        if (before === "recover") forms.recover.clear(); // a code and a password, which are not asked for any more
        if (!root.open) root.showModal();
        forms[mode].focus();
      }
    },

    /** Forgets what was typed, passwords above all. */
    clear() {
      for (const form of Object.values(forms)) form.clear();
    },
  };
}
