/**
 * What Lines paints over everything else: the token that is looked at, and the values of what it looks at or is looked at by.
 *
 * What has been scrolled away and matters is written at the edge of the screen that it is behind, so that no row is cut off.
 * @module
 */

import { number } from "vitrail/dom.js";
import { apart, docked, middle, onScreen } from "vitrail/drawings/lines-layout.js";
import { HEAD, inkOf, paintNumber, paintStrip, paintToken, thickness } from "vitrail/drawings/lines-painting.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/drawings/lines-painting.js").Picture} Picture */

const DOCK = { row: 15, most: 5 };

/**
 * The token that is looked at, and the values of what it looks at, or is looked at by.
 * @typedef {Object} Focus
 * @property {"query" | "key"} from
 * @property {number} position
 * @property {number} other position on the other side that is looked at too; -1 for none
 * @property {boolean} locked
 * @property {ArrayLike<number>[] | null} rows of values, one for each head; null until they are there
 */

/**
 * The row or column that is looked at, over everything else.
 * @param {Pen} pen
 * @param {Picture} picture
 * @param {Focus} focus
 */
export function paintFocus(pen, picture, focus) {
  const { scene, at, room, long } = picture;
  const { ramp } = scene;
  const asks = focus.from === "query";
  const [from, to] = asks ? [picture.queries, picture.keys] : [picture.keys, picture.queries];
  const far = asks ? "key" : "query";
  const strength = meanSize(focus.rows, to.at.length);
  const most = strength.reduce((one, two) => Math.max(one, two), 0);
  // Where the token itself has been scrolled away, its lines begin at the edge it is behind.
  const begin = HEAD + Math.min(room - 7, Math.max(7, middle(from, from.at[focus.position])));
  const docks = edgesOf(picture, focus, strength);
  const covered = [HEAD + DOCK.row * docks.above.length, HEAD + room - DOCK.row * docks.below.length];
  /** @type {Map<number, number>} heights of what is written at an edge */
  const edges = new Map();
  docks.above.forEach((position, place) => edges.set(position, HEAD + DOCK.row * (place + 0.5)));
  docks.below.forEach((position, place) => edges.set(position, covered[1] + DOCK.row * (place + 0.5)));

  const [first, last] = onScreen(to, room);
  /** @type {[number, number][]} positions and heights that are written */
  const written = [...edges];
  for (let place = first; place < last; place++) {
    const y = HEAD + middle(to, place);
    if (y >= covered[0] && y <= covered[1]) written.push([to.places[place], y]);
  }
  const left = asks ? at.keyBegin - 3 : 0;
  const wide = asks ? (picture.at.stripWidth ? at.strip - 2 : picture.width) - left : at.queryEnd + 3;
  pen.rect(left, HEAD - 4, wide, room + 4, ramp.paper);
  if (focus.rows) {
    const weak = 0.004 * picture.largest;
    const drawn = written.filter(([position]) => strength[position] > weak).sort(([one], [two]) => strength[one] - strength[two]);
    for (const [position, y] of drawn) paintLinksOf(pen, picture, focus, begin, position, y);
  }
  if (focus.rows && !(most > 0)) {
    const nobody = asks ? "looks nowhere: nothing here is above 0" : "nobody looks here";
    pen.text(nobody, (at.from + at.to) / 2, begin - 14, { size: 12, colour: ramp.quiet, align: "center" });
  }
  for (const [position, y] of written) {
    const chosen = position === focus.other;
    const share = most > 0 ? Math.sqrt(strength[position] / most) : 0;
    const colour = chosen ? ramp.accent : share > 0.22 ? ramp.ink : ramp.quiet;
    paintToken(pen, picture, far, position, y, colour, chosen || (share > 0.7 && strength[position] > 0.05 * picture.largest) ? 600 : 400);
    if (edges.has(position)) paintPlace(pen, picture, far, position, y, docks.above.includes(position));
    if (focus.rows && (!long || strength[position] >= weakest(picture))) paintValues(pen, picture, far, focus.rows, position, y, colour);
  }
  for (const y of [docks.above.length && covered[0], docks.below.length && covered[1]]) if (y) pen.line(left + 3, y, left + wide - 3, y, ramp.faint);
  const [x, width] = asks ? [at.edge - 6, at.queryEnd - at.edge + 10] : [at.keyBegin - 4, at.keyValue + at.value - at.keyBegin];
  const tall = Math.max(15, Math.min(from.row, 24));
  pen.rect(x, begin - tall / 2, width, tall, ramp.paper);
  pen.rect(x, begin - tall / 2, width, tall, ramp.accent, 0.1);
  if (focus.locked) pen.rect(asks ? x : x + width - 3, begin - tall / 2, 3, tall, ramp.accent);
  paintToken(pen, picture, focus.from, focus.position, begin, ramp.accent, 600);
  if (long) {
    paintNumber(pen, picture, focus.from, String(focus.position), begin, ramp.accent);
    paintStrip(pen, picture, to, strength);
  }
  // Its lines never reach the head: that needn't be painted again.
  if (at.squares) paintNumber(pen, picture, far, "mean", HEAD - 34);
}

/**
 * What is written at the edges: positions off screen that matter.
 * @param {Picture} picture
 * @param {Focus} focus
 * @param {Float32Array} [strength]
 */
function edgesOf(picture, focus, strength) {
  const to = focus.from === "query" ? picture.keys : picture.queries;
  const sizes = strength ?? meanSize(focus.rows, to.at.length);
  const most = sizes.reduce((one, two) => Math.max(one, two), 0);
  return docked(to, sizes, picture.room, Math.max(1e-9, Math.min(0.02 * picture.largest, 0.5 * most)), DOCK.most);
}

/**
 * Which position is written at an edge there; -1 for none.
 * @param {Picture} picture
 * @param {Focus} focus
 * @param {number} y from the top of what is seen
 */
export function edgeAt(picture, focus, y) {
  const { above, below } = edgesOf(picture, focus);
  const fromTop = Math.floor((y - HEAD) / DOCK.row);
  if (fromTop >= 0 && fromTop < above.length) return above[fromTop];
  const fromBottom = below.length - 1 - Math.floor((HEAD + picture.room - y) / DOCK.row);
  return fromBottom >= 0 && fromBottom < below.length ? below[fromBottom] : -1;
}

/** @param {Picture} picture */
function weakest({ largest }) {
  return 0.0005 * largest;
}

/** @param {ArrayLike<number>[] | null} rows @param {number} length */
function meanSize(rows, length) {
  const mean = new Float32Array(length);
  for (const row of rows ?? []) {
    for (let at = 0; at < length; at++) if (Number.isFinite(row[at])) mean[at] += Math.abs(row[at]) / (rows?.length ?? 1);
  }
  return mean;
}

/** @param {Pen} pen @param {Picture} picture @param {Focus} focus @param {number} begin @param {number} position @param {number} y */
function paintLinksOf(pen, picture, focus, begin, position, y) {
  const { at, scene, largest } = picture;
  const across = (at.from + at.to) / 2;
  const looks = scene.looks.length;
  for (const [look, row] of (focus.rows ?? []).entries()) {
    const value = row[position];
    if (!Number.isFinite(value) || value === 0) continue;
    const share = Math.min(1, Math.sqrt(Math.abs(value) / largest));
    const shift = apart(look, looks, Math.min(picture.queries.row, picture.keys.row));
    const [y1, y2] = focus.from === "query" ? [begin + shift, y + shift] : [y + shift, begin + shift];
    const chosen = position === focus.other;
    pen.curve([at.from, y1, across, y1, across, y2, at.to, y2], inkOf(picture, value, look), thickness(share) + (chosen ? 1 : 0.4), chosen ? 1 : Math.min(1, 0.14 + 0.86 * share));
  }
}

/** Which position a token at the edge has, and that it is above or below. @param {Pen} pen @param {Picture} picture @param {"query" | "key"} side @param {number} position @param {number} y @param {boolean} above */
function paintPlace(pen, { at, scene }, side, position, y, above) {
  const text = `${above ? "↑" : "↓"}${position}`;
  const asks = side === "query";
  const x = asks ? at.queryEnd - at.queryRoom : at.keyBegin + at.keyRoom;
  const width = 7 * text.length + 4;
  pen.rect(asks ? x - 2 : x - width, y - 7, width, 14, scene.ramp.paper);
  pen.text(text, x, y, { size: 11, colour: scene.ramp.quiet, mono: true, align: asks ? "left" : "right" });
}

/** @param {Pen} pen @param {Picture} picture @param {"query" | "key"} side @param {ArrayLike<number>[]} rows @param {number} position @param {number} y @param {string} colour */
function paintValues(pen, picture, side, rows, position, y, colour) {
  const { at, scene, largest } = picture;
  const asks = side === "query";
  const mean = rows.reduce((sum, row) => sum + row[position], 0) / rows.length;
  paintNumber(pen, picture, side, number(mean), y, colour);
  if (!at.squares && at.value > 60 && Number.isFinite(mean)) {
    const long = Math.max(0.5, (48 * Math.abs(mean)) / largest);
    pen.rect(asks ? at.edge + 48 - long : at.keyValue + 54, y - 4, long, 8, inkOf(picture, mean, 0), 0.85);
  }
  if (!at.squares) return;
  const each = at.squares / rows.length;
  const tall = Math.min(each - 1, 9);
  const x = asks ? at.edge + at.value - at.squares : at.keyValue;
  rows.forEach((row, look) => {
    const share = Number.isFinite(row[position]) ? Math.min(1, Math.sqrt(Math.abs(row[position]) / largest)) : 0;
    pen.rect(x + look * each, y - tall / 2, each - 1, tall, scene.ramp.faint, 0.5);
    pen.rect(x + look * each, y - tall / 2, each - 1, tall, inkOf(picture, row[position] || 1, look), share);
  });
}
