import { Pause, pauseAfter } from "../clients/leaderboard.js";
import * as api from "./api.js";
import { PAGE_SIZE } from "./api.js";

/** @import { BoardPage, Standing } from "./types.d.ts" */

/** The longest page that the service gives. */
const SCAN_SIZE = 100;
/** The service takes offsets below 2^31. */
const FARTHEST_PAGE = 200_000_000;
/** How many ties to look through for one player before the start of the tie has to do. */
const SCANS = 10;
/** How often a page that does not come by itself is loaded again, while the board changes. */
const FOLLOW_MS = 5_000;

/** The page of the board that is looked at, kept in the address, so that a reload and a link show the same. */
export class BoardPages {
  page = pageInAddress();
  /** @type {BoardPage | null} */
  shown = null;
  /** Why the page asked for is not there yet. @type {api.Unreachable | null} */
  outage = null;

  #onChange;
  /** The first page, as it was heard last. @type {BoardPage | null} */
  #first = null;
  #turn = 0;
  #abort = new AbortController();
  #pause = new Pause();
  #following = 0;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
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

  /**
   * The first page comes by itself. Where another one is looked at, it tells that this one may have changed.
   *
   * @param {BoardPage} first
   */
  hear(first) {
    this.#first = first;
    if (this.page === 1) {
      void this.load();
    } else if (!this.#following) {
      this.#following = setTimeout(() => {
        this.#following = 0;
        if (document.visibilityState === "visible" && this.outage === null) void this.load();
      }, FOLLOW_MS);
    }
  }

  /** Asks again now for what is going to be asked for again. */
  now() {
    this.#pause.end();
  }

  /**
   * Shows the page asked for, as soon as somebody answers. A later call takes the place of this one, which then changes nothing.
   */
  async load() {
    const turn = ++this.#turn;
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#pause.end();
    for (let failures = 0; this.page > 1; ) {
      try {
        const page = await api.top({ offset: (this.page - 1) * PAGE_SIZE, signal: this.#abort.signal });
        if (turn !== this.#turn) return;
        const last = pageCount(page.total_players);
        if (this.page <= last) {
          this.shown = page;
          break;
        }
        this.page = last;
        history.replaceState(null, "", addressOf(last));
      } catch (error) {
        if (turn !== this.#turn) return;
        if (!(error instanceof api.Unreachable)) throw error;
        this.outage = error;
        this.#onChange();
        await this.#pause.for(pauseAfter(error, failures));
        if (turn !== this.#turn) return;
        failures += 1;
      }
    }
    this.outage = null;
    if (this.page === 1) this.shown = this.#first ?? this.shown;
    this.#onChange();
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
