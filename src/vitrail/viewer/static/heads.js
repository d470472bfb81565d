/**
 * One head of a layer, read from its ranges: whole, or one link of it, which is a head of one query and one key.
 * @module
 */

import { SIZES, TraceError } from "vitrail/container.js";
import { kernel } from "vitrail/kernel.js";

/** @typedef {import("vitrail/container.js").Tensor} Tensor */
/** @typedef {import("vitrail/reading.js").Parts} Parts */
/** @typedef {import("vitrail/types.js").Head} Head */
/** @typedef {Float64Array | Float32Array | Int32Array | Uint8Array} Numbers */

/**
 * Numbers of a tensor, or some of them: so many from such a place on.
 * @typedef {<T extends Tensor | null>(tensor: T, start?: number, count?: number)
 *   => Promise<T extends null ? null : Numbers>} Load
 */

/**
 * @param {Load} load
 * @param {Parts} parts
 * @param {number} at which head
 * @returns {Promise<Head>}
 */
export async function loadHead(load, parts, at) {
  const { q, k, more, mask, bias, queries, keys } = parts;
  const shared = Math.floor(at / (parts.heads / k.shape[0]));
  /** Row of a tensor's first axis. @template {Tensor | null} T @param {T} tensor @param {number} row */
  const row = (tensor, row) => {
    const count = tensor ? tensor.shape.slice(1).reduce((product, length) => product * length, 1) : 0;
    return load(tensor, row * count, count);
  };
  const found = await Promise.all([
    row(q, at), row(k, shared), row(more.v, shared), row(more.g, at), row(more.vo, at), row(more.lse, at), row(more.weights, at),
    row(more.sinks, at), row(scaleOf(parts), at), row(bias && bias.values, Math.min(at, (bias?.values.shape[0] ?? 1) - 1)),
    load(mask.queryBlocks), load(mask.keyBlocks), mask.bits?.shape.length === 3 ? row(mask.bits, at) : load(mask.bits),
  ]);
  const [queryBlocks, keyBlocks, bits] = found.slice(10);
  return assembled(parts, at, [queries, keys], found.slice(0, 10), {
    bias: bias ? bias.kind : "none",
    mask: {
      ...mask,
      queryBlocks: /** @type {Int32Array | null} */ (queryBlocks),
      keyBlocks: /** @type {Int32Array | null} */ (keyBlocks),
      bits: /** @type {Uint8Array | null} */ (bits),
    },
  });
}

/**
 * One query and one key of a head: a few numbers, however long the input is. Values only where there are gradients:
 * nothing else needs them, and every row is a request of its own.
 * @param {Load} load
 * @param {Parts} parts
 * @param {number} at which head
 * @param {number} query
 * @param {number} key
 * @returns {Promise<Head>}
 */
export async function loadLink(load, parts, at, query, key) {
  const { q, k, more, mask, bias, queries, keys } = parts;
  const shared = Math.floor(at / (parts.heads / k.shape[0]));
  const [width, valueWidth] = [q.shape[2], more.v?.shape[2] ?? 0];
  const row = bias ? Math.min(at, bias.values.shape[0] - 1) : 0;
  const place = { toeplitz: row * (queries + keys - 1) + key - query + queries - 1, slopes: row, keys: row * keys + key, dense: (row * queries + query) * keys + key };
  const bytes = Math.ceil(keys / 8);
  const flags = (mask.bits?.shape.length === 3 ? at * queries + query : query) * bytes + (key >> 3);
  const found = await Promise.all([
    load(q, (at * queries + query) * width, width), load(k, (shared * keys + key) * width, width),
    load(more.g && more.v, (shared * keys + key) * valueWidth, valueWidth), load(more.g, (at * queries + query) * valueWidth, valueWidth),
    load(more.vo, at * keys + key, 1), load(more.lse, at * queries + query, 1), load(more.weights, (at * queries + query) * keys + key, 1),
    load(more.sinks, at, 1), load(scaleOf(parts), at, 1), load(bias && bias.values, bias ? place[bias.kind] : 0, 1),
    load(mask.queryBlocks, query, 1), load(mask.keyBlocks, key, 1), load(mask.bits, flags, 1),
  ]);
  const [added, queryBlock, keyBlock, bits] = found.slice(9);
  if (bias?.kind === "slopes" && added) added[0] *= -Math.abs(query + keys - queries - key);
  const visible = sees(mask, query, key, queryBlock?.[0] === keyBlock?.[0], Number(bits?.[0]));
  const head = assembled(parts, at, [1, 1], found.slice(0, 10), {
    bias: bias ? "dense" : "none",
    mask: { rule: visible ? "all" : "bits", offset: 0, before: null, after: null, length: 0, queryBlocks: null, keyBlocks: null, bits: new Uint8Array(1) },
  });
  // A log-sum-exp that isn't in the file is of the whole row.
  if (!more.lse && !more.weights) head.lse[0] = kernel().lse(await loadHead(load, parts, at), query);
  return head;
}

/** @param {Parts["mask"]} mask @param {number} query @param {number} key @param {boolean} block whether theirs are equal @param {number} bits of eight keys */
function sees({ rule, offset, before, after, length }, query, key, block, bits) {
  const place = query + offset;
  if (rule === "blocks") return block;
  if (rule === "bits") return ((bits >> (7 - (key & 7))) & 1) === 1;
  if (rule === "causal") return key <= place;
  if (rule === "prefix") return key < length || key <= place;
  return rule === "all" || ((before === null || key >= place - before) && (after === null || key <= place + after));
}

/**
 * @param {Parts} parts
 * @param {number} at
 * @param {[number, number]} size queries and keys
 * @param {(Numbers | null)[]} found
 * @param {{bias: Head["bias"]["kind"], mask: Head["mask"]}} rules
 * @returns {Head}
 */
function assembled(parts, at, [queries, keys], [q, k, v, g, vo, lse, weights, sink, scale, added], { bias, mask }) {
  for (const [name, array] of Object.entries({ q, k, v, g, vo, weights, sink, scale })) requireFinite(array, name, parts.where, at);
  // Of these, -infinity means something: a query that may look nowhere, a key that a bias hides.
  for (const [name, array] of Object.entries({ lse, bias: added })) requireFinite(array?.filter((one) => one !== -Infinity), name, parts.where, at);
  return {
    queries,
    keys,
    width: parts.q.shape[2],
    valueWidth: parts.more.v?.shape[2] ?? 0,
    q: single(q ?? []),
    k: single(k ?? []),
    v: v && single(v),
    g: g && single(g),
    vo: vo && single(vo),
    // What isn't known is computed from a whole row when it is needed.
    lse: lse ? Float64Array.from(lse) : new Float64Array(queries).fill(NaN),
    sink: sink ? sink[0] : null,
    weights: weights && single(weights),
    scale: scale ? scale[0] : Number(parts.scale),
    softcap: parts.softcap,
    softcapOrder: parts.softcapOrder,
    bias: { kind: bias, values: added ? single(added) : new Float32Array(0) },
    mask,
  };
}

/** @param {Parts} parts */
function scaleOf({ scale }) {
  return typeof scale === "number" ? null : scale;
}

/** @param {ArrayLike<number>} array */
function single(array) {
  return array instanceof Float32Array ? array : Float32Array.from(array);
}

/** @param {ArrayLike<number> | null | undefined} array @param {string} name @param {string} where @param {number} head */
function requireFinite(array, name, where, head) {
  if (!array) return;
  // A sum of finite numbers of 32 bits is finite in 64, and any other number makes it another.
  let sum = 0;
  for (let at = 0; at < array.length; at++) sum += array[at];
  if (!Number.isFinite(sum)) {
    throw new TraceError(`${where} has ${name} with numbers that aren't finite in head ${head}: the file is damaged, or the model overflowed; capture it again, in float32.`);
  }
}

/** What a head takes in memory, about. @param {Parts} parts */
export function headBytes(parts) {
  const { q, k, more, bias, mask, heads } = parts;
  const bytes = (/** @type {Tensor | null | undefined} */ one, many = 1) =>
    one ? ((one.end - one.begin) / SIZES[one.dtype] / many) * (one.dtype === "U8" ? 1 : 4) : 0;
  const own = [q, more.g, more.vo, more.weights].reduce((sum, one) => sum + bytes(one, heads), 0);
  const shared = bytes(k, k.shape[0]) + bytes(more.v, k.shape[0]) + (bias ? bytes(bias.values, bias.values.shape[0]) : 0);
  return own + shared + 8 * parts.queries + bytes(mask.bits, mask.bits?.shape.length === 3 ? heads : 1);
}
