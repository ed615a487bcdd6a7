/**
 * Tells the whole seconds that are left until a time: now, whenever they change, and at the end 0.
 *
 * @param {number} until milliseconds since 1970
 * @param {(seconds: number) => void} tell
 * @returns {() => void} stops it
 */
export function countDown(until, tell) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  function tick() {
    const left = Math.max(0, until - Date.now());
    const seconds = Math.ceil(left / 1000);
    // Looks at the clock each time: a computer that slept wakes up to the right number.
    if (seconds > 0) timer = setTimeout(tick, left - (seconds - 1) * 1000);
    tell(seconds);
  }

  tick();
  return () => clearTimeout(timer);
}
