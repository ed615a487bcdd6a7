/** Turns what went wrong into words for a person. */

import { Refused, Unreachable } from "./api.js";

/** @import { Failure } from "./types.d.ts" */

/**
 * What the page says better than the service can, because it knows which form it is showing.
 *
 * @type {Readonly<Record<string, Failure>>}
 */
const KNOWN = {
  "urn:problem:username-taken": { form: null, fields: { username: "That name is taken. If it is yours, sign in instead." } },
  "urn:problem:invalid-credentials": { form: "That username and password do not match.", fields: {} },
};

/**
 * @param {string} text
 * @returns {Failure}
 */
export const inForm = (text) => ({ form: text, fields: {} });

/**
 * @param {string} field
 * @param {string} text
 * @returns {Failure}
 */
export const inField = (field, text) => ({ form: null, fields: { [field]: text } });

/**
 * @param {unknown} error what an API call rejected with; anything else is a defect and is thrown on
 * @returns {Failure}
 */
export function explain(error) {
  if (error instanceof Unreachable) {
    return inForm(error.offline ? "You are offline. Try again when you are back." : "The server is not answering. Try again in a moment.");
  }
  if (!(error instanceof Refused)) throw error;

  const known = KNOWN[error.type];
  if (known) return known;
  if (error.status === 429) return inForm(error.detail || "Too many attempts in a row. Wait a moment and try again.");

  /** @type {Record<string, string>} */
  const fields = {};
  for (const { pointer, detail } of error.errors) {
    if (pointer?.startsWith("#/")) fields[pointer.slice(2)] ??= sentence(detail);
  }
  return Object.keys(fields).length > 0 ? { form: null, fields } : inForm(sentence(error.detail || "That did not work"));
}

/** @param {string} text */
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
