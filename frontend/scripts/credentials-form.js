import { emit, part, setText } from "./dom.js";
import { inField } from "./failures.js";
import { createField } from "./field.js";

/** @import { Failure } from "./types.d.ts" */

/**
 * Username and password, for signing in and for signing up.
 *
 * @param {HTMLFormElement} form
 * @param {{ action: string, busyAction: string }} words
 */
export function createCredentialsForm(form, words) {
  const username = createField(form, "username");
  const password = createField(form, "password");
  const reveal = part(form, "reveal", HTMLButtonElement);
  const failureText = part(form, "failure", HTMLElement);
  const submit = part(form, "submit", HTMLButtonElement);
  let busy = false;
  /** The last failure that came from above; what the form finds by itself stays until then. @type {Failure | null} */
  let told = null;

  /** @param {Failure | null} failure */
  function show(failure) {
    setText(failureText, failure?.form ?? "");
    failureText.hidden = !failure?.form;
    username.update(failure?.fields.username ?? null);
    password.update(failure?.fields.password ?? null);
    if (failure?.fields.username) username.input.focus();
    else if (failure) password.input.focus();
  }

  /** @param {boolean} shown */
  function revealPassword(shown) {
    password.input.type = shown ? "text" : "password";
    reveal.setAttribute("aria-pressed", String(shown));
    setText(reveal, shown ? "Hide" : "Show");
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (busy) return;
    revealPassword(false); // browsers offer to save a password only from a password field
    const credentials = { username: username.input.value.trim(), password: password.input.value };
    if (!credentials.username) show(inField("username", "Enter a username."));
    else if (!credentials.password) show(inField("password", "Enter a password."));
    else {
      show(null);
      emit(form, "credentials:submit", credentials);
    }
  });
  reveal.addEventListener("click", () => revealPassword(password.input.type === "password"));

  return {
    /** @param {{ shown: boolean, busy: boolean, failure: Failure | null }} data */
    update(data) {
      form.hidden = !data.shown;
      busy = data.busy;
      submit.setAttribute("aria-disabled", String(busy));
      setText(submit, busy ? words.busyAction : words.action);
      if (data.failure !== told) {
        told = data.failure;
        show(told);
      }
    },

    /** @param {string} name */
    setUsername(name) {
      username.input.value = name;
    },

    get username() {
      return username.input.value;
    },

    focus() {
      (username.input.value ? password : username).input.focus();
    },

    clear() {
      form.reset();
      revealPassword(false);
      show(null);
    },
  };
}
