/** @import { EventDetail, EventName } from "./types.d.ts" */

/**
 * The element that a component calls by `name`.
 *
 * @template {Element} E
 * @param {ParentNode} root
 * @param {string} name
 * @param {new () => E} kind
 * @returns {E}
 */
export function part(root, name, kind) {
  return one(root, `[data-part="${name}"]`, kind);
}

/**
 * The root element of a component of the page.
 *
 * @param {string} name
 * @returns {HTMLElement}
 */
export function component(name) {
  return one(document, `[data-component="${name}"]`, HTMLElement);
}

/**
 * A fresh copy of the one element inside a template.
 *
 * @template {Element} E
 * @param {string} id
 * @param {new () => E} kind
 * @returns {E}
 */
export function copyOf(id, kind) {
  const template = one(document, `template#${id}`, HTMLTemplateElement);
  const copy = template.content.firstElementChild?.cloneNode(true);
  if (!(copy instanceof kind)) throw new TypeError(`template #${id} does not hold a ${kind.name}`);
  return copy;
}

/**
 * @template {Element} E
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => E} kind
 * @returns {E}
 */
export function one(root, selector, kind) {
  const element = root.querySelector(selector);
  if (!(element instanceof kind)) throw new TypeError(`${selector} is not a ${kind.name} of this page`);
  return element;
}

/**
 * Writes only what differs: a live region speaks whenever its text is written, the same text too.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Sends an event of the page up from `element`.
 *
 * @template {EventName} N
 * @param {HTMLElement} element
 * @param {N} name
 * @param {EventDetail<N>} detail
 */
export function emit(element, name, detail) {
  element.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
}
