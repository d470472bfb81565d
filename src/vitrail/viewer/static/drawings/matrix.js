/**
 * Matrix: every value of a head as a cell, from two tokens to thousands; zoomed around the pointer, moved by dragging.
 *
 * The matrix is computed once (matrix-values.js); a picture after that is as many reads as the screen has pixels.
 * @module
 */

import { el, label } from "vitrail/dom.js";
import { widthAt } from "vitrail/drawings/fitting.js";
import { paintCross, paintPin, pointed } from "vitrail/drawings/matrix-focus.js";
import { inside, layout, seen, showing } from "vitrail/drawings/matrix-geometry.js";
import { heat, palette, pixel, triple } from "vitrail/drawings/matrix-heat.js";
import { paintLegend, paintOver, paintSides, paintSums } from "vitrail/drawings/matrix-paint.js";
import { matrixTable } from "vitrail/drawings/matrix-table.js";
import { valuesOf } from "vitrail/drawings/matrix-values.js";
import { steer } from "vitrail/drawings/matrix-steer.js";
import { listen, stepped } from "vitrail/drawings/pointing.js";
import { openStage } from "vitrail/drawings/stage.js";
import { lookedAt } from "vitrail/store.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/types.js").Store} Store */
/** @typedef {import("vitrail/drawings/matrix-paint.js").Shown} Shown */

/** Where each page was last zoomed to: stepping through heads compares one place. @type {WeakMap<Store, {name: string, view: import("vitrail/drawings/matrix-geometry.js").View, factor: number}>} */
const remembered = new WeakMap();
/** As many cells are still written one by one into SVG; more become one picture. */
const CELLS = 4096;

/**
 * @param {HTMLElement} element
 * @param {import("vitrail/types.js").Scene} scene
 * @returns {import("vitrail/types.js").Drawn}
 */
export function render(element, scene) {
  const { store, ramp } = scene;
  const look = scene.looks[0];
  const [queries, keys] = [chosen(scene.shownQueries), chosen(scene.shownKeys)];
  if (!queries.length || !keys.length) return nothing(element);
  const name = [scene.queries.name, scene.keys.name, queries.length, keys.length].join("\n");
  const values = valuesOf(look, queries, keys, () => stage.ask("base", "over"));
  const ink = {
    colours: palette(ramp, scene.quantity.signed),
    paper: pixel(triple(ramp.paper)),
    hatch: pixel(triple(ramp.faint)),
  };
  const cells = document.createElement("canvas");
  /** @type {ImageData | null} */
  let image = null;
  // Scores add up to nothing that means something.
  const quantity = store.get().quantity;
  // A row of all weights is 1: nothing to see.
  const ones = quantity === "weight" && keys.length === scene.keys.length;
  /** @type {Shown} */
  const shown = { scene, values, queries, keys, rowSums: quantity !== "score" && !ones, columnSums: quantity !== "score", at: empty(), view: empty().fit };
  const stage = openStage(element, {
    name: "matrix",
    label: `${scene.quantity.label} of head ${look.name}: ${queries.length} queries by ${keys.length} keys. Arrow keys move, plus and minus zoom, 0 shows all, Enter keeps, P pins.`,
    layers: { base: paintBase, over: paintOverlay },
    arrange(width, height) {
      const before = shown.view.cellX / shown.at.fit.cellX;
      shown.at = layout({
        width,
        height,
        rows: queries.length,
        columns: keys.length,
        rowLabel: longest(scene.queries, queries),
        columnLabel: longest(scene.keys, keys),
        rowSums: shown.rowSums,
        columnSums: shown.columnSums,
      });
      const kept = remembered.get(store);
      const [from, factor] = kept?.name === name ? [kept.view, kept.factor] : [shown.view, before];
      move(inside({ ...from, cellX: shown.at.fit.cellX * factor, cellY: shown.at.fit.cellY * factor }, shown.at));
      return Math.max(height > 240 ? 0 : 240, shown.at.beside ? 0 : shown.at.legend.y + shown.at.legend.height);
    },
  });

  /** @param {import("vitrail/types.js").Axis} axis @param {Int32Array} places */
  function longest(axis, places) {
    let most = 0;
    // Of thousands of tokens some are enough: longer ones are cut.
    const step = Math.max(1, Math.floor(places.length / 512));
    for (let at = 0; at < places.length; at += step) most = Math.max(most, widthAt(label(axis, places[at]), 12));
    return Math.min(400, most + 2);
  }

  /** @param {import("vitrail/drawings/matrix-geometry.js").View} view */
  function move(view) {
    shown.view = view;
    remembered.set(store, { name, view, factor: view.cellX / shown.at.fit.cellX });
    values.want(...seen(view.top, view.cellY, shown.at.plot.height, queries.length));
  }

  function paintCells() {
    const { plot } = shown.at;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.max(1, Math.round(plot.width * ratio)), Math.max(1, Math.round(plot.height * ratio))];
    if (cells.width !== width) cells.width = width;
    if (cells.height !== height) cells.height = height;
    const context = /** @type {CanvasRenderingContext2D} */ (cells.getContext("2d"));
    if (image?.width !== width || image.height !== height) image = context.createImageData(width, height);
    const view = { ...shown.view, cellX: shown.view.cellX * ratio, cellY: shown.view.cellY * ratio };
    heat(new Uint32Array(image.data.buffer), width, height, values.levels, view, { ...ink, largest: values.largest(), ratio });
    context.putImageData(image, 0, 0);
  }

  /** @param {Pen} pen */
  function paintBase(pen) {
    paintCells();
    const { plot } = shown.at;
    pen.image(cells, plot.x, plot.y, plot.width, plot.height);
    paintRest(pen);
  }

  /** @param {Pen} pen */
  function paintRest(pen) {
    paintOver(pen, shown, values.largest());
    paintSides(pen, shown);
    paintSums(pen, shown);
    paintLegend(pen, shown, values.largest());
  }

  /** @param {Pen} pen */
  function paintOverlay(pen) {
    const state = store.get();
    if (state.pin) paintPin(pen, shown, state.pin);
    const { query, key } = lookedAt(state);
    paintCross(pen, shown, { row: query < 0 ? -1 : queries.indexOf(query), column: key < 0 ? -1 : keys.indexOf(key) }, state.hover !== null);
  }

  /** @param {number} x @param {number} y */
  function pick(x, y) {
    const { plot } = shown.at;
    if (steering.busy() || x < plot.x || y < plot.y || x >= plot.x + plot.width || y >= plot.y + plot.height) return null;
    const [row, column] = pointed(shown, x - plot.x, y - plot.y);
    const found = { query: queries[row], key: keys[column] };
    return { ...found, lock: found };
  }

  const steering = steer(stage, {
    at: () => shown.at,
    view: () => shown.view,
    set(view) {
      move(view);
      stage.ask("base", "over");
    },
  });
  const unlisten = listen(stage, {
    store,
    pick,
    press: () => steering.dragged(),
    move(now, arrow) {
      const query = now.query < 0 ? queries[0] : arrow === "ArrowUp" ? stepped(queries, now.query, -1) : arrow === "ArrowDown" ? stepped(queries, now.query, 1) : now.query;
      const key = now.key < 0 ? keys[0] : arrow === "ArrowLeft" ? stepped(keys, now.key, -1) : arrow === "ArrowRight" ? stepped(keys, now.key, 1) : now.key;
      move(showing(shown.view, queries.indexOf(query), keys.indexOf(key), shown.at));
      stage.ask("base", "over");
      return { query, key };
    },
  });
  const unsubscribe = store.subscribe((_, changed) => {
    if (["hover", "query", "key", "pin"].some((one) => changed.has(/** @type {keyof import("vitrail/types.js").State} */ (one)))) stage.ask("over");
  });

  return {
    cleanup() {
      values.stop();
      unsubscribe();
      unlisten();
      steering.cleanup();
      stage.cleanup();
    },
    paint(pen) {
      const { plot, legend } = shown.at;
      if (!vectorCells(pen, shown)) {
        paintCells();
        pen.image(cells, plot.x, plot.y, plot.width, plot.height);
      }
      paintRest(pen);
      paintOverlay(pen);
      return { width: Math.max(legend.x + legend.width, plot.x + plot.width + 40) + 16, height: Math.max(plot.y + plot.height + 40, legend.y + legend.height) + 16 };
    },
    table: () => matrixTable(shown),
  };
}

/** @returns {import("vitrail/drawings/matrix-geometry.js").Layout} */
function empty() {
  const box = { x: 0, y: 0, width: 1, height: 1 };
  return { plot: box, legend: box, beside: true, fit: { left: 0, top: 0, cellX: 1, cellY: 1 } };
}

/** @param {HTMLElement} element @returns {import("vitrail/types.js").Drawn} */
function nothing(element) {
  const said = el("div", { class: "matrix-empty" }, "Nothing is left to show: every query or every key is left out.");
  element.append(said);
  return {
    cleanup: () => said.remove(),
    paint: () => ({ width: 1, height: 1 }),
    table: () => ({ caption: "nothing is shown", columns: [], rows: [] }),
  };
}

/** @param {Uint8Array} flags */
function chosen(flags) {
  const found = [];
  for (let at = 0; at < flags.length; at += 1) if (flags[at]) found.push(at);
  return Int32Array.from(found);
}

/** Cells one by one, where they are few enough to stay shapes in a file. @param {Pen} pen @param {Shown} shown */
function vectorCells(pen, { scene, values, queries, keys, at: { plot }, view }) {
  const [rowFrom, rowTo] = seen(view.top, view.cellY, plot.height, queries.length);
  const [columnFrom, columnTo] = seen(view.left, view.cellX, plot.width, keys.length);
  if ((rowTo - rowFrom) * (columnTo - columnFrom) > CELLS) return false;
  const colour = scene.quantity.signed ? scene.ramp.signed : scene.ramp.sequential;
  for (let row = rowFrom; row < rowTo; row += 1) {
    const y = plot.y + Math.max(0, (row - view.top) * view.cellY);
    const height = plot.y + Math.min(plot.height, (row + 1 - view.top) * view.cellY) - y;
    for (let column = columnFrom; column < columnTo; column += 1) {
      const x = plot.x + Math.max(0, (column - view.left) * view.cellX);
      const width = plot.x + Math.min(plot.width, (column + 1 - view.left) * view.cellX) - x;
      const value = values.levels[0].values[row * values.columns + column];
      if (Number.isNaN(value)) {
        const short = Math.min(width, height);
        pen.line(x, y + short, x + short, y, scene.ramp.faint);
      } else pen.rect(x, y, width, height, colour(value, values.largest()));
    }
  }
  return true;
}
