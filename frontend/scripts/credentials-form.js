import { emit } from "./dom.js";
import { inField } from "./failures.js";
import { createForm } from "./form.js";
import { createPasswordField } from "./password-field.js";

/** @import { Progress } from "./types.d.ts" */

/**
 * Username and password, for signing in and for signing up.
 *
 * @param {HTMLFormElement} root
 * @param {{ action: string, busyAction: string }} words
 */
export function createCredentialsForm(root, words) {
  const form = createForm(root, {
    ...words,
    fields: /** @type {const} */ (["username", "password"]),
    send({ username, password }) {
      if (!username.trim()) return inField("username", "Enter a username.");
      if (!password) return inField("password", "Enter a password.");
      emit(root, "credentials:submit", { username: username.trim(), password });
      return null;
    },
  });
  const username = form.fields.username.input;
  const password = form.fields.password.input;

  createPasswordField(root, "password");
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
      (username.value ? password : username).focus();
    },
  };
}
