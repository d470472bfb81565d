/**
 * Where the matrix is: its box on the page, the part of it that is seen, and which cells a pixel covers.
 *
 * A view is the place of its top left corner in cells, and the size of a cell in pixels; rows and columns may differ.
 * @module
 */

/**
 * @typedef {Object} View
 * @property {number} left first column seen; may lie within a cell
 * @property {number} top first row seen
 * @property {number} cellX width of a cell in CSS pixels
 * @property {number} cellY height of a cell
 */

/** @typedef {{x: number, y: number, width: number, height: number}} Box */

/** A cell is never larger than this, however few there are. */
export const LARGEST_CELL = 72;
/** Room for the bars of sums. */
export const SUMS = 34;
/** Width of the legend beside the matrix; under it where the page is narrow. */
export const LEGEND = 160;
const [AIR, GAP] = [16, 6];

/**
 * @typedef {Object} Layout
 * @property {Box} plot
 * @property {Box} legend
 * @property {boolean} beside the legend is beside the plot, not under it
 * @property {View} fit the whole matrix
 */

/**
 * @param {{width: number, height: number, rows: number, columns: number, rowLabel: number, columnLabel: number, rowSums: boolean, columnSums: boolean}} asked
 *   rowLabel, columnLabel: how long the longest label is, in pixels
 * @returns {Layout}
 */
export function layout({ width, height, rows, columns, rowLabel, columnLabel, rowSums, columnSums }) {
  const left = AIR + Math.min(116, Math.max(26, rowLabel)) + GAP;
  const top = AIR + Math.min(88, Math.max(20, 0.72 * columnLabel + 10)) + GAP;
  const beside = width >= 620;
  const [right, below] = [rowSums ? SUMS + GAP : 0, columnSums ? SUMS + GAP : 0];
  const wide = Math.max(60, width - left - right - AIR - (beside ? LEGEND + 24 : 0));
  const high = Math.max(60, height - top - below - AIR - (beside ? 0 : 132));
  let cellX = Math.min(LARGEST_CELL, wide / columns);
  let cellY = Math.min(LARGEST_CELL, high / rows);
  // Squares where rows and columns are about as many; a matrix of two rows and a thousand columns may have tall cells.
  const most = Math.max(rows, columns) / Math.min(rows, columns) > 1.5 ? 3 : 1;
  [cellX, cellY] = [Math.min(cellX, most * cellY), Math.min(cellY, most * cellX)];
  // Whole pixels keep the lines between cells alike.
  if (Math.min(cellX, cellY) > 8) [cellX, cellY] = [Math.floor(cellX), Math.floor(cellY)];
  const plot = { x: left, y: top, width: columns * cellX, height: rows * cellY };
  const spare = width - left - plot.width - right - AIR - (beside ? LEGEND + 24 : 0);
  plot.x = Math.round(plot.x + Math.max(0, spare / 2));
  plot.y = Math.round(plot.y);
  const legend = beside
    ? { x: Math.round(plot.x + plot.width + right) + 24, y: plot.y, width: LEGEND, height: plot.height }
    : { x: plot.x, y: Math.round(plot.y + plot.height + below) + 14, width: Math.max(plot.width, 220), height: 118 };
  return { plot, legend, beside, fit: { left: 0, top: 0, cellX, cellY } };
}

/**
 * The nearest view that shows nothing beyond the matrix.
 * @param {View} view
 * @param {Layout} at
 * @returns {View}
 */
export function inside(view, { plot, fit }) {
  const [columns, rows] = [plot.width / fit.cellX, plot.height / fit.cellY];
  const factor = Math.min(Math.max(1, view.cellX / fit.cellX), Math.max(1, (LARGEST_CELL / Math.max(fit.cellX, fit.cellY)) * 1.0001));
  const [cellX, cellY] = [fit.cellX * factor, fit.cellY * factor];
  return {
    left: Math.min(Math.max(0, view.left), Math.max(0, columns - plot.width / cellX)),
    top: Math.min(Math.max(0, view.top), Math.max(0, rows - plot.height / cellY)),
    cellX,
    cellY,
  };
}

/**
 * Zoom around a point of the plot, which stays where it is.
 * @param {View} view
 * @param {number} factor
 * @param {number} x of the point, from the left of the plot
 * @param {number} y
 * @param {Layout} at
 * @returns {View}
 */
export function zoomed(view, factor, x, y, at) {
  const { cellX, cellY } = inside({ ...view, cellX: view.cellX * factor, cellY: view.cellY * factor }, at);
  return inside({ left: view.left + x / view.cellX - x / cellX, top: view.top + y / view.cellY - y / cellY, cellX, cellY }, at);
}

/**
 * The view moved as little as shows a cell, with some of its neighbours.
 * @param {View} view
 * @param {number} row
 * @param {number} column
 * @param {Layout} at
 * @returns {View}
 */
export function showing(view, row, column, at) {
  /** @param {number} begin @param {number} length @param {number} place */
  const moved = (begin, length, place) => {
    const margin = Math.min(3, (length - 1) / 2);
    return place < begin + margin ? place - margin : place + 1 > begin + length - margin ? place + 1 - length + margin : begin;
  };
  const left = column < 0 ? view.left : moved(view.left, at.plot.width / view.cellX, column);
  const top = row < 0 ? view.top : moved(view.top, at.plot.height / view.cellY, row);
  return inside({ ...view, left, top }, at);
}

/**
 * Rows or columns that are seen: from the first up to, not including, the last.
 * @param {number} begin
 * @param {number} cell
 * @param {number} pixels
 * @param {number} count
 * @returns {[number, number]}
 */
export function seen(begin, cell, pixels, count) {
  return [Math.max(0, Math.floor(begin + 1e-9)), Math.min(count, Math.ceil(begin + pixels / cell - 1e-9))];
}

/**
 * Which cells of a level each pixel shows, first and last: the one in its middle where cells are larger than pixels, else
 * those that begin in it, so that every cell is read once.
 * @param {number} begin of the view, in cells of level 0
 * @param {number} cell size of a cell of level 0, in pixels
 * @param {number} pixels
 * @param {number} level of pooling: 2^level cells of level 0 in one
 * @param {number} count of cells of this level
 * @returns {[Int32Array, Int32Array]}
 */
export function covered(begin, cell, pixels, level, count) {
  const [from, to] = [new Int32Array(pixels), new Int32Array(pixels)];
  const size = 2 ** level;
  const start = (/** @type {number} */ pixel) => Math.floor((begin + pixel / cell) / size + 1e-6);
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    const first = cell >= 1 ? Math.floor((begin + (pixel + 0.5) / cell) / size) : start(pixel);
    from[pixel] = Math.min(count - 1, Math.max(0, first));
    to[pixel] = cell >= 1 ? from[pixel] : Math.min(count - 1, Math.max(from[pixel], start(pixel + 1) - 1));
  }
  return [from, to];
}

/**
 * The level of pooling whose cells are just not larger than a pixel.
 * @param {number} cell size of a cell of level 0, in pixels
 * @param {number} levels
 */
export function levelFor(cell, levels) {
  return cell >= 1 ? 0 : Math.min(levels - 1, Math.floor(Math.log2(1 / cell) + 1e-9));
}

/**
 * A round step between ticks: 1, 2 or 5 times a power of ten.
 * @param {number} cell size in pixels
 * @param {number} apart pixels between ticks, at least
 */
export function tickStep(cell, apart) {
  const least = Math.max(1, apart / cell);
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= least - 1e-9) ?? 10 * power;
}
