/** The page: what it knows, what its components are told, and what happens when they ask for something. */

import { Account } from "./account.js";
import { createAccountDialog } from "./account-dialog.js";
import { createAccountMenu } from "./account-menu.js";
import * as api from "./api.js";
import { BoardPages, pageCount } from "./board-pages.js";
import { createBoard } from "./board.js";
import { createConnectionBanner } from "./connection-banner.js";
import { component, setText } from "./dom.js";
import { explain, inField, inForm } from "./failures.js";
import { count, number, place } from "./format.js";
import { createGame } from "./game.js";
import { Live } from "./live.js";
import { createScoreForm } from "./score-form.js";
import { Session, SessionEnded } from "./session.js";
import { createStandingCard } from "./standing-card.js";
import { Submission } from "./submission.js";

/** @import { AccountDialogData } from "./account-dialog.js" */
/** @import { createSettingsDialog } from "./settings-dialog.js" */
/** @import { Credentials, EntryMode, Outage, RankedPlayer, Recovery, SettingsSection, Standing } from "./types.d.ts" */

/** @type {AccountDialogData} */
const ACCOUNT_CLOSED = { mode: "closed", notice: null, busy: false, failure: null };

/** Who keeps a guest's account has no other to sign in to. */
const NAME_IS_TAKEN = { "urn:problem:username-taken": inField("username", "That name is taken, or was until lately.") };

/** Codes and passwords are counted together. */
const TOO_MANY_GUESSES = { "urn:problem:too-many-failures": inForm("Too many wrong codes or passwords in a row.") };

/** What is looked up for a player is told within this time. */
const COUNTED_MS = 1_000;

const session = new Session();
const account = new Account(session);
const submission = new Submission(session);
const pages = new BoardPages(render);
const live = new Live(session, { top: (page) => pages.hear(page), me: hearStanding, outage: hearOutage });

const state = {
  /** @type {Standing | null} */
  standing: null,
  /** @type {Outage | null} */
  outage: null,
  /** Who came past the person, since their own score changed. @type {RankedPlayer[]} */
  passedBy: [],
  signingOut: false,
  signOutFailed: false,
  account: ACCOUNT_CLOSED,
};
/** When the person's own score was counted, by `performance.now()`. */
let countedAt = -Infinity;
let standingTimer = 0;
/** The score that waits for its player to sign in. @type {number | null} */
let waitingScore = null;

/** Whether the person came to change the password, and is not there yet. */
let cameForPassword = false;

const body = document.body;
const announcer = component("announcer");
const menu = createAccountMenu(component("account-menu"));
const banner = createConnectionBanner(component("connection-banner"));
const card = createStandingCard(component("standing-card"));
const scoreForm = createScoreForm(component("score-form"));
const board = createBoard(component("board"));
const dialog = createAccountDialog(component("account-dialog"));
/** Loaded when it is first opened: most visits go without. @type {ReturnType<typeof createSettingsDialog> | null} */
let settings = null;
/** @type {Promise<void> | null} */
let loadingSettings = null;
createGame(component("game"));

function render() {
  const { status, user, ending } = session;
  menu.update({ status, user });
  const outage = state.outage ?? pages.outage;
  banner.update({ outage, signOutFailed: state.signOutFailed });
  const { standing, passedBy } = state;
  const players = standing?.total_players ?? pages.shown?.total_players ?? null;
  card.update({ status, ending, guest: user?.guest ?? false, standing, players, passedBy });
  scoreForm.update(submission.progress);
  board.update({
    shown: pages.shown,
    page: pages.page,
    turning: pages.turning,
    live: outage === null,
    callerId: user?.user_id ?? null,
  });
  dialog.update(state.account);
  const { open, section, devices, codesLeft, codes, progress } = account;
  settings?.update({ open, section, user, devices, codesLeft, codes, progress });
}

/** @param {string} text for those who hear the page */
function announce(text) {
  setText(announcer, text);
}

/** @param {Outage | null} outage */
function hearOutage(outage) {
  state.outage = outage;
  render();
}

/**
 * What has been looked up before the person's own score was counted may come after the answer that says so. A second later
 * it cannot.
 *
 * @param {Standing} standing
 */
function hearStanding(standing) {
  clearTimeout(standingTimer);
  const wait = countedAt + COUNTED_MS - performance.now();
  if (wait > 0) standingTimer = setTimeout(() => hearStanding(standing), wait);
  else show(standing);
}

/** @param {Standing} standing */
function show(standing) {
  if (standing.user_id !== session.user?.user_id) return;
  const { passed_by: passedBy = [] } = standing;
  if (passedBy.length > 0) state.passedBy = passedBy;
  else if (standing.score !== state.standing?.score) state.passedBy = [];
  state.standing = standing;
  render();
}

/**
 * For what a person asked for outside of a form: whether anybody answers shows in the banner.
 *
 * @param {() => Promise<void>} work
 */
async function patiently(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof api.Unreachable)) throw error;
    live.restart();
  } finally {
    render();
  }
}

async function showPage() {
  render();
  await pages.load();
  if (pages.shown && !pages.turning) announce(`Page ${number(pages.page)} of ${number(pageCount(pages.shown.total_players))}`);
}

async function jumpToCaller() {
  await patiently(async () => {
    const { standing } = state;
    if (standing === null || standing.rank === null) return;
    pages.turnTo(await pages.pageOf({ ...standing, rank: standing.rank }));
    render();
    await pages.load();
    if (board.focusCaller()) announce(`You are ${place(standing.rank)}, on page ${number(pages.page)}`);
  });
}

/** @param {number} score */
function askToSignIn(score) {
  waitingScore = score;
  const expired = session.ending === "expired";
  const notice = expired
    ? `Your session has ended. Sign in again and your ${count(score, "point")} will be added.`
    : `Your ${count(score, "point")} will go on the board as soon as you are in.`;
  openAccount(expired ? "sign-in" : "sign-up", notice);
}

/**
 * Of a guest, what is asked for is the name and the password to keep the account with.
 *
 * @param {EntryMode} mode
 * @param {string | null} notice
 */
function openAccount(mode, notice) {
  state.account = { mode, notice, busy: false, failure: null, username: session.user?.username ?? "" };
  render();
}

/**
 * @param {"sign-in" | "sign-up"} mode
 * @param {Credentials} credentials
 */
async function enter(mode, credentials) {
  state.account = { ...state.account, busy: true, failure: null };
  render();
  let registered = false;
  try {
    if (mode === "sign-up") {
      await api.register(credentials);
      registered = true;
    }
    await session.signIn(credentials);
  } catch (error) {
    const failure = explain(error);
    if (registered) {
      const text = `Your account is ready, but you are not signed in yet. ${failure.form ?? ""}`;
      state.account = { ...state.account, mode: "sign-in", busy: false, failure: inForm(text) };
    } else {
      state.account = { ...state.account, busy: false, failure };
    }
    render();
    return;
  }
  await welcome(`Signed in as ${session.user?.username}`);
}

/** @param {Recovery} recovery */
async function recover(recovery) {
  if (state.account.busy) return;
  state.account = { ...state.account, busy: true, failure: null };
  render();
  try {
    await api.recover(recovery);
  } catch (error) {
    state.account = { ...state.account, busy: false, failure: explain(error, TOO_MANY_GUESSES) };
    render();
    return;
  }
  openAccount("sign-in", "Your new password is set. Sign in with it.");
  await enter("sign-in", { username: recovery.username, password: recovery.new_password });
}

async function playAsGuest() {
  if (state.account.busy) return;
  state.account = { ...state.account, busy: true, failure: null };
  render();
  try {
    await session.playAsGuest();
  } catch (error) {
    // Where it was asked for outside of the dialog, the dialog has the other ways in.
    const mode = state.account.mode === "closed" ? "sign-up" : state.account.mode;
    state.account = { ...state.account, mode, busy: false, failure: explain(error) };
    render();
    return;
  }
  await welcome(`You play as ${session.user?.username}`);
}

/** @param {string} greeting */
async function welcome(greeting) {
  const score = waitingScore;
  waitingScore = null;
  dialog.clear();
  state.account = ACCOUNT_CLOSED;
  render();
  card.focus();
  goToPassword();
  announce(greeting);
  if (score !== null) await submission.send(score, false);
}

/** @param {Credentials} credentials */
async function keepAccount(credentials) {
  state.account = { ...state.account, busy: true, failure: null };
  render();
  try {
    await session.keepGuest(credentials);
  } catch (error) {
    if (error instanceof SessionEnded) {
      // Its answer may have been lost: then the account is kept, and whoever has the password signs in.
      openAccount("sign-in", "Your session has ended. If you have chosen a password already, sign in with it.");
    } else {
      state.account = { ...state.account, busy: false, failure: explain(error, NAME_IS_TAKEN) };
      render();
    }
    return;
  }
  dialog.clear();
  state.account = ACCOUNT_CLOSED;
  render();
  card.focus();
  announce(`This account is yours, ${session.user?.username}`);
}

/** Signing out is the end of a guest's account, so a guest is asked first. @param {boolean} sure */
async function leave(sure) {
  if (session.user?.guest && !sure) {
    openAccount("keep", "Once you sign out, nobody can come back to this guest. Keep the account, and you can.");
    return;
  }
  dialog.clear();
  state.account = ACCOUNT_CLOSED;
  render();
  await signOut();
}

async function signOut() {
  if (state.signingOut) return;
  state.signingOut = true;
  try {
    await session.signOut();
    menu.focus();
    announce("Signed out");
  } catch (error) {
    if (!(error instanceof api.Unreachable)) throw error;
    state.signOutFailed = true;
  } finally {
    state.signingOut = false;
    render();
  }
}

/** Notes that the address leads to the password (the file server sends password managers there), and goes on as without. */
function followHash() {
  if (location.hash !== "#password") return;
  history.replaceState(null, "", location.pathname + location.search);
  cameForPassword = true;
  goToPassword();
}

/** Brings whoever came for it to the change of the password: through signing in, if need be. */
function goToPassword() {
  if (!cameForPassword || session.status === "restoring") return;
  if (session.user?.guest) {
    cameForPassword = false;
    openAccount("keep", null);
  } else if (session.status === "signed-in") {
    cameForPassword = false;
    void openSettings("password");
  } else {
    openAccount("sign-in", "Sign in to change your password.");
  }
}

/** @param {SettingsSection | null} section the one to unfold */
async function openSettings(section) {
  loadingSettings ??= import("./settings-dialog.js").then((loaded) => {
    settings = loaded.createSettingsDialog(component("settings-dialog"));
  });
  try {
    await loadingSettings;
  } catch {
    // Lost on the way, it is asked for no more by this page (start.js). Offline the banner says what is the matter.
    if (navigator.onLine) location.reload();
    return;
  }
  if (session.status !== "signed-in") return;
  account.show();
  if (section !== null) account.turnTo(section);
}

/** @param {string | null} password */
async function deleteAccount(password) {
  if (await account.delete(password)) {
    card.focus();
    announce("Your account is deleted");
  }
}

session.addEventListener("change", () => {
  state.standing = null;
  state.passedBy = [];
  state.signOutFailed = false;
  submission.hush();
  account.forget();
  if (session.status === "signed-in" && !state.account.busy) {
    // Signed in from another tab: there is nothing left to ask for here.
    waitingScore = null;
    state.account = ACCOUNT_CLOSED;
  }
  render();
  if (!state.account.busy) goToPassword();
});

session.addEventListener("rename", render);
account.addEventListener("change", render);
submission.addEventListener("change", render);
submission.addEventListener("counted", (event) => {
  countedAt = performance.now();
  show(/** @type {CustomEvent<Standing>} */ (event).detail);
  live.now();
});
submission.addEventListener("sign-in", (event) => askToSignIn(/** @type {CustomEvent<number>} */ (event).detail));
account.addEventListener("ended", (event) => {
  const notice = /** @type {CustomEvent<string>} */ (event).detail;
  account.close();
  openAccount("sign-in", notice);
});

body.addEventListener("account:open", ({ detail }) => {
  // Turning from one form to the other keeps the reason why they are open.
  const notice = state.account.mode === "closed" ? null : state.account.notice;
  openAccount(detail.mode, notice);
  // A score that waits goes with what is typed here.
  if (detail.mode === "sign-in" && waitingScore === null) void patiently(() => session.seek());
});
body.addEventListener("account:close", () => {
  waitingScore = null;
  cameForPassword = false;
  state.account = ACCOUNT_CLOSED;
  render();
});
body.addEventListener("account:submit", ({ detail: { mode, credentials } }) => {
  if (mode === "keep") void keepAccount(credentials);
  else void enter(mode, credentials);
});
body.addEventListener("account:recover", ({ detail }) => void recover(detail));
body.addEventListener("account:guest", () => void playAsGuest());
body.addEventListener("account:sign-out", ({ detail }) => void leave(detail.sure));
body.addEventListener("settings:open", () => void openSettings(null));
body.addEventListener("settings:close", () => account.close());
body.addEventListener("settings:turn", ({ detail }) => account.turnTo(detail.section));
body.addEventListener("settings:rename", ({ detail }) => void account.rename(detail.username));
body.addEventListener("settings:password", ({ detail }) => void account.changePassword(detail));
body.addEventListener("settings:make-codes", ({ detail }) => void account.makeCodes(detail.password));
body.addEventListener("settings:copy-codes", () => void account.copyCodes());
body.addEventListener("settings:save-codes", () => void account.saveCodes());
body.addEventListener("settings:devices", () => void account.loadDevices());
body.addEventListener("settings:end", ({ detail }) => void account.endDevice(detail.device));
body.addEventListener("settings:end-others", () => void account.endOtherDevices());
body.addEventListener("settings:download", ({ detail }) => void account.download(detail.what));
body.addEventListener("settings:delete", ({ detail }) => void deleteAccount(detail.password));
body.addEventListener("connection:retry", () => {
  live.restart();
  pages.now();
  submission.now();
});
body.addEventListener("game:end", ({ detail }) => submission.offer(detail.score));
body.addEventListener("score:submit", ({ detail }) => void submission.send(detail.score, detail.fresh));
body.addEventListener("board:page", ({ detail }) => {
  pages.turnTo(detail.page);
  void showPage();
});
body.addEventListener("board:jump", () => void jumpToCaller());
window.addEventListener("hashchange", followHash);
window.addEventListener("popstate", () => {
  pages.followAddress();
  void showPage();
});

component("late").hidden = true;
render();
followHash();
live.start();
void pages.load();
