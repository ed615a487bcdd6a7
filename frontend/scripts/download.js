/** Long enough for a browser to have begun to save. */
const KEPT_MS = 60_000;

/**
 * Saves a file as if a link to it had been followed.
 *
 * @param {Blob} blob
 * @param {string} name
 */
export function saveFile(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}
