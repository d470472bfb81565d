/**
 * Over the drawing, where a trace is one of a run's checkpoints: a handle along its training. What is looked at stays.
 * @module
 */

import { el, fill } from "vitrail/dom.js";

/** @typedef {import("vitrail/series.js").Checkpoint} Checkpoint */

/**
 * @param {HTMLElement} element
 * @param {import("vitrail/types.js").Store} store
 * @returns {{update: (series: Checkpoint[], id: string, instead: string) => void}} instead: the one that is shown in its place
 *   while Space is held; "" for none
 */
export function scrubber(element, store) {
  /** @type {Checkpoint[]} */
  let series = [];
  const range = el("input", {
    type: "range",
    min: 0,
    step: 1,
    "aria-label": "checkpoint",
    title: "How far training had come: arrow keys step, hold Space for the checkpoint before",
    oninput: () => {
      const { id } = series[Number(range.value)];
      say(id, "");
      store.set({ trace: id });
    },
  });
  // Its words are the handle's own value: read aloud once, not twice.
  const said = el("span", { class: "step", "aria-hidden": true });
  element.append(el("label", { class: "choice" }, el("span", {}, "checkpoint"), range), said);

  /** @param {string} id @param {string} instead */
  function say(id, instead) {
    const at = series.findIndex((one) => one.id === id);
    const seen = series.find((one) => one.id === (instead || id));
    const step = `step ${(seen?.step ?? 0).toLocaleString("en-US")}`;
    const words = instead ? `${step}, the one before` : `${step}, ${at + 1} of ${series.length}`;
    range.setAttribute("aria-valuetext", words);
    fill(said, words);
  }

  return {
    update(now, id, instead) {
      series = now;
      element.hidden = series.length === 0;
      if (element.hidden) return;
      range.max = String(series.length - 1);
      range.value = String(series.findIndex((one) => one.id === id));
      say(id, instead);
    },
  };
}
