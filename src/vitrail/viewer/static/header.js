/**
 * Above everything: what was read, by which model, beside what; and the tools.
 * @module
 */

import { el, fill, shown } from "vitrail/dom.js";
import { lastParts } from "vitrail/inspector.js";

/** @typedef {{id: string, name: string}} Listed */

/**
 * @param {HTMLElement} element
 * @param {{store: import("vitrail/types.js").Store, listed: () => Listed[], tools: {label: string, title: string, run: () => void}[]}} data
 * @returns {{update: (trace: import("vitrail/types.js").OpenTrace | null, other: import("vitrail/types.js").OpenTrace | null) => void}}
 */
export function header(element, { store, listed, tools }) {
  const reading = el("div", { class: "reading" });
  const choose = el("select", {
    title: "Which trace is shown",
    onchange: () => store.set({ trace: choose.value, pin: null, query: -1, key: -1, hover: null }),
  });
  const beside = el("select", { title: "Compare with another trace: hold Space to swap", onchange: () => store.set({ other: beside.value }) });
  const traces = el("label", { class: "choice" }, el("span", { class: "unseen" }, "Trace"), choose);
  const others = el("label", { class: "choice" }, el("span", {}, "beside"), beside);
  element.append(
    el("div", { class: "brand" }, panes(), el("h1", {}, "Vitrail")),
    reading,
    traces,
    others,
    el("div", { class: "tools" }, ...tools.map(({ label, title, run }) => el("button", { class: "plain", title, "aria-label": title, onclick: run }, label))),
  );
  return {
    update(trace, other) {
      const state = store.get();
      const known = listed();
      traces.hidden = known.length < 2;
      others.hidden = known.length < 2;
      fill(choose, ...known.map(({ id, name }) => option(id, name, state.trace)));
      fill(beside, option("", "nothing", state.other), ...known.filter(({ id }) => id !== state.trace).map(({ id, name }) => option(id, name, state.other)));
      if (!trace) return fill(reading, el("span", { class: "model" }, "no trace is open"));
      const seen = state.swapped && other ? other : trace;
      const { texts, model, weights, target } = seen.provenance;
      const words = texts.length ? texts.map((text) => `“${shown(text.length > 400 ? `${text.slice(0, 400)}…` : text)}”`).join("  +  ") : seen.name;
      const about = [lastParts(model), weights, target ? `gradients of the ${target}` : ""].filter(Boolean).join(" · ");
      fill(
        reading,
        el("span", { class: "text", title: texts.join("\n") }, words),
        el("span", { class: "model", title: model }, shown(about), other ? el("span", { class: "other" }, state.swapped ? "  ⇄ swapped" : `  beside ${shown(other.name)}`) : ""),
      );
      return undefined;
    },
  };
}

/** @param {string} id @param {string} name @param {string} chosen */
function option(id, name, chosen) {
  return el("option", { value: id, selected: id === chosen }, shown(name));
}

/** Four panes of stained glass. */
function panes() {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("width", "24");
  svg.setAttribute("height", "24");
  svg.setAttribute("aria-hidden", "true");
  const shapes = [
    ["#2f6fb7", "M2 2h9v7L2 12z"],
    ["#e0a030", "M13 2h9v10l-9-3z"],
    ["#c4452d", "M2 14.2 11 11v11H2z"],
    ["#3f8f63", "M13 11l9 3.2V22h-9z"],
  ];
  for (const [fill, path] of shapes) {
    const pane = document.createElementNS(space, "path");
    pane.setAttribute("d", path);
    pane.setAttribute("fill", fill);
    svg.append(pane);
  }
  return svg;
}
