/**
 * Where each head's thumbnail stands: layer under layer, or one after the other where they are sorted.
 * @module
 */

/**
 * @typedef {Object} Plan
 * @property {number} size of a thumbnail
 * @property {number} step from one to the next
 * @property {number} line from one row to the next
 * @property {number} perRow thumbnails in a row
 * @property {number} left
 * @property {number} top
 * @property {number[]} rows for each layer its first row; empty where heads are sorted
 * @property {number} count
 * @property {number} height of all
 * @property {{x: number, y: number, width: number, height: number, across: boolean}} preview across: text beside the picture, not under it
 */

const [AIR, GAP, SMALLEST, LARGEST] = [16, 4, 34, 150];
const [SIDE, FOOT] = [196, 168];
/** Room for numbers of layers and heads. */
const MARGIN = { left: 30, top: 20 };
/** Under a sorted thumbnail its name and its value. */
const CAPTION = 20;
/** Between layers of several rows, as a share of a row. */
const APART = 0.3;

/**
 * @param {{width: number, height: number, layers: number[], sorted: number | null}} asked layers: heads of each; sorted:
 *   how many heads, where they aren't in the order of layers
 * @returns {Plan}
 */
export function plan({ width, height, layers, sorted }) {
  // The larger picture of one head goes where it costs the others less.
  const beside = arranged(width - SIDE, height, layers, sorted);
  const below = arranged(width, height - FOOT, layers, sorted);
  const fits = (/** @type {ReturnType<typeof arranged>} */ one, /** @type {number} */ room) => one.height <= room + 1;
  const side = width >= 560 && (beside.size >= below.size || (fits(beside, height) && !fits(below, height - FOOT)));
  const chosen = side ? beside : below;
  const preview = side
    ? { x: width - SIDE + 8, y: MARGIN.top + AIR - 6, width: SIDE - 24, height: height - AIR, across: false }
    : { x: AIR, y: height - FOOT + 12, width: width - 2 * AIR, height: FOOT - 24, across: true };
  return { ...chosen, preview, height: chosen.height + (side ? 0 : FOOT) };
}

/** @param {number} width @param {number} height @param {number[]} layers @param {number | null} sorted */
function arranged(width, height, layers, sorted) {
  const room = Math.max(80, width - MARGIN.left - 2 * AIR + GAP);
  const top = AIR + (sorted === null ? MARGIN.top : 0);
  const high = Math.max(80, height - top - AIR);
  if (sorted !== null) {
    // As large as still fits without scrolling, within reason.
    let size = 96;
    while (size > 56 && Math.ceil(sorted / Math.floor(room / (size + GAP + 6))) * (size + CAPTION + GAP) > high) size -= 4;
    const step = size + GAP + 6;
    const perRow = Math.max(1, Math.floor(room / step));
    const line = size + CAPTION + GAP;
    return { size, step, line, perRow, left: AIR + 6, top, rows: [], count: sorted, height: top + Math.ceil(sorted / perRow) * line + AIR };
  }
  const most = Math.max(1, ...layers);
  let folds = 1;
  while (room / Math.ceil(most / folds) - GAP < SMALLEST && folds < most) folds += 1;
  const perRow = Math.ceil(most / folds);
  /** @type {number[]} */
  const rows = [];
  let next = 0;
  for (const heads of layers) {
    rows.push(next);
    // A layer of several rows is set apart from the next one.
    next += Math.max(1, Math.ceil(heads / perRow)) + (folds > 1 ? APART : 0);
  }
  const wide = Math.floor(room / perRow) - GAP;
  const size = Math.max(12, Math.min(LARGEST, wide, Math.max(40, Math.floor(high / Math.max(1, next)) - GAP)));
  const step = size + GAP;
  return { size, step, line: step, perRow, left: AIR + MARGIN.left, top, rows, count: layers.reduce((sum, heads) => sum + heads, 0), height: top + next * step + AIR };
}

/**
 * Top left corner of a thumbnail.
 * @param {Plan} plan
 * @param {number} at its place in the order
 * @param {{layer: number, head: number}} place
 * @returns {[number, number]}
 */
export function corner({ rows, perRow, left, top, step, line }, at, { layer, head }) {
  const [row, column] = rows.length ? [rows[layer] + Math.floor(head / perRow), head % perRow] : [Math.floor(at / perRow), at % perRow];
  return [left + column * step, top + row * line];
}

/**
 * Which thumbnail is at a point, by its place in the order; -1 for none.
 * @param {Plan} plan
 * @param {{layer: number, head: number}[]} order
 * @param {number} x
 * @param {number} y
 */
export function thumbnailAt(plan, order, x, y) {
  const { perRow, left, top, step, line, rows } = plan;
  const [column, row] = [Math.floor((x - left) / step), (y - top) / line];
  if (column < 0 || column >= perRow || row < 0) return -1;
  if (!rows.length) {
    const at = Math.floor(row) * perRow + column;
    return at < order.length ? at : -1;
  }
  let layer = rows.length - 1;
  while (layer > 0 && rows[layer] > row) layer -= 1;
  const head = Math.floor(row - rows[layer]) * perRow + column;
  return order.findIndex((place) => place.layer === layer && place.head === head);
}

/**
 * Where an arrow key leads, by place in the order.
 * @param {Plan} plan
 * @param {{layer: number, head: number}[]} order
 * @param {number} at
 * @param {string} key
 */
export function neighbour(plan, order, at, key) {
  if (!order.length) return -1;
  if (at < 0) return 0;
  const side = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (side) return Math.min(order.length - 1, Math.max(0, at + side));
  const [x, y] = corner(plan, at, order[at]);
  const down = key === "ArrowDown" ? 1 : -1;
  // The nearest row that way; it may be shorter: then its last one.
  let best = at;
  let far = Number.POSITIVE_INFINITY;
  for (const [other, place] of order.entries()) {
    const [otherX, otherY] = corner(plan, other, place);
    const away = down * (otherY - y);
    const apart = away * 1e4 + Math.abs(otherX - x);
    if (away > 0.5 && apart < far) [best, far] = [other, apart];
  }
  return best;
}
