// The page is written in one language, so its numbers are too: a German "1.234" would read as 1.2 in an English sentence.
const language = document.documentElement.lang;
const integer = new Intl.NumberFormat(language);
const percent = new Intl.NumberFormat(language, { style: "percent" });
const ordinal = new Intl.PluralRules(language, { type: "ordinal" });
const cardinal = new Intl.PluralRules(language);
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
 * The share of players at `rank` or better, never rounded down to nothing: "1%".
 *
 * @param {number} rank
 * @param {number} players
 */
export const topShare = (rank, players) => percent.format(Math.max(0.01, Math.ceil((100 * rank) / players) / 100));

/**
 * What a person would call the first letter, with the marks that sit on it.
 *
 * @param {string} name
 */
export const initial = (name) => [...graphemes.segment(name)][0]?.segment.toLocaleUpperCase(language) ?? "";
