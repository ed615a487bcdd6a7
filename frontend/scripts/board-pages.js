import * as api from "./api.js";

/** @import { BoardPage, Standing } from "./types.d.ts" */

export const PAGE_SIZE = 10;
/** The longest page that the service gives. */
const SCAN_SIZE = 100;
/** The service takes offsets below 2^31. */
const FARTHEST_PAGE = 200_000_000;
/** How many ties to look through for one player before the start of the tie has to do. */
const SCANS = 10;

/** The page of the board that is looked at, kept in the address, so that a reload and a link show the same. */
export class BoardPages {
  /** @type {BoardPage | null} */
  shown = null;

  #turn = 0;
  #abort = new AbortController();

  constructor() {
    this.page = pageInAddress();
  }

  /** Whether what is shown is not the page that was asked for. */
  get turning() {
    return this.shown !== null && this.shown.offset !== (this.page - 1) * PAGE_SIZE;
  }

  /** @param {number} page */
  turnTo(page) {
    if (page === this.page) return;
    this.page = page;
    history.pushState(null, "", addressOf(page));
  }

  /** Follows the address when the browser goes back or forward. */
  followAddress() {
    this.page = pageInAddress();
  }

  /** Loads the page asked for. A later call takes the place of this one, which then changes nothing. */
  async load() {
    const turn = ++this.#turn;
    this.#abort.abort();
    this.#abort = new AbortController();
    try {
      const page = await api.top({ limit: PAGE_SIZE, offset: (this.page - 1) * PAGE_SIZE, signal: this.#abort.signal });
      if (turn !== this.#turn) return;
      const last = pageCount(page.total_players);
      if (this.page > last) {
        this.page = last;
        history.replaceState(null, "", addressOf(last));
        await this.load();
      } else {
        this.shown = page;
      }
    } catch (error) {
      if (turn === this.#turn) throw error;
    }
  }

  /**
   * The page that a player's row is on. The rank says where the players of that score begin; among equals the row may
   * be further down.
   *
   * @param {Standing & { rank: number }} player
   * @returns {Promise<number>}
   */
  async pageOf(player) {
    let offset = player.rank - 1;
    for (let scan = 0; scan < SCANS; scan += 1) {
      const { top } = await api.top({ limit: SCAN_SIZE, offset });
      const index = top.findIndex((each) => each.user_id === player.user_id);
      if (index >= 0) return pageAt(offset + index);
      if (top.length < SCAN_SIZE || top.at(-1)?.rank !== player.rank) break;
      offset += SCAN_SIZE;
    }
    return pageAt(player.rank - 1);
  }
}

/** @param {number} players */
export const pageCount = (players) => Math.max(1, Math.ceil(players / PAGE_SIZE));

/** @param {number} offset */
const pageAt = (offset) => Math.floor(offset / PAGE_SIZE) + 1;

/** @param {number} page */
function addressOf(page) {
  const address = new URL(location.href);
  if (page === 1) address.searchParams.delete("page");
  else address.searchParams.set("page", String(page));
  return address;
}

function pageInAddress() {
  const page = Number(new URLSearchParams(location.search).get("page"));
  return Number.isInteger(page) && page >= 1 && page <= FARTHEST_PAGE ? page : 1;
}
