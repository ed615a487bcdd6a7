import { createDeviceList } from "./device-list.js";
import { emit, one, part, setText } from "./dom.js";
import { inField } from "./failures.js";
import { createForm } from "./form.js";
import { createPasswordField } from "./password-field.js";
import { createRecoveryCodes } from "./recovery-codes.js";

/** @import { Device, Export, Progress, RecoveryCodesLeft, SettingsSection, User } from "./types.d.ts" */

/** What an account has nothing of that has no password. @type {ReadonlySet<SettingsSection>} */
const OF_PASSWORDS = new Set(["password", "recovery"]);

/**
 * @typedef {object} SettingsData
 * @property {boolean} open
 * @property {SettingsSection | null} section the one that is unfolded
 * @property {User | null} user
 * @property {Device[] | null} devices null until it is known
 * @property {RecoveryCodesLeft | null} codesLeft null until it is known
 * @property {string[] | null} codes recovery codes that were made just now
 * @property {Record<SettingsSection, Progress>} progress
 */

/**
 * The account: its name, its password, its recovery codes, its devices, its data and its end, one unfolded at a time.
 *
 * @param {HTMLElement} root
 */
export function createSettingsDialog(root) {
  if (!(root instanceof HTMLDialogElement)) throw new TypeError("the settings dialog is not a dialog");
  const username = part(root, "username", HTMLElement);
  const recovery = createRecoveryCodes(part(root, "recovery", HTMLElement));
  const devices = createDeviceList(part(root, "devices", HTMLElement));
  const downloads = createDownloads(part(root, "data", HTMLElement));
  const nameForm = createNameForm(part(root, "name-form", HTMLFormElement));
  const passwordForm = createPasswordForm(part(root, "password-form", HTMLFormElement));
  const deletionForm = createDeletionForm(part(root, "deletion-form", HTMLFormElement));
  const sections = [...root.querySelectorAll("[data-section]")].map((element) => createSection(/** @type {HTMLElement} */ (element)));
  const clearing = { name: nameForm, password: passwordForm, recovery, deletion: deletionForm };
  /** @type {SettingsSection | null} */
  let unfolded = null;
  let open = false;

  part(root, "close", HTMLButtonElement).addEventListener("click", () => root.close());
  root.addEventListener("close", () => {
    if (open) emit(root, "settings:close", null);
  });

  return {
    /** @param {SettingsData} data */
    update({ open: wanted, section, user, devices: known, codesLeft, codes, progress }) {
      open = wanted;
      setText(username, user?.username ?? "");
      const guest = user?.guest ?? false;
      for (const each of sections) each.update(each.name === section, guest && OF_PASSWORDS.has(each.name));
      if (unfolded !== section) {
        // What was typed into a section is forgotten with it, passwords above all.
        for (const [name, form] of Object.entries(clearing)) if (name === unfolded) form.clear();
        unfolded = section;
      }
      nameForm.update(progress.name, user?.username ?? "");
      passwordForm.update(progress.password, user?.username ?? "");
      deletionForm.update(progress.deletion, user?.username ?? "", guest);
      recovery.update({ ...progress.recovery, codes, left: codesLeft, username: user?.username ?? "" });
      devices.update({ ...progress.devices, devices: known });
      downloads.update(progress.data);

      if (open && !root.open) root.showModal();
      else if (!open && root.open) root.close();
    },
  };
}

/** @param {HTMLElement} root */
function createSection(root) {
  const toggle = one(root, "button[aria-expanded]", HTMLButtonElement);
  const body = one(root, ".settings-body", HTMLElement);
  const name = /** @type {SettingsSection} */ (root.dataset.section);

  toggle.addEventListener("click", () => emit(root, "settings:turn", { section: body.hidden ? name : null }));

  return {
    name,

    /**
     * @param {boolean} unfolded
     * @param {boolean} missing whether the account has nothing of the kind
     */
    update(unfolded, missing) {
      root.hidden = missing;
      const turned = body.hidden === unfolded;
      toggle.setAttribute("aria-expanded", String(unfolded));
      body.hidden = !unfolded;
      if (turned && unfolded) root.scrollIntoView({ block: "nearest" });
    },
  };
}

/** @param {HTMLFormElement} root */
function createNameForm(root) {
  let before = "";
  const form = createForm(root, {
    fields: /** @type {const} */ (["username"]),
    action: "Change name",
    busyAction: "Changing name…",
    send({ username }) {
      if (!username.trim()) return inField("username", "Enter a name.");
      if (username.trim() === before) return inField("username", "That is your name already.");
      emit(root, "settings:rename", { username: username.trim() });
      return null;
    },
  });

  return {
    clear: form.clear,

    /**
     * @param {Progress} progress
     * @param {string} username
     */
    update(progress, username) {
      before = username;
      form.fields.username.input.defaultValue = username;
      form.update(progress);
    },
  };
}

/** @param {HTMLFormElement} root */
function createPasswordForm(root) {
  const account = one(root, "[name='username']", HTMLInputElement);
  const form = createForm(root, {
    fields: /** @type {const} */ (["current_password", "new_password"]),
    action: "Change password",
    busyAction: "Changing password…",
    send(passwords) {
      if (!passwords.current_password) return inField("current_password", "Enter the password that you have now.");
      if (!passwords.new_password) return inField("new_password", "Enter a new password.");
      emit(root, "settings:password", passwords);
      return null;
    },
  });
  createPasswordField(root, "current_password");
  createPasswordField(root, "new_password");

  return {
    clear: form.clear,

    /**
     * @param {Progress} progress
     * @param {string} username for password managers, and for the hint
     */
    update(progress, username) {
      account.defaultValue = username;
      form.update(progress);
    },
  };
}

/** @param {HTMLFormElement} root */
function createDeletionForm(root) {
  const account = one(root, "[name='username']", HTMLInputElement);
  const field = one(root, "[data-field='password']", HTMLElement);
  const form = createForm(root, {
    fields: /** @type {const} */ (["password"]),
    action: "Delete my account",
    busyAction: "Deleting…",
    send({ password }) {
      if (!field.hidden && !password) return inField("password", "Enter your password, so that nobody else can do this.");
      emit(root, "settings:delete", { password: field.hidden ? null : password });
      return null;
    },
  });
  createPasswordField(root, "password");

  return {
    clear: form.clear,

    /**
     * @param {Progress} progress
     * @param {string} username for password managers
     * @param {boolean} guest whether there is no password to be asked for
     */
    update(progress, username, guest) {
      account.defaultValue = username;
      field.hidden = guest;
      form.update(progress);
    },
  };
}

/** @param {HTMLElement} root */
function createDownloads(root) {
  const buttons = [...root.querySelectorAll("button[data-export]")];
  const failureText = part(root, "failure", HTMLElement);
  const result = part(root, "result", HTMLElement);
  let busy = false;

  for (const button of buttons) {
    if (!(button instanceof HTMLButtonElement)) continue;
    button.addEventListener("click", () => {
      if (!busy) emit(root, "settings:download", { what: /** @type {Export} */ (button.dataset.export) });
    });
  }

  return {
    /** @param {Progress} progress */
    update(progress) {
      busy = progress.busy;
      for (const button of buttons) button.setAttribute("aria-disabled", String(busy));
      setText(failureText, progress.failure?.form ?? "");
      failureText.hidden = progress.failure === null;
      setText(result, busy ? "Collecting your data…" : progress.result);
    },
  };
}
