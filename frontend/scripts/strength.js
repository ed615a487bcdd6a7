/**
 * A hint at how hard a password is to guess. A hint only: the service keeps a list of passwords that everybody uses, and
 * has the last word.
 */

/** The service's own least length, in code points. */
const MIN_LENGTH = 8;

/** @typedef {"none" | "short" | "weak" | "fair" | "good" | "strong"} Strength */

/** Least bits for each, most first. @type {[bits: number, strength: Strength][]} */
const LEVELS = [
  [58, "strong"],
  [42, "good"],
  [30, "fair"],
  [0, "weak"],
];

/** What guessing begins with, whatever is put around it. */
const FAVOURITES = [
  ..."password passwort letmein welcome iloveyou whatever trustno football baseball superman batman pokemon starwars".split(" "),
  ..."princess sunshine dragon monkey shadow master secret charlie michael jordan hello login admin player gamer".split(" "),
  ..."summer winter spring autumn leaderboard".split(" "),
];
const KEY_ROWS = ["qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm", "1234567890"];
/** @type {Record<string, string>} */
const DISGUISES = { "@": "a", 4: "a", 3: "e", 1: "i", "!": "i", 0: "o", $: "s", 5: "s", 7: "t" };

/** A favourite, with the ways to write it. */
const FAVOURITE_BITS = 8;
/** What follows from what is before it: a repetition, the next key, the next letter. */
const FOLLOWING_BITS = 1;
/** A letter after a letter: words are less random than their alphabet. */
const LETTER_BITS = 2.2;
const OTHER_BITS = 3.3;
/** Where letters give way to digits or signs, digits to letters, or small letters to capitals: what is next was free. */
const TURN_BITS = 2.5;

/**
 * @param {string} password
 * @param {string} username guessed first
 * @returns {Strength}
 */
export function strengthOf(password, username) {
  const characters = [...password.normalize("NFKC")];
  if (characters.length === 0) return "none";
  if (characters.length < MIN_LENGTH) return "short";
  const bits = bitsOf(characters, username.normalize("NFKC").toLowerCase());
  return LEVELS.find(([least]) => bits >= least)?.[1] ?? "weak";
}

/**
 * @param {string[]} characters
 * @param {string} username
 */
function bitsOf(characters, username) {
  const small = characters.map((character) => character.toLowerCase());
  const plain = small.map((character) => DISGUISES[character] ?? character);
  const known = places(small, plain, username.length >= 3 ? [username, ...FAVOURITES] : FAVOURITES);
  let bits = 0;
  for (let at = 0; at < characters.length; at += 1) {
    if (known[at] !== undefined) bits += known[at] === at ? FAVOURITE_BITS : 0;
    else if (follows(small, at)) bits += FOLLOWING_BITS;
    else bits += (isAlphabetic(small[at]) ? LETTER_BITS : OTHER_BITS) + (turns(characters, at) ? TURN_BITS : 0);
  }
  return bits;
}

/**
 * For each place that a known word covers, where that word begins.
 *
 * @param {string[]} small
 * @param {string[]} plain
 * @param {string[]} words
 */
function places(small, plain, words) {
  /** @type {(number | undefined)[]} */
  const known = new Array(small.length);
  for (const word of words) {
    const letters = [...word];
    for (let start = 0; start + letters.length <= small.length; start += 1) {
      if (known[start] !== undefined) continue;
      if (letters.every((letter, i) => small[start + i] === letter || plain[start + i] === letter)) {
        known.fill(start, start, start + letters.length);
      }
    }
  }
  return known;
}

/**
 * @param {string[]} small
 * @param {number} at
 */
function follows(small, at) {
  const [before, here] = [small[at - 1], small[at]];
  if (before === undefined || here === undefined) return false;
  if (before === here || Math.abs(code(before) - code(here)) === 1) return true;
  if (KEY_ROWS.some((row) => row.includes(before + here) || row.includes(here + before))) return true;
  const three = small.slice(at - 2, at + 1).join("");
  return at >= 2 && small.slice(0, at).join("").includes(three);
}

/**
 * @param {string[]} characters
 * @param {number} at
 */
function turns(characters, at) {
  const [before, here] = [characters[at - 1], characters[at]];
  if (before === undefined || here === undefined) return false;
  return kind(before) !== kind(here) || (before === before.toLowerCase()) !== (here === here.toLowerCase());
}

/**
 * Whether it is a letter of a script with small letters and capitals; a sign that stands for a syllable or a word says more.
 *
 * @param {string} [character]
 */
const isAlphabetic = (character = "") => character.toLowerCase() !== character.toUpperCase();

/** @param {string} [character] */
const kind = (character = "") => (/\p{L}/u.test(character) ? "letter" : /\p{N}/u.test(character) ? "digit" : "sign");

/** @param {string} character */
const code = (character) => character.codePointAt(0) ?? 0;
