/**
 * A first visit: the course's own questions, each a state of what is looked at.
 * @module
 */

import { el, fill } from "vitrail/dom.js";

/**
 * One question: what is asked, what there is to see, and the state that shows it.
 * @typedef {Object} Step
 * @property {string} title
 * @property {string} text
 * @property {(about: About) => Partial<import("vitrail/types.js").State> | null} state null: nothing here to show it on
 */

/**
 * What a step may look for.
 * @typedef {Object} About
 * @property {import("vitrail/types.js").Stream} stream
 * @property {import("vitrail/types.js").Axis} queries
 * @property {string} twin id of a trace of the same input to compare with; "" if there is none
 * @property {(score: string) => {layer: number, head: number, value: number} | null} best head by a score
 */

const PLAIN = { pin: null, query: -1, key: -1, hover: null, words: false, special: true, sentences: /** @type {"all"} */ ("all"), quantity: /** @type {"weight"} */ ("weight") };

/** @type {Step[]} */
export const STEPS = [
  {
    title: "What is a head?",
    text: "Left: where each token asks from. Right: what it looks at. A line's strength is the weight. Point at a token on the left; the map shows all the other heads, layer by layer.",
    state: ({ best }) => at(best("previous") ?? best("first") ?? best("self"), { drawing: "lines", query: 1 }),
  },
  {
    title: "Which heads have a job?",
    text: "Each cell of the map is a head, coloured by the role that its numbers support. Most are unclear, and that is said. Arrow keys move through the map.",
    state: ({ best }) => at(best("previous") ?? best("first"), { drawing: "model", score: "role" }),
  },
  {
    title: "Does attention cross from one sentence to the other?",
    text: "Only links from sentence A to sentence B are drawn, in the head that makes most of them.",
    state: ({ best, queries }) => (queries.segments?.some((one) => one === 1) ? at(best("A to B"), { drawing: "lines", sentences: "ab" }) : null),
  },
  {
    title: "Where does a weight come from?",
    text: "Query times key, scaled, through the softmax, times the value: every number of one head, step by step. Choose another key with the arrow keys.",
    state: ({ best }) => at(best("previous") ?? best("first"), { drawing: "arithmetic", query: Math.min(2, 9) }),
  },
  {
    title: "How far does an image's patch look?",
    text: "Point at a patch: what it looks at keeps its light.",
    state: ({ best, queries }) => (queries.grid ? at(best("pixels"), { drawing: "image", query: 1 }) : null),
  },
  {
    title: "What did training change?",
    text: "The same input through the same network with random weights. The difference of the weights: orange where training added, blue where it took. Hold Space to swap the two.",
    state: ({ best, twin }) => (twin ? at(best("previous") ?? best("first"), { drawing: "matrix", other: twin, quantity: "difference", score: "change" }) : null),
  },
];

/**
 * @param {{layer: number, head: number} | null} head
 * @param {Partial<import("vitrail/types.js").State>} patch
 */
function at(head, patch) {
  return head === null ? null : { ...PLAIN, layer: head.layer, head: head.head, heads: [head.head], ...patch };
}

/**
 * Walk through the questions that this trace can answer.
 * @param {import("vitrail/types.js").Store} store
 * @param {() => About | null} about
 * @returns {() => void} how to end it
 */
export function startTour(store, about) {
  document.querySelector(".tour")?.remove();
  const known = about();
  const steps = known === null ? [] : STEPS.filter((step) => step.state(known) !== null);
  if (!steps.length) return () => {};
  let place = 0;
  const before = document.activeElement;
  const box = el("div", { class: "tour", role: "dialog", "aria-label": "tour", onkeydown: keys });
  document.body.append(box);

  /** @param {KeyboardEvent} event */
  function keys(event) {
    if (event.key === "Escape") end();
    else if (event.key === "ArrowRight" && place < steps.length - 1) show(place + 1);
    else if (event.key === "ArrowLeft" && place > 0) show(place - 1);
    else return;
    event.stopPropagation();
    event.preventDefault();
  }

  function end() {
    box.remove();
    // Who came by keys goes on where they were, or with what there is to see.
    const back = before instanceof HTMLElement && before !== document.body && before.isConnected ? before : document.getElementById("stage");
    back?.focus({ preventScroll: true });
  }

  /** @param {number} next */
  function show(next) {
    place = next;
    const now = about();
    const state = now && steps[place].state(now);
    if (state) store.set(state);
    const last = place === steps.length - 1;
    const go = el("button", { class: "go", onclick: () => (last ? end() : show(place + 1)) }, last ? "Look around" : "Next");
    fill(
      box,
      el("h2", {}, steps[place].title),
      el("p", {}, steps[place].text),
      el(
        "div",
        { class: "row" },
        el("span", { class: "small" }, `${place + 1} of ${steps.length}`),
        last ? "" : el("button", { class: "plain", onclick: end }, "Leave the tour"),
        place ? el("button", { onclick: () => show(place - 1) }, "Back") : "",
        go,
      ),
    );
    go.focus();
  }

  show(0);
  return end;
}
