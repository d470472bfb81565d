/**
 * Over the drawing: which drawing, of which quantity, of which heads and positions.
 * @module
 */

import { el, fill, renew } from "vitrail/dom.js";

/** @typedef {import("vitrail/types.js").Drawing} Drawing */
/** @typedef {import("vitrail/types.js").State} State */

/** Each drawing: its name, and what it is for. */
export const DRAWINGS = /** @type {Record<Drawing, [string, string]>} */ ({
  lines: ["Lines", "Tokens left and right, a line for each link"],
  matrix: ["Matrix", "Every weight as a cell: zoom and pan"],
  text: ["Text", "The document, shaded by what the chosen token looks at"],
  image: ["Image", "Patches over the picture"],
  arithmetic: ["Arithmetic", "Queries, keys, scores, weights and values, step by step"],
  model: ["Model", "All layers and heads as thumbnails"],
  atlas: ["Atlas", "Scores and roles of all heads, as a table and a plot"],
});

const SENTENCES = { all: "all", aa: "A → A", ab: "A → B", ba: "B → A", bb: "B → B" };

/**
 * @typedef {Object} Choices
 * @property {Drawing[]} drawings that make sense here
 * @property {{quantity: import("vitrail/types.js").Quantity, label: string}[]} quantities that this layer has
 * @property {number} heads of this layer
 * @property {string[]} colours one for each head of this layer
 * @property {boolean} pairs there are two sentences
 * @property {boolean} words tokens know their words
 * @property {boolean} special some tokens were added by the model
 */

/**
 * @param {HTMLElement} element
 * @param {import("vitrail/types.js").Store} store
 * @param {{label: string, title: string, run: () => void}[]} exports
 * @returns {{update: (choices: Choices) => void}}
 */
export function toolbar(element, store, exports) {
  const tabs = el("div", { class: "tabs", role: "tablist", "aria-label": "drawing", onkeydown: roving });
  const quantity = el("select", {
    title: "What is drawn",
    "aria-label": "quantity",
    onchange: () => store.set({ quantity: /** @type {State["quantity"]} */ (quantity.value) }),
  });
  const sentences = el("select", {
    title: "From which sentence to which",
    "aria-label": "sentences",
    onchange: () => store.set({ sentences: /** @type {State["sentences"]} */ (sentences.value) }),
  });
  const [words, wordsLabel] = check("words", "Words instead of tokens", (on) => store.set({ words: on, query: -1, key: -1, hover: null, pin: null }));
  const [special, specialLabel] = check("added tokens", "Show tokens that the model added", (on) => store.set({ special: on }));
  const heads = el("div", { class: "heads", role: "group", "aria-label": "heads whose lines are drawn" });
  const end = el("div", { class: "end" }, ...exports.map(({ label, title, run }) => el("button", { class: "plain", title, onclick: run }, label)));
  element.append(el("div", {}, tabs, end), el("div", { class: "settings" }, quantity, sentences, wordsLabel, specialLabel, heads));

  /** @param {KeyboardEvent} event */
  function roving(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const all = /** @type {HTMLButtonElement[]} */ ([...tabs.children]);
    const next = all[(all.findIndex((tab) => tab === document.activeElement) + step + all.length) % all.length];
    next.focus();
    next.click();
  }

  return {
    update(choices) {
      const state = store.get();
      // A tab that is focused while the list is made anew would lose the focus.
      const focused = tabs.contains(document.activeElement);
      fill(tabs, ...choices.drawings.map((name) => tab(store, name, state.drawing)));
      if (focused) /** @type {HTMLElement | null} */ (tabs.querySelector('[aria-selected="true"]'))?.focus();
      fill(quantity, ...choices.quantities.map((one) => el("option", { value: one.quantity, selected: one.quantity === state.quantity }, one.label)));
      fill(sentences, ...Object.entries(SENTENCES).map(([value, label]) => el("option", { value, selected: value === state.sentences }, label)));
      const overview = state.drawing === "model" || state.drawing === "atlas";
      quantity.hidden = overview || state.drawing === "arithmetic";
      sentences.hidden = overview || !choices.pairs;
      wordsLabel.hidden = overview || !choices.words || state.drawing === "arithmetic";
      specialLabel.hidden = overview || !choices.special;
      words.checked = state.words;
      special.checked = state.special;
      heads.hidden = state.drawing !== "lines" && state.drawing !== "text";
      renew(heads, ...Array.from({ length: choices.heads }, (_, head) => headButton(store, head, choices.colours[head])), everyHead(store, choices.heads));
    },
  };
}

/** @param {import("vitrail/types.js").Store} store @param {Drawing} name @param {Drawing} chosen */
function tab(store, name, chosen) {
  const [label, title] = DRAWINGS[name];
  return el(
    "button",
    { role: "tab", id: `tab-${name}`, title, "aria-selected": String(name === chosen), "aria-controls": "stage", tabindex: name === chosen ? 0 : -1, onclick: () => store.set({ drawing: name }) },
    label,
  );
}

/** @param {import("vitrail/types.js").Store} store @param {number} head @param {string} colour */
function headButton(store, head, colour) {
  const { heads, head: main } = store.get();
  const on = heads.includes(head);
  const toggle = () => {
    const left = on ? heads.filter((one) => one !== head) : [...heads, head].sort((one, two) => one - two);
    if (left.length) store.set({ heads: left, head: left.includes(main) ? main : left[0] });
  };
  return el(
    "button",
    { title: `Head ${head}: click to draw it too, or not; double-click for it alone`, "aria-pressed": String(on), onclick: toggle, ondblclick: () => store.set({ head, heads: [head] }) },
    el("i", { style: { background: on ? colour : "var(--faint)" } }),
    String(head),
  );
}

/** @param {import("vitrail/types.js").Store} store @param {number} count */
function everyHead(store, count) {
  const { heads, head } = store.get();
  const every = heads.length === count;
  const all = Array.from({ length: count }, (_, one) => one);
  return el("button", { title: "All heads of this layer, or one", onclick: () => store.set({ heads: every ? [head] : all }) }, every ? "one" : "every");
}

/**
 * @param {string} label @param {string} title @param {(on: boolean) => void} set
 * @returns {[HTMLInputElement, HTMLLabelElement]}
 */
function check(label, title, set) {
  const box = el("input", { type: "checkbox", onchange: () => set(box.checked) });
  return [box, el("label", { class: "check", title }, box, label)];
}
