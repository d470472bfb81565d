/**
 * Which positions of two inputs are the same, as trace/comparing.py finds them: patches at the same place, tokens by the
 * longest runs in common.
 * @module
 */

/** @typedef {import("vitrail/types.js").Axis} Axis */
/** @typedef {import("vitrail/types.js").Alignment} Alignment */

/** Comparisons of tokens, at most: two inputs of one token again and again would take minutes. */
const PATIENCE = 2e8;

/**
 * @param {Axis} first
 * @param {Axis} second
 * @returns {Alignment}
 */
export function align(first, second) {
  /** @type {[number, number][]} */
  let pairs;
  if (first.kind === "patches" && String(first.grid) === String(second.grid)) {
    const there = new Map(places(second).map((patch, place) => [patch, place]));
    pairs = places(first).flatMap((patch, place) => (there.has(patch) ? [[place, Number(there.get(patch))]] : []));
  } else if (!first.texts || !second.texts) {
    pairs = Array.from({ length: Math.min(first.length, second.length) }, (_, place) => [place, place]);
  } else {
    pairs = runs(first.texts.map(plain), second.texts.map(plain));
  }
  return { first: Int32Array.from(pairs, ([one]) => one), second: Int32Array.from(pairs, ([, two]) => two) };
}

/** Spaces around it and case aside. @param {string} text */
function plain(text) {
  return text.trim().toUpperCase().toLowerCase();
}

/** Which patch each position is; -1, -2, … for CLS and registers, in their order. @param {Axis} axis */
function places(axis) {
  let outside = 0;
  return Array.from({ length: axis.length }, (_, at) => {
    const place = axis.places ? axis.places[at] : at;
    return place < 0 ? --outside : place;
  });
}

/**
 * The longest run in common, then the same before and after it (Ratcliff and Obershelp, as Python's difflib).
 * @param {string[]} mine
 * @param {string[]} theirs
 * @returns {[number, number][]}
 */
function runs(mine, theirs) {
  /** @type {Map<string, number[]>} */
  const where = new Map();
  theirs.forEach((text, place) => where.set(text, [...(where.get(text) ?? []), place]));
  /** @type {[number, number][]} */
  const pairs = [];
  const open = [[0, mine.length, 0, theirs.length]];
  let steps = 0;
  for (let part = open.pop(); part && steps < PATIENCE; part = open.pop()) {
    const [from, to, begin, end] = part;
    let [at, there, size] = [from, begin, 0];
    // How long the run is that ends at each place of theirs; only places of the same text are looked at.
    let before = new Map();
    for (let one = from; one < to; one++) {
      const now = new Map();
      for (const two of where.get(mine[one]) ?? []) {
        steps++;
        if (two < begin) continue;
        if (two >= end) break;
        const length = (before.get(two - 1) ?? 0) + 1;
        now.set(two, length);
        if (length > size) [at, there, size] = [one - length + 1, two - length + 1, length];
      }
      before = now;
    }
    if (!size) continue;
    for (let step = 0; step < size; step++) pairs.push([at + step, there + step]);
    if (from < at && begin < there) open.push([from, at, begin, there]);
    if (at + size < to && there + size < end) open.push([at + size, to, there + size, end]);
  }
  return pairs.sort(([one], [two]) => one - two);
}
