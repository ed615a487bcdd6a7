/** @typedef {{ type: string, id: string, data: string }} StreamEvent */

/** Takes a `text/event-stream` apart as WHATWG's HTML does (9.2.6, "Interpreting an event stream"), wherever it was cut into pieces. */
export class EventStream {
  /** How long its sender wants everybody to stay away after its end, in milliseconds. */
  retryMs = 0;

  #rest = "";
  #endedByCr = false;
  #type = "";
  #id = "";
  /** @type {string[]} */
  #data = [];

  /**
   * @param {string} text the next piece
   * @returns {StreamEvent[]} the events that it completes
   */
  push(text) {
    if (text === "") return [];
    // CR LF is one line end, between two pieces too.
    const lines = (this.#rest + (this.#endedByCr ? text.replace(/^\n/, "") : text)).split(/\r\n|\r|\n/);
    this.#endedByCr = text.endsWith("\r");
    this.#rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.#read(line));
  }

  /** @param {string} line */
  #read(line) {
    if (line === "") {
      const event = { type: this.#type || "message", id: this.#id, data: this.#data.join("\n") };
      const events = this.#data.length > 0 ? [event] : [];
      this.#type = "";
      this.#data = [];
      return events;
    }
    // A comment is a line whose field has no name.
    const [, field, value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    return [];
  }
}
