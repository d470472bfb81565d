/**
 * All heads of a stream as a list: their scores, in an order, some of them; and as a table. Model and Atlas draw from it.
 * @module
 */

import { ROLES, CROSS_ROLES, UNCLEAR } from "vitrail/roles.js";
import { SCORES, scoreLabel } from "vitrail/sentences.js";

/** @typedef {import("vitrail/types.js").Stream} Stream */
/** @typedef {import("vitrail/types.js").Named} Named */
/** @typedef {{layer: number, head: number}} Place */

/**
 * The scores that say something about this input, as the capture lists them.
 * @param {Stream} stream
 */
export function scoresOf(stream) {
  /** @type {Set<string>} */
  const names = new Set();
  for (const { digest } of stream.layers) {
    digest?.names.forEach((name, at) => {
      if (digest.scores[at].some(Number.isFinite)) names.add(name);
    });
  }
  return [...names];
}

/**
 * @param {Stream} stream
 * @param {string} name
 * @param {Place} place
 */
export function scoreAt(stream, name, { layer, head }) {
  const digest = stream.layers[layer].digest;
  const at = digest ? digest.names.indexOf(name) : -1;
  return digest && at >= 0 ? digest.scores[at][head] : Number.NaN;
}

/**
 * What attending everywhere alike would give; NaN where that is nothing.
 * @param {Stream} stream
 * @param {string} name
 * @param {number} layer
 */
export function uniformAt(stream, name, layer) {
  const digest = stream.layers[layer].digest;
  return digest?.uniform[digest.names.indexOf(name)] ?? Number.NaN;
}

/**
 * Heads in an order: by layer, by role (the clearest first), or by a score.
 * @param {Stream} stream
 * @param {Named[][]} roles
 * @param {{sort: string, down?: boolean, role?: string}} asked sort: "layer", "role" or a score; role: only heads of this one
 * @returns {Place[]}
 */
export function ordered(stream, roles, { sort, down = true, role = "" }) {
  const all = stream.layers.flatMap(({ heads }, layer) => Array.from({ length: heads }, (_, head) => ({ layer, head })));
  const kept = role ? all.filter(({ layer, head }) => roles[layer][head].role === role) : all;
  if (sort === "layer") return down ? kept : kept.reverse();
  const sign = down ? 1 : -1;
  if (sort === "role") {
    const rank = new Map(rolesMet(roles).map(({ role: name }, at) => [name, at]));
    return kept.sort((one, two) => {
      const [a, b] = [roles[one.layer][one.head], roles[two.layer][two.head]];
      return sign * ((rank.get(a.role) ?? 0) - (rank.get(b.role) ?? 0)) || descending(a.score, b.score);
    });
  }
  const value = new Map(kept.map((place) => [place, scoreAt(stream, sort, place)]));
  return kept.sort((one, two) => {
    const [a, b] = [value.get(one) ?? Number.NaN, value.get(two) ?? Number.NaN];
    // What isn't known comes last, whichever way the rest is sorted.
    return Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : sign * (b - a);
  });
}

/** @param {number} one @param {number} two */
function descending(one, two) {
  return Number.isNaN(one) || Number.isNaN(two) ? Number(Number.isNaN(one)) - Number(Number.isNaN(two)) : two - one;
}

/**
 * The roles that occur, the most frequent first and "unclear" last.
 * @param {Named[][]} roles
 * @returns {{role: string, colour: string, count: number}[]}
 */
export function rolesMet(roles) {
  /** @type {Map<string, {role: string, colour: string, count: number}>} */
  const met = new Map();
  for (const { role, colour } of roles.flat()) {
    const one = met.get(role) ?? { role, colour, count: 0 };
    one.count += 1;
    met.set(role, one);
  }
  return [...met.values()].sort((one, two) => Number(one.role === UNCLEAR) - Number(two.role === UNCLEAR) || two.count - one.count);
}

/** @typedef {import("vitrail/types.js").Drawing} Drawing */

/** Where a score is best seen: what lies along a diagonal as a matrix, what ends at few tokens as lines. @type {Record<string, Drawing>} */
const EVIDENCE = { previous: "matrix", next: "matrix", self: "matrix", aligned: "matrix", distance: "matrix", entropy: "matrix", broadness: "matrix" };

/**
 * The drawing that shows best why a head has a score.
 * @param {Stream} stream
 * @param {string} score
 * @param {Place} place
 * @returns {Drawing}
 */
export function evidenceOf(stream, score, place) {
  if (Number.isFinite(scoreAt(stream, "pixels", place))) return "image";
  return EVIDENCE[score] ?? "lines";
}

/**
 * The score that names a role.
 * @param {string} role
 */
export function scoreOfRole(role) {
  if (role === "broad") return "broadness";
  if (role === "local") return "pixels";
  return (ROLES[role] ?? CROSS_ROLES[role])?.[0] ?? "";
}

/**
 * @param {Stream} stream
 * @param {Named[][]} roles
 * @param {Place[]} places
 * @returns {import("vitrail/types.js").Table}
 */
export function headTable(stream, roles, places) {
  const names = scoresOf(stream);
  return {
    caption: `Heads of ${stream.name}: roles and scores; in brackets what uniform attention gives in the first layer`,
    columns: ["layer", "head", "role", "share", "evidence", ...names.map((name) => titled(stream, name))],
    rows: places.map((place) => {
      const { role, score, evidence } = roles[place.layer][place.head];
      return [place.layer, place.head, role, score, evidence, ...names.map((name) => scoreAt(stream, name, place))];
    }),
  };
}

/** @param {Stream} stream @param {string} name */
function titled(stream, name) {
  const uniform = uniformAt(stream, name, 0);
  return Number.isNaN(uniform) ? scoreLabel(name) : `${scoreLabel(name)} (${Number(uniform.toPrecision(3))})`;
}

/**
 * The largest that a score's bar or axis shows: 1 for shares that come near it, else a round number above all values.
 * @param {Stream} stream
 * @param {string} name
 */
export function topOf(stream, name) {
  let most = 0;
  for (const [layer, { heads }] of stream.layers.entries()) {
    for (let head = 0; head < heads; head += 1) {
      const value = scoreAt(stream, name, { layer, head });
      if (Number.isFinite(value)) most = Math.max(most, value);
    }
    const uniform = uniformAt(stream, name, layer);
    if (Number.isFinite(uniform)) most = Math.max(most, uniform);
  }
  if (SCORES[name]?.share && most > 0.5) return 1;
  const power = 10 ** Math.floor(Math.log10(most || 1));
  return ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= most * 1.0001) ?? 10) * power;
}
