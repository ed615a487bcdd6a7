import { emit, part, setText } from "./dom.js";

/** @import { Unreachable } from "./api.js" */

/**
 * Says that nobody answers, and what happens next.
 *
 * @param {HTMLElement} root
 */
export function createConnectionBanner(root) {
  const banner = part(root, "banner", HTMLElement);
  const message = part(root, "message", HTMLElement);
  const retry = part(root, "retry", HTMLButtonElement);
  let signOut = false;

  retry.addEventListener("click", () => {
    if (signOut) emit(root, "account:sign-out", { sure: true });
    else emit(root, "connection:retry", null);
  });

  return {
    /** @param {{ failure: Unreachable | null, signOutFailed: boolean }} data */
    update({ failure, signOutFailed }) {
      signOut = signOutFailed;
      banner.hidden = failure === null && !signOutFailed;
      setText(message, words(failure, signOutFailed));
      setText(retry, signOutFailed ? "Try again" : "Try now");
    },
  };
}

/**
 * @param {Unreachable | null} failure
 * @param {boolean} signOutFailed
 */
function words(failure, signOutFailed) {
  // Only the server can end a session, so this stays until it has, or the person has seen that it has not.
  if (signOutFailed) return "You are still signed in: the server did not answer when you signed out.";
  if (failure === null) return "";
  return failure.offline
    ? "You are offline. The board goes on by itself when you are back."
    : "The server is not answering right now. Trying again by itself…";
}
