/**
 * What the map of heads is coloured by: roles, a score, how much a head changed, or who makes one link.
 * @module
 */

import { number } from "vitrail/dom.js";
import { numberLegend, roleLegend } from "vitrail/map.js";
import { scoreLabel } from "vitrail/sentences.js";

/** @typedef {import("vitrail/types.js").Stream} Stream */
/** @typedef {import("vitrail/types.js").Ramp} Ramp */
/** @typedef {import("vitrail/map.js").Mapped} Mapped */
/** @typedef {import("vitrail/roles.js").Named} Role */

/**
 * @param {Stream} stream
 * @param {Stream | null} other of the trace beside it, if that has the same layers and heads
 * @returns {{name: string, label: string}[]} what the map can be coloured by
 */
export function mapChoices(stream, other) {
  const names = stream.layers[0]?.digest?.names ?? [];
  const known = names.filter((name, at) => stream.layers.some((layer) => layer.digest?.scores[at].some(Number.isFinite)));
  return [
    { name: "role", label: "role" },
    ...(other ? [{ name: "change", label: "change" }] : []),
    ...known.map((name) => ({ name, label: scoreLabel(name) })),
  ];
}

/**
 * @param {Stream} stream
 * @param {Role[][]} named [layer][head]
 * @returns {Mapped}
 */
export function byRole(stream, named) {
  /** @type {Map<string, string>} */
  const met = new Map();
  for (const { role, colour } of named.flat()) met.set(role, colour);
  const roles = [...met].map(([name, colour]) => ({ role: name, colour }));
  roles.sort((one, two) => Number(one.role === "unclear") - Number(two.role === "unclear"));
  return {
    stream,
    colour: (layer, head) => named[layer][head].colour,
    tell: (layer, head) => `${named[layer][head].role}: ${named[layer][head].evidence}`,
    legend: roleLegend(roles),
  };
}

/**
 * @param {Stream} stream
 * @param {string} label
 * @param {ArrayLike<number>[]} values [layers][heads]; NaN where unknown
 * @param {Ramp} ramp
 * @param {{signed?: boolean, unpin?: () => void}} [options]
 * @returns {Mapped}
 */
export function byNumber(stream, label, values, ramp, { signed = false, unpin } = {}) {
  const finite = values.flatMap((row) => Array.from(row)).filter(Number.isFinite);
  const largest = finite.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const colour = (/** @type {number} */ value) => (Number.isFinite(value) ? (signed ? ramp.signed(value, largest) : ramp.sequential(Math.max(0, value), largest)) : ramp.faint);
  return {
    stream,
    colour: (layer, head) => colour(values[layer][head]),
    tell: (layer, head) => `${label}: ${number(values[layer][head], 4)}`,
    legend: numberLegend(label, colour, signed ? -largest : 0, largest, unpin),
  };
}

/**
 * A score of all heads.
 * @param {Stream} stream
 * @param {string} name
 */
export function scoreOf(stream, name) {
  return stream.layers.map((layer) => {
    const at = layer.digest?.names.indexOf(name) ?? -1;
    return layer.digest && at >= 0 ? layer.digest.scores[at] : new Float32Array(layer.heads).fill(Number.NaN);
  });
}

/**
 * How much each head changed from one trace to another, 0 to 1: the share of attention that went elsewhere, from the
 * thumbnails where these have the same cells (half the sum of absolute differences, mean over rows), else from the
 * scores that are shares.
 * @param {Stream} one
 * @param {Stream} two
 */
export function changeOf(one, two) {
  return one.layers.map((layer, at) => {
    const [first, second] = [layer.digest, two.layers[at]?.digest];
    const heads = two.layers[at]?.heads ?? 0;
    return Float32Array.from({ length: layer.heads }, (_, head) => {
      if (!first || !second || head >= heads) return Number.NaN;
      const [a, b] = [first.thumbnails, second.thumbnails];
      return a.rows === b.rows && a.columns === b.columns ? moved(a, b, head) : apart(first, second, head);
    });
  });
}

/** @param {import("vitrail/types.js").Digest["thumbnails"]} a @param {import("vitrail/types.js").Digest["thumbnails"]} b @param {number} head */
function moved(a, b, head) {
  const [size, start] = [a.rows * a.columns, head * a.rows * a.columns];
  let sum = 0;
  for (let at = start; at < start + size; at += 1) sum += Math.abs((a.data[at] / 255) ** 2 - (b.data[at] / 255) ** 2);
  return Math.min(1, sum / 2 / a.rows);
}

/** @param {import("vitrail/types.js").Digest} a @param {import("vitrail/types.js").Digest} b @param {number} head */
function apart(a, b, head) {
  const differences = a.names.flatMap((name, at) => {
    const there = b.names.indexOf(name);
    const [one, two] = [a.scores[at][head], there < 0 ? Number.NaN : b.scores[there][head]];
    const share = Number.isFinite(one) && Number.isFinite(two) && Math.max(one, two) <= 1;
    return share ? [Math.abs(one - two)] : [];
  });
  return differences.length ? Math.max(...differences) : Number.NaN;
}

/**
 * Each head's value at one link, of all layers: which heads make it? A few numbers of each head are read for it.
 * @param {import("vitrail/types.js").OpenTrace} trace
 * @param {Stream} stream
 * @param {[number, number]} pin query and key
 * @param {(link: import("vitrail/types.js").Head, layer: number, index: number) => number} value of a head of one query and one key
 */
export function linkOf(trace, stream, [query, key], value) {
  return Promise.all(
    stream.layers.map(async (layer) => {
      if (query >= layer.queries || key >= layer.keys) return new Float32Array(layer.heads).fill(NaN);
      const links = await Promise.all(Array.from({ length: layer.heads }, (_, head) => trace.link(stream.name, layer.index, head, query, key)));
      return Float32Array.from(links, (link, index) => value(link, layer.index, index));
    }),
  );
}
