import { emit, part, setText } from "./dom.js";
import { count, number, ordinalSuffix, topShare } from "./format.js";

/** @import { RankedPlayer, SessionEnding, SessionStatus, Standing } from "./types.d.ts" */

/**
 * @typedef {object} StandingCardData
 * @property {SessionStatus} status
 * @property {SessionEnding} ending how the session before ended
 * @property {boolean} guest
 * @property {Standing | null} standing null until it is known
 * @property {number | null} players null until it is known
 * @property {RankedPlayer[]} passedBy who came past the caller last
 */

/** Of fewer players a share says no more than the rank does. */
const FEWEST_TO_SHARE = 20;

/** @type {Record<SessionEnding, { title: string, text: string, action: string, mode: "sign-in" | "sign-up" }>} */
const INVITATIONS = {
  left: {
    title: "Claim your place",
    text: "A free account puts your scores on the board and shows your exact rank.",
    action: "Create account",
    mode: "sign-up",
  },
  expired: {
    title: "Your session has ended",
    text: "Sign in again to play on and to see your rank.",
    action: "Sign in again",
    mode: "sign-in",
  },
  deleted: {
    title: "Your account is deleted",
    text: "Your name and your scores are off the board. Thank you for playing!",
    action: "Create account",
    mode: "sign-up",
  },
};

/**
 * Where the caller stands, or the invitation to join.
 *
 * @param {HTMLElement} root
 */
export function createStandingCard(root) {
  const wait = part(root, "wait", HTMLElement);
  const invite = part(root, "invite", HTMLElement);
  const inviteTitle = part(root, "invite-title", HTMLElement);
  const inviteText = part(root, "invite-text", HTMLElement);
  const enter = part(root, "enter", HTMLButtonElement);
  const box = part(root, "standing", HTMLElement);
  const title = part(root, "title", HTMLElement);
  const rank = part(root, "rank", HTMLElement);
  const suffix = part(root, "suffix", HTMLElement);
  const of = part(root, "of", HTMLElement);
  const total = part(root, "total", HTMLElement);
  const passedBy = part(root, "passed-by", HTMLElement);
  const passed = part(root, "passed", HTMLElement);
  const jump = part(root, "jump", HTMLButtonElement);
  const guestBox = part(root, "guest-box", HTMLElement);

  let words = INVITATIONS.left;

  enter.addEventListener("click", () => emit(root, "account:open", { mode: words.mode }));
  part(invite, "guest", HTMLButtonElement).addEventListener("click", () => emit(root, "account:guest", null));
  jump.addEventListener("click", () => emit(root, "board:jump", null));
  part(guestBox, "keep", HTMLButtonElement).addEventListener("click", () => emit(root, "account:open", { mode: "keep" }));

  return {
    /** @param {StandingCardData} data */
    update({ status, ending, guest, standing, players, passedBy: [first, ...others] }) {
      wait.hidden = status !== "restoring";
      invite.hidden = status !== "signed-out";
      box.hidden = status !== "signed-in";
      words = INVITATIONS[ending];
      setText(inviteTitle, words.title);
      setText(inviteText, words.text);
      setText(enter, words.action);

      const place = standing?.rank ?? null;
      root.dataset.rank = String(place ?? "none");
      setText(rank, place !== null ? number(place) : standing === null ? "…" : "No rank yet");
      setText(suffix, place === null ? "" : ordinalSuffix(place));
      setText(of, standing === null ? "" : position(place, players));
      setText(total, standing === null ? "–" : number(standing.score ?? 0));
      setText(passedBy, first?.username ?? "");
      setText(passed, first ? `${others.length > 0 ? ` and ${count(others.length, "other")}` : ""} passed you` : "");
      jump.hidden = place === null;
      guestBox.hidden = !guest;
    },

    focus() {
      (box.hidden ? inviteTitle : title).focus();
    },
  };
}

/**
 * @param {number | null} rank
 * @param {number | null} players
 */
function position(rank, players) {
  if (rank === null) return "Your first score puts you on the board.";
  if (players === null || players < rank) return "";
  const of = `of ${count(players, "player")}`;
  return players >= FEWEST_TO_SHARE && rank > 1 && rank <= players / 2 ? `${of}, top ${topShare(rank, players)}` : of;
}
