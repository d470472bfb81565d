/**
 * A text as it stands: where its tokens are on lines of some width. No canvas and no page in here.
 *
 * Tokens of one word stay together; what the tokenizer put before or into them for itself ("##", a leading space) is no part
 * of the text, so it isn't drawn.
 * @module
 */

import { label, shown } from "vitrail/dom.js";

/** @typedef {import("vitrail/types.js").Axis} Axis */

/** Room left and right of each token, and between words, in pixels. */
const PAD = 2.5;
const GAP = 2;

/**
 * A token as it is drawn.
 * @typedef {Object} Piece
 * @property {number} position
 * @property {string} text
 * @property {boolean} glued to the one before: one word
 * @property {boolean} begins a new line
 * @property {boolean} special
 */

/**
 * The tokens of an axis as a text.
 * @param {Axis} axis
 * @param {(position: number) => boolean} kept which are shown
 * @returns {Piece[]}
 */
export function piecesOf(axis, kept) {
  const { texts, segments } = axis;
  const spaced = texts?.some((text, at) => at > 0 && /^[ \u2581\u0120]/.test(text)) ?? false;
  /** @type {Piece[]} */
  const pieces = [];
  let segment = -1;
  let newline = false;
  for (let position = 0; position < axis.length; position++) {
    if (!kept(position)) continue;
    const special = axis.special !== null && axis.special[position] !== 0;
    const raw = texts?.[position] ?? label(axis, position);
    const before = pieces[pieces.length - 1];
    const here = segments ? segments[position] : -1;
    const turned = here >= 0 && segment >= 0 && here !== segment;
    if (here >= 0) segment = here;
    const glued = before !== undefined && before.position === position - 1 && !special && !before.special && !turned && joined(axis, position, raw, spaced);
    pieces.push({ position, text: special ? shown(raw) : bare(raw, glued), glued, begins: newline || turned, special });
    newline = !special && raw.includes("\n");
  }
  return pieces;
}

/** @param {Axis} axis @param {number} at @param {string} raw @param {boolean} spaced */
function joined(axis, at, raw, spaced) {
  if (spaced) return !/^[\s\u2581\u0120]/.test(raw);
  if (/^##./.test(raw)) return true;
  if (axis.offsets) return axis.offsets[2 * at] === axis.offsets[2 * at - 1];
  return axis.words !== null && axis.words[at] >= 0 && axis.words[at] === axis.words[at - 1];
}

/** @param {string} raw @param {boolean} glued */
function bare(raw, glued) {
  const text = raw.replace(/^[\u2581\u0120]/, "").replace(/^ +| +$/g, "");
  return shown(glued && /^##./.test(text) ? text.slice(2) : text);
}

/**
 * Where pieces stand.
 * @typedef {Object} Flow
 * @property {Piece[]} pieces
 * @property {Float32Array} x of each piece's box
 * @property {Float32Array} width of its box
 * @property {Int32Array} line
 * @property {Int32Array} starts the first piece of each line, and after the last how many there are
 * @property {Int32Array} place by position: which piece; -1 for none
 */

/**
 * Break pieces into lines.
 * @param {Piece[]} pieces
 * @param {number} positions of the axis
 * @param {number} room width of a line
 * @param {(piece: Piece) => number} measure width of a piece's letters
 * @param {number} [least] width of a box, so that a number fits below it
 * @returns {Flow}
 */
export function flow(pieces, positions, room, measure, least = 0) {
  const x = new Float32Array(pieces.length);
  const width = new Float32Array(pieces.length);
  const line = new Int32Array(pieces.length);
  const place = new Int32Array(positions).fill(-1);
  const starts = [0];
  pieces.forEach((piece, at) => {
    place[piece.position] = at;
    width[at] = Math.min(room, Math.max(least, measure(piece) + 2 * (piece.special ? 2 * PAD : PAD)));
  });
  let edge = 0;
  for (let first = 0; first < pieces.length; ) {
    let last = first + 1;
    while (last < pieces.length && pieces[last].glued) last += 1;
    let whole = 0;
    for (let at = first; at < last; at++) whole += width[at];
    const begins = first > 0 && (pieces[first].begins || (edge > 0 && edge + GAP + whole > room));
    for (let at = first; at < last; at++) {
      const beside = at > first ? 0 : GAP;
      // A word longer than a line is broken between its tokens.
      if ((begins && at === first) || (edge > 0 && edge + beside + width[at] > room)) {
        starts.push(at);
        edge = 0;
      }
      x[at] = edge + (edge > 0 ? beside : 0);
      edge = x[at] + width[at];
      line[at] = starts.length - 1;
    }
    first = last;
  }
  return { pieces, x, width, line, starts: Int32Array.from([...starts, pieces.length]), place };
}

/** How many lines. @param {Flow} flowed */
export function linesOf({ starts, pieces }) {
  return pieces.length ? starts.length - 1 : 0;
}

/**
 * The piece at a point of the text; -1 for none.
 * @param {Flow} flowed
 * @param {number} x
 * @param {number} line
 */
export function pieceAt({ x: begins, width, starts }, x, line) {
  if (line < 0 || line >= starts.length - 1) return -1;
  for (let at = starts[line]; at < starts[line + 1]; at++) {
    if (x >= begins[at] - GAP / 2 && x < begins[at] + width[at] + GAP / 2) return at;
  }
  return -1;
}

/**
 * The piece one line up or down, nearest to where this one is.
 * @param {Flow} flowed
 * @param {number} at
 * @param {number} by
 */
export function pieceBeside({ x, width, line, starts }, at, by) {
  const to = line[at] + by;
  if (to < 0 || to >= starts.length - 1) return at;
  const middle = x[at] + width[at] / 2;
  let best = starts[to];
  for (let piece = starts[to]; piece < starts[to + 1]; piece++) {
    if (Math.abs(x[piece] + width[piece] / 2 - middle) < Math.abs(x[best] + width[best] / 2 - middle)) best = piece;
  }
  return best;
}

/**
 * The mean of several heads, and its largest magnitude among what is shown.
 * @param {ArrayLike<number>[]} rows
 * @param {(position: number) => boolean} shownAt
 * @param {number} floor the least that is called largest
 * @returns {{values: Float32Array, largest: number}} NaN where no head says anything
 */
export function meanOf(rows, shownAt, floor) {
  const values = new Float32Array(rows[0].length);
  let largest = floor;
  for (let at = 0; at < values.length; at++) {
    let sum = 0;
    for (const row of rows) sum += row[at];
    values[at] = sum / rows.length;
    if (shownAt(at) && Number.isFinite(values[at])) largest = Math.max(largest, Math.abs(values[at]));
  }
  return { values, largest };
}

/**
 * Positions of the largest magnitudes, the largest first.
 * @param {ArrayLike<number>} values
 * @param {(position: number) => boolean} shownAt
 * @param {number} most
 */
export function largestOf(values, shownAt, most) {
  /** @type {number[]} */
  const best = [];
  for (let at = 0; at < values.length; at++) {
    const size = Math.abs(values[at]);
    if (!shownAt(at) || !Number.isFinite(size) || size === 0) continue;
    let place = best.length;
    while (place > 0 && Math.abs(values[best[place - 1]]) < size) place -= 1;
    if (place < most) best.splice(place, 0, at);
    best.length = Math.min(best.length, most);
  }
  return best;
}
