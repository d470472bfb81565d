/**
 * Model: every head of every layer as a thumbnail, in the order of layers or of any score, framed by role; a click opens one.
 *
 * Thumbnails were computed at capture, so that 3,072 heads of thousands of tokens cost as little here as 12 of ten.
 * @module
 */

import { el, fill, number } from "vitrail/dom.js";
import { headTable, ordered, rolesMet, scoreAt, scoresOf } from "vitrail/drawings/heads.js";
import { clipped, widthAt } from "vitrail/drawings/fitting.js";
import { pixel } from "vitrail/drawings/matrix-heat.js";
import { SANS_WIDTH, wrapped } from "vitrail/drawings/matrix-paint.js";
import { corner, neighbour, plan, thumbnailAt } from "vitrail/drawings/model-layout.js";
import { openStage } from "vitrail/drawings/stage.js";
import { scoreLabel } from "vitrail/sentences.js";
import { UNCLEAR } from "vitrail/roles.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/types.js").Store} Store */
/** @typedef {import("vitrail/types.js").Overview} Overview */

/** How each page sorted and filtered last. @type {WeakMap<Store, {sort: string, role: string}>} */
const remembered = new WeakMap();

/**
 * @param {HTMLElement} element
 * @param {Overview} overview
 * @returns {import("vitrail/types.js").Drawn}
 */
export function render(element, { store, stream, ramp, roles }) {
  const asked = remembered.get(store) ?? { sort: "layer", role: "" };
  remembered.set(store, asked);
  if (asked.role && !roles.flat().some(({ role }) => role === asked.role)) asked.role = "";
  if (asked.sort !== "layer" && asked.sort !== "role" && !scoresOf(stream).includes(asked.sort)) asked.sort = "layer";
  const pictures = thumbnails(stream, ramp);
  let order = ordered(stream, roles, asked);
  let hovered = -1;
  /** @type {import("vitrail/drawings/model-layout.js").Plan} */
  let at = plan({ width: 600, height: 400, layers: [], sorted: 0 });

  const chosen = () => order.findIndex(({ layer, head }) => layer === store.get().layer && head === store.get().head);
  const chips = el("div", { class: "model-roles", role: "group", "aria-label": "only heads of one role" });
  const sort = el(
    "select",
    { "aria-label": "order of heads", onchange: () => change({ sort: sort.value }) },
    ...["layer", "role", ...scoresOf(stream)].map((name) => el("option", { value: name, selected: name === asked.sort }, name === "layer" || name === "role" ? name : scoreLabel(name))),
  );
  const controls = el("div", { class: "model-controls" }, el("label", { class: "choice" }, el("span", {}, "by"), sort), chips);
  element.classList.add("model-root");
  element.append(controls);

  const stage = openStage(element, {
    name: "model",
    label: `${order.length} heads of ${stream.name}. Arrow keys move, Enter opens the head as lines.`,
    layers: { base: paintBase, over: paintOver },
    arrange(width, height) {
      const byLayer = asked.sort === "layer" && !asked.role;
      at = plan({ width, height, layers: stream.layers.map(({ heads }) => heads), sorted: byLayer ? null : order.length });
      return at.height;
    },
  });
  const stop = new AbortController();

  /** @param {Partial<{sort: string, role: string}>} patch */
  function change(patch) {
    Object.assign(asked, patch);
    order = ordered(stream, roles, asked);
    hovered = -1;
    showChips();
    stage.scroll(0);
    stage.arrange();
  }

  function showChips() {
    fill(
      chips,
      ...rolesMet(roles).map(({ role, colour, count }) =>
        el(
          "button",
          { "aria-pressed": String(asked.role === role), title: asked.role === role ? "Show all heads" : `Only heads of this role: ${role}`, onclick: () => change({ role: asked.role === role ? "" : role }) },
          el("i", { style: { background: colour } }),
          `${role} ${count}`,
        ),
      ),
    );
  }
  showChips();

  /** @param {Pen} pen @param {number} top @param {number} height */
  function paintHeads(pen, top, height) {
    const first = new Set();
    for (const [place, one] of order.entries()) {
      const [x, down] = corner(at, place, one);
      const y = down - top;
      if (y + at.line < 0 || y > height) continue;
      const { role, colour } = roles[one.layer][one.head];
      const clear = role !== UNCLEAR;
      pen.image(pictures(one.layer, one.head, at.size), x, y, at.size, at.size);
      pen.frame(x - 0.5, y - 0.5, at.size + 1, at.size + 1, clear ? colour : ramp.faint, clear ? 2 : 1);
      if (!at.rows.length) {
        const value = asked.sort === "layer" || asked.sort === "role" ? roles[one.layer][one.head].score : scoreAt(stream, asked.sort, one);
        pen.text(`${one.layer}.${one.head}`, x, y + at.size + 11, { size: 11, colour: ramp.ink, mono: true });
        if (at.size >= 44) pen.text(at.size < 80 && Math.abs(value) < 1 ? value.toFixed(2).slice(1) : number(value), x + at.size, y + at.size + 11, { size: 11, colour: ramp.quiet, align: "right" });
      } else if (!first.has(one.layer) && one.head === 0) {
        first.add(one.layer);
        pen.text(String(one.layer), x - 9, y + at.size / 2, { size: 12, colour: ramp.quiet, align: "right" });
      }
      if (at.rows.length && one.layer === 0 && one.head < at.perRow && at.step >= 16) pen.text(String(one.head), x + at.size / 2, y - 10, { size: 11, colour: ramp.quiet, align: "center" });
    }
    if (!order.length) pen.text("No head has this role.", 24, 40, { size: 13, colour: ramp.quiet });
  }

  /** @param {Pen} pen @param {import("vitrail/drawings/stage.js").View} view */
  function paintBase(pen, { top, height }) {
    paintHeads(pen, top, height);
  }

  /** @param {Pen} pen @param {import("vitrail/drawings/stage.js").View} view */
  function paintOver(pen, { top, height }) {
    const now = chosen();
    for (const [place, line] of /** @type {[number, number][]} */ ([[now, 3], [hovered, 2]])) {
      if (place < 0) continue;
      const [x, y] = corner(at, place, order[place]);
      pen.frame(x - 3.5, y - top - 3.5, at.size + 7, at.size + 7, ramp.accent, line);
    }
    const told = hovered >= 0 ? hovered : now;
    if (told >= 0) paintPreview(pen, order[told], at.preview.across ? at.height - 168 + 12 - top : at.preview.y, height);
  }

  /** @param {Pen} pen @param {import("vitrail/drawings/heads.js").Place} place @param {number} y0 @param {number} height */
  function paintPreview(pen, place, y0, height) {
    const { x, width, across } = at.preview;
    const y = across ? Math.max(y0, height - 168 + 12) : y0;
    const size = across ? 144 : Math.min(168, width);
    const { role, colour, evidence } = roles[place.layer][place.head];
    if (across) pen.rect(0, y - 12, 4000, 400, ramp.paper);
    pen.image(pictures(place.layer, place.head, size), x, y, size, size);
    pen.frame(x - 0.5, y - 0.5, size + 1, size + 1, ramp.faint);
    const [left, room] = across ? [x + size + 18, Math.min(460, width - size - 18)] : [x, width];
    let down = across ? y + 10 : y + size + 22;
    pen.text(`Head ${place.layer}.${place.head}`, left, down, { size: 15, colour: ramp.ink, weight: 600 });
    down += 22;
    pen.rect(left, down - 5, 10, 10, colour);
    pen.text(clipped(role, room - 16, 12.5), left + 16, down, { size: 12.5, colour: ramp.ink });
    down += 20;
    for (const line of wrapped(evidence, room, (text) => SANS_WIDTH * widthAt(text, 12))) {
      pen.text(line, left, down, { size: 12, colour: ramp.quiet });
      down += 17;
    }
  }

  /** @param {number} place */
  function open(place) {
    const { layer, head } = order[place];
    store.set({ layer, head, heads: [head], drawing: "lines", hover: null });
  }

  /** @param {MouseEvent} event */
  const pointed = (event) => {
    const box = stage.pane.getBoundingClientRect();
    const y = event.clientY - box.top;
    return at.preview.across && y > stage.view.height - 168 ? -1 : thumbnailAt(at, order, event.clientX - box.left, y + stage.view.top);
  };
  const { signal } = stop;
  /** @param {number} place */
  const hover = (place) => {
    if (place === hovered) return;
    hovered = place;
    stage.pane.style.cursor = place < 0 ? "" : "pointer";
    stage.ask("over");
  };
  stage.pane.addEventListener("pointermove", (event) => hover(pointed(event)), { signal });
  stage.pane.addEventListener("pointerleave", () => hover(-1), { signal });
  stage.pane.addEventListener("click", (event) => {
    const place = pointed(event);
    if (place >= 0) open(place);
  }, { signal });
  stage.element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && chosen() >= 0) open(chosen());
    else if (event.key.startsWith("Arrow")) {
      const place = neighbour(at, order, chosen(), event.key);
      if (place < 0) return;
      const [, y] = corner(at, place, order[place]);
      const { top, height } = stage.view;
      const room = height - (at.preview.across ? 168 : 0);
      if (y < top + 24) stage.scroll(y - 24);
      else if (y + at.line > top + room) stage.scroll(y + at.line - room);
      const { layer, head } = order[place];
      hover(-1);
      store.set({ layer, head, heads: [head] });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }, { signal });
  const unsubscribe = store.subscribe((_, changed) => {
    if (changed.has("layer") || changed.has("head")) stage.ask("over");
  });

  return {
    cleanup() {
      stop.abort();
      unsubscribe();
      stage.cleanup();
      controls.remove();
      element.classList.remove("model-root");
    },
    paint(pen) {
      // All heads, also those that are scrolled away.
      paintHeads(pen, 0, Number.POSITIVE_INFINITY);
      const end = order.reduce((most, one, place) => Math.max(most, corner(at, place, one)[0] + at.size), 0);
      const bottom = order.reduce((most, one, place) => Math.max(most, corner(at, place, one)[1] + at.line), 0);
      let x = at.left;
      for (const { role, colour } of rolesMet(roles)) {
        pen.rect(x, bottom + 12, 10, 10, colour);
        pen.text(role, x + 15, bottom + 17, { size: 11.5, colour: ramp.quiet });
        x += 36 + SANS_WIDTH * widthAt(role, 11.5);
      }
      return { width: Math.max(end, x) + 16, height: bottom + 40 };
    },
    table: () => headTable(stream, roles, order),
  };
}

/** Of 255², the mass of a cell that is given the full colour at least. */
const PALE = 0.15 * 255 ** 2;

/**
 * Pictures of heads as large as they are drawn, made when they are first seen.
 * @param {import("vitrail/types.js").Stream} stream
 * @param {import("vitrail/types.js").Ramp} ramp
 */
function thumbnails(stream, ramp) {
  /** @type {Map<string, HTMLCanvasElement>} */
  const known = new Map();
  /** @param {number} layer @param {number} head @param {number} size */
  return (layer, head, size) => {
    const pixels = Math.max(1, Math.round(size * (window.devicePixelRatio || 1)));
    const name = `${layer}.${head}.${pixels}`;
    let found = known.get(name);
    if (!found) known.set(name, (found = drawThumbnail(stream.layers[layer].digest, head, pixels, ramp)));
    return found;
  };
}

/**
 * @param {import("vitrail/types.js").Digest | null} digest
 * @param {number} head
 * @param {number} pixels
 * @param {import("vitrail/types.js").Ramp} ramp
 */
function drawThumbnail(digest, head, pixels, ramp) {
  const canvas = el("canvas", { width: pixels, height: pixels });
  if (!digest) return canvas;
  const { rows, columns, data } = digest.thumbnails;
  const mass = data.subarray(head * rows * columns, (head + 1) * rows * columns);
  // Each head up to its own largest, so that its pattern is seen; but one that looks everywhere alike stays pale.
  let most = 0;
  for (const value of mass) if (value > most) most = value;
  const largest = Math.max(PALE, most ** 2);
  const colours = Uint32Array.from({ length: most + 1 }, (_, value) => pixel(ramp.rgb(value ** 2, largest, false)));
  const small = el("canvas", { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  const out = new Uint32Array(image.data.buffer);
  for (let at = 0; at < mass.length; at += 1) out[at] = colours[mass[at]];
  /** @type {CanvasRenderingContext2D} */ (small.getContext("2d")).putImageData(image, 0, 0);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingEnabled = pixels < Math.max(rows, columns);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, pixels, pixels);
  return canvas;
}
