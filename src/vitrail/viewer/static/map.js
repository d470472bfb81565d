/**
 * The map of all heads of a stream, layers by heads: always there, coloured by what is asked, the way to move.
 * @module
 */

import { el, fill, number, renew, resize, shown as written } from "vitrail/dom.js";

/**
 * What the map shows: one colour and one sentence for each head.
 * @typedef {Object} Mapped
 * @property {import("vitrail/types.js").Stream} stream
 * @property {(layer: number, head: number) => string} colour
 * @property {(layer: number, head: number) => string} tell
 * @property {HTMLElement} legend
 */

const MARGIN = { left: 22, top: 16 };

/**
 * @param {HTMLElement} element
 * @param {import("vitrail/types.js").Store} store
 * @returns {{update: (mapped: Mapped | null, ramp: import("vitrail/types.js").Ramp, choices: {streams: string[], scores: {name: string, label: string}[]}) => void}}
 */
export function headMap(element, store) {
  const streams = el("div", { class: "streams", role: "group", "aria-label": "streams" });
  const score = el("select", { "aria-label": "the map is coloured by", onchange: () => store.set({ score: score.value, pin: null }) });
  const canvas = el("canvas");
  const place = el("div", {
    class: "map-canvas",
    tabindex: 0,
    role: "application",
    "aria-roledescription": "map of heads",
    onkeydown: keys,
    onpointermove: (/** @type {PointerEvent} */ event) => tell(at(event)),
    onpointerleave: () => tell(null),
    onclick: (/** @type {PointerEvent} */ event) => {
      const found = at(event);
      if (found) go(...found);
    },
  });
  place.append(canvas);
  const told = el("p", { class: "told", "aria-live": "polite" });
  const legend = el("div");
  element.append(streams, el("label", { class: "choice" }, el("span", {}, "colour"), score), place, told, legend);

  /** @type {Mapped | null} */
  let shown = null;
  /** @type {import("vitrail/types.js").Ramp | null} */
  let inks = null;
  let [cellWidth, cellHeight] = [16, 16];
  const observer = new ResizeObserver(() => paint());
  observer.observe(element);

  /** @param {number} layer @param {number} head */
  function go(layer, head) {
    store.set({ layer, head, heads: [head] });
  }

  /** @param {KeyboardEvent} event */
  function keys(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || !shown) return;
    event.preventDefault();
    event.stopPropagation();
    const { layer, head } = store.get();
    const next = Math.min(shown.stream.layers.length - 1, Math.max(0, layer + step[0]));
    go(next, Math.min(shown.stream.layers[next].heads - 1, Math.max(0, head + step[1])));
  }

  /** @param {PointerEvent} event @returns {[number, number] | null} */
  function at(event) {
    const box = canvas.getBoundingClientRect();
    const head = Math.floor((event.clientX - box.left - MARGIN.left) / cellWidth);
    const layer = Math.floor((event.clientY - box.top - MARGIN.top) / cellHeight);
    const found = shown?.stream.layers[layer];
    return found && head >= 0 && head < found.heads ? [layer, head] : null;
  }

  /** @param {[number, number] | null} where */
  function tell(where) {
    if (!shown) return;
    const { layer, head } = store.get();
    const [one, two] = where ?? [layer, head];
    fill(told, el("b", {}, `${one}.${two}`), ` ${shown.tell(one, two)}`);
  }

  function paint() {
    if (!shown || !inks) return;
    const layers = shown.stream.layers;
    const most = Math.max(1, ...layers.map((layer) => layer.heads));
    const room = Math.max(60, element.clientWidth - 28 - MARGIN.left);
    cellWidth = Math.max(3, Math.min(26, room / most));
    cellHeight = Math.max(3, Math.min(26, Math.max(cellWidth, 12), 460 / layers.length));
    const [width, height] = [MARGIN.left + cellWidth * most + 2, MARGIN.top + cellHeight * layers.length + 2];
    const context = resize(canvas, width, height);
    const gap = cellWidth > 7 && cellHeight > 7 ? 1 : 0;
    context.font = "10px var(--mono), monospace";
    context.fillStyle = inks.quiet;
    context.textBaseline = "middle";
    const everyHead = Math.ceil(15 / cellWidth);
    const everyLayer = Math.ceil(11 / cellHeight);
    context.textAlign = "center";
    for (let head = 0; head < most; head += everyHead) context.fillText(String(head), MARGIN.left + (head + 0.5) * cellWidth, 7);
    context.textAlign = "right";
    for (const [row, layer] of layers.entries()) {
      context.fillStyle = inks.quiet;
      if (row % everyLayer === 0) context.fillText(String(row), MARGIN.left - 5, MARGIN.top + (row + 0.5) * cellHeight);
      for (let head = 0; head < layer.heads; head += 1) {
        context.fillStyle = shown.colour(row, head);
        context.fillRect(MARGIN.left + head * cellWidth, MARGIN.top + row * cellHeight, cellWidth - gap, cellHeight - gap);
      }
    }
    const { layer, head, heads } = store.get();
    context.strokeStyle = inks.accent;
    for (const one of heads) {
      context.lineWidth = one === head ? 2.5 : 1.25;
      context.strokeRect(MARGIN.left + one * cellWidth - 0.5, MARGIN.top + layer * cellHeight - 0.5, cellWidth - gap + 1, cellHeight - gap + 1);
    }
    tell(null);
    place.setAttribute("aria-label", `map of ${layers.length} layers of heads; layer ${layer}, head ${head} is chosen; arrow keys move`);
  }

  return {
    update(mapped, ramp, { streams: names, scores }) {
      [shown, inks] = [mapped, ramp];
      const state = store.get();
      streams.hidden = names.length < 2;
      renew(streams, ...names.map((name) => el("button", { title: name, "aria-pressed": String(name === state.stream), onclick: () => store.set({ stream: name, layer: 0, head: 0, heads: [0], query: -1, key: -1, hover: null, pin: null }) }, written(name))));
      fill(score, ...scores.map(({ name, label }) => el("option", { value: name, selected: name === state.score }, label)));
      fill(legend, ...(mapped ? [mapped.legend] : []));
      paint();
    },
  };
}

/**
 * The legend of a map coloured by a number.
 * @param {string} label
 * @param {(value: number) => string} colour
 * @param {number} low
 * @param {number} high
 * @param {(() => void) | null} [unpin]
 */
export function numberLegend(label, colour, low, high, unpin = null) {
  const stops = Array.from({ length: 9 }, (_, at) => colour(low + ((high - low) * at) / 8));
  return el(
    "div",
    { class: "legend" },
    unpin ? el("span", { class: "pinned" }, label, el("button", { title: "Back to the scores", onclick: unpin }, "unpin")) : el("span", {}, label),
    el("span", { class: "bar", style: { background: `linear-gradient(to right, ${stops.join(", ")})` } }),
    el("span", { class: "ends" }, el("span", {}, number(low)), el("span", {}, "√ scale"), el("span", {}, number(high))),
  );
}

/**
 * The legend of a map coloured by role.
 * @param {{role: string, colour: string}[]} roles that occur
 */
export function roleLegend(roles) {
  return el("div", { class: "legend" }, ...roles.map(({ role, colour }) => el("span", {}, el("i", { style: { background: colour } }), role)));
}
