/**
 * From a scene to its one or two texts, set in lines.
 * @module
 */

import { flow, linesOf, piecesOf } from "vitrail/drawings/text-layout.js";
import { tagSize } from "vitrail/drawings/text-painting.js";
import { MONO, SANS } from "vitrail/pens.js";

/** @typedef {import("vitrail/types.js").Scene} Scene */
/** @typedef {import("vitrail/drawings/text-painting.js").Block} Block */

/** Letters, height of a line, and whether a number fits below: each for texts of up to so many tokens. */
const SIZES = /** @type {const} */ ([
  { upTo: 24, font: 36, tall: 92, numbers: true },
  { upTo: 60, font: 28, tall: 72, numbers: true },
  { upTo: 110, font: 22, tall: 60, numbers: true },
  { upTo: 220, font: 17, tall: 46, numbers: true },
  { upTo: 500, font: 17, tall: 31, numbers: false },
  { upTo: 1600, font: 15, tall: 27, numbers: false },
  { upTo: Infinity, font: 14, tall: 24, numbers: false },
]);
/** No line is longer than this: one loses one's way back. */
const WIDEST = 880;

/**
 * One text, or two beside each other: keys at the left, for that is where a document stands, queries at the right. Letters
 * are as large as lets all of it be seen.
 * @param {Scene} scene @param {number} width @param {number} room height
 * @param {ReturnType<typeof measurer>} measure
 * @returns {Block[]}
 */
export function blocksOf(scene, width, room, measure) {
  const { queries, keys, shownQueries, shownKeys, same } = scene;
  const edge = width > 560 ? 26 : 12;
  const inner = width - 2 * edge - 26;
  const between = 44;
  const left = Math.round((inner - between) * (keys.length >= queries.length ? 0.58 : 0.42));
  const column = Math.min(inner, WIDEST);
  /** @type {[role: Block["role"], axis: import("vitrail/types.js").Axis, left: number, width: number, title: string][]} */
  const texts = same
    ? [["both", queries, edge + Math.max(0, (inner - column) / 3), column, ""]]
    : [
        ["key", keys, edge, left, `Keys: ${keys.name}`],
        ["query", queries, edge + left + between, inner - between - left, `Queries: ${queries.name}`],
      ];
  const pieces = texts.map(([role, axis]) => piecesOf(axis, (at) => (role !== "key" && shownQueries[at] !== 0) || (role !== "query" && shownKeys[at] !== 0)));
  const most = Math.max(...pieces.map(({ length }) => length));
  /** @type {Block[]} */
  let blocks = [];
  for (const { upTo, font, tall, numbers } of SIZES) {
    if (most > upTo) continue;
    blocks = texts.map(([role, axis, begins, wide, title], at) => {
      const flowed = flow(measure.fit(pieces[at], wide - 8, font), axis.length, wide, (piece) => measure.width(piece, font), numbers ? 31 : 0);
      return { role, axis, title, left: begins, width: wide, font, tall, roomy: numbers, flow: flowed, size: linesOf(flowed) * tall, begin: 0, offset: 0 };
    });
    if (blocks.every(({ size }) => size <= room)) break;
  }
  return blocks;
}

/** How wide pieces are, and the same cut where they are wider than a line. */
export function measurer() {
  const context = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  /** @type {Map<string, number>} */
  const known = new Map();
  /** @param {string} text @param {number} font @param {boolean} special */
  const letters = (text, font, special) => {
    const style = special ? `400 ${tagSize(font)}px ${MONO}` : `400 ${font}px ${SANS}`;
    const name = `${style}${text}`;
    let found = known.get(name);
    if (found === undefined) {
      if (context.font !== style) context.font = style;
      found = context.measureText(text).width;
      known.set(name, found);
    }
    return found;
  };
  return {
    /** @param {import("vitrail/drawings/text-layout.js").Piece} piece @param {number} font */
    width: (piece, font) => letters(piece.text, font, piece.special),
    /** @param {import("vitrail/drawings/text-layout.js").Piece[]} pieces @param {number} room @param {number} font */
    fit: (pieces, room, font) =>
      pieces.map((piece) => {
        const text = cutTo(piece.text, room, (part) => letters(part, font, piece.special));
        return text === piece.text ? piece : { ...piece, text };
      }),
  };
}

/**
 * A text, or as much of its beginning as has room, and "…": never less than a character.
 * @param {string} text @param {number} room @param {(text: string) => number} width
 */
export function cutTo(text, room, width) {
  // What is longer than letters of a pixel would fit isn't measured whole.
  if (text.length <= room && width(text) <= room) return text;
  const characters = Array.from(text.slice(0, Math.ceil(room)));
  let [low, high] = [1, characters.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (width(`${characters.slice(0, middle).join("")}…`) <= room) low = middle;
    else high = middle - 1;
  }
  return `${characters.slice(0, low).join("")}…`;
}
