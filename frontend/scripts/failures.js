/** Turns what went wrong into words for a person. */

import { Problem, Unreachable } from "./api.js";

/** @import { Failure } from "./types.d.ts" */

/** @type {Failure} */
const NOTHING = { form: null, fields: {}, retryAt: null };

/**
 * @param {string} text
 * @returns {Failure}
 */
export const inForm = (text) => ({ ...NOTHING, form: text });

/**
 * @param {string} field
 * @param {string} text
 * @returns {Failure}
 */
export const inField = (field, text) => ({ ...NOTHING, fields: { [field]: text } });

/**
 * What the page says better than the service can.
 *
 * @type {Readonly<Record<string, Failure>>}
 */
const KNOWN = {
  "urn:problem:username-taken": inField("username", "That name is taken. If it is yours, sign in instead."),
  "urn:problem:invalid-credentials": inForm("That username and password do not match."),
  "urn:problem:invalid-recovery-code": inField("code", "That is no code of this username, or it was used before."),
  "urn:problem:too-many-failures": inForm("Too many wrong passwords in a row."),
  "urn:problem:too-many-submissions": inForm("Too many scores in a row."),
};

/**
 * @param {unknown} error what an API call rejected with; anything else is a defect and is thrown on
 * @param {Readonly<Record<string, Failure>>} [words] what the form that is shown says better still, by the problem's type
 * @returns {Failure}
 */
export function explain(error, words = {}) {
  if (error instanceof Unreachable) {
    return inForm(error.offline ? "You are offline. Try again when you are back." : "The server is not answering. Try again in a moment.");
  }
  if (!(error instanceof Problem)) throw error;

  const known = words[error.type] ?? KNOWN[error.type];
  if (error.status === 429) {
    if (error.retryAfter === 0) return inForm(error.detail || "Too many attempts in a row. Wait a moment and try again.");
    return { ...(known ?? inForm("Too many attempts in a row.")), retryAt: Date.now() + error.retryAfter * 1000 };
  }
  if (known) return known;

  /** @type {Record<string, string>} */
  const fields = {};
  for (const { pointer, detail } of error.errors) {
    if (pointer?.startsWith("#/")) fields[pointer.slice(2)] ??= sentence(detail);
  }
  return Object.keys(fields).length > 0 ? { ...NOTHING, fields } : inForm(sentence(error.detail || "That did not work"));
}

/** @param {string} text */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
