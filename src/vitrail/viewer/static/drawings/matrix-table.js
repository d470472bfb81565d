/**
 * The matrix as numbers: what is on the screen, exactly where that is few enough, else pooled as it is seen.
 * @module
 */

import { label } from "vitrail/dom.js";
import { seen } from "vitrail/drawings/matrix-geometry.js";

/** So many cells at most: a table that a spreadsheet opens. */
const MOST = 40_000;

/**
 * @param {import("vitrail/drawings/matrix-paint.js").Shown} shown
 * @returns {import("vitrail/types.js").Table}
 */
export function matrixTable({ scene, values, queries, keys, at: { plot }, view, columnSums }) {
  const [rowFrom, rowTo] = seen(view.top, view.cellY, plot.height, queries.length);
  const [columnFrom, columnTo] = seen(view.left, view.cellX, plot.width, keys.length);
  const whole = rowTo - rowFrom === queries.length && columnTo - columnFrom === keys.length;
  const exact = (rowTo - rowFrom) * (columnTo - columnFrom) <= MOST;
  const level = exact ? 0 : depth(rowTo - rowFrom, columnTo - columnFrom, values.levels.length);
  const { columns, values: found } = values.levels[level];
  const size = 2 ** level;
  /** @param {number} from @param {number} to @param {Int32Array} places @param {import("vitrail/types.js").Axis} axis */
  const titles = (from, to, places, axis) =>
    Array.from({ length: Math.ceil(to / size) - Math.floor(from / size) }, (_, step) => {
      const first = (Math.floor(from / size) + step) * size;
      const last = Math.min(places.length, first + size) - 1;
      return size === 1 ? `${places[first]} ${label(axis, places[first])}` : `${places[first]}–${places[last]}`;
    });
  const [across, down] = [titles(columnFrom, columnTo, keys, scene.keys), titles(rowFrom, rowTo, queries, scene.queries)];
  const [row, column] = [Math.floor(rowFrom / size), Math.floor(columnFrom / size)];
  const totals = exact && whole && columnSums && values.done() === 1;
  const part = whole ? "" : `, queries ${queries[rowFrom]} to ${queries[rowTo - 1]} and keys ${keys[columnFrom]} to ${keys[columnTo - 1]}`;
  const caption = `${scene.quantity.label} of head ${scene.looks[0].name}: a row for each query, a column for each key${part}`;
  /** @param {number} at a row of this level */
  const numbers = (at) => {
    // What is still being computed is computed here, where that is few rows.
    const whole = size === 1 && !values.exact(at) ? scene.looks[0].row(queries[at]) : null;
    return across.map((_, place) => (whole ? whole[keys[column + place]] : found[at * columns + column + place]));
  };
  const rows = down.map((title, at) => [title, ...numbers(row + at), ...(totals ? [values.rowSums[at]] : [])]);
  return {
    caption: size === 1 ? caption : `${caption}; each number is the strongest of ${size} × ${size}`,
    columns: ["query", ...across, ...(totals ? ["sum"] : [])],
    rows: totals ? [...rows, ["sum", ...values.columnSums, values.columnSums.reduce((all, one) => all + one, 0)]] : rows,
  };
}

/** @param {number} rows @param {number} columns @param {number} levels */
function depth(rows, columns, levels) {
  const needed = Math.ceil(Math.log2(Math.sqrt((rows * columns) / MOST)));
  return Math.min(levels - 1, Math.max(0, needed));
}
