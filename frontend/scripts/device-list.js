import { copyOf, emit, part, setText } from "./dom.js";
import { ago, date, time } from "./format.js";
import { readableUserAgent } from "./user-agent.js";

/** @import { Device, Progress } from "./types.d.ts" */

/**
 * Where the person is signed in, and the way to end it there.
 *
 * @param {HTMLElement} root
 */
export function createDeviceList(root) {
  const wait = part(root, "wait", HTMLElement);
  const list = part(root, "list", HTMLUListElement);
  const endOthers = part(root, "end-others", HTMLButtonElement);
  const failureBox = part(root, "failure", HTMLElement);
  const failureText = part(root, "failure-text", HTMLElement);
  const result = part(root, "result", HTMLElement);
  /** @type {Map<string, ReturnType<typeof createDevice>>} */
  let rows = new Map();
  let busy = false;

  part(root, "reload", HTMLButtonElement).addEventListener("click", () => emit(root, "settings:devices", null));
  endOthers.addEventListener("click", () => {
    if (!busy) emit(root, "settings:end-others", null);
  });

  /** @param {Device[]} devices */
  function updateRows(devices) {
    const focused = list.contains(document.activeElement) || document.activeElement === endOthers;
    const before = rows;
    rows = new Map(devices.map((device) => [device.session_id, before.get(device.session_id) ?? createDevice()]));
    for (const device of devices) rows.get(device.session_id)?.update(device, busy);
    const wanted = [...rows.values()].map((row) => row.element);
    if (wanted.length !== list.children.length || wanted.some((element, i) => list.children[i] !== element)) {
      list.replaceChildren(...wanted);
    }
    endOthers.hidden = devices.every(({ current }) => current);
    // The button that was pressed has gone with its device: the keyboard stays with the list.
    if (focused && (document.activeElement === document.body || endOthers.hidden)) list.focus();
  }

  return {
    /** @param {Progress & { devices: Device[] | null }} data */
    update(data) {
      busy = data.busy;
      wait.hidden = data.devices !== null || data.failure !== null;
      list.hidden = data.devices === null;
      list.setAttribute("aria-busy", String(busy));
      endOthers.setAttribute("aria-disabled", String(busy));
      if (data.devices) updateRows(data.devices);
      else endOthers.hidden = true;
      setText(failureText, data.failure?.form ?? "");
      failureBox.hidden = data.failure === null;
      setText(result, data.result);
    },
  };
}

/** One device's row. */
function createDevice() {
  const element = copyOf("device", HTMLLIElement);
  const name = part(element, "name", HTMLElement);
  const current = part(element, "current", HTMLElement);
  const used = part(element, "used", HTMLTimeElement);
  const created = part(element, "created", HTMLTimeElement);
  const address = part(element, "address", HTMLElement);
  const end = part(element, "end", HTMLButtonElement);
  /** @type {Device | null} */
  let shown = null;

  end.addEventListener("click", () => {
    if (shown && end.getAttribute("aria-disabled") !== "true") emit(element, "settings:end", { device: shown });
  });

  return {
    element,

    /**
     * @param {Device} device
     * @param {boolean} busy
     */
    update(device, busy) {
      shown = device;
      const label = readableUserAgent(device.user_agent);
      const lastUsed = new Date(device.last_used_at);
      const began = new Date(device.created_at);
      setText(name, label);
      name.title = device.user_agent;
      current.hidden = !device.current;
      if (device.current) element.setAttribute("aria-current", "true");
      setText(used, ago(lastUsed, Date.now()));
      used.dateTime = device.last_used_at;
      used.title = time(lastUsed);
      setText(created, date(began));
      created.dateTime = device.created_at;
      created.title = time(began);
      setText(address, device.address);
      end.hidden = device.current;
      end.setAttribute("aria-label", `Sign out ${label}`);
      end.setAttribute("aria-disabled", String(busy));
    },
  };
}
