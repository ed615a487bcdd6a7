import { emit, part, setText } from "./dom.js";

/** @import { Outage } from "./types.d.ts" */

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
    /** @param {{ outage: Outage | null, signOutFailed: boolean }} data */
    update({ outage, signOutFailed }) {
      signOut = signOutFailed;
      banner.hidden = outage === null && !signOutFailed;
      setText(message, words(outage, signOutFailed));
      setText(retry, signOutFailed ? "Try again" : "Try now");
    },
  };
}

/**
 * @param {Outage | null} outage
 * @param {boolean} signOutFailed
 */
function words(outage, signOutFailed) {
  // Only the server can end a session, so this stays until it has, or the person has seen that it has not.
  if (signOutFailed) return "You are still signed in: the server did not answer when you signed out.";
  if (outage === null) return "";
  return outage.offline
    ? "You are offline. The board goes on by itself when you are back."
    : "The server is not answering right now. Trying again by itself…";
}
