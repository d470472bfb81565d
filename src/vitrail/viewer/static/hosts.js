/**
 * Where this page is: served, one file, or a frame in a notebook. Hosts differ in where bytes come from, and in nothing else.
 *
 * `config` is what Python wrote into the page. Each of its `sources` gets a `source` here, to be read by `trace.js`:
 * of kind "http" from the server, "embedded" from the page itself, "port" from the notebook's kernel through its frame.
 * @module
 */

import { base64Source, httpSource, portSource } from "vitrail/source.js";

/**
 * @typedef {Object} Entry one trace that a page offers
 * @property {string} id
 * @property {string} name
 * @property {"http" | "embedded" | "port"} kind
 * @property {string} [url]
 * @property {string} [error] why it can't be read, in one sentence
 * @property {string} [model] what is known of it before it is opened
 * @property {string} [weights]
 * @property {string[]} [texts]
 * @property {number} [step] of a run that was being trained: how far it had come
 * @property {import("vitrail/types.js").Source} source
 */

/**
 * @typedef {Object} LiveModel
 * @property {string} id
 * @property {string} name
 * @property {"text" | "image" | "seq2seq"} kind
 * @property {boolean} pair it reads two texts together
 * @property {boolean} causal looking ahead can be switched on or off
 * @property {string[]} gradients what gradients can be of; none of a model that says nothing
 */

/**
 * @typedef {Object} Config
 * @property {string} title
 * @property {Entry[]} sources
 * @property {{models: LiveModel[], ablate: boolean} | null} live models that run on what is typed
 * @property {boolean} tour first-time visitors are shown around
 * @property {boolean} growing more traces may come: `grow` tells of them
 * @property {(selection: Selection) => void} [tell] of a notebook: what is looked at goes to Python
 */

/** @typedef {{trace?: string, stream: string, layer: number, head: number, query: number, key: number}} Selection */

/** Milliseconds between two questions for traces that have come since. */
const GROWING = 3000;

/**
 * What Python wrote into this page, with a source for every trace.
 * @returns {Promise<Config>}
 */
export async function hosted() {
  /** @type {Config} */
  const config = JSON.parse(written("vitrail"));
  const port = config.sources.some(({ kind }) => kind === "port") ? await notebookPort() : null;
  for (const entry of config.sources) entry.source = sourceOf(entry, port);
  if (port) config.tell = (selection) => port.tell(selection);
  return config;
}

/**
 * Call back for every trace that comes while the page is open (a demo still trains); returns how to stop.
 * @param {Config} config
 * @param {(entry: Entry) => void} found
 */
export function grow(config, found) {
  if (!config.growing) return () => {};
  const known = new Set(config.sources.map(({ id }) => id));
  const timer = setInterval(async () => {
    try {
      const response = await fetch("/api/traces");
      /** @type {{sources: Entry[], growing: boolean}} */
      const told = await response.json();
      for (const entry of told.sources.filter(({ id }) => !known.has(id))) {
        known.add(entry.id);
        entry.source = sourceOf(entry, null);
        found(entry);
      }
      if (!told.growing) clearInterval(timer);
    } catch {
      clearInterval(timer); // the server has stopped: what is open stays open
    }
  }, GROWING);
  return () => clearInterval(timer);
}

/**
 * @param {Entry} entry
 * @param {Port | null} port
 */
function sourceOf(entry, port) {
  if (entry.kind === "http") return httpSource(entry.url ?? "", entry.name);
  if (entry.kind === "port" && port) return portSource((start, end) => port.ask(entry.id, start, end), entry.name);
  return base64Source(written(`bytes-${entry.id}`), entry.name);
}

/** @param {string} id of an element that nothing runs */
function written(id) {
  return document.getElementById(id)?.textContent ?? "";
}

/**
 * @typedef {Object} Port
 * @property {(id: string, start: number, end: number) => Promise<ArrayBuffer>} ask
 * @property {(selection: Selection) => void} tell
 */

/**
 * The channel that the notebook's widget hands to its frame, once the frame has said that it is there.
 * @returns {Promise<Port>}
 */
async function notebookPort() {
  /** @type {MessagePort} */
  const port = await new Promise((resolve) => {
    /** @param {MessageEvent} event */
    const listen = (event) => {
      if (event.source !== window.parent || event.data !== "vitrail" || !event.ports.length) return;
      removeEventListener("message", listen);
      resolve(event.ports[0]);
    };
    addEventListener("message", listen);
    window.parent.postMessage("vitrail", "*");
  });
  /** @type {Map<number, {resolve: (bytes: ArrayBuffer) => void, reject: (error: Error) => void}>} */
  const waiting = new Map();
  let asked = 0;
  port.onmessage = ({ data }) => {
    const one = waiting.get(data.call);
    waiting.delete(data.call);
    if (data.error) one?.reject(new Error(data.error));
    else one?.resolve(data.bytes);
  };
  return {
    ask: (id, start, end) =>
      new Promise((resolve, reject) => {
        asked += 1;
        waiting.set(asked, { resolve, reject });
        port.postMessage({ call: asked, id, start, end });
      }),
    tell: (selection) => port.postMessage({ selection }),
  };
}
