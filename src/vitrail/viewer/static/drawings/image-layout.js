/**
 * Patches in their picture: which position is where, and where pictures, buttons and heads stand on the page.
 * @module
 */

/** @typedef {import("vitrail/types.js").Axis} Axis */
/** @typedef {{x: number, y: number, width: number, height: number}} Box */

/**
 * Positions of an axis by the patch they are, and those that are none: CLS, registers, all tokens of a text.
 * @typedef {Object} Sorted
 * @property {Int32Array} at [rows · columns]: position of each patch; -1 where this axis has none
 * @property {Int32Array} places [n]: patch of each position; -1 for none
 * @property {number[]} outside positions without a patch
 */

/**
 * @param {Axis} axis
 * @param {[number, number] | null} grid of the picture
 * @param {Uint8Array} flags positions that are shown
 * @returns {Sorted}
 */
export function sorted(axis, grid, flags) {
  const cells = grid ? grid[0] * grid[1] : 0;
  const at = new Int32Array(cells).fill(-1);
  const places = new Int32Array(axis.length).fill(-1);
  /** @type {number[]} */
  const outside = [];
  const mine = axis.grid !== null && grid !== null && axis.grid[0] === grid[0] && axis.grid[1] === grid[1];
  for (let position = 0; position < axis.length; position += 1) {
    if (!flags[position]) continue;
    const place = mine ? (axis.places ? axis.places[position] : position) : -1;
    if (place >= 0 && place < cells) [at[place], places[position]] = [position, place];
    else outside.push(position);
  }
  return { at, places, outside };
}

/**
 * @typedef {Object} Layout
 * @property {Box} main the picture
 * @property {number} cellX width of a patch
 * @property {number} cellY
 * @property {Box[]} chips positions that are no patches
 * @property {Box[]} pictures original, masked, reconstruction
 * @property {Box[]} heads
 * @property {{x: number, chips: number, pictures: number, heads: number}} titles where headings stand
 * @property {number} readout where numbers are written
 * @property {number} height of all
 */

const [AIR, GAP, TITLE, CHIP, FOOT] = [16, 8, 20, 24, 76];
export const CAPTION = 15;
const SMALLEST = 44;

/**
 * @param {{width: number, height: number, grid: [number, number], aspect: number, chips: number[], pictures: number, heads: number}} asked
 *   aspect: height of the picture by its width; chips: how wide each is
 * @returns {Layout}
 */
export function layout({ width, height, grid, aspect, chips, pictures, heads }) {
  const beside = width >= 600;
  const side = beside ? Math.max(210, Math.min(360, width * 0.36)) : width - 2 * AIR;
  const wide = beside ? width - side - 3 * AIR : width - 2 * AIR;
  const high = Math.max(120, beside ? height - AIR - FOOT : (height - FOOT) * 0.66);
  // Patches of whole pixels: their edges are those of the picture below them.
  const cellX = Math.max(1, Math.floor(Math.min(wide, high / aspect) / grid[1]));
  const mainWidth = cellX * grid[1];
  const cellY = Math.max(1, Math.round((mainWidth * aspect) / grid[0]));
  const main = { x: AIR, y: AIR, width: mainWidth, height: cellY * grid[0] };
  const x = beside ? AIR + Math.max(mainWidth, 200) + 1.5 * AIR : AIR;
  const room = beside ? width - x - AIR : side;
  let y = beside ? AIR : main.y + main.height + FOOT;
  const titles = { x, chips: y, pictures: 0, heads: 0 };
  /** @type {Box[]} */
  const placed = [];
  if (chips.length) {
    y += TITLE;
    let left = x;
    for (const long of chips) {
      const wider = Math.min(long, room);
      if (left > x && left + wider > x + room) [left, y] = [x, y + CHIP + 4];
      placed.push({ x: left, y, width: wider, height: CHIP });
      left += wider + 4;
    }
    y += CHIP + AIR;
  }
  titles.pictures = y;
  const shown = pictures > 1 ? strip(pictures, Math.min(116, (room - (pictures - 1) * GAP) / pictures), aspect, x, y + TITLE, room) : [];
  if (shown.length) y = bottom(shown) + CAPTION + AIR;
  titles.heads = y;
  const left = height - y - TITLE - AIR;
  let size = Math.min(132, room);
  const fits = () => Math.ceil(heads / Math.max(1, Math.floor((room + GAP) / (size + GAP)))) * (size * aspect + CAPTION + GAP) <= left;
  while (size > SMALLEST && !fits()) size -= 2;
  const strips = strip(heads, size, aspect, x, y + TITLE, room);
  y = strips.length ? bottom(strips) + CAPTION + AIR : y;
  return { main, cellX, cellY, chips: placed, pictures: shown, heads: strips, titles, readout: main.y + main.height + 20, height: Math.max(y, main.y + main.height + FOOT) };
}

/** @param {Box[]} boxes */
function bottom(boxes) {
  return boxes.reduce((most, { y, height }) => Math.max(most, y + height), 0);
}

/** @param {number} count @param {number} size @param {number} aspect @param {number} x @param {number} y @param {number} room @returns {Box[]} */
function strip(count, size, aspect, x, y, room) {
  const perRow = Math.max(1, Math.floor((room + GAP) / (size + GAP)));
  return Array.from({ length: count }, (_, at) => ({
    x: x + (at % perRow) * (size + GAP),
    y: y + Math.floor(at / perRow) * (size * aspect + CAPTION + GAP),
    width: size,
    height: size * aspect,
  }));
}

/**
 * Which box a point is in; -1 for none.
 * @param {Box[]} boxes
 * @param {number} x
 * @param {number} y
 */
export function boxAt(boxes, x, y) {
  return boxes.findIndex((box) => x >= box.x && y >= box.y && x < box.x + box.width && y < box.y + box.height);
}

/**
 * How dark a patch gets: a strong one keeps its light.
 * @param {number} value
 * @param {number} largest
 * @returns {[number, number]} share of the light, by the square root, and how much of the dark lies over it
 */
export function shade(value, largest) {
  const share = largest > 0 && Number.isFinite(value) ? Math.sqrt(Math.min(1, Math.abs(value) / largest)) : 0;
  return [share, DARKEST * (1 - share)];
}
const DARKEST = 0.88;

/**
 * The mean of some numbers over some rows; what isn't finite counts for nothing.
 * @param {Float32Array[]} rows
 * @param {number} length
 */
export function meanOf(rows, length) {
  const mean = new Float32Array(length);
  if (!rows.length) return mean.fill(Number.NaN);
  for (const row of rows) for (let at = 0; at < length; at += 1) if (Number.isFinite(row[at])) mean[at] += row[at] / rows.length;
  return mean;
}

/**
 * The strongest of some values, by magnitude.
 * @param {Float32Array} values
 * @param {number} most
 */
export function strongest(values, most) {
  return Array.from(values.keys())
    .filter((at) => Number.isFinite(values[at]) && values[at] !== 0)
    .sort((one, two) => Math.abs(values[two]) - Math.abs(values[one]))
    .slice(0, most);
}

/**
 * Where an arrow leads among patches; over the edge at the top to what stands beside the picture, and back.
 * @param {Sorted} side
 * @param {number} now
 * @param {string} arrow
 * @param {[number, number]} grid
 */
export function step({ at, places, outside }, now, arrow, [rows, columns]) {
  const first = at.find((one) => one >= 0) ?? outside[0] ?? -1;
  if (now < 0) return first;
  const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[arrow] ?? [0, 0];
  if (places[now] < 0) {
    const beside = outside.indexOf(now) + right;
    return down > 0 ? first : (outside[Math.min(outside.length - 1, Math.max(0, beside))] ?? now);
  }
  let [row, column] = [Math.floor(places[now] / columns), places[now] % columns];
  // Patches that this side doesn't have are stepped over.
  for (;;) {
    [row, column] = [row + down, column + right];
    if (row < 0) return outside[0] ?? now;
    if (row >= rows || column < 0 || column >= columns || (!down && !right)) return now;
    if (at[row * columns + column] >= 0) return at[row * columns + column];
  }
}
