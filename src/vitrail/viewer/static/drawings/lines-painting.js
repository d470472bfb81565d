/**
 * What Lines paints: tokens that ask at the left, tokens that are asked at the right, curves as strong as their values.
 * @module
 */

import { label, number } from "vitrail/dom.js";
import { clipped } from "vitrail/drawings/fitting.js";
import { apart, drawnIn, fullOf, middle, onScreen, squeezed } from "vitrail/drawings/lines-layout.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/types.js").Scene} Scene */
/** @typedef {import("vitrail/drawings/lines-layout.js").Side} Side */
/** @typedef {import("vitrail/drawings/lines-links.js").Links} Links */
/** @typedef {import("vitrail/drawings/lines-layout.js").Columns} Columns */

export const HEAD = 50;
export const FOOT = 26;

/**
 * Everything that is painted from.
 * @typedef {Object} Picture
 * @property {Scene} scene
 * @property {number} width
 * @property {number} height
 * @property {number} room height between head and foot
 * @property {Columns} at
 * @property {Side} queries
 * @property {Side} keys
 * @property {Links} links in order of strength
 * @property {Float32Array} rest by query: what isn't drawn; NaN: not known yet
 * @property {number} largest
 * @property {boolean} long
 * @property {string} told the foot
 */

/** @param {Picture} picture */
function fontOf({ queries, keys }) {
  return Math.min(15, Math.max(11, 0.6 * Math.min(queries.row, keys.row)));
}

/**
 * @param {Picture} picture @param {number} value @param {number} look
 */
export function inkOf({ scene, largest }, value, look) {
  // The colour is full, the strength is in the width: blue and orange for a sign, else the head's own.
  return scene.quantity.signed ? scene.ramp.signed(Math.sign(value) * largest, largest) : scene.colours[look];
}

/**
 * How thick a line is. Weak ones stay hair-thin, so that many of them don't hide the few that matter.
 * @param {number} share square root of a value's share of the largest
 */
export function thickness(share) {
  return 0.4 + 2.6 * share ** 1.5;
}

/**
 * The links of all rows on screen.
 * @param {Pen} pen
 * @param {Picture} picture
 * @param {number} strength 1, or less where they stand behind a row that is looked at
 * @returns {number} how many
 */
export function paintLinks(pen, picture, strength) {
  const { scene, links, queries, keys, at, room, largest, rest } = picture;
  const looks = scene.looks.length;
  const [firstQuery, lastQuery] = onScreen(queries, room);
  const [firstKey, lastKey] = onScreen(keys, room);
  let count = 0;
  for (let link = 0; link < links.count; link++) if (seen(link)) count += 1;
  // Many curves are drawn thinner and paler, so that strong ones are still told from weak ones.
  // A sign makes every pair count, so there it begins earlier.
  const calm = Math.min(1, Math.sqrt((scene.quantity.signed ? 60 : 420) / Math.max(1, count)));
  const across = (at.from + at.to) / 2;
  for (let link = 0; link < links.count; link++) {
    if (!seen(link)) continue;
    const value = links.value[link];
    const share = Math.min(1, Math.sqrt(Math.abs(value) / largest));
    const shift = apart(links.look[link], looks, Math.min(queries.row, keys.row));
    const y1 = HEAD + drawnIn(middle(queries, queries.at[links.query[link]]), room) + shift;
    const y2 = HEAD + drawnIn(middle(keys, keys.at[links.key[link]]), room) + shift;
    const strong = share * (0.4 + 0.6 * calm);
    pen.curve([at.from, y1, across, y1, across, y2, at.to, y2], inkOf(picture, value, links.look[link]), thickness(strong), strength * (0.03 + 0.87 * strong));
  }
  if (!scene.quantity.signed) {
    for (let place = firstQuery; place < lastQuery; place++) {
      const left = rest[queries.places[place]];
      if (left > 0.005 * largest) pen.rect(at.from, HEAD + middle(queries, place) - 1.5, Math.min(46, 46 * left), 3, scene.ramp.quiet, 0.4 * strength);
    }
  }
  return count;

  /** @param {number} link */
  function seen(link) {
    const query = queries.at[links.query[link]];
    const key = keys.at[links.key[link]];
    if (query < 0 || key < 0) return false;
    return (query >= firstQuery && query < lastQuery) || (key >= firstKey && key < lastKey);
  }
}

/**
 * Both columns of tokens, the pinned pair, and the strip of the whole text.
 * @param {Pen} pen
 * @param {Picture} picture
 * @param {[number, number] | null} pin
 */
export function paintTokens(pen, picture, pin) {
  const { queries, keys, room, scene, at } = picture;
  for (const from of /** @type {const} */ (["query", "key"])) {
    const side = from === "query" ? queries : keys;
    const [first, last] = onScreen(side, room);
    for (let place = first; place < last; place++) {
      const y = HEAD + middle(side, place);
      paintToken(pen, picture, from, side.places[place], y, scene.ramp.ink, 400);
      if (picture.long && place % (side.row < 16 ? 5 : 1) === 0) paintNumber(pen, picture, from, String(side.places[place]), y);
    }
  }
  if (pin && queries.at[pin[0]] >= 0 && keys.at[pin[1]] >= 0) {
    const [y1, y2] = [HEAD + drawnIn(middle(queries, queries.at[pin[0]]), room), HEAD + drawnIn(middle(keys, keys.at[pin[1]]), room)];
    const across = (at.from + at.to) / 2;
    pen.curve([at.from, y1, across, y1, across, y2, at.to, y2], scene.ramp.accent, 2, 1);
    pen.rect(at.from - 4, y1 - 4, 8, 8, scene.ramp.accent);
    pen.rect(at.to - 4, y2 - 4, 8, 8, scene.ramp.accent);
  }
  if (picture.long) paintStrip(pen, picture, keys, received(picture));
  paintFrame(pen, picture);
}

/** How much of the drawn links each key has. @param {Picture} picture */
function received({ links, keys }) {
  const sums = new Float32Array(keys.at.length);
  for (let link = 0; link < links.count; link++) sums[links.key[link]] += Math.abs(links.value[link]);
  return sums;
}

/**
 * @param {Pen} pen @param {Picture} picture @param {"query" | "key"} from @param {number} position @param {number} y
 * @param {string} colour @param {number} weight
 */
export function paintToken(pen, picture, from, position, y, colour, weight) {
  const { at, scene } = picture;
  const size = fontOf(picture);
  const asks = from === "query";
  const text = clipped(label(asks ? scene.queries : scene.keys, position), asks ? at.queryRoom : at.keyRoom, size);
  pen.text(text, asks ? at.queryEnd : at.keyBegin, y, { size, colour, mono: true, weight, align: asks ? "right" : "left" });
}

/** @param {Pen} pen @param {Picture} picture @param {"query" | "key"} from @param {string} text @param {number} y @param {string} [colour] */
export function paintNumber(pen, { at, scene }, from, text, y, colour = scene.ramp.quiet) {
  const asks = from === "query";
  const beside = at.squares ? at.squares + 6 : 0;
  pen.text(text, asks ? at.edge + at.value - beside - 6 : at.keyValue + beside + 4, y, { size: 11, colour, mono: true, align: asks ? "right" : "left" });
}

/**
 * A side as one narrow strip, with a frame around what is on screen.
 * @param {Pen} pen @param {Picture} picture @param {Side} side @param {ArrayLike<number>} strength
 */
export function paintStrip(pen, { at, scene, room }, side, strength) {
  const cells = squeezed(side, strength, room / 2);
  const most = fullOf(cells);
  const height = room / cells.length;
  pen.rect(at.strip, HEAD, at.stripWidth, room, scene.ramp.paper);
  pen.rect(at.strip, HEAD, at.stripWidth, room, scene.ramp.faint, 0.3);
  cells.forEach((value, cell) => {
    if (value > 0.002 * most) pen.rect(at.strip, HEAD + cell * height, at.stripWidth, height, scene.ramp.sequential(value, most));
  });
  if (side.size > room) pen.frame(at.strip - 1.5, HEAD + (side.offset / side.size) * room, at.stripWidth + 3, Math.max(6, (room / side.size) * room), scene.ramp.quiet, 1.5);
}

/**
 * Head and foot: what the sides are, how strong a line is, which colour is which head.
 * @param {Pen} pen
 * @param {Picture} picture
 */
export function paintFrame(pen, picture) {
  const { scene, at, width, height, told } = picture;
  const { ink, quiet, paper, faint } = scene.ramp;
  pen.rect(0, 0, width, HEAD - 4, paper);
  pen.rect(0, height - FOOT + 4, width, FOOT, paper);
  pen.line(at.edge, height - FOOT + 4, width - at.edge, height - FOOT + 4, faint);
  const names = scene.same ? ["", ""] : [`: ${scene.queries.name}`, `: ${scene.keys.name}`];
  const small = { size: 11, colour: quiet };
  const title = { size: 12, colour: ink, weight: 600 };
  const room = Math.max(24, at.queryEnd - at.edge);
  pen.text(clipped(`Queries${names[0]}`, room, 12), at.queryEnd, 16, { ...title, align: "right" });
  pen.text("who looks", at.queryEnd, 32, { ...small, align: "right" });
  pen.text(clipped(`Keys${names[1]}`, width - at.keyBegin - 8, 12), at.keyBegin, 16, title);
  pen.text("what is looked at", at.keyBegin, 32, small);
  pen.text(clipped(told, width - 2 * at.edge, 11), at.edge, height - FOOT / 2 + 3, small);
  paintLegend(pen, picture, (at.from + at.to) / 2, at.to - at.from - 16);
}

/** @param {Pen} pen @param {Picture} picture @param {number} centre @param {number} room */
function paintLegend(pen, picture, centre, room) {
  const { scene, largest } = picture;
  const { quiet } = scene.ramp;
  const small = { size: 11, colour: quiet };
  const several = scene.looks.length > 1;
  pen.text(clipped(`${scene.quantity.legend}, by square root`, room, 10), centre, 10, { ...small, align: "center" });
  const parts = (scene.quantity.signed ? [-1, -0.1, 0.1, 1] : [0.01, 0.1, 0.5, 1]).slice(room < 4 * 66 ? 1 : 0);
  // The largest as it is, the others as round numbers.
  const samples = parts.map((part) => (Math.abs(part) === 1 ? part * largest : Number((part * largest).toPrecision(1))));
  const step = Math.min(84, room / samples.length);
  samples.forEach((sample, place) => {
    const x = centre + (place - samples.length / 2) * step;
    const share = Math.min(1, Math.sqrt(Math.abs(sample) / (largest || 1)));
    pen.line(x + 4, 26, x + 24, 26, several && !scene.quantity.signed ? quiet : inkOf(picture, sample, 0), thickness(share), 0.03 + 0.87 * share);
    pen.text(number(sample), x + 28, 26, { ...small, mono: true });
  });
  if (!several) return;
  const each = Math.min(46, room / scene.looks.length);
  scene.looks.forEach((look, place) => {
    const x = centre + (place - scene.looks.length / 2) * each;
    pen.rect(x + 2, 37, 8, 8, scene.colours[place]);
    if (each > 34) pen.text(look.name, x + 13, 41, { ...small, mono: true });
  });
}
