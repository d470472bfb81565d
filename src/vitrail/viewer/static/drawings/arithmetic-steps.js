/**
 * One head's arithmetic, step by step: from a query and a key to a score, a weight, and what the weight passes on.
 *
 * Every number is the kernel's, so that it is the same as everywhere else; what a step adds is found by leaving it out.
 * @module
 */

import { kernel } from "vitrail/kernel.js";

/** @typedef {import("vitrail/types.js").Head} Head */

const { entry, lse: lseOf, row, scoreRow } = kernel();

/**
 * A pair of query and key.
 * @typedef {Object} Steps
 * @property {Float32Array} q [width]
 * @property {Float32Array} k [width]
 * @property {Float64Array} products [width] q ∘ k
 * @property {number} sum of them
 * @property {number} scaled scale · sum
 * @property {number | null} capped c · tanh(scaled / c), where a cap comes before the mask
 * @property {number} bias
 * @property {boolean} allowed by the mask
 * @property {number} score that the softmax sees; -Infinity where the mask forbids it
 * @property {number} lse log-sum-exp of the query's scores
 * @property {number} weight
 * @property {boolean} shipped the weight is the model's own, and needn't be exp(score - lse)
 * @property {Float32Array | null} v [value width]
 * @property {Float64Array | null} passed [value width] weight · v
 */

/**
 * @param {Head} head
 * @param {number} query
 * @param {number} key
 * @param {Float64Array} [room] for a number of each key, where many pairs are taken apart
 * @returns {Steps}
 */
export function stepsOf(head, query, key, room = new Float64Array(head.keys)) {
  const q = head.q.subarray(query * head.width, (query + 1) * head.width);
  const k = head.k.subarray(key * head.width, (key + 1) * head.width);
  const products = Float64Array.from(q, (one, at) => one * k[at]);
  const sum = products.reduce((one, two) => one + two, 0);
  const { softcap } = head;
  /** @type {Head["mask"]} */
  const open = { rule: "all", offset: 0, before: null, after: null, length: 0, queryBlocks: null, keyBlocks: null, bits: null };
  /** @param {Partial<Head>} part @returns {number} */
  const score = (part) => scoreRow({ ...head, ...part }, query, key, key + 1, room)[key];
  const scaled = head.scale * sum;
  const weight = entry({ of: "head", head, quantity: "weight" }, query, key);
  const v = head.v ? head.v.subarray(key * head.valueWidth, (key + 1) * head.valueWidth) : null;
  return {
    q,
    k,
    products,
    sum,
    scaled,
    capped: softcap !== null && head.softcapOrder === "before mask" ? score({ bias: none(), mask: open }) : null,
    bias: head.bias.kind === "none" ? 0 : score({ softcap: null, mask: open }) - scaled,
    allowed: head.mask.rule === "all" || score({ softcap: null, bias: none() }) !== -Infinity,
    score: score({}),
    lse: lseOf(head, query),
    weight,
    shipped: head.weights !== null,
    v,
    passed: v && Float64Array.from(v, (one) => weight * one),
  };
}

/** @returns {Head["bias"]} */
function none() {
  return { kind: "none", values: new Float32Array(0) };
}

/**
 * A whole query.
 * @typedef {Object} Row
 * @property {Float32Array} q
 * @property {Float64Array} scores [keys]; -Infinity where the mask forbids a key
 * @property {Float32Array} weights [keys]
 * @property {number} lse
 * @property {Float64Array | null} output [value width] Σ weight · v
 */

/**
 * @param {Head} head
 * @param {number} query
 * @returns {Row}
 */
export function rowOf(head, query) {
  const weights = row({ of: "head", head, quantity: "weight" }, query);
  /** @type {Float64Array | null} */
  let output = null;
  if (head.v) {
    output = new Float64Array(head.valueWidth);
    for (let key = 0; key < head.keys; key++) {
      const weight = weights[key];
      if (!(weight > 0)) continue;
      for (let at = 0, from = key * head.valueWidth; at < output.length; at++) output[at] += weight * head.v[from + at];
    }
  }
  return { q: head.q.subarray(query * head.width, (query + 1) * head.width), scores: scoreRow(head, query), weights, lse: lseOf(head, query), output };
}

/**
 * The largest magnitude of finite numbers.
 * @param {Iterable<number>} values
 */
export function largestIn(values) {
  let largest = 0;
  for (const value of values) if (Number.isFinite(value) && Math.abs(value) > largest) largest = Math.abs(value);
  return largest;
}

/**
 * As many numbers as there are pixels: where several fall on one, the one of largest magnitude.
 * @param {ArrayLike<number>} values
 * @param {number} most
 */
export function thinned(values, most) {
  const count = Math.max(1, Math.min(values.length, Math.floor(most)));
  if (count === values.length) return values;
  const cells = new Float64Array(count);
  for (let at = 0; at < values.length; at++) {
    const cell = Math.floor((at * count) / values.length);
    if (Math.abs(values[at]) > Math.abs(cells[cell])) cells[cell] = values[at];
  }
  return cells;
}

/**
 * A number with four digits after the point, as it stands in a formula.
 * @param {number} value
 */
export function exact(value) {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value < 0 ? "−∞" : "∞";
  const size = Math.abs(value);
  return (size !== 0 && (size < 0.001 || size >= 1e6) ? value.toExponential(3) : value.toFixed(4)).replaceAll("-", "−");
}
