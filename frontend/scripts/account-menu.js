import { emit, part, setText } from "./dom.js";
import { initial } from "./format.js";

/** @import { SessionStatus, User } from "./types.d.ts" */

/**
 * Who is signed in, the way to the account, and the way in and out.
 *
 * @param {HTMLElement} root
 */
export function createAccountMenu(root) {
  const signIn = part(root, "sign-in", HTMLButtonElement);
  const signOut = part(root, "sign-out", HTMLButtonElement);
  const userBox = part(root, "user", HTMLButtonElement);
  const letter = part(root, "initial", HTMLElement);
  const name = part(root, "name", HTMLElement);

  signIn.addEventListener("click", () => emit(root, "account:open", { mode: "sign-in" }));
  userBox.addEventListener("click", () => emit(root, "settings:open", null));
  signOut.addEventListener("click", () => emit(root, "account:sign-out", { sure: false }));

  return {
    /** @param {{ status: SessionStatus, user: User | null }} data */
    update({ status, user }) {
      signIn.hidden = status !== "signed-out";
      signOut.hidden = status !== "signed-in";
      userBox.hidden = user === null;
      setText(name, user?.username ?? "");
      name.title = user?.username ?? "";
      setText(letter, user ? initial(user.username) : "");
      if (user) letter.style.setProperty("--hue", String((user.user_id * 137) % 360));
    },

    focus() {
      signIn.focus();
    },
  };
}
