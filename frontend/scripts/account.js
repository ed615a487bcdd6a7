/** What a signed-in person does with the account itself: a section of the settings for each, and how far it has come. */

import * as api from "./api.js";
import { saveFile } from "./download.js";
import { explain, inField } from "./failures.js";
import { date } from "./format.js";
import { SessionEnded } from "./session.js";
import { readableUserAgent } from "./user-agent.js";

/** @import { Session } from "./session.js" */
/** @import { Device, Export, Failure, Progress, RecoveryCodesLeft, SettingsSection } from "./types.d.ts" */

/** @type {Progress} */
const IDLE = { busy: false, failure: null, result: "" };

/** What each section says better than the page as a whole, by the problem's type. @type {Record<SettingsSection, Record<string, Failure>>} */
const WORDS = {
  name: { "urn:problem:username-taken": inField("username", "That name is taken, or was until lately.") },
  password: { "urn:problem:wrong-password": inField("current_password", "That is not your password.") },
  recovery: { "urn:problem:wrong-password": inField("password", "That is not your password.") },
  devices: {},
  data: {},
  deletion: {
    "urn:problem:wrong-password": inField("password", "That is not your password."),
  },
};

const EXPORTS = {
  account: { fetch: api.exportAccount, name: "account.json" },
  games: { fetch: api.exportGames, name: "leaderboard.json" },
};

const CODES_FILE = "recovery-codes.txt";

const ENDED = "Your session has ended. Sign in again to go on.";
const ENDED_IN_DELETION = "Your session has ended. If your account is still there, sign in and delete it again.";

/**
 * Fires "change" with everything that shows, and "ended", with a notice, when the session was over before the work was.
 */
export class Account extends EventTarget {
  open = false;
  /** @type {SettingsSection | null} */
  section = null;
  /** Where the person is signed in: here, then the last used first; null until it is known. @type {Device[] | null} */
  devices = null;
  /** Null until it is known. @type {RecoveryCodesLeft | null} */
  codesLeft = null;
  /** The recovery codes that were made just now; forgotten as soon as the section is folded. @type {string[] | null} */
  codes = null;
  /** @type {Record<SettingsSection, Progress>} */
  progress = { name: IDLE, password: IDLE, recovery: IDLE, devices: IDLE, data: IDLE, deletion: IDLE };

  #session;

  /** @param {Session} session */
  constructor(session) {
    super();
    this.#session = session;
  }

  show() {
    this.open = true;
    this.#changed();
  }

  close() {
    this.open = false;
    this.section = null;
    this.codes = null;
    this.#changed();
  }

  /** Forgets the person whose account it was. */
  forget() {
    this.devices = null;
    this.codesLeft = null;
    for (const section of /** @type {SettingsSection[]} */ (Object.keys(this.progress))) this.progress[section] = IDLE;
    this.close();
  }

  /** @param {SettingsSection | null} section */
  turnTo(section) {
    this.section = section;
    this.codes = null;
    if (section && !this.progress[section].busy) this.progress[section] = IDLE;
    this.#changed();
    if (section === "devices") void this.loadDevices();
    if (section === "recovery") void this.loadCodesLeft();
  }

  /**
   * @param {string} username
   * @returns {Promise<boolean>} whether the person has the new name
   */
  rename(username) {
    return this.#run("name", async () => {
      await this.#session.rename(username);
      return `You are ${this.#session.user?.username} now.`;
    });
  }

  /** @param {{ current_password: string, new_password: string }} passwords */
  changePassword(passwords) {
    return this.#run("password", async () => {
      await this.#session.authorized((token) => api.changePassword(token, passwords));
      return "Your password is changed. Every other device is signed out.";
    });
  }

  /** What cannot be found out now is not said; the codes can be made all the same. */
  async loadCodesLeft() {
    const { user } = this.#session;
    try {
      const left = await this.#session.authorized(api.recoveryCodesLeft);
      if (user?.user_id !== this.#session.user?.user_id || this.codes) return;
      this.codesLeft = left;
      this.#changed();
    } catch (error) {
      if (!(error instanceof SessionEnded || error instanceof api.Problem || error instanceof api.Unreachable)) throw error;
    }
  }

  /** @param {string} password */
  makeCodes(password) {
    return this.#run("recovery", async () => {
      const { codes } = await this.#session.authorized((token) => api.makeRecoveryCodes(token, password));
      if (this.#session.status !== "signed-in") return ""; // left in the meantime: there is nobody to be shown them
      this.codesLeft = { left: codes.length, made_at: new Date().toISOString() };
      this.codes = codes;
      // Put away in the meantime perhaps. The codes of before are worth nothing any more, so the new ones have to be seen.
      this.section = "recovery";
      this.open = true;
      return "";
    });
  }

  copyCodes() {
    return this.#run("recovery", async () => {
      try {
        await navigator.clipboard.writeText(this.codes?.join("\n") ?? "");
        return "The codes are copied.";
      } catch {
        return "Your browser does not let this page copy. Download the codes instead.";
      }
    });
  }

  saveCodes() {
    return this.#run("recovery", async () => {
      const of = `Recovery codes of ${this.#session.user?.username} at ${location.host}, ${date(new Date())}`;
      const text = [of, "Each works once, in the place of a forgotten password.", "", ...(this.codes ?? []), ""].join("\n");
      saveFile(new Blob([text], { type: "text/plain" }), CODES_FILE);
      return `${CODES_FILE} is in your downloads.`;
    });
  }

  loadDevices() {
    return this.#run("devices", async () => {
      const { sessions } = await this.#session.authorized(api.devices);
      this.devices = sessions.toSorted((a, b) => Number(b.current) - Number(a.current));
      return "";
    });
  }

  /** @param {Device} device */
  endDevice(device) {
    return this.#run("devices", async () => {
      try {
        await this.#session.authorized((token) => api.endDevice(token, device.session_id));
      } catch (error) {
        // It has ended by itself meanwhile: what was wished for is so.
        if (!(error instanceof api.Problem && error.status === 404)) throw error;
      }
      this.devices = this.devices?.filter(({ session_id: id }) => id !== device.session_id) ?? null;
      return `${readableUserAgent(device.user_agent)} is signed out.`;
    });
  }

  endOtherDevices() {
    return this.#run("devices", async () => {
      await this.#session.authorized(api.endOtherDevices);
      this.devices = this.devices?.filter(({ current }) => current) ?? null;
      return "Every other device is signed out.";
    });
  }

  /** @param {Export} what */
  download(what) {
    return this.#run("data", async () => {
      const file = EXPORTS[what];
      saveFile(await this.#session.authorized(file.fetch), file.name);
      return `${file.name} is in your downloads.`;
    });
  }

  /**
   * Deletes the account. The board erases what it has of the person by itself, within a second.
   *
   * @param {string | null} password null for a guest, who has none
   * @returns {Promise<boolean>} whether the account is gone
   */
  async delete(password) {
    const gone = await this.#run("deletion", async () => {
      await this.#session.deleteAccount(password);
      return "";
    });
    if (!gone && !this.open && this.progress.deletion.failure) {
      // Put away in the meantime; a person who asked for this has to know that it did not happen.
      this.section = "deletion";
      this.show();
    }
    return gone;
  }

  /**
   * @param {SettingsSection} section
   * @param {() => Promise<string>} work gives what came of it, in words
   * @returns {Promise<boolean>} whether it was done
   */
  async #run(section, work) {
    if (this.progress[section].busy) return false;
    this.#set(section, { ...IDLE, busy: true });
    try {
      const result = await work();
      this.#set(section, { ...IDLE, result });
      return true;
    } catch (error) {
      this.#set(section, { ...IDLE, failure: error instanceof SessionEnded ? null : explain(error, WORDS[section]) });
      if (error instanceof SessionEnded && this.#session.ending === "expired") {
        this.dispatchEvent(new CustomEvent("ended", { detail: section === "deletion" ? ENDED_IN_DELETION : ENDED }));
      }
      return false;
    }
  }

  /**
   * @param {SettingsSection} section
   * @param {Progress} progress
   */
  #set(section, progress) {
    this.progress[section] = progress;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
