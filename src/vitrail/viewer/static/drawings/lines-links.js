/**
 * Which links Lines draws: of a short text every one that can be seen, of a long one the strongest keys of each query.
 * @module
 */

/** @typedef {import("vitrail/drawings/lines-layout.js").Side} Side */

/** How many curves are drawn at most of a short text, and the smallest share of the largest value that is. */
const CURVES = 4000;
const THRESHOLD = 0.01;
const LEVELS = 24;

/**
 * Links of several heads, as columns of numbers.
 * @typedef {Object} Links
 * @property {number} count
 * @property {Uint8Array} look which of the heads
 * @property {Int32Array} query
 * @property {Int32Array} key
 * @property {Float32Array} value
 */

/** @param {number} room @returns {Links} */
export function noLinks(room) {
  return { count: 0, look: new Uint8Array(room), query: new Int32Array(room), key: new Int32Array(room), value: new Float32Array(room) };
}

/** @param {Links} links @param {number} look @param {number} query @param {number} key @param {number} value */
export function addLink(links, look, query, key, value) {
  const at = links.count;
  links.look[at] = look;
  links.query[at] = query;
  links.key[at] = key;
  links.value[at] = value;
  links.count += 1;
}

/**
 * All links of short sides that can be seen: from a hundredth of the largest value on, and no more than can be told apart.
 * @param {((query: number) => ArrayLike<number>)[]} rows one for each head
 * @param {Side} queries
 * @param {Side} keys
 * @returns {{links: Links, largest: number, least: number, rest: Float32Array}} rest: what isn't drawn of each query's
 *   values, the mean over heads
 */
export function shortLinks(rows, queries, keys) {
  const all = noLinks(rows.length * queries.places.length * keys.places.length);
  const rest = new Float32Array(queries.at.length);
  let largest = 0;
  rows.forEach((rowOf, look) => {
    for (const query of queries.places) {
      const row = rowOf(query);
      for (let key = 0; key < row.length; key++) if (Number.isFinite(row[key])) rest[query] += row[key] / rows.length;
      for (const key of keys.places) {
        if (!Number.isFinite(row[key])) continue;
        addLink(all, look, query, key, row[key]);
        largest = Math.max(largest, Math.abs(row[key]));
      }
    }
  });
  const sizes = all.value.slice(0, all.count).map(Math.abs).sort();
  const least = Math.max(THRESHOLD * largest, sizes.length > CURVES ? sizes[sizes.length - CURVES] : 0);
  const links = noLinks(all.count);
  for (let at = 0; at < all.count; at++) {
    const value = all.value[at];
    if (Math.abs(value) < least || value === 0) continue;
    addLink(links, all.look[at], all.query[at], all.key[at], value);
    rest[all.query[at]] -= value / rows.length;
  }
  return { links, largest, least, rest };
}

/**
 * The smallest set of keys that has `share` of a row's magnitude, at most `most`: as Look.strongest, of one row.
 * @param {ArrayLike<number>} row
 * @param {number} share
 * @param {number} most
 * @returns {{keys: number[], values: number[], rest: number}}
 */
export function strongestOf(row, share, most) {
  let total = 0;
  /** @type {number[]} the strongest so far, falling */
  const best = [];
  for (let key = 0; key < row.length; key++) {
    const size = Math.abs(row[key]);
    if (!Number.isFinite(size) || size === 0) continue;
    total += size;
    if (best.length === most && size <= Math.abs(row[best[most - 1]])) continue;
    let place = best.length;
    while (place > 0 && Math.abs(row[best[place - 1]]) < size) place -= 1;
    best.splice(place, 0, key);
    best.length = Math.min(best.length, most);
  }
  let covered = 0;
  let count = 0;
  while (count < best.length && covered < share * total) covered += Math.abs(row[best[count++]]);
  const keys = best.slice(0, count);
  return { keys, values: keys.map((key) => row[key]), rest: total - covered };
}

/**
 * Links in order of strength, the weakest first: what is drawn last lies above. Sorted into levels, which takes one pass.
 * @param {Links} links
 * @param {number} largest
 * @returns {Links}
 */
export function byStrength(links, largest) {
  /** @param {number} at */
  const level = (at) => Math.min(LEVELS - 1, Math.floor(LEVELS * Math.sqrt(Math.abs(links.value[at]) / (largest || 1))));
  const begins = new Int32Array(LEVELS + 1);
  for (let at = 0; at < links.count; at++) begins[level(at) + 1] += 1;
  for (let one = 0; one < LEVELS; one++) begins[one + 1] += begins[one];
  const sorted = noLinks(links.count);
  sorted.count = links.count;
  for (let at = 0; at < links.count; at++) {
    const to = begins[level(at)]++;
    sorted.look[to] = links.look[at];
    sorted.query[to] = links.query[at];
    sorted.key[to] = links.key[at];
    sorted.value[to] = links.value[at];
  }
  return sorted;
}
