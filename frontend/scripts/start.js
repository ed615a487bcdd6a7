/**
 * Starts the page. A module that is lost on the way (the network changed, the server restarted) is never asked for again
 * by the page that lost it, so the page is loaded anew; when that does not help, the person decides.
 *
 * Imports nothing, so that it can tell when the rest is missing.
 */

const ATTEMPTS_KEY = "page-starts";
const MOST_ATTEMPTS = 3;
const PAUSE_MS = 500;

try {
  await import("./app.js");
  count(0);
} catch (error) {
  const attempts = counted() + 1;
  if (attempts < MOST_ATTEMPTS && count(attempts)) {
    setTimeout(() => location.reload(), PAUSE_MS);
  } else {
    count(0);
    offerReload();
    reportError(error);
  }
}

function offerReload() {
  const late = document.querySelector("[data-component='late']");
  if (late instanceof HTMLElement) late.hidden = true;
  const banner = document.querySelector("[data-component='connection-banner'] [data-part='banner']");
  const message = banner?.querySelector("[data-part='message']");
  const button = banner?.querySelector("[data-part='retry']");
  if (!(banner instanceof HTMLElement) || !message || !button) return;
  message.textContent = "This page did not load completely.";
  button.textContent = "Load again";
  button.addEventListener("click", () => location.reload());
  banner.hidden = false;
}

function counted() {
  try {
    return Number(sessionStorage.getItem(ATTEMPTS_KEY));
  } catch {
    return 0;
  }
}

/**
 * @param {number} attempts
 * @returns {boolean} whether it could be noted; without that nothing would end the attempts
 */
function count(attempts) {
  try {
    sessionStorage.setItem(ATTEMPTS_KEY, String(attempts));
    return true;
  } catch {
    return false;
  }
}
