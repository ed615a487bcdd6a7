import { emit, part, setText } from "./dom.js";
import { count, number } from "./format.js";

const TARGET_MS = 5_000;
const BEST_SCORE = 1_000;
/** From here on the clock runs unseen. */
const DARK_AFTER_MS = 2_000;
/** Nobody is still counting: the round ends by itself. */
const LONGEST_MS = 10_000;

/**
 * A thousand points, less one for each millisecond off the mark.
 *
 * @param {number} elapsedMs
 */
const scoreOf = (elapsedMs) => Math.max(0, BEST_SCORE - Math.abs(Math.round(elapsedMs) - TARGET_MS));

/** @param {number} ms */
const seconds = (ms) => (Math.round(ms) / 1000).toFixed(3);

/**
 * The five seconds game: start a clock, stop it at exactly 5.000 without seeing it. Nothing has to move to play it, and
 * one key is enough.
 *
 * @param {HTMLElement} root
 */
export function createGame(root) {
  const clock = part(root, "clock", HTMLElement);
  const digits = part(root, "digits", HTMLElement);
  const result = part(root, "result", HTMLElement);
  const toggle = part(root, "toggle", HTMLButtonElement);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  /** @type {number | null} */
  let startedAt = null;
  /** @type {number | null} */
  let elapsed = null;
  /** Whether the click that is about to come belongs to a press that has stopped the clock already. */
  let spent = false;

  function update() {
    const running = startedAt !== null;
    const shown = running ? performance.now() - Number(startedAt) : (elapsed ?? 0);
    const dark = running && (calm.matches || shown >= DARK_AFTER_MS);
    clock.dataset.state = dark ? "dark" : running ? "running" : "still";
    setText(digits, dark ? "?.???" : seconds(shown));
    setText(toggle, running ? "Stop" : elapsed === null ? "Start the clock" : "Play again");
    setText(result, running || elapsed === null ? "Stop it at 5.000" : verdict(elapsed));
  }

  function tick() {
    if (startedAt === null) return;
    if (performance.now() - startedAt >= LONGEST_MS) stop(startedAt + LONGEST_MS);
    else requestAnimationFrame(tick);
    update();
  }

  /** @param {number} at */
  function start(at) {
    startedAt = at;
    requestAnimationFrame(tick);
    update();
  }

  /** @param {number} at */
  function stop(at) {
    elapsed = at - Number(startedAt);
    startedAt = null;
    update();
    emit(root, "game:end", { score: scoreOf(elapsed) });
  }

  // The clock stops when the finger or the key goes down; a click comes when it goes up again. Starting can wait for it.
  toggle.addEventListener("pointerdown", (event) => {
    spent = startedAt !== null && event.isPrimary && event.button === 0;
    if (spent) stop(event.timeStamp);
  });
  toggle.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault(); // no click of its own, and none for each repeat of a key held down
    if (event.repeat) return;
    if (startedAt === null) start(event.timeStamp);
    else stop(event.timeStamp);
  });
  toggle.addEventListener("keyup", (event) => {
    if (event.key === " ") event.preventDefault();
  });
  toggle.addEventListener("click", (event) => {
    const wasSpent = spent;
    spent = false;
    if (wasSpent) return;
    if (startedAt === null) start(event.timeStamp);
    else stop(event.timeStamp);
  });

  update();
}

/** @param {number} elapsedMs */
function verdict(elapsedMs) {
  const off = Math.round(elapsedMs) - TARGET_MS;
  const points = count(scoreOf(elapsedMs), "point");
  if (elapsedMs >= LONGEST_MS) return `Ten seconds, too late: ${points}`;
  if (off === 0) return `On the dot: ${points}!`;
  return `${number(Math.abs(off))} ms ${off < 0 ? "early" : "late"}: ${points}`;
}
