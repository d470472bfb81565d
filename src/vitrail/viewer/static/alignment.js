/**
 * Whether a head of cross-attention walks along what it reads: one more score, which thumbnails tell; the twin of
 * vitrail/trace/alignment.py.
 * @module
 */

/** @typedef {import("vitrail/types.js").Axis} Axis */
/** @typedef {import("vitrail/types.js").Digest} Digest */
/** @typedef {import("vitrail/types.js").Layer} Layer */

/** How far from the line counts as on it, as a share of the keys. */
const BAND = 0.1;
/** A line that passes fewer keys than this share of them stands still. */
const RISE = 0.25;
/** Through fewer queries, or over fewer keys, there is a line whatever a head does. */
const LEAST = 8;

/**
 * A layer's digest; of cross-attention over a text with one more score, "aligned".
 * @param {Pick<Layer, "digest" | "heads" | "queries" | "queryAxis" | "keyAxis">} layer
 * @param {Map<string, Pick<Axis, "grid">>} axes
 * @returns {Digest | null}
 */
export function withAlignment({ digest, heads, queries, queryAxis, keyAxis }, axes) {
  const across = queryAxis !== keyAxis && !axes.get(keyAxis)?.grid;
  if (!digest || !across || digest.names.includes("aligned")) return digest;
  const { rows, columns } = digest.thumbnails;
  const enough = Math.min(rows, columns) >= LEAST;
  return {
    ...digest,
    names: [...digest.names, "aligned"],
    scores: [...digest.scores, aligned(digest, heads)],
    uniform: [...digest.uniform, enough ? (2 * Math.floor(BAND * columns) + 1) / columns : null],
    counts: [...digest.counts, enough ? queries : 0],
  };
}

/**
 * The share of attention within a tenth of the keys of a rising line.
 * @param {Digest} digest
 * @param {number} heads
 */
function aligned({ thumbnails: { rows, columns, data } }, heads) {
  const found = new Float32Array(heads);
  if (Math.min(rows, columns) < LEAST) return found.fill(Number.NaN);
  for (let head = 0; head < heads; head += 1) {
    const mass = Float64Array.from(data.subarray(head * rows * columns, (head + 1) * rows * columns), (value) => (value / 255) ** 2);
    const peaks = Array.from({ length: rows }, (_, row) => {
      const line = mass.subarray(row * columns, (row + 1) * columns);
      return line.indexOf(Math.max(...line));
    });
    const slopes = [];
    for (let one = 0; one < rows; one += 1) for (let two = one + 1; two < rows; two += 1) slopes.push((peaks[two] - peaks[one]) / (two - one));
    const slope = median(slopes);
    if (slope * (rows - 1) < RISE * columns) continue;
    const begin = median(peaks.map((peak, row) => peak - slope * row));
    let [near, all] = [0, 0];
    for (let at = 0; at < mass.length; at += 1) {
      all += mass[at];
      if (Math.abs((at % columns) - (slope * Math.floor(at / columns) + begin)) <= BAND * columns) near += mass[at];
    }
    found[head] = near / all;
  }
  return found;
}

/** @param {number[]} values */
function median(values) {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
