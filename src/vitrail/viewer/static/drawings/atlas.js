/**
 * Atlas: the roles and scores of all heads, as a plot and as a table; a click shows the evidence.
 * @module
 */

import { el, fill, resize } from "vitrail/dom.js";
import { dotAt, paintMarks, paintPlot, plotOf } from "vitrail/drawings/atlas-plot.js";
import { headRows } from "vitrail/drawings/atlas-table.js";
import { evidenceOf, headTable, ordered, rolesMet, scoreOfRole, scoresOf } from "vitrail/drawings/heads.js";
import { lowered } from "vitrail/drawings/lowered.js";
import { widthAt } from "vitrail/drawings/fitting.js";
import { canvasPen } from "vitrail/pens.js";
import { scoreLabel } from "vitrail/sentences.js";

/** @typedef {import("vitrail/types.js").Overview} Overview */
/** @typedef {import("vitrail/types.js").Store} Store */
/** @typedef {import("vitrail/drawings/heads.js").Place} Place */

/** @typedef {{score: string, sort: string, down: boolean, top: number, focused: boolean}} Asked */
/** What each page plotted and sorted by last. @type {WeakMap<Store, Asked>} */
const remembered = new WeakMap();

/**
 * @param {HTMLElement} element
 * @param {Overview} overview
 * @returns {import("vitrail/types.js").Drawn}
 */
export function render(element, overview) {
  const { store, stream, ramp, roles } = overview;
  const names = scoresOf(stream);
  const asked = remembered.get(store) ?? { score: "", sort: "layer", down: true, top: 0, focused: false };
  remembered.set(store, asked);
  if (!names.includes(asked.score)) asked.score = names.includes(store.get().score) ? store.get().score : (names.find((name) => name === scoreOfRole(rolesMet(roles)[0]?.role)) ?? names[0] ?? "");
  if (!["layer", "role", ...names].includes(asked.sort)) asked.sort = "layer";
  /** @type {Place | null} */
  let hovered = null;

  const chosen = () => ({ layer: store.get().layer, head: store.get().head });
  /** @param {Place} place @param {string} score */
  const show = ({ layer, head }, score) => {
    store.set({ layer, head, heads: [head], drawing: evidenceOf(stream, score, { layer, head }), quantity: "weight", hover: null });
  };

  const canvases = [el("canvas", { "aria-hidden": true }), el("canvas", { "aria-hidden": true })];
  const plotPlace = el("div", { class: "atlas-plot" }, ...canvases);
  const select = el(
    "select",
    {
      "aria-label": "score that is plotted",
      onchange: () => {
        asked.score = select.value;
        paintAll();
      },
    },
    ...names.map((name) => el("option", { value: name, selected: name === asked.score }, scoreLabel(name))),
  );
  const legend = el(
    "div",
    { class: "atlas-legend" },
    ...rolesMet(roles).map(({ role, colour, count }) => el("span", {}, el("i", { style: { background: colour } }), `${role} ${count}`)),
    el("span", {}, el("i", { class: "atlas-dashed" }), "if all got the same"),
  );
  const scroller = el("div", { class: "atlas-scroller", tabindex: -1 });
  const root = el("div", { class: "atlas-root" }, el("div", { class: "atlas-controls" }, el("label", { class: "choice" }, el("span", {}, "score"), select), legend), plotPlace, scroller);
  element.append(root);

  let [width, height] = [0, 0];
  /** @type {ReturnType<typeof plotOf>} */
  let plot = plotOf(overview, asked.score, 100, 100);
  const paintAll = () => {
    const box = plotPlace.getBoundingClientRect();
    [width, height] = [Math.round(box.width), Math.round(box.height)];
    if (width < 60 || height < 60) return;
    plot = plotOf(overview, asked.score, width, height);
    paintPlot(canvasPen(resize(canvases[0], width, height)), overview, asked.score, plot, width, height);
    paintOver();
  };
  const paintOver = () => {
    if (width) paintMarks(canvasPen(resize(canvases[1], width, height)), overview, asked.score, plot, { chosen: chosen(), hovered, width });
  };
  /** @param {PointerEvent | MouseEvent} event */
  const pointed = (event) => {
    const box = plotPlace.getBoundingClientRect();
    return dotAt(plot.dots, event.clientX - box.left, event.clientY - box.top)?.place ?? null;
  };
  /** @param {Place | null} place */
  const hover = (place) => {
    if (place?.layer === hovered?.layer && place?.head === hovered?.head) return;
    hovered = place;
    plotPlace.style.cursor = place ? "pointer" : "";
    paintOver();
  };
  const stop = new AbortController();
  const { signal } = stop;
  plotPlace.addEventListener("pointermove", (event) => hover(pointed(event)), { signal });
  plotPlace.addEventListener("pointerleave", () => hover(null), { signal });
  plotPlace.addEventListener("click", (event) => {
    const place = pointed(event);
    if (place) show(place, asked.score);
  }, { signal });

  let order = ordered(stream, roles, asked);
  const table = headRows(scroller, overview, {
    names,
    asked,
    show,
    hover,
    sort(name) {
      // The same column again turns the order round.
      Object.assign(asked, { down: asked.sort === name ? !asked.down : true, sort: name, top: 0 });
      order = ordered(stream, roles, asked);
      table.update(order, true);
    },
  });
  table.update(order, false);

  const observer = new ResizeObserver(() => {
    paintAll();
    table.scrolled();
  });
  observer.observe(plotPlace);
  paintAll();
  const unsubscribe = store.subscribe((_, changed) => {
    if (changed.has("layer") || changed.has("head")) paintOver();
  });

  return {
    cleanup() {
      observer.disconnect();
      stop.abort();
      unsubscribe();
      table.cleanup();
      fill(root);
      root.remove();
    },
    paint(pen) {
      const [wide, tall] = [Math.max(480, width), Math.max(240, height)];
      const whole = plotOf(overview, asked.score, wide, tall);
      pen.text(`${scoreLabel(asked.score)} of every head, by layer`, 16, 14, { size: 13, colour: ramp.ink, weight: 600 });
      paintPlot(lowered(pen, 26), overview, asked.score, whole, wide, tall);
      let x = 16;
      for (const { role, colour } of rolesMet(roles)) {
        pen.disc(x + 5, tall + 40, 5, colour);
        pen.text(role, x + 16, tall + 40, { size: 12, colour: ramp.quiet });
        x += 34 + 0.95 * widthAt(role, 12);
      }
      return { width: Math.max(wide, x), height: tall + 58 };
    },
    table: () => headTable(stream, roles, order),
  };
}
