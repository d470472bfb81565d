/**
 * Painting the matrix: cells, tokens or ticks along its sides, sums in its margins, and what colours mean.
 * @module
 */

import { label, number } from "vitrail/dom.js";
import { clipped, widthAt } from "vitrail/drawings/fitting.js";
import { seen, SUMS, tickStep } from "vitrail/drawings/matrix-geometry.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/types.js").Scene} Scene */
/** @typedef {import("vitrail/drawings/matrix-geometry.js").View} View */

/**
 * @typedef {Object} Shown
 * @property {Scene} scene
 * @property {import("vitrail/drawings/matrix-values.js").Values} values
 * @property {Int32Array} queries that are rows
 * @property {Int32Array} keys that are columns
 * @property {import("vitrail/drawings/matrix-geometry.js").Layout} at
 * @property {View} view
 * @property {boolean} rowSums rows may be added up, and aren't all 1
 * @property {boolean} columnSums columns may be added up
 */

/** Cells at least so large have their token beside them. */
export const LABELLED = 11;
const GAP = 6;

/** @param {number} cell */
function sizeOf(cell) {
  return cell >= 15 ? 12 : 11;
}

/** @param {Pen} pen @param {Shown} shown */
export function paintSides(pen, shown) {
  const { scene, queries, keys, at, view } = shown;
  const { plot } = at;
  const { ink, quiet, faint } = scene.ramp;
  const [rowFrom, rowTo] = seen(view.top, view.cellY, plot.height, queries.length);
  const [columnFrom, columnTo] = seen(view.left, view.cellX, plot.width, keys.length);
  const y = (/** @type {number} */ row) => plot.y + (row + 0.5 - view.top) * view.cellY;
  const x = (/** @type {number} */ column) => plot.x + (column + 0.5 - view.left) * view.cellX;
  /** @param {Axis} axis @param {number} place */
  const colour = (axis, place) => (axis.special?.[place] ? quiet : ink);
  if (view.cellY >= LABELLED) {
    for (let row = rowFrom; row < rowTo; row += 1) {
      if (y(row) < plot.y || y(row) > plot.y + plot.height) continue;
      const size = sizeOf(view.cellY);
      const text = clipped(label(scene.queries, queries[row]), plot.x - 10 - GAP, size);
      pen.text(text, plot.x - GAP, y(row), { size, colour: colour(scene.queries, queries[row]), align: "right", mono: true });
    }
  } else {
    const step = tickStep(view.cellY, 40);
    for (let row = Math.ceil(rowFrom / step) * step; row < rowTo; row += step) {
      if (y(row) < plot.y) continue;
      pen.line(plot.x - 5, y(row), plot.x - 1, y(row), quiet);
      pen.text(String(queries[row]), plot.x - 9, y(row), { size: 11, colour: quiet, align: "right" });
    }
  }
  if (view.cellX >= LABELLED) paintColumnLabels(pen, shown, columnFrom, columnTo, x);
  else {
    const step = tickStep(view.cellX, 56);
    for (let column = Math.ceil(columnFrom / step) * step; column < columnTo; column += step) {
      if (x(column) < plot.x) continue;
      pen.line(x(column), plot.y - 5, x(column), plot.y - 1, quiet);
      pen.text(String(keys[column]), x(column), plot.y - 13, { size: 11, colour: quiet, align: "center" });
    }
  }
  pen.frame(plot.x - 0.5, plot.y - 0.5, plot.width + 1, plot.height + 1, faint);
}

/** @typedef {import("vitrail/types.js").Axis} Axis */

/** @param {Pen} pen @param {Shown} shown @param {number} from @param {number} to @param {(column: number) => number} x */
function paintColumnLabels(pen, { scene, keys, at: { plot }, view }, from, to, x) {
  const size = sizeOf(view.cellX);
  const texts = Array.from({ length: to - from }, (_, column) => label(scene.keys, keys[from + column]));
  const widest = Math.max(...texts.map((text) => widthAt(text, size)));
  // Flat where all fit over their column, slanting where slanted lines stay apart, else upright.
  const turn = widest <= view.cellX - 4 ? 0 : view.cellX >= 17 ? -45 : -90;
  const room = turn === -45 ? (plot.y - 18) / 0.72 : plot.y - 14;
  for (const [place, text] of texts.entries()) {
    const column = from + place;
    if (x(column) < plot.x || x(column) > plot.x + plot.width) continue;
    const colour = scene.keys.special?.[keys[column]] ? scene.ramp.quiet : scene.ramp.ink;
    const written = turn ? clipped(text, room, size) : text;
    pen.text(written, x(column), plot.y - (turn ? GAP : 11), { size, colour, mono: true, align: turn ? "left" : "center", turn });
  }
}

/**
 * Lines between cells, between sentences, and numbers in cells that are large enough.
 * @param {Pen} pen @param {Shown} shown @param {number} largest
 */
export function paintOver(pen, { scene, values, queries, keys, at: { plot }, view }, largest) {
  const [rowFrom, rowTo] = seen(view.top, view.cellY, plot.height, queries.length);
  const [columnFrom, columnTo] = seen(view.left, view.cellX, plot.width, keys.length);
  const y = (/** @type {number} */ row) => plot.y + (row - view.top) * view.cellY;
  const x = (/** @type {number} */ column) => plot.x + (column - view.left) * view.cellX;
  const [bottom, right] = [plot.y + plot.height, plot.x + plot.width];
  if (Math.min(view.cellX, view.cellY) >= 9) {
    for (let row = rowFrom; row <= rowTo; row += 1) if (y(row) > plot.y + 1 && y(row) < bottom - 1) pen.line(plot.x, y(row), right, y(row), scene.ramp.paper);
    for (let column = columnFrom; column <= columnTo; column += 1) if (x(column) > plot.x + 1 && x(column) < right - 1) pen.line(x(column), plot.y, x(column), bottom, scene.ramp.paper);
  }
  const [mine, theirs] = [scene.queries.segments, scene.keys.segments];
  for (let row = Math.max(1, rowFrom); mine && row < rowTo; row += 1) if (mine[queries[row]] !== mine[queries[row - 1]] && y(row) > plot.y) pen.line(plot.x, y(row), right, y(row), scene.ramp.quiet, 1, 0.75);
  for (let column = Math.max(1, columnFrom); theirs && column < columnTo; column += 1) if (theirs[keys[column]] !== theirs[keys[column - 1]] && x(column) > plot.x) pen.line(x(column), plot.y, x(column), bottom, scene.ramp.quiet, 1, 0.75);
  if (view.cellX < 34 || view.cellY < 17) return;
  for (let row = rowFrom; row < rowTo; row += 1) {
    const middle = y(row) + view.cellY / 2;
    if (middle < plot.y + 7 || middle > bottom - 7) continue;
    for (let column = columnFrom; column < columnTo; column += 1) {
      const centre = x(column) + view.cellX / 2;
      const value = values.levels[0].values[row * values.columns + column];
      if (centre < plot.x + 14 || centre > right - 14 || !Number.isFinite(value)) continue;
      const text = inCell(value);
      if (text) pen.text(text, centre, middle, { size: 11, colour: over(scene.ramp.rgb(value, largest, scene.quantity.signed)), align: "center", mono: true });
    }
  }
}

/**
 * A value as short as a cell: two digits, nothing for what rounds to nothing.
 * @param {number} value
 */
export function inCell(value) {
  const size = Math.abs(value);
  if (size < 0.005) return "";
  const text = size >= 9.95 ? size.toFixed(0) : size >= 0.995 ? size.toFixed(1) : size.toFixed(2).slice(1);
  return value < 0 ? `−${text}` : text;
}

/**
 * Black or white, whichever is read better over a colour.
 * @param {[number, number, number]} colour
 */
export function over([red, green, blue]) {
  const linear = [red, green, blue].map((part) => (part / 255) ** 2.2);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.22 ? "#16171c" : "#ffffff";
}

/** @param {Pen} pen @param {Shown} shown */
export function paintSums(pen, { scene, values, at: { plot }, view, rowSums, columnSums }) {
  const alpha = values.done() < 1 ? 0.3 : 0.6;
  const [right, below] = [plot.x + plot.width + GAP, plot.y + plot.height + GAP];
  const colour = scene.ramp.quiet;
  for (const { start, width, size } of rowSums ? bars(values.rowSums, view.top, view.cellY, plot.height) : []) {
    pen.rect(right, plot.y + start, Math.max(0.5, size * SUMS), width, colour, alpha);
  }
  for (const { start, width, size } of columnSums ? bars(values.columnSums, view.left, view.cellX, plot.width) : []) {
    pen.rect(plot.x + start, below, width, Math.max(0.5, size * SUMS), colour, alpha);
  }
}

/**
 * Bars of what is seen: one a cell, or one a pixel with the longest of its cells; sizes from 0 to 1 of the largest of all.
 * @param {Float64Array} sums
 * @param {number} begin
 * @param {number} cell
 * @param {number} pixels
 */
export function bars(sums, begin, cell, pixels) {
  let most = 0;
  for (const sum of sums) most = Math.max(most, Math.abs(sum));
  const found = [];
  if (cell >= 1) {
    const [from, to] = seen(begin, cell, pixels, sums.length);
    for (let at = from; at < to; at += 1) {
      const air = cell >= 6 ? Math.max(1, (cell - 14) / 2) : 0;
      const start = Math.max(0, (at - begin) * cell + air);
      const width = Math.min(pixels, (at + 1 - begin) * cell - air) - start;
      if (width > 0) found.push({ start, width, size: most ? Math.abs(sums[at]) / most : 0 });
    }
    return found;
  }
  for (let start = 0; start < pixels; start += 1) {
    const [from, to] = [Math.floor(begin + start / cell), Math.min(sums.length, Math.ceil(begin + (start + 1) / cell))];
    let size = 0;
    for (let at = from; at < to; at += 1) size = Math.max(size, Math.abs(sums[at]));
    found.push({ start, width: 1, size: most ? size / most : 0 });
  }
  return found;
}

/** @param {Pen} pen @param {Shown} shown @param {number} largest */
export function paintLegend(pen, { scene, values, keys, at, view, columnSums }, largest) {
  const { ramp, quantity, looks } = scene;
  const { x, width } = at.legend;
  let y = at.legend.y + 7;
  const bar = Math.min(width, LEGEND_BAR);
  /** @param {string} text @param {string} [colour] */
  const say = (text, colour = ramp.quiet) => {
    for (const line of wrapped(text, width, (part) => SANS_WIDTH * widthAt(part, 11.5))) {
      pen.text(line, x, y, { size: 11.5, colour });
      y += 16;
    }
  };
  pen.text(`Head ${looks[0].name}`, x, y, { size: 14, colour: ramp.ink, weight: 600 });
  y += 20;
  say(quantity.label, ramp.ink);
  y += 3;
  const steps = bar / 2;
  for (let step = 0; step < steps; step += 1) {
    const root = quantity.signed ? (2 * step) / (steps - 1) - 1 : step / (steps - 1);
    const [value, draw] = [Math.sign(root) * root * root * (largest || 1), quantity.signed ? ramp.signed : ramp.sequential];
    pen.rect(x + (step * bar) / steps, y - 5, 2, 10, draw(value, largest || 1));
  }
  pen.frame(x - 0.5, y - 5.5, bar + 1, 11, ramp.faint);
  y += 16;
  const ends = quantity.signed ? [-largest, 0, largest] : [0, largest / 4, largest];
  for (const [place, end] of ends.entries()) {
    pen.text(number(end), x + (place * bar) / 2, y, { size: 11, colour: ramp.quiet, align: /** @type {const} */ (["left", "center", "right"])[place] });
  }
  y += 17;
  say("√ scale: a quarter of the largest is half way");
  y += 5;
  const pairs = Math.round(Math.max(1, 1 / view.cellX) * Math.max(1, 1 / view.cellY));
  if (values.done() < 1) say(`sharpening … ${Math.round(100 * values.done())}%`, ramp.accent);
  else if (pairs > 1) say(`a pixel is the strongest of ${pairs} pairs: zoom in to see each`);
  if (values.masked()) {
    pen.frame(x + 0.5, y - 5.5, 11, 11, ramp.faint);
    pen.line(x + 1, y + 5, x + 11, y - 5, ramp.quiet);
    pen.text("may not be looked at", x + 18, y, { size: 11.5, colour: ramp.quiet });
    y += 18;
  }
  if (columnSums && values.done() === 1) {
    const most = values.columnSums.reduce((best, sum, place) => (Math.abs(sum) > Math.abs(values.columnSums[best]) ? place : best), 0);
    const name = clipped(label(scene.keys, keys[most]), 90, 11.5);
    say(`Bars: the sum over all queries, most at “${name}” (${number(values.columnSums[most])})`);
  }
}

const LEGEND_BAR = 150;
/** Text that isn't monospaced is narrower, on average. */
export const SANS_WIDTH = 0.95;

/**
 * @param {string} text
 * @param {number} room
 * @param {(part: string) => number} width
 */
export function wrapped(text, room, width) {
  /** @type {string[]} */
  const lines = [];
  for (const word of text.split(" ")) {
    const last = lines.length - 1;
    if (last >= 0 && width(`${lines[last]} ${word}`) <= room) lines[last] += ` ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** As many digits as agree with Python. @param {number} value */
export function exactly(value) {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value < 0 ? "−∞" : "∞";
  const size = Math.abs(value);
  const text = size >= 1e4 || (size > 0 && size < 1e-5) ? size.toExponential(2) : size > 0 && size < 0.01 ? size.toFixed(6) : size.toFixed(4);
  return value < 0 ? `−${text}` : text;
}
