import { countDown } from "./countdown.js";
import { copyOf, part, setText } from "./dom.js";
import { createField } from "./field.js";
import { clock, duration } from "./format.js";

/** @import { Failure, Progress } from "./types.d.ts" */

/**
 * What the forms have in common: fields with their errors next to them, a failure above them, a button that says that it
 * is busy, what came of it, and the wait after too many wrong passwords.
 *
 * @template {string} F
 * @param {HTMLFormElement} form
 * @param {object} options
 * @param {readonly F[]} options.fields in the order of the form
 * @param {string} options.action
 * @param {string} options.busyAction
 * @param {(values: Record<F, string>) => Failure | null} options.send passes on what was typed, or says what is wrong with it
 * @param {() => void} [options.done] what to do with the fields when what was sent is done with; by itself the form empties them
 */
export function createForm(form, { fields: names, action, busyAction, send, done = () => form.reset() }) {
  const fields = /** @type {Record<F, ReturnType<typeof createField>>} */ (
    Object.fromEntries(names.map((name) => [name, createField(form, name)]))
  );
  const last = fields[/** @type {F} */ (names.at(-1))];
  const failureBox = copyOf("form-failure", HTMLElement);
  const failureText = part(failureBox, "text", HTMLElement);
  const waitText = part(failureBox, "wait", HTMLElement);
  const waitClock = part(failureBox, "clock", HTMLElement);
  const result = copyOf("form-result", HTMLElement);
  const submit = part(form, "submit", HTMLButtonElement);
  let busy = false;
  let waiting = false;
  let stopWaiting = () => {};
  /** The last that came from above; what the form finds by itself stays until then. @type {Pick<Progress, "failure" | "result">} */
  let told = { failure: null, result: "" };

  form.prepend(failureBox);
  form.append(result);

  /** @param {Failure | null} failure */
  function show(failure) {
    stopWaiting();
    waiting = false;
    const wrong = names.find((name) => failure?.fields[name]);
    // A fault in a field that this form does not have must not go unsaid.
    const text = failure?.form ?? (wrong ? "" : (Object.values(failure?.fields ?? {})[0] ?? ""));
    setText(failureText, text);
    setText(waitText, "");
    failureBox.hidden = text === "";
    for (const name of names) fields[name].update(failure?.fields[name] ?? null);
    waitClock.hidden = true;
    if (failure?.retryAt) wait(failure.retryAt);
    if (failure) {
      const { input } = wrong ? fields[wrong] : last;
      input.focus();
      input.scrollIntoView({ block: "nearest" }); // one that had the focus already may have been pushed out of view
    }
    updateSubmit();
  }

  /** @param {number} until */
  function wait(until) {
    waiting = true;
    waitClock.hidden = false;
    // Said once, counted down for the eye only: a voice that counts would drown everything else.
    setText(waitText, `Try again in ${duration(Math.ceil((until - Date.now()) / 1000))}.`);
    stopWaiting = countDown(until, (seconds) => {
      setText(waitClock, `Try again in ${clock(seconds)}`);
      if (seconds > 0) return;
      show(null);
      setText(result, "You can try again now.");
    });
  }

  function updateSubmit() {
    submit.setAttribute("aria-disabled", String(busy || waiting));
    submit.dataset.waiting = String(waiting);
    setText(submit, busy ? busyAction : action);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (busy || waiting) return;
    setText(result, "");
    show(null);
    const values = /** @type {Record<F, string>} */ (
      Object.fromEntries(names.map((name) => [name, fields[name].input.value]))
    );
    const wrong = send(values);
    if (wrong) show(wrong);
  });

  return {
    fields,
    show,

    get waiting() {
      return waiting;
    },

    /** @param {Progress} progress */
    update(progress) {
      busy = progress.busy;
      updateSubmit();
      const { failure, result: news } = progress;
      if (news !== told.result) {
        setText(result, news);
        if (news && !busy) done();
      }
      if (failure !== told.failure) show(failure);
      told = { failure, result: news };
    },

    /** Forgets what was typed and what was said. */
    clear() {
      form.reset();
      setText(result, "");
      show(null);
    },
  };
}
