/**
 * Where everything stands in Lines; no canvas and no page in here.
 *
 * Both sides are as tall as they need; the longer one is scrolled, and the shorter one goes along so that both begin and end
 * together.
 * @module
 */

/** Rows between these heights, in pixels; letters are never below 11. */
const ROW = { least: 13, most: 52 };
/** Up to so many queries and keys, all links are candidates. */
export const SHORT = 64;
/** The weight that is drawn in full where none is larger. */
export const FLOOR = 0.1;

/**
 * One side: its shown positions from top to bottom.
 * @typedef {Object} Side
 * @property {Int32Array} places shown positions
 * @property {Int32Array} at where each position is among them; -1 for left out
 * @property {number} row height of one
 * @property {number} size of all
 * @property {number} begin where the first one begins, if nothing were scrolled
 * @property {number} offset how far this side is scrolled
 */

/**
 * @param {Uint8Array} flags of what is shown
 * @param {number} room in pixels
 * @returns {Side}
 */
export function sideOf(flags, room) {
  const places = Int32Array.from(flags.keys()).filter((at) => flags[at] !== 0);
  const at = new Int32Array(flags.length).fill(-1);
  places.forEach((position, place) => {
    at[position] = place;
  });
  const row = Math.min(ROW.most, Math.max(ROW.least, room / Math.max(1, places.length)));
  return { places, at, row, size: row * places.length, begin: 0, offset: 0 };
}

/**
 * Place both sides for a scroll: the shorter one moves as much slower as it is shorter, and stands still where it fits.
 * @param {Side[]} sides
 * @param {number} room
 * @param {number} top
 */
export function settle(sides, room, top) {
  const longest = Math.max(...sides.map((side) => side.size));
  for (const side of sides) {
    side.begin = Math.max(0, (Math.min(room, longest) - side.size) / 2);
    side.offset = longest > room ? (top * Math.max(0, side.size - room)) / (longest - room) : 0;
  }
}

/**
 * The middle of a row, from the top of what is seen.
 * @param {Side} side
 * @param {number} place
 */
export function middle(side, place) {
  return side.begin + (place + 0.5) * side.row - side.offset;
}

/**
 * Where a line ends: what is off screen is drawn in to near its edge, so that lines lead there and don't all plunge.
 * @param {number} y
 * @param {number} room
 */
export function drawnIn(y, room) {
  if (y > room) return room + 24 + 40 * Math.log1p((y - room) / room);
  return y < 0 ? -24 - 40 * Math.log1p(-y / room) : y;
}

/**
 * Which shown place is at a height; -1 for none.
 * @param {Side} side
 * @param {number} y
 */
export function placeAt(side, y) {
  const place = Math.floor((y - side.begin + side.offset) / side.row);
  return place >= 0 && place < side.places.length ? place : -1;
}

/**
 * The first place on screen, and the one after the last.
 * @param {Side} side
 * @param {number} room
 * @returns {[number, number]}
 */
export function onScreen(side, room) {
  const first = Math.floor((side.offset - side.begin) / side.row);
  const last = Math.ceil((side.offset - side.begin + room) / side.row);
  return [Math.max(0, first), Math.min(side.places.length, last)];
}

/**
 * Where columns begin and end, from left to right.
 * @typedef {Object} Columns
 * @property {number} edge outer margin
 * @property {number} value width of a column of values
 * @property {number} squares width of the squares of several heads
 * @property {number} queryEnd where tokens that ask end: they are flush right
 * @property {number} queryRoom
 * @property {number} from where links begin
 * @property {number} to where links end
 * @property {number} keyBegin where tokens that are asked begin
 * @property {number} keyRoom
 * @property {number} keyValue where their values begin
 * @property {number} strip where the strip of the whole text begins
 * @property {number} stripWidth 0 for none
 */

/**
 * @param {number} width
 * @param {{query: number, key: number}} widest widths of the longest tokens
 * @param {number} heads
 * @param {boolean} long
 * @returns {Columns}
 */
export function columns(width, widest, heads, long) {
  const edge = 14;
  const gap = 7;
  const stripWidth = long ? 12 : 0;
  const squares = heads > 1 ? Math.min(heads * 9, width < 600 ? 30 : width < 900 ? 72 : 96) : 0;
  const value = squares ? squares + 56 : width >= 820 ? 104 : 50;
  const room = Math.max(120, width - 2 * (edge + value + gap) - (stripWidth ? stripWidth + 8 : 0));
  const most = room * (squares ? 0.26 : 0.29);
  const queryRoom = Math.max(Math.min(64, most), Math.min(widest.query, most));
  const keyRoom = Math.max(Math.min(64, most), Math.min(widest.key, most));
  const strip = width - stripWidth - 4;
  const keyValue = (stripWidth ? strip - 8 : width - edge) - value;
  const keyBegin = keyValue - 4 - keyRoom;
  const queryEnd = edge + value + 4 + queryRoom;
  return { edge, value, squares, queryEnd, queryRoom, from: queryEnd + gap, to: keyBegin - gap, keyBegin, keyRoom, keyValue, strip, stripWidth };
}

/**
 * How far down a curve has come at a share of its way across. Its ends are level, its handles in the middle.
 * @param {number} across 0-1
 */
export function fallen(across) {
  // x(t) = 1.5 t (1 - t) + t³ has no short inverse; it rises steadily, so halving finds it.
  let [low, high] = [0, 1];
  for (let step = 0; step < 24; step++) {
    const t = (low + high) / 2;
    if (1.5 * t * (1 - t) + t ** 3 < across) low = t;
    else high = t;
  }
  return 3 * low * low - 2 * low ** 3;
}

/**
 * How far heads are moved apart, so that links of several between the same two tokens run beside one another.
 * @param {number} look
 * @param {number} looks
 * @param {number} row height
 */
export function apart(look, looks, row) {
  return (look - (looks - 1) / 2) * Math.min(2.6, (0.62 * row) / looks);
}

/**
 * Positions off screen that matter to a row, to be written at the edge of the screen they are behind.
 * @param {Side} side
 * @param {ArrayLike<number>} strength by position
 * @param {number} room
 * @param {number} least
 * @param {number} most at each edge
 * @returns {{above: number[], below: number[]}} positions, in the order of the text
 */
export function docked(side, strength, room, least, most) {
  const [first, last] = onScreen(side, room);
  /** @param {number} begin @param {number} end */
  const best = (begin, end) => {
    /** @type {number[]} */
    const found = [];
    for (let place = begin; place < end; place++) {
      const size = Math.abs(strength[side.places[place]]);
      if (!(size >= least) || !Number.isFinite(size)) continue;
      if (found.length === most && size <= Math.abs(strength[found[most - 1]])) continue;
      let to = found.length;
      while (to > 0 && Math.abs(strength[found[to - 1]]) < size) to -= 1;
      found.splice(to, 0, side.places[place]);
      found.length = Math.min(found.length, most);
    }
    return found.sort((one, two) => one - two);
  };
  // A row that is cut by the edge counts as on screen once half of it is.
  const [top, bottom] = [middle(side, first) < 0 ? first + 1 : first, middle(side, last - 1) > room ? last - 1 : last];
  return { above: best(0, top), below: best(bottom, side.places.length) };
}

/**
 * What is drawn in full in a strip: its largest, or a few times its mean, so that what is spread evenly looks even.
 * @param {Float32Array} cells
 */
export function fullOf(cells) {
  const most = cells.reduce((one, two) => Math.max(one, two), 0);
  return Math.max(most, (8 * cells.reduce((one, two) => one + two, 0)) / cells.length);
}

/**
 * A whole side in so many pixels: the largest magnitude in each.
 * @param {Pick<Side, "places">} side
 * @param {ArrayLike<number>} strength by position
 * @param {number} pixels
 */
export function squeezed(side, strength, pixels) {
  const cells = new Float32Array(Math.max(1, Math.floor(pixels)));
  const count = side.places.length;
  for (let place = 0; place < count; place++) {
    const size = Math.abs(strength[side.places[place]]);
    if (!Number.isFinite(size)) continue;
    const cell = Math.floor((place * cells.length) / count);
    if (size > cells[cell]) cells[cell] = size;
  }
  return cells;
}
