/**
 * From the description in a file to axes, streams and layers; the twin of trace/reading.py and of the checks in
 * trace/layers.py, masks.py, biases.py, positions.py and predictions.py.
 * @module
 */

import { TraceError, quoted } from "vitrail/container.js";
import { fits } from "vitrail/fields.js";

/** @typedef {import("vitrail/container.js").Tensor} Tensor */
/** @typedef {import("vitrail/fields.js").Fields} Fields */

/** Rows and columns of a thumbnail, at most. */
const CELLS = 48;

/**
 * What a layer is made of: numbers, and where in the file the rest is.
 * @typedef {Object} Parts
 * @property {string} name
 * @property {string} where it is, in words
 * @property {number} heads
 * @property {number} queries
 * @property {number} keys
 * @property {string} queryAxis
 * @property {string} keyAxis
 * @property {Tensor} q
 * @property {Tensor} k
 * @property {Record<"v" | "g" | "vo" | "lse" | "sinks" | "weights" | "hidden", Tensor | null>} more
 * @property {number | Tensor} scale
 * @property {number | null} softcap
 * @property {"before mask" | "after mask"} softcapOrder
 * @property {{kind: "toeplitz" | "slopes" | "keys" | "dense", values: Tensor} | null} bias
 * @property {{rule: string, offset: number, before: number | null, after: number | null, length: number,
 *   queryBlocks: Tensor | null, keyBlocks: Tensor | null, bits: Tensor | null}} mask
 * @property {{model: number | null, stored: number | null}} errors
 * @property {{names: string[], scores: Tensor, uniform: (number | null)[], counts: number[], thumbnails: Tensor} | null} digest
 */

/**
 * @typedef {Omit<import("vitrail/types.js").Axis, "words" | "special" | "segments" | "offsets" | "places" | "hidden">
 *   & {tensors: Record<"words" | "special" | "segments" | "offsets" | "places" | "hidden", Tensor | null>}} AxisParts
 */

/**
 * @typedef {Object} PredictionParts
 * @property {"next token" | "token" | "class"} of
 * @property {string[]} texts
 * @property {Tensor} choices
 * @property {Tensor} probabilities
 * @property {Tensor | null} lens
 * @property {Tensor | null} lensProbabilities
 */

/** @param {Fields} found @returns {AxisParts} */
export function readAxis(found) {
  const name = found.needed("name", found.text("name"));
  const kind = found.needed("kind", found.text("kind"));
  const length = found.needed("length", found.whole("length"));
  if (!["tokens", "patches", "frames", "latents"].includes(kind)) throw found.wrong("kind", "tokens, patches, frames or latents");
  if (length < 1) throw found.wrong("length", "at least 1");
  const texts = found.texts("texts");
  if (texts && texts.length !== length) throw found.wrong("texts", "one text for each position");
  const grid = found.pair("grid");
  const tensors = {
    words: found.tensor("words", "I", [length]),
    special: found.tensor("special", "U", [length]),
    segments: found.tensor("segments", "I", [length]),
    offsets: found.tensor("offsets", "I", [length, 2]),
    places: found.tensor("places", "I", [length]),
    hidden: found.tensor("hidden", "U", grid && [grid[0] * grid[1]]),
  };
  if (!grid && (tensors.places || tensors.hidden)) throw found.wrong("grid", "there, though there are places of patches");
  return {
    name,
    kind: /** @type {AxisParts["kind"]} */ (kind),
    length,
    texts,
    grid,
    patch: found.pair("patch"),
    image: found.text("image"),
    tensors,
  };
}

/**
 * @param {Fields} found
 * @param {Fields} stream that it is of
 * @param {Map<string, AxisParts>} axes
 * @returns {Parts}
 */
export function readLayer(found, stream, axes) {
  const name = found.needed("name", found.text("name"));
  found.where = `the layer ${quoted(name)}`;
  const ends = ["queries", "keys"].map((end) => {
    const label = found.text(end) ?? stream.needed(end, stream.text(end));
    const axis = axes.get(label);
    if (!axis) throw new TraceError(`${end} of ${found.where} stand at ${quoted(label)}, and there is no such axis`);
    return axis;
  });
  const [queries, keys] = ends.map((axis) => axis.length);
  const q = found.needed("q", found.tensor("q", "F", [null, queries, null]));
  const [heads, , width] = q.shape;
  const k = found.needed("k", found.tensor("k", "F", [null, keys, width]));
  if (heads % k.shape[0]) throw new TraceError(`${found.where} has ${heads} heads of queries and ${k.shape[0]} of keys, which don't divide these`);
  const v = found.tensor("v", "F", [k.shape[0], keys, null]);
  const more = {
    v,
    g: found.tensor("g", "F", [heads, queries, v ? v.shape[2] : null]),
    vo: found.tensor("vo", "F", [heads, keys]),
    lse: found.tensor("lse", "F", [heads, queries]),
    sinks: found.tensor("sinks", "F", [heads]),
    weights: found.tensor("weights", "F", [heads, queries, keys]),
    hidden: found.tensor("hidden", "F", [queries, null]),
  };
  const normaliser = found.text("normaliser") ?? "softmax";
  if (!["softmax", "sink", "other"].includes(normaliser)) throw found.wrong("normaliser", "softmax, sink or other");
  if ((normaliser === "sink") !== (more.sinks !== null)) throw found.wrong("normaliser", "sink, as it is where there are sinks");
  if (normaliser === "other" && !more.weights) throw new TraceError(`${found.where} has weights that no softmax gives, and none are in the file`);
  const softcap = found.number("softcap");
  if (softcap !== null && softcap <= 0) throw found.wrong("softcap", "above 0");
  const order = found.text("softcap_order") ?? "before mask";
  if (order !== "before mask" && order !== "after mask") throw found.wrong("softcap_order", "before mask or after mask");
  const errors = found.object("errors");
  return {
    name,
    where: found.where,
    heads,
    queries,
    keys,
    queryAxis: ends[0].name,
    keyAxis: ends[1].name,
    q,
    k,
    more,
    scale: found.needed("scale", typeof found.value.get("scale") === "string" ? found.tensor("scale", "F", [heads]) : found.number("scale")),
    softcap,
    softcapOrder: order,
    bias: readBias(found.object("bias"), heads, queries, keys),
    mask: readMask(found.object("mask"), heads, queries, keys),
    errors: { model: errors && errors.number("model"), stored: errors && errors.number("stored") },
    digest: readDigest(found.object("digest"), heads),
  };
}

/** @param {Fields | null} found @param {number} heads @param {number} queries @param {number} keys @returns {Parts["bias"]} */
function readBias(found, heads, queries, keys) {
  if (!found) return null;
  const kind = found.text("kind") ?? "dense";
  /** @type {Record<string, number[]>} */
  const shapes = { toeplitz: [queries + keys - 1], slopes: [], keys: [keys], dense: [queries, keys] };
  if (!Object.hasOwn(shapes, kind)) throw found.wrong("kind", "toeplitz, slopes, keys or dense");
  const values = found.needed("values", found.tensor("values", "F", [null, ...shapes[kind]]));
  if (![1, heads].includes(values.shape[0])) throw found.wrong("values", `of 1 head or of ${heads}`);
  return { kind: /** @type {"toeplitz" | "slopes" | "keys" | "dense"} */ (kind), values };
}

/** @param {Fields | null} found @param {number} heads @param {number} queries @param {number} keys @returns {Parts["mask"]} */
function readMask(found, heads, queries, keys) {
  const rule = found?.text("rule") ?? "all";
  const mask = { rule, offset: keys - queries, before: null, after: null, length: 0, queryBlocks: null, keyBlocks: null, bits: null };
  if (!found) return mask;
  if (!["all", "causal", "window", "prefix", "blocks", "bits"].includes(rule)) {
    throw found.wrong("rule", "all, causal, window, prefix, blocks or bits");
  }
  const [before, after, length] = ["before", "after", "length"].map((name) => {
    const count = found.whole(name);
    if (count !== null && count < 0) throw found.wrong(name, "a count of keys");
    return count;
  });
  if (rule === "prefix") found.needed("length", length);
  const bytes = Math.ceil(keys / 8);
  const bits = found.tensor("bits", "U");
  if (bits && !fits(bits.shape, [queries, bytes]) && !fits(bits.shape, [heads, queries, bytes])) {
    throw found.wrong("bits", `[${queries}, ${bytes}] bytes, or these for each head`);
  }
  const queryBlocks = found.tensor("query_blocks", "I", [queries]);
  const keyBlocks = found.tensor("key_blocks", "I", [keys]);
  if (rule === "bits") found.needed("bits", bits);
  if (rule === "blocks") found.needed("query_blocks", queryBlocks && found.needed("key_blocks", keyBlocks));
  return { rule, offset: found.whole("offset") ?? mask.offset, before, after, length: length ?? 0, queryBlocks, keyBlocks, bits };
}

/** @param {Fields | null} found @param {number} heads @returns {Parts["digest"]} */
function readDigest(found, heads) {
  if (!found) return null;
  const names = found.texts("names") ?? [];
  const scores = found.needed("scores", found.tensor("scores", "F", [names.length, heads]));
  const thumbnails = found.needed("thumbnails", found.tensor("thumbnails", "U", [heads, null, null]));
  if (thumbnails.shape[1] > CELLS || thumbnails.shape[2] > CELLS) throw found.wrong("thumbnails", `at most ${CELLS} by ${CELLS}`);
  const [uniform, counts] = [found.items("uniform"), found.items("counts")];
  if (new Set(names).size !== names.length || uniform.length !== names.length || counts.length !== names.length) {
    throw new TraceError(`${found.where} hasn't one score, one of uniform attention and one count for each name`);
  }
  if (!uniform.every((one) => one === null || Number.isFinite(one))) throw found.wrong("uniform", "a list of numbers");
  if (!counts.every((one) => Number.isSafeInteger(one) && Number(one) >= 0)) throw found.wrong("counts", "a list of counts");
  return { names, scores, uniform: /** @type {(number | null)[]} */ (uniform), counts: /** @type {number[]} */ (counts), thumbnails };
}

/** @param {Fields | null} found @param {number} layers @param {number} queries @returns {PredictionParts | null} */
export function readPredictions(found, layers, queries) {
  if (!found) return null;
  const of = found.needed("of", found.text("of"));
  if (of !== "next token" && of !== "token" && of !== "class") throw found.wrong("of", "next token, token or class");
  const choices = found.needed("choices", found.tensor("choices", "I", [null, null]));
  if (![1, queries].includes(choices.shape[0])) throw found.wrong("choices", `at ${queries} positions, or 1 for all`);
  const lens = found.tensor("lens", "I", [layers, choices.shape[0], null]);
  return {
    of,
    texts: found.needed("texts", found.texts("texts")),
    choices,
    probabilities: found.needed("probabilities", found.tensor("probabilities", "F", choices.shape)),
    lens,
    lensProbabilities: lens && found.needed("lens_probabilities", found.tensor("lens_probabilities", "F", lens.shape)),
  };
}
