/**
 * Looks: one head's matrix under one quantity, of pieces or of words, or the difference of two; drawings don't know which.
 *
 * A row or an entry is computed here and at once; what needs many rows is the crew's.
 * @module
 */

import { kernel } from "vitrail/kernel.js";

/** @typedef {import("vitrail/types.js").Axis} Axis */
/** @typedef {import("vitrail/types.js").Crew} Crew */
/** @typedef {import("vitrail/types.js").Look} Look */
/** @typedef {import("vitrail/types.js").Matrix} Matrix */
/** @typedef {import("vitrail/types.js").Quantity} Quantity */
/** @typedef {import("vitrail/types.js").Alignment} Alignment */

/**
 * The six quantities in words.
 * @type {Readonly<Record<Quantity, {label: string, legend: string, signed: boolean, sentence: string}>>}
 */
export const QUANTITIES = Object.freeze({
  weight: {
    label: "Weight",
    legend: "attention weight",
    signed: false,
    sentence: "How much of what a query takes in comes from each key; a row sums to 1, or to what a sink leaves.",
  },
  score: {
    label: "Score",
    legend: "score before the softmax",
    signed: true,
    sentence: "Query times key, scaled, with bias and cap: what the softmax turns into weights.",
  },
  gradient: {
    label: "Gradient",
    legend: "gradient of the weight",
    signed: true,
    sentence: "How the target would change if this weight were larger; blue lowers it, orange raises it.",
  },
  "weight-gradient": {
    label: "Weight × gradient",
    legend: "weight × its gradient",
    signed: true,
    sentence: "What this weight does for the target, to first order: its size times how the target depends on it.",
  },
  "weight-value": {
    label: "Weight × value",
    legend: "weight × |value after W_O|",
    signed: false,
    sentence: "How large what is passed on really is: a large weight on a small value moves nothing.",
  },
  difference: {
    label: "Difference",
    legend: "weight here − weight there",
    signed: true,
    sentence: "This trace less the other, where their positions correspond; orange is more here, blue is more there.",
  },
});

/**
 * The quantities that a layer has.
 * @param {import("vitrail/types.js").Layer} layer
 * @param {boolean} comparable whether another trace has the same layer and head
 * @returns {Quantity[]}
 */
export function quantities(layer, comparable) {
  const { g, v, vo } = layer.has;
  /** @type {Record<Quantity, boolean>} */
  const known = { weight: true, score: true, gradient: g && v, "weight-gradient": g && v, "weight-value": vo, difference: comparable };
  return /** @type {Quantity[]} */ (Object.keys(QUANTITIES)).filter((name) => known[name]);
}

const here = kernel();
/** @type {WeakMap<Look, {matrix: Matrix, crew: Crew}>} what looks are made of */
const made = new WeakMap();

/**
 * A head under a quantity; its difference to another is `differenceLook`.
 * @param {import("vitrail/types.js").Head} head
 * @param {Exclude<Quantity, "difference">} quantity
 * @param {Crew} crew
 * @param {string} name
 * @param {number} number of the head
 * @returns {Look}
 */
export function lookOf(head, quantity, crew, name, number) {
  return look({ of: "head", head, quantity }, crew, name, number, QUANTITIES[quantity].signed);
}

/**
 * The same between words: attention to a word is the sum over its pieces, attention from it their mean (Clark et al. 2019);
 * a score or a gradient is the mean over both.
 * @param {Look} base
 * @param {Int32Array} queryStarts where words begin, and where the last ends: `groups` of `wordAxis`
 * @param {Int32Array} keyStarts
 * @returns {Look}
 */
export function wordLook(base, queryStarts, keyStarts) {
  const { matrix, crew } = madeOf(base);
  const summed = !(matrix.of === "head" && (matrix.quantity === "score" || matrix.quantity === "gradient"));
  return look({ of: "words", base: matrix, queryStarts, keyStarts, summed }, crew, base.name, base.head, base.signed);
}

/**
 * One less the other, on the positions of the first; NaN where these have none that corresponds.
 * @param {Look} first
 * @param {Look} second
 * @param {{queries: Alignment, keys: Alignment}} alignment from the first to the second
 * @returns {Look}
 */
export function differenceLook(first, second, alignment) {
  const { matrix, crew } = madeOf(first);
  const queries = partners(alignment.queries, first.queries);
  const keys = partners(alignment.keys, first.keys);
  return look({ of: "difference", first: matrix, second: madeOf(second).matrix, queries, keys }, crew, first.name, first.head, true);
}

/**
 * How far apart two heads are: the mean Jensen-Shannon divergence of their rows, in nats, from 0 to ln 2.
 * @param {Look} first of weights
 * @param {Look} second of weights
 * @param {{queries: Alignment, keys: Alignment}} alignment
 * @returns {Promise<number>}
 */
export function change(first, second, { queries, keys }) {
  const { matrix, crew } = madeOf(first);
  return crew.run(matrix, {
    name: "change",
    others: [[madeOf(second).matrix]],
    queries: [queries.first, queries.second],
    keys: [keys.first, keys.second],
  });
}

/**
 * What of each position of the input has reached each position after the last of some layers: attention rollout, with the
 * residual connection as half of each layer. It costs the cube of the length: for pictures and sentences.
 * @param {import("vitrail/types.js").Head[][]} layers all heads of each, from the first layer on; as many queries as keys
 * @param {Crew} crew
 * @param {string} name
 * @returns {Promise<Look>} its `head` is -1
 */
export async function rolloutLook(layers, crew, name) {
  const others = layers.map((heads) => heads.map((head) => /** @type {Matrix} */ ({ of: "head", head, quantity: "weight" })));
  const weights = await crew.run(others[0][0], { name: "rollout", others });
  const { queries, keys } = layers[0][0];
  /** @type {import("vitrail/types.js").Head} */
  const head = {
    queries,
    keys,
    width: 1,
    valueWidth: 0,
    q: new Float32Array(queries),
    k: new Float32Array(keys),
    v: null,
    g: null,
    vo: null,
    lse: new Float64Array(queries),
    sink: null,
    weights,
    scale: 1,
    softcap: null,
    softcapOrder: "before mask",
    bias: { kind: "none", values: new Float32Array(0) },
    mask: { rule: "all", offset: 0, before: null, after: null, length: 0, queryBlocks: null, keyBlocks: null, bits: null },
  };
  return lookOf(head, "weight", crew, name, -1);
}

/**
 * Where the words of an axis begin, and where the last one ends; what the model added, and every position of an axis
 * without words, is one of its own (trace/words.py).
 * @param {Axis} axis
 * @returns {Int32Array} [words + 1]
 */
function wordStarts(axis) {
  const { words, length } = axis;
  const starts = [];
  for (let at = 0; at < length; at++) if (!words || at === 0 || words[at] < 0 || words[at] !== words[at - 1]) starts.push(at);
  return Int32Array.from([...starts, length]);
}

/**
 * An axis with words for its positions, and where in the other each begins and the last one ends.
 * @param {Axis} axis
 * @returns {{axis: Axis, groups: Int32Array}} groups: what `wordLook` takes
 */
export function wordAxis(axis) {
  const groups = wordStarts(axis);
  const { texts, offsets } = axis;
  /** @template {Int32Array | Uint8Array} T @param {T | null} array @returns {T | null} */
  const first = (array) => array && /** @type {T} */ (array.filter((_, at) => isFirst[at]));
  const isFirst = new Uint8Array(axis.length);
  for (const start of groups) if (start < axis.length) isFirst[start] = 1;
  /** @param {number} word */
  const pieces = (word) => /** @type {const} */ ([groups[word], groups[word + 1]]);
  const words = Array.from({ length: groups.length - 1 }, (_, word) => pieces(word));
  return {
    groups,
    axis: {
      ...axis,
      length: words.length,
      // "##" marks a piece that goes on with its word: within the word it says nothing.
      texts: texts && words.map(([start, end]) => texts.slice(start, end).map((text, at) => (at ? text.replace(/^##(?=.)/, "") : text)).join("")),
      words: first(axis.words),
      special: first(axis.special),
      segments: first(axis.segments),
      places: first(axis.places),
      offsets: offsets && Int32Array.from(words.flatMap(([start, end]) => [offsets[2 * start], offsets[2 * end - 1]])),
    },
  };
}

/**
 * @param {Matrix} matrix
 * @param {Crew} crew
 * @param {string} name
 * @param {number} head
 * @param {boolean} signed
 * @returns {Look}
 */
function look(matrix, crew, name, head, signed) {
  const [queries, keys] = here.size(matrix);
  /** @type {number | null} */
  let magnitude = null;
  /** @type {Look} */
  const found = {
    name,
    head,
    queries,
    keys,
    signed,
    row: (query) => here.row(matrix, query),
    entry: (query, key) => here.entry(matrix, query, key),
    column: (key) => crew.run(matrix, { name: "column", key }),
    strongest: (share, most, rows = [0, queries]) => crew.run(matrix, { name: "strongest", share, most, rows }),
    pooled: (rows, columns, cells) => crew.run(matrix, { name: "pooled", rows, columns, cells }),
    largest: async () => (magnitude ??= await crew.run(matrix, { name: "largest" })),
    sums: () => crew.run(matrix, { name: "sums" }),
  };
  made.set(found, { matrix, crew });
  return found;
}

/** @param {Look} one */
function madeOf(one) {
  const found = made.get(one);
  if (!found) throw new Error("words and differences are made of looks that lookOf gave.");
  return found;
}

/** For each position its partner, or -1. @param {Alignment} alignment @param {number} length */
function partners(alignment, length) {
  const found = new Int32Array(length).fill(-1);
  alignment.first.forEach((position, pair) => (found[position] = alignment.second[pair]));
  return found;
}
