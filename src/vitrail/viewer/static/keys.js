/**
 * The keyboard: every action has a key, and `?` shows them.
 * @module
 */

import { el, fill } from "vitrail/dom.js";
import { drawingsOf } from "vitrail/scene.js";
import { toAddress } from "vitrail/store.js";
import { DRAWINGS } from "vitrail/toolbar.js";

/** @typedef {import("vitrail/types.js").Store} Store */

const KEYS = /** @type {[string, string][]} */ ([
  ["[ and ]", "the layer before, the layer after"],
  [", and .", "the head before, the head after"],
  ["1 … 7", "Lines, Matrix, Text, Image, Arithmetic, Model, Atlas"],
  ["arrows", "in the map: move between heads; in a drawing: ↑ ↓ the query, ← → the key"],
  ["Enter", "in a drawing: keep the query and key that are pointed at, or let go"],
  ["P", "pin the link: the map shows which heads make it"],
  ["Space", "held: show the trace beside this one in its place, or the checkpoint before"],
  ["W", "words or tokens"],
  ["T", "light or dark"],
  ["Esc", "let go of everything"],
  ["?", "these keys"],
]);

/**
 * @param {Store} store
 * @param {() => {trace: import("vitrail/types.js").OpenTrace} | null} current
 * @param {() => boolean} beside whether there is something that Space shows instead
 */
export function keyboard(store, current, beside) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === " " && beside() && !pressable(event.target)) {
      event.preventDefault();
      if (!event.repeat) store.set({ swapped: true });
      return;
    }
    const trace = current()?.trace;
    const patch = trace ? action(event.key, store.get(), trace) : null;
    if (event.key === "?") help(store);
    else if (patch) store.set(patch);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === " " && store.get().swapped) store.set({ swapped: false });
  });
  window.addEventListener("blur", () => store.set({ swapped: false }));
}

/**
 * @param {string} key
 * @param {import("vitrail/types.js").State} state
 * @param {import("vitrail/types.js").OpenTrace} trace
 * @returns {Partial<import("vitrail/types.js").State> | null}
 */
function action(key, state, trace) {
  const stream = trace.streams.find(({ name }) => name === state.stream) ?? trace.streams[0];
  const layers = { "[": -1, "]": 1 }[key];
  if (layers) return { layer: Math.min(stream.layers.length - 1, Math.max(0, state.layer + layers)) };
  const heads = { ",": -1, ".": 1 }[key];
  if (heads) {
    const head = Math.min(stream.layers[state.layer].heads - 1, Math.max(0, state.head + heads));
    return { head, heads: [head] };
  }
  const drawing = /** @type {import("vitrail/types.js").Drawing | undefined} */ (Object.keys(DRAWINGS)[Number(key) - 1]);
  if (drawing) return drawingsOf(trace, stream.name, state.layer).includes(drawing) ? { drawing } : null;
  switch (key) {
    case "w":
      return { words: !state.words, query: -1, key: -1, hover: null, pin: null };
    case "t":
      return { theme: document.documentElement.dataset.theme === "dark" ? "light" : "dark" };
    case "p":
      if (state.pin) return { pin: null };
      return state.query >= 0 && state.key >= 0 ? { pin: [state.query, state.key] } : null;
    case "Escape":
      return { query: -1, key: -1, pin: null, hover: null };
    default:
      return null;
  }
}

/** @param {EventTarget | null} target */
function typing(target) {
  return target instanceof HTMLElement && target.matches("input:not([type=checkbox], [type=range]), textarea, select");
}

/** @param {EventTarget | null} target */
function pressable(target) {
  return target instanceof HTMLElement && target.matches("button, input:not([type=range]), summary");
}

/** @param {Store} store */
export function help(store) {
  document.querySelector("dialog")?.remove();
  const dialog = el(
    "dialog",
    { "aria-labelledby": "keys-title", onclose: () => dialog.remove() },
    el("h2", { id: "keys-title" }, "Keys"),
    el("table", {}, el("tbody", {}, ...KEYS.map(([key, what]) => el("tr", {}, el("td", {}, el("kbd", {}, key)), el("td", {}, what))))),
    el(
      "div",
      { class: "row" },
      location.protocol === "about:" ? "" : copier(store),
      el("button", { class: "go", onclick: () => dialog.close() }, "Close"),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  store.set({ hover: null });
}

/** A button that copies the address of what is looked at, and says so. @param {Store} store */
function copier(store) {
  const button = el("button", { title: "The address restores exactly this view", "aria-live": "polite", onclick: () => void copy() }, "Copy the address");
  const copy = async () => {
    const address = new URL(`#${toAddress(store.get())}`, location.href).href;
    const copied = await navigator.clipboard?.writeText(address).then(() => true, () => false);
    fill(button, copied ? "Copied" : "Not allowed here: copy it from above");
  };
  return button;
}
