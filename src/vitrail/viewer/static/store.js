/**
 * The one store: what is looked at. Hover beats lock; everything but the hover is in the address, so that it can be sent.
 * @module
 */

/** @typedef {import("vitrail/types.js").State} State */

/** @type {State} */
export const START = Object.freeze({
  trace: "",
  other: "",
  swapped: false,
  stream: "",
  layer: 0,
  head: 0,
  heads: [0],
  drawing: "lines",
  quantity: "weight",
  query: -1,
  key: -1,
  pin: null,
  score: "role",
  words: false,
  special: true,
  sentences: "all",
  theme: "",
  hover: null,
});

/** The parts of the state that an address holds. */
const KEPT = /** @type {(keyof State)[]} */ (Object.keys(START).filter((name) => !["hover", "swapped", "theme"].includes(name)));

/**
 * @param {Partial<State>} [begin]
 * @returns {import("vitrail/types.js").Store}
 */
export function createStore(begin = {}) {
  /** @type {State} */
  let state = { ...START, ...begin };
  /** @type {Set<(state: State, changed: Set<keyof State>) => void>} */
  const listeners = new Set();
  return {
    get: () => state,
    set(patch) {
      const names = /** @type {(keyof State)[]} */ (Object.keys(patch));
      const changed = new Set(names.filter((name) => !same(state[name], patch[name])));
      if (!changed.size) return;
      state = { ...state, ...patch };
      for (const listener of [...listeners]) listener(state, changed);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** @param {unknown} one @param {unknown} two */
function same(one, two) {
  return one === two || JSON.stringify(one) === JSON.stringify(two);
}

/**
 * What is looked at, as the part of an address after the #: only what differs from the start.
 * @param {State} state
 */
export function toAddress(state) {
  const written = new URLSearchParams();
  for (const name of KEPT) {
    const value = state[name];
    if (!same(value, START[name])) written.set(name, Array.isArray(value) ? value.join(".") : String(value));
  }
  return written.toString();
}

/**
 * The part of an address after the #, as what is looked at. What isn't understood is left alone.
 * @param {string} address
 * @returns {Partial<State>}
 */
export function fromAddress(address) {
  const written = new URLSearchParams(address.replace(/^#/, ""));
  /** @type {Record<string, unknown>} */
  const found = {};
  for (const name of KEPT) {
    const text = written.get(name);
    if (text === null) continue;
    const kind = START[name];
    if (name === "pin") {
      const pair = text.split(".").map(Number);
      if (pair.length === 2 && pair.every((at) => Number.isInteger(at) && at >= 0)) found.pin = pair;
    } else if (name === "heads") {
      const heads = text.split(".").map(Number);
      if (heads.every((head) => Number.isInteger(head) && head >= 0)) found.heads = heads;
    } else if (name === "sentences") {
      if (/^(all|[ab][ab])$/.test(text)) found.sentences = text;
    } else if (typeof kind === "number") {
      if (/^-?\d{1,9}$/.test(text)) found[name] = Number(text);
    } else if (typeof kind === "boolean") {
      found[name] = text === "true";
    } else {
      found[name] = text;
    }
  }
  return /** @type {Partial<State>} */ (found);
}

/**
 * All that an address says, also by what it leaves out.
 * @param {string} address
 */
export function restored(address) {
  const start = Object.fromEntries(KEPT.map((name) => [name, START[name]]));
  return /** @type {Omit<State, "hover" | "swapped" | "theme">} */ ({ ...start, ...fromAddress(address) });
}

/**
 * The query and key that are looked at: under the pointer, else locked; -1 for none.
 * @param {State} state
 */
export function lookedAt(state) {
  const { hover, query, key } = state;
  return hover === null ? { query, key } : hover;
}
