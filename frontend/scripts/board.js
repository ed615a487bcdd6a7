import { PAGE_SIZE } from "./api.js";
import { pageCount } from "./board-pages.js";
import { copyOf, emit, part, setText } from "./dom.js";
import { count, number } from "./format.js";

/** @import { BoardPage, RankedPlayer } from "./types.d.ts" */

/** A total of more digits than this takes a narrow screen's room from the names. */
const LONG_TOTAL = 1e11;

/**
 * @typedef {object} BoardData
 * @property {BoardPage | null} shown null until the first answer
 * @property {number} page the page that was asked for
 * @property {boolean} turning whether another page than the shown one is on its way
 * @property {boolean} live whether somebody answers
 * @property {number | null} callerId
 */

/**
 * The players in order, a page at a time.
 *
 * @param {HTMLElement} root
 */
export function createBoard(root) {
  const countText = part(root, "count", HTMLElement);
  const live = part(root, "live", HTMLElement);
  const liveText = part(root, "live-text", HTMLElement);
  const rowsBox = part(root, "rows", HTMLElement);
  const table = part(root, "table", HTMLTableElement);
  const body = part(root, "players", HTMLTableSectionElement);
  const empty = part(root, "empty", HTMLElement);
  const pages = part(root, "pages", HTMLElement);
  const place = part(root, "place", HTMLElement);
  const buttons = {
    first: part(root, "first", HTMLButtonElement),
    previous: part(root, "previous", HTMLButtonElement),
    next: part(root, "next", HTMLButtonElement),
    last: part(root, "last", HTMLButtonElement),
  };
  /** @type {Map<number, ReturnType<typeof createRow>>} */
  let rows = new Map();
  /** @type {Record<keyof typeof buttons, number>} */
  let targets = { first: 1, previous: 1, next: 1, last: 1 };
  let page = 1;

  body.append(...Array.from({ length: PAGE_SIZE }, () => copyOf("waiting-row", HTMLTableRowElement)));
  for (const name of /** @type {(keyof typeof buttons)[]} */ (Object.keys(buttons))) {
    buttons[name].addEventListener("click", () => {
      if (targets[name] !== page) emit(root, "board:page", { page: targets[name] });
    });
  }

  /**
   * @param {RankedPlayer[]} players
   * @param {number | null} callerId
   */
  function updateRows(players, callerId) {
    const before = rows;
    rows = new Map();
    for (const player of players) {
      const row = before.get(player.user_id) ?? createRow();
      row.update(player, player.user_id === callerId);
      rows.set(player.user_id, row);
    }
    const wanted = [...rows.values()].map((row) => row.element);
    const focused = document.activeElement;
    for (const child of [...body.children]) if (!wanted.some((element) => element === child)) child.remove();
    let next = body.firstElementChild;
    for (const element of wanted) {
      // A row that is moved drops the focus and the reader's place. The one that has it stays, and the others move around it.
      while (element === focused && next && next !== element) {
        const before = next;
        next = next.nextElementSibling;
        body.append(before);
      }
      if (element === next) next = next.nextElementSibling;
      else body.insertBefore(element, next);
    }
    if (focused?.matches(".player-row") && !focused.isConnected) root.focus({ preventScroll: true });
  }

  return {
    /** @param {BoardData} data */
    update({ shown, page: asked, turning, live: isLive, callerId }) {
      live.dataset.live = String(isLive);
      live.hidden = shown === null;
      setText(liveText, isLive ? "Live" : "Paused");
      rowsBox.setAttribute("aria-busy", String(shown === null || turning));
      if (shown === null) return;

      const last = pageCount(shown.total_players);
      const isEmpty = shown.total_players === 0;
      page = asked;
      targets = { first: 1, previous: Math.max(1, page - 1), next: Math.min(last, page + 1), last };
      for (const [name, button] of Object.entries(buttons)) {
        const target = targets[/** @type {keyof typeof buttons} */ (name)];
        button.setAttribute("aria-disabled", String(target === page));
      }
      setText(countText, isEmpty ? "" : count(shown.total_players, "player"));
      setText(place, `Page ${number(page)} of ${number(Math.max(page, last))}`);
      pages.hidden = last === 1 && page === 1;
      root.dataset.paged = String(last > 1);
      root.dataset.longTotals = String(shown.top.some((player) => player.score >= LONG_TOTAL));
      table.hidden = isEmpty;
      empty.hidden = !isEmpty;
      updateRows(shown.top, callerId);
    },

    /** Brings the caller's row into view and the keyboard to it. @returns {boolean} whether it is on this page */
    focusCaller() {
      const row = [...rows.values()].find((each) => each.isCaller)?.element;
      if (!row) return false;
      row.focus({ preventScroll: true });
      row.scrollIntoView({ block: "center", behavior: "auto" });
      return true;
    },
  };
}

/** One player's row. */
function createRow() {
  const element = copyOf("player-row", HTMLTableRowElement);
  const rank = part(element, "rank", HTMLElement);
  const name = part(element, "name", HTMLElement);
  const you = part(element, "you", HTMLElement);
  const score = part(element, "score", HTMLElement);
  /** @type {number | null} */
  let total = null;
  // A row that moves would show the change once more.
  score.addEventListener("animationend", () => score.classList.remove("changed"));

  const row = {
    element,
    isCaller: false,

    /**
     * @param {RankedPlayer} player
     * @param {boolean} isCaller
     */
    update(player, isCaller) {
      row.isCaller = isCaller;
      element.dataset.rank = player.rank <= 3 ? String(player.rank) : "";
      setText(rank, number(player.rank));
      setText(name, player.username);
      name.title = player.username;
      you.hidden = !isCaller;
      if (isCaller) {
        element.setAttribute("aria-current", "true");
        element.tabIndex = -1;
      } else {
        element.removeAttribute("aria-current");
        element.removeAttribute("tabindex");
      }
      setText(score, number(player.score));
      if (total !== null && total !== player.score) flash(score);
      total = player.score;
    },
  };
  return row;
}

/** @param {HTMLElement} element */
function flash(element) {
  element.classList.remove("changed");
  void element.offsetWidth; // the same animation starts again only after a layout without it
  element.classList.add("changed");
}
