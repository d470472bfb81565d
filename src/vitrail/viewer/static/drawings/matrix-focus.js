/**
 * What is looked at in the matrix: the cell under the pointer, its row and its column, and the pinned link.
 * @module
 */

import { label } from "vitrail/dom.js";
import { clipped, widthAt } from "vitrail/drawings/fitting.js";
import { triple } from "vitrail/drawings/matrix-heat.js";
import { exactly, over, SANS_WIDTH } from "vitrail/drawings/matrix-paint.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/drawings/matrix-paint.js").Shown} Shown */

/**
 * The row and column under the pointer; where a pixel covers many cells, of the one that gives it its colour.
 * @param {Shown} shown @param {number} x @param {number} y
 */
export function pointed({ values, view }, x, y) {
  const within = (/** @type {number} */ place, /** @type {number} */ count) => Math.min(count - 1, Math.max(0, Math.floor(place)));
  const [row, column] = [within(view.top + y / view.cellY, values.rows), within(view.left + x / view.cellX, values.columns)];
  if (view.cellX >= 1 && view.cellY >= 1) return [row, column];
  const [lastRow, lastColumn] = [within(view.top + (y + 1) / view.cellY, values.rows), within(view.left + (x + 1) / view.cellX, values.columns)];
  let [best, size] = [[row, column], -1];
  for (let i = row; i <= lastRow; i += 1) {
    for (let j = column; j <= lastColumn; j += 1) {
      const magnitude = Math.abs(values.levels[0].values[i * values.columns + j]);
      if (magnitude > size) [best, size] = [[i, j], magnitude];
    }
  }
  return best;
}

/** @param {Pen} pen @param {Shown} shown @param {[number, number]} pin */
export function paintPin(pen, { scene, queries, keys, at: { plot }, view }, pin) {
  const [row, column] = [queries.indexOf(pin[0]), keys.indexOf(pin[1])];
  const [x, y] = [plot.x + (column - view.left) * view.cellX, plot.y + (row - view.top) * view.cellY];
  if (row < 0 || column < 0 || x < plot.x - 1 || y < plot.y - 1 || x > plot.x + plot.width || y > plot.y + plot.height) return;
  const air = Math.max(0, (9 - view.cellX) / 2);
  pen.frame(x - air, y - air, view.cellX + 2 * air, view.cellY + 2 * air, scene.ramp.accent, 3);
}

/**
 * The row and the column that are looked at, their tokens, and their value.
 * @param {Pen} pen @param {Shown} shown @param {{row: number, column: number}} cell @param {boolean} told with the value beside it
 */
export function paintCross(pen, shown, { row, column }, told) {
  const { scene, values, queries, keys, at, view } = shown;
  const { plot } = at;
  const { accent, paper, faint, ink, quiet } = scene.ramp;
  const [x, y] = [plot.x + (column - view.left) * view.cellX, plot.y + (row - view.top) * view.cellY];
  const [width, height] = [Math.max(1, view.cellX), Math.max(1, view.cellY)];
  const [right, bottom] = [plot.x + plot.width, plot.y + plot.height];
  const [inRows, inColumns] = [row >= 0 && y + height > plot.y && y < bottom, column >= 0 && x + width > plot.x && x < right];
  const on = over(triple(accent));
  if (inRows) {
    for (const edge of height > 3 ? [y, y + height] : [y + height / 2]) if (edge >= plot.y - 1 && edge <= bottom + 1) pen.line(plot.x, edge, right, edge, accent, 1, 0.85);
    const text = clipped(label(scene.queries, queries[row]), plot.x - 14, 12);
    const long = widthAt(text, 12) + 8;
    pen.rect(plot.x - 4 - long, y + height / 2 - 9, long + 2, 18, accent);
    pen.text(text, plot.x - 6, y + height / 2, { size: 12, colour: on, align: "right", mono: true });
  }
  if (inColumns) {
    for (const edge of width > 3 ? [x, x + width] : [x + width / 2]) if (edge >= plot.x - 1 && edge <= right + 1) pen.line(edge, plot.y, edge, bottom, accent, 1, 0.85);
    const text = clipped(label(scene.keys, keys[column]), 180, 12);
    const long = widthAt(text, 12) + 8;
    pen.rect(x + width / 2 - long / 2, plot.y - 21, long, 18, accent);
    pen.text(text, x + width / 2, plot.y - 12, { size: 12, colour: on, align: "center", mono: true });
  }
  if (!inRows || !inColumns) return;
  const air = Math.max(0, (7 - width) / 2);
  pen.frame(x - air, y - air, width + 2 * air, height + 2 * air, accent, 2);
  if (!told) return;
  const value = scene.looks[0].entry(queries[row], keys[column]);
  const masked = values.exact(row) && Number.isNaN(values.levels[0].values[row * values.columns + column]);
  const lines = [
    `${clipped(label(scene.queries, queries[row]), 150, 12)} → ${clipped(label(scene.keys, keys[column]), 150, 12)}`,
    masked ? "may not be looked at" : exactly(value),
    ...(shown.columnSums && values.done() === 1 ? [`sums: row ${exactly(values.rowSums[row])}, column ${exactly(values.columnSums[column])}`] : []),
  ];
  const long = Math.max(widthAt(lines[0], 12), ...lines.slice(1).map((line) => SANS_WIDTH * widthAt(line, 13.5))) + 20;
  const tall = 12 + 18 * lines.length;
  const left = x + width + 12 + long > right + 120 ? Math.max(4, x - 12 - long) : x + width + 12;
  const top = y + height + 12 + tall > bottom + 30 ? Math.max(4, y - 12 - tall) : y + height + 12;
  pen.rect(left, top, long, tall, paper, 0.96);
  pen.frame(left, top, long, tall, faint);
  pen.text(lines[0], left + 10, top + 15, { size: 12, colour: ink, mono: true });
  pen.text(lines[1], left + 10, top + 33, { size: 13, colour: ink, weight: 600 });
  if (lines[2]) pen.text(lines[2], left + 10, top + 51, { size: 11.5, colour: quiet });
}
