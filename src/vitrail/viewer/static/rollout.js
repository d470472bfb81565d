/**
 * Rollout: what of each position of the input has reached each position after a layer (Abnar & Zuidema 2020).
 *
 * Every layer's weights, their mean over heads, are mixed half and half with staying where one is, and multiplied
 * (`trace/flow.py` does the same in Python).
 * @module
 */

import { lookOf } from "vitrail/looks.js";

/** Positions up to which it is computed in the page: a product of matrices a layer. */
export const MOST = 640;

/**
 * @param {import("vitrail/types.js").OpenTrace} trace
 * @param {string} stream whose queries and keys are the same positions
 * @param {number} last layer
 * @param {import("vitrail/types.js").Crew} crew
 * @returns {Promise<import("vitrail/types.js").Look>}
 */
export async function rolloutLook(trace, stream, last, crew) {
  const { queries: n } = trace.layer(stream, 0);
  let reached = new Float32Array(n * n);
  for (let at = 0; at < n; at += 1) reached[at * n + at] = 1;
  for (let layer = 0; layer <= last; layer += 1) reached = product(await mixed(trace, stream, layer, crew, n), reached, n);
  const empty = new Float32Array(n);
  /** @type {import("vitrail/types.js").Head} */
  const head = {
    queries: n,
    keys: n,
    width: 1,
    valueWidth: 0,
    q: empty,
    k: empty,
    v: null,
    g: null,
    vo: null,
    lse: new Float64Array(n),
    weights: reached,
    scale: 1,
    softcap: null,
    softcapOrder: "before mask",
    sink: null,
    bias: { kind: "none", values: new Float32Array(0) },
    mask: { rule: "all", offset: 0, before: null, after: null, length: 0, queryBlocks: null, keyBlocks: null, bits: null },
  };
  return lookOf(head, "weight", crew, `rollout to layer ${last}`, -1);
}

/**
 * Half the mean of a layer's heads, half staying.
 * @param {import("vitrail/types.js").OpenTrace} trace @param {string} stream @param {number} index
 * @param {import("vitrail/types.js").Crew} crew @param {number} n
 */
async function mixed(trace, stream, index, crew, n) {
  const { heads } = trace.layer(stream, index);
  const sum = new Float32Array(n * n);
  for (let head = 0; head < heads; head += 1) {
    const look = lookOf(await trace.head(stream, index, head), "weight", crew, "", head);
    for (let query = 0; query < n; query += 1) {
      const row = look.row(query);
      for (let key = 0; key < n; key += 1) sum[query * n + key] += row[key] / (2 * heads);
    }
  }
  for (let at = 0; at < n; at += 1) sum[at * n + at] += 0.5;
  return sum;
}

/** @param {Float32Array} a @param {Float32Array} b @param {number} n */
function product(a, b, n) {
  const found = new Float32Array(n * n);
  for (let i = 0; i < n; i += 1) {
    for (let k = 0; k < n; k += 1) {
      const factor = a[i * n + k];
      if (factor === 0) continue;
      for (let j = 0; j < n; j += 1) found[i * n + j] += factor * b[k * n + j];
    }
  }
  return found;
}
