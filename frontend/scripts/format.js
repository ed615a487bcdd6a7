// The page is written in one language, so its numbers are too: a German "1.234" would read as 1.2 in an English sentence.
const language = document.documentElement.lang;
const integer = new Intl.NumberFormat(language);
const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 20 });
const ordinal = new Intl.PluralRules(language, { type: "ordinal" });
const cardinal = new Intl.PluralRules(language);
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const day = new Intl.DateTimeFormat(language, { dateStyle: "medium" });
const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const graphemes = new Intl.Segmenter(language, { granularity: "grapheme" });

/** @type {Record<string, string>} */
const SUFFIXES = { one: "st", two: "nd", few: "rd", other: "th" };

/** @param {number} n */
export const number = (n) => integer.format(n);

/**
 * "st" in "1st".
 *
 * @param {number} n
 */
export const ordinalSuffix = (n) => SUFFIXES[ordinal.select(n)] ?? "th";

/**
 * "1,021st".
 *
 * @param {number} n
 */
export const place = (n) => number(n) + ordinalSuffix(n);

/**
 * "1 player", "2 players".
 *
 * @param {number} n
 * @param {string} noun
 */
export const count = (n, noun) => `${number(n)} ${noun}${cardinal.select(n) === "one" ? "" : "s"}`;

/**
 * The share of players at `rank` or better, rounded up, since it is told as "top 4%": to a whole percent, and below one to
 * the first digit that is not a zero, "0.2%".
 *
 * @param {number} rank
 * @param {number} players
 */
export function topShare(rank, players) {
  let parts = 100;
  while (rank * parts < players) parts *= 10;
  return percent.format(Math.ceil((rank * parts) / players) / parts);
}

/**
 * "12 Nov 2026".
 *
 * @param {Date} date
 */
export const date = (date) => day.format(date);

/**
 * "12 Nov 2026, 17:04", by the reader's clock.
 *
 * @param {Date} date
 */
export const time = (date) => moment.format(date);

/** @type {[unit: Intl.RelativeTimeFormatUnit, seconds: number][]} */
const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
/** From here on a date says more than a number of days. */
const LONG_AGO_SECONDS = 14 * 86_400;

/**
 * "5 minutes ago", "yesterday"; a date when it is long ago.
 *
 * @param {Date} date
 * @param {number} now milliseconds since 1970
 */
export function ago(date, now) {
  const seconds = (now - date.getTime()) / 1000;
  if (seconds >= LONG_AGO_SECONDS) return `on ${day.format(date)}`;
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? [];
  return unit && size ? relative.format(-Math.floor(seconds / size), unit) : "just now";
}

/**
 * "45 seconds", "2 minutes": what a person would say.
 *
 * @param {number} seconds
 */
export const duration = (seconds) => (seconds < 90 ? count(seconds, "second") : count(Math.round(seconds / 60), "minute"));

/**
 * "2:05": what a clock would show.
 *
 * @param {number} seconds
 */
export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

/**
 * What a person would call the first letter, with the marks that sit on it.
 *
 * @param {string} name
 */
export const initial = (name) => [...graphemes.segment(name)][0]?.segment.toLocaleUpperCase(language) ?? "";
