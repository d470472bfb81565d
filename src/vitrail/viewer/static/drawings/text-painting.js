/**
 * What Text paints: lines of a document, each token on the shade of its value, the chosen one framed.
 * @module
 */

import { label, number } from "vitrail/dom.js";
import { clipped, widthAt } from "vitrail/drawings/fitting.js";
import { squeezed } from "vitrail/drawings/lines-layout.js";
import { largestOf, linesOf } from "vitrail/drawings/text-layout.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/types.js").Scene} Scene */

export const HEAD = 74;
const STRIP = 12;

/**
 * A text on the page.
 * @typedef {Object} Block
 * @property {"both" | "query" | "key"} role
 * @property {import("vitrail/types.js").Axis} axis
 * @property {string} title "" for none
 * @property {number} left
 * @property {number} width
 * @property {number} font
 * @property {number} tall height of a line
 * @property {boolean} roomy there is room for a number below each token
 * @property {import("vitrail/drawings/text-layout.js").Flow} flow
 * @property {number} size height of all lines
 * @property {number} begin
 * @property {number} offset how far it is scrolled
 */

/**
 * Which token is chosen, and what is shaded by it.
 * @typedef {Object} Choice
 * @property {"query" | "key" | "none"} from
 * @property {number} position -1 for none
 * @property {number} other a token of the other side that is looked at too; -1 for none
 * @property {Float32Array | null} values of the shaded side; null until they are there
 * @property {number} largest
 * @property {number} later positions of queries from here on are still to come; -1: none
 */

/**
 * @typedef {Object} Page
 * @property {Scene} scene
 * @property {number} width
 * @property {number} room height below the head
 * @property {Block[]} blocks
 * @property {Choice} choice
 * @property {(role: "query" | "key", position: number) => boolean} shownAt
 */

/** The side that is shaded. @param {Choice} choice */
export function shadedSide(choice) {
  return choice.from === "key" ? "query" : "key";
}

/**
 * @param {Pen} pen
 * @param {Page} page
 */
export function paintPage(pen, page) {
  const { scene, width, blocks } = page;
  for (const block of blocks) paintBlock(pen, page, block);
  pen.rect(0, 0, width, HEAD - 2, scene.ramp.paper);
  paintHead(pen, page);
  for (const { title, width: wide, left } of blocks) pen.text(clipped(title, wide, 12), left, HEAD - 12, { size: 12, colour: scene.ramp.quiet, weight: 600 });
}

/** @param {Pen} pen @param {Page} page @param {Block} block */
function paintBlock(pen, page, block) {
  const { scene, room, choice, shownAt } = page;
  const { ramp, quantity } = scene;
  const { flow, left, font, tall, role } = block;
  const shaded = role === "both" || role === shadedSide(choice);
  const side = shadedSide(choice);
  const first = Math.max(0, Math.floor((block.offset - block.begin) / tall));
  const last = Math.min(linesOf(flow), Math.ceil((block.offset - block.begin + room) / tall));
  const box = Math.round(font * 1.5);
  for (let at = flow.starts[first] ?? 0; at < (flow.starts[last] ?? 0); at++) {
    const piece = flow.pieces[at];
    const y = HEAD + block.begin - block.offset + (flow.line[at] + 0.5) * tall - (block.roomy ? 8 : 0);
    const [x, wide] = [left + flow.x[at], flow.width[at]];
    const value = shaded && choice.values && shownAt(side, piece.position) ? choice.values[piece.position] : NaN;
    const later = role === "query" && choice.later >= 0 && piece.position >= choice.later;
    let ink = later ? ramp.quiet : shaded && choice.values && !Number.isFinite(value) ? ramp.quiet : ramp.ink;
    if (Number.isFinite(value) && choice.largest > 0 && Math.abs(value) > 0.0004 * choice.largest) {
      const triple = ramp.rgb(value, choice.largest, quantity.signed);
      pen.rect(x, y - box / 2, wide - (at + 1 < flow.pieces.length && flow.pieces[at + 1].glued ? 1 : 0), box, `rgb(${triple.join(",")})`, later ? 0.3 : 1);
      if (later) ink = ramp.quiet;
      else ink = luminance(triple) > 0.19 ? "#16171c" : "#ffffff";
    } else if (piece.glued) pen.line(x, y + font * 0.42, x, y + font * 0.68, ramp.quiet, 1, 0.6);
    if (piece.special) pen.frame(x + 0.5, y - box / 2 + 0.5, wide - 1, box - 1, ramp.faint);
    const size = piece.special ? tagSize(font) : font;
    pen.text(piece.text, x + wide / 2, y + 0.5, { size, colour: ink, align: "center", mono: piece.special });
    if (block.roomy && Number.isFinite(value)) {
      const much = Math.abs(value) >= 0.05 * choice.largest;
      const figure = number(value);
      pen.text(widthAt(figure, 11) <= wide + 1 ? figure : short(value), x + wide / 2, y + box / 2 + 10, { size: 11, colour: much ? ramp.ink : ramp.quiet, mono: true, align: "center" });
    }
    if (later && piece.position === choice.later) pen.line(x, y + box / 2, x + wide, y + box / 2, ramp.accent, 1.5);
    const chosen = role === choice.from || (role === "both" && choice.from !== "none");
    if (chosen && piece.position === choice.position) pen.frame(x - 1, y - box / 2 - 1, wide + 2, box + 2, ramp.accent, 2.5);
    else if (shaded && piece.position === choice.other) pen.frame(x - 0.5, y - box / 2 - 0.5, wide + 1, box + 1, ramp.accent, 1.2);
  }
  if (block.size > room) paintStrip(pen, page, block, shaded);
}

/** A number for where four characters have room. @param {number} value */
function short(value) {
  return Math.abs(value) < 0.0005 ? "0" : value.toFixed(Math.abs(value) < 1 ? 3 : 1).replace("-", "−").replace(/^(−?)0/, "$1");
}

/** A token in a sentence: without the sign for its leading space. @param {import("vitrail/types.js").Axis} axis @param {number} position */
export function plain(axis, position) {
  return label(axis, position).replace(/^·+/, "");
}

/** Tags are smaller than the text, and never too small to read. @param {number} font */
export function tagSize(font) {
  return Math.max(11, Math.round(font * 0.72));
}

/** Relative luminance, as WCAG 2 has it. @param {[number, number, number]} rgb */
function luminance(rgb) {
  const [r, g, b] = rgb.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** The whole text as one narrow strip. @param {Pen} pen @param {Page} page @param {Block} block @param {boolean} shaded */
function paintStrip(pen, { scene, room, choice }, block, shaded) {
  const x = block.left + block.width + 10;
  pen.rect(x, HEAD, STRIP, room - 4, scene.ramp.faint, 0.3);
  if (shaded && choice.values) {
    const places = Int32Array.from(block.flow.pieces, (piece) => piece.position);
    const cells = squeezed({ places }, choice.values, room / 2);
    const height = (room - 4) / cells.length;
    cells.forEach((value, cell) => {
      if (value > 0.002 * choice.largest) pen.rect(x, HEAD + cell * height, STRIP, height, scene.ramp.sequential(value, choice.largest));
    });
  }
  pen.frame(x - 1.5, HEAD + (block.offset / block.size) * room, STRIP + 3, Math.max(6, (room / block.size) * room), scene.ramp.quiet, 1.5);
}

/** What is said of the chosen token, its strongest partners, and what a shade means. @param {Pen} pen @param {Page} page */
function paintHead(pen, page) {
  const { scene, width, blocks, choice, shownAt } = page;
  const { ramp, quantity } = scene;
  const left = blocks[0]?.left ?? 16;
  const several = scene.looks.length > 1 ? `mean of ${scene.looks.length} heads: ${scene.looks.map((look) => look.name).join(", ")}` : `head ${scene.looks[0].name}`;
  const right = Math.min(width - 16, Math.max(...blocks.map((block) => block.left + block.width)));
  const legend = 190;
  pen.text(clipped(sentence(page), right - left - legend - 12, 14), left, 14, { size: 14, colour: ramp.ink, weight: 600 });
  paintRamp(pen, page, right - legend, legend);
  const side = shadedSide(choice);
  const axis = side === "key" ? scene.keys : scene.queries;
  let x = left;
  if (choice.position >= 0 && choice.values) {
    for (const position of largestOf(choice.values, (at) => shownAt(side, at), 5)) {
      const token = clipped(plain(axis, position), 110, 12);
      const value = number(choice.values[position]);
      const wide = widthAt(token, 12) + widthAt(value, 12) + 34;
      if (x + wide > right - legend - 8) break;
      pen.rect(x, 31, 9, 9, quantity.signed ? ramp.signed(choice.values[position], choice.largest) : ramp.sequential(choice.values[position], choice.largest));
      pen.text(token, x + 14, 36, { size: 12, colour: ramp.ink, mono: true });
      pen.text(value, x + 20 + widthAt(token, 12), 36, { size: 12, colour: ramp.quiet, mono: true });
      x += wide;
    }
  }
  if (x === left) pen.text(clipped(several, right - left - legend - 12, 12), left, 36, { size: 12, colour: ramp.quiet });
}

/** @param {Page} page */
function sentence({ scene, choice, blocks }) {
  if (blocks.every(({ flow }) => !flow.pieces.length)) return "No token is shown: all were left out";
  const several = scene.looks.length > 1 ? ` (mean of ${scene.looks.length} heads)` : "";
  if (choice.from === "none") return choice.values ? "What each token receives, the mean over all queries" : "Point at a token";
  const token = `“${plain(choice.from === "query" ? scene.queries : scene.keys, choice.position).slice(0, 30)}”`;
  return choice.from === "query" ? `${token} attends to${several}` : `${token} is attended by${several}`;
}

/** @param {Pen} pen @param {Page} page @param {number} x @param {number} wide */
function paintRamp(pen, { scene, choice }, x, wide) {
  const { ramp, quantity } = scene;
  const steps = 40;
  for (let step = 0; step < steps; step++) {
    const share = quantity.signed ? (2 * step) / (steps - 1) - 1 : step / (steps - 1);
    // Even steps of shade: the square of a share, since shades go by the square root.
    const value = Math.sign(share) * share * share;
    pen.rect(x + (step * wide) / steps, 9, wide / steps + 0.5, 10, quantity.signed ? ramp.signed(value, 1) : ramp.sequential(value, 1));
  }
  const small = { size: 11, colour: ramp.quiet };
  pen.text(quantity.signed ? number(-choice.largest) : "0", x, 29, { ...small, mono: true });
  pen.text(number(choice.largest), x + wide, 29, { ...small, mono: true, align: "right" });
  pen.text("by its square root", x + wide / 2, 29, { ...small, align: "center" });
  pen.text(clipped(quantity.legend, wide, 11), x + wide / 2, 43, { ...small, align: "center" });
}
