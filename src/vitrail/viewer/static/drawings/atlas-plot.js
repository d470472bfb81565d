/**
 * One score of all heads by layer: a dot for each head in the colour of its role, a dashed line where uniform attention is.
 * @module
 */

import { number } from "vitrail/dom.js";
import { scoreAt, topOf, uniformAt } from "vitrail/drawings/heads.js";
import { widthAt } from "vitrail/drawings/fitting.js";
import { scoreLabel } from "vitrail/sentences.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/drawings/heads.js").Place} Place */
/** @typedef {Pick<import("vitrail/types.js").Overview, "stream" | "ramp" | "roles">} Shown */
/** @typedef {{place: Place, x: number, y: number}} Dot */

const EDGE = { left: 52, right: 20, top: 16, bottom: 34 };

/**
 * @param {Shown} shown
 * @param {string} score
 * @param {number} width
 * @param {number} height
 */
export function plotOf({ stream }, score, width, height) {
  const top = topOf(stream, score);
  const band = (width - EDGE.left - EDGE.right) / stream.layers.length;
  const tall = height - EDGE.top - EDGE.bottom;
  const y = (/** @type {number} */ value) => EDGE.top + tall * (1 - value / top);
  const x = (/** @type {number} */ layer, share = 0.5) => EDGE.left + band * (layer + share);
  /** @type {Dot[]} */
  const dots = [];
  for (const [layer, { heads }] of stream.layers.entries()) {
    for (let head = 0; head < heads; head += 1) {
      const value = scoreAt(stream, score, { layer, head });
      // Side by side within their layer, so that equal scores are still as many dots.
      if (Number.isFinite(value)) dots.push({ place: { layer, head }, x: x(layer, 0.14 + (0.72 * (head + 0.5)) / heads), y: y(value) });
    }
  }
  return { dots, x, y, top, band, radius: Math.max(2, Math.min(4.5, band / 9)) };
}

/**
 * The dot nearest to a point, if one is near.
 * @param {Dot[]} dots
 * @param {number} x
 * @param {number} y
 */
export function dotAt(dots, x, y) {
  let [best, far] = [/** @type {Dot | null} */ (null), 14];
  for (const dot of dots) {
    const apart = Math.hypot(dot.x - x, dot.y - y);
    if (apart < far) [best, far] = [dot, apart];
  }
  return best;
}

/**
 * @param {Pen} pen
 * @param {Shown} shown
 * @param {string} score
 * @param {ReturnType<typeof plotOf>} plot
 * @param {number} width
 * @param {number} height
 */
export function paintPlot(pen, { stream, ramp, roles }, score, { dots, x, y, top, band, radius }, width, height) {
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    pen.line(EDGE.left, y(share * top), width - EDGE.right, y(share * top), ramp.faint, 1, share ? 0.7 : 1);
    pen.text(number(Number((share * top).toPrecision(4))), EDGE.left - 8, y(share * top), { size: 11, colour: ramp.quiet, align: "right" });
  }
  const every = Math.ceil(18 / band);
  for (const layer of stream.layers.keys()) {
    if (layer % every === 0) pen.text(String(layer), x(layer), height - EDGE.bottom + 13, { size: 11, colour: ramp.quiet, align: "center" });
    if (band > 24 && layer) pen.line(x(layer, 0), EDGE.top, x(layer, 0), height - EDGE.bottom, ramp.faint, 1, 0.35);
    const uniform = uniformAt(stream, score, layer);
    if (!Number.isFinite(uniform)) continue;
    const dash = Math.max(2, Math.min(5, band / 5));
    for (let at = x(layer, 0); at < x(layer, 1) - 1; at += 2 * dash) pen.line(at, y(uniform), Math.min(at + dash, x(layer, 1)), y(uniform), ramp.ink, 1.25, 0.8);
  }
  pen.text("layer", width - EDGE.right, height - 8, { size: 11, colour: ramp.quiet, align: "right" });
  for (const { place, x: across, y: down } of dots) pen.disc(across, down, radius, roles[place.layer][place.head].colour);
}

/**
 * The chosen head ringed, and what the pointed one has.
 * @param {Pen} pen
 * @param {Shown} shown
 * @param {string} score
 * @param {ReturnType<typeof plotOf>} plot
 * @param {{chosen: Place, hovered: Place | null, width: number}} now
 */
export function paintMarks(pen, { stream, ramp, roles }, score, { dots, radius }, { chosen, hovered, width }) {
  for (const [place, line] of /** @type {[Place | null, number][]} */ ([[chosen, 2], [hovered, 2.5]])) {
    const dot = place && dots.find((one) => one.place.layer === place.layer && one.place.head === place.head);
    if (!dot) continue;
    const size = 2 * radius + 5;
    pen.frame(dot.x - size / 2, dot.y - size / 2, size, size, ramp.accent, line);
    if (place !== hovered) continue;
    const { role } = roles[place.layer][place.head];
    const uniform = uniformAt(stream, score, place.layer);
    const lines = [`${place.layer}.${place.head}  ${role}`, `${scoreLabel(score)} ${number(scoreAt(stream, score, place))}${Number.isFinite(uniform) ? ` (uniform ${number(uniform)})` : ""}`];
    const long = 20 + Math.max(...lines.map((text) => widthAt(text, 12)));
    const left = dot.x + 14 + long > width ? dot.x - 14 - long : dot.x + 14;
    const top = Math.max(4, dot.y - 46);
    pen.rect(left, top, long, 42, ramp.paper, 0.96);
    pen.frame(left, top, long, 42, ramp.faint);
    pen.text(lines[0], left + 10, top + 13, { size: 12, colour: ramp.ink, weight: 600 });
    pen.text(lines[1], left + 10, top + 29, { size: 12, colour: ramp.ink });
  }
}
