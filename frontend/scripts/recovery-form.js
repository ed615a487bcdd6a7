import { emit } from "./dom.js";
import { inField } from "./failures.js";
import { createForm } from "./form.js";
import { createPasswordField } from "./password-field.js";

/** @import { Progress } from "./types.d.ts" */

/**
 * The way back to an account whose password is forgotten: its name, a recovery code, another password.
 *
 * @param {HTMLFormElement} root
 */
export function createRecoveryForm(root) {
  const form = createForm(root, {
    fields: /** @type {const} */ (["username", "code", "new_password"]),
    action: "Set new password",
    busyAction: "Setting it…",
    send({ username, code, new_password }) {
      if (!username.trim()) return inField("username", "Enter your username.");
      if (!code.trim()) return inField("code", "Enter one of your recovery codes.");
      if (!new_password) return inField("new_password", "Enter a new password.");
      emit(root, "account:recover", { username: username.trim(), code: code.trim(), new_password });
      return null;
    },
  });
  const username = form.fields.username.input;
  const code = form.fields.code.input;

  createPasswordField(root, "new_password");
  username.addEventListener("input", () => {
    if (form.waiting) form.show(null); // another account has not been guessed at
  });

  return {
    clear: form.clear,

    /** @param {Progress & { shown: boolean }} data */
    update(data) {
      root.hidden = !data.shown;
      form.update(data);
    },

    /** @param {string} name */
    setUsername(name) {
      username.value = name;
      username.dispatchEvent(new Event("input"));
    },

    get username() {
      return username.value;
    },

    focus() {
      (username.value ? code : username).focus();
    },
  };
}
