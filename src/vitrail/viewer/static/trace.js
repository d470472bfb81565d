/**
 * A trace, opened: what it is made of at once, one head's numbers when somebody looks at it.
 *
 * Rows of one head stand side by side in the file ([h q d]), so a head is a few ranges; heads that were looked at stay in
 * memory until others need the room.
 * @module
 */

import { SIZES, TraceError, numbers, openContainer, parseObject, quoted } from "vitrail/container.js";
import { Fields } from "vitrail/fields.js";
import { readAxis, readLayer, readPredictions } from "vitrail/reading.js";

export { TraceError };

/** @typedef {import("vitrail/container.js").Tensor} Tensor */
/** @typedef {import("vitrail/types.js").Head} Head */
/** @typedef {import("vitrail/types.js").Layer} Layer */
/** @typedef {import("vitrail/types.js").Axis} Axis */
/** @typedef {import("vitrail/types.js").OpenTrace} OpenTrace */

const FORMAT = "vitrail.trace";
const VERSION = "1";
/** Bytes of heads that stay in memory: all of a layer at 4,096 tokens, and more of shorter ones. */
const KEPT = 128 * 2 ** 20;

/**
 * Open a trace: its axes, its digests, and where the rest is.
 * @param {import("vitrail/types.js").Source} source
 * @returns {Promise<OpenTrace>} fails with a TraceError of one sentence
 */
export async function openTrace(source) {
  try {
    return await open(source);
  } catch (error) {
    if (!(error instanceof TraceError) || error.message.endsWith(".")) throw error;
    throw new TraceError(`${source.name} can't be read as a trace: ${error.message.slice(0, 400)}; capture it again.`);
  }
}

/** @param {import("vitrail/types.js").Source} source @returns {Promise<OpenTrace>} */
async function open(source) {
  const file = await openContainer(source);
  const { format, version, trace: described } = file.metadata;
  if (format !== FORMAT) throw new TraceError(`its format is ${quoted(format)}, not "${FORMAT}"`);
  if (version !== VERSION) throw new TraceError(`it is of version ${quoted(version)} and this page reads "${VERSION}": update Vitrail`);
  const top = new Fields(parseObject(typeof described === "string" ? described : "", "its description"), "its description", file.tensors);
  const origin = top.needed("provenance", top.object("provenance"));
  const images = new Map([...(top.object("images")?.value ?? [])].map(([name]) => {
    const image = /** @type {Fields} */ (top.object("images"));
    const tensor = image.needed(name, image.tensor(name, "U", [null, null, 3]));
    return /** @type {const} */ ([name, tensor]);
  }));
  const axisParts = new Map(top.objects("axes").map(readAxis).map((axis) => [axis.name, axis]));
  for (const { name, image } of axisParts.values()) {
    if (image !== null && !images.has(image)) throw new TraceError(`the axis ${quoted(name)} is of the image ${quoted(image)}, which isn't in the file`);
  }
  const streamParts = top.objects("streams").map((stream) => {
    const layers = stream.objects("layers").map((layer) => readLayer(layer, stream, axisParts));
    const queries = axisParts.get(stream.text("queries") ?? "")?.length ?? 0;
    const predictions = readPredictions(stream.object("predictions"), layers.length, queries);
    return { name: stream.needed("name", stream.text("name")), layers, predictions };
  });
  if (!streamParts.length || new Set(streamParts.map(({ name }) => name)).size < streamParts.length) {
    throw new TraceError("its streams aren't at least one, and each name once");
  }

  /**
   * Numbers of a tensor, or of one of its rows.
   * @template {Tensor | null} T
   * @param {T} tensor
   * @param {number} [at] which of its first axis
   * @returns {Promise<T extends null ? null : Float64Array | Float32Array | Int32Array | Uint8Array>}
   */
  const load = (tensor, at) => /** @type {any} */ (tensor && loadSome(tensor, at));

  /** @param {Tensor} tensor @param {number} [at] */
  const loadSome = async (tensor, at) => {
    const bytes = (tensor.end - tensor.begin) / (at === undefined ? 1 : tensor.shape[0]);
    const begin = tensor.begin + (at ?? 0) * bytes;
    return numbers(await file.read(begin, begin + bytes), tensor.dtype);
  };

  /** @param {import("vitrail/reading.js").AxisParts} parts @returns {Promise<Axis>} */
  const loadAxis = async ({ tensors, ...plain }) => {
    const names = /** @type {(keyof typeof tensors)[]} */ (Object.keys(tensors));
    const arrays = await Promise.all(names.map((name) => load(tensors[name])));
    const axis = /** @type {Axis} */ ({ ...plain, ...Object.fromEntries(names.map((name, at) => [name, arrays[at]])) });
    const patches = axis.grid ? axis.grid[0] * axis.grid[1] : 0;
    if (axis.places?.some((place) => place < -1 || place >= patches)) {
      throw new TraceError(`the axis ${quoted(axis.name)} has places outside of its grid of ${patches} patches`);
    }
    return axis;
  };

  /** @param {import("vitrail/reading.js").Parts} parts @param {number} index @returns {Promise<Layer>} */
  const loadLayer = async (parts, index) => {
    const { name, heads, queries, keys, queryAxis, keyAxis, more } = parts;
    const { weights, g, v, vo, hidden } = more;
    return {
      index, name, heads, queries, keys, queryAxis, keyAxis,
      digest: parts.digest && (await loadDigest(parts.digest, heads)),
      errorModel: parts.errors.model,
      errorStored: parts.errors.stored,
      has: { weights: !!weights, g: !!g, v: !!v, vo: !!vo, hidden: !!hidden },
    };
  };

  /** @param {NonNullable<import("vitrail/reading.js").Parts["digest"]>} parts @param {number} heads */
  const loadDigest = async (parts, heads) => {
    const [scores, data] = await Promise.all([load(parts.scores), load(parts.thumbnails)]);
    return {
      names: parts.names,
      scores: parts.names.map((_, at) => Float32Array.from(scores.subarray(at * heads, (at + 1) * heads))),
      uniform: parts.uniform,
      counts: parts.counts,
      thumbnails: { rows: parts.thumbnails.shape[1], columns: parts.thumbnails.shape[2], data: /** @type {Uint8Array} */ (data) },
    };
  };

  // All of this is asked for in one moment, so that it is read in one or two ranges.
  const [axisList, ...layerLists] = await Promise.all([
    Promise.all([...axisParts.values()].map(loadAxis)),
    ...streamParts.map(({ layers }) => Promise.all(layers.map(loadLayer))),
  ]);
  const axes = new Map(axisList.map((axis) => [axis.name, axis]));
  const streams = streamParts.map(({ name }, at) => ({ name, layers: layerLists[at] }));

  /** @param {string} stream @param {number} index */
  const partsOf = (stream, index) => {
    const found = streamParts.find(({ name }) => name === stream)?.layers[index];
    if (!found) throw new TraceError(`${source.name} has no layer ${index} in ${quoted(stream)}.`);
    return found;
  };

  /** @param {import("vitrail/reading.js").Parts} parts @param {number} at @returns {Promise<Head>} */
  const loadHead = async (parts, at) => {
    const { q, k, more, mask, bias, scale } = parts;
    const shared = Math.floor(at / (parts.heads / k.shape[0]));
    const perHead = mask.bits?.shape.length === 3;
    const values = bias && (bias.kind === "slopes" ? load(bias.values) : load(bias.values, Math.min(at, bias.values.shape[0] - 1)));
    const found = await Promise.all([
      load(q, at), load(k, shared), load(more.v, shared), load(more.g, at), load(more.vo, at), load(more.lse, at),
      load(more.weights, at), load(more.sinks), load(typeof scale === "number" ? null : scale), values,
      load(mask.queryBlocks), load(mask.keyBlocks), load(mask.bits, perHead ? at : undefined),
    ]);
    const [queryNumbers, keyNumbers, v, g, vo, lse, weights, sinks, scales, added, queryBlocks, keyBlocks, bits] = found;
    const named = { q: queryNumbers, k: keyNumbers, v, g, vo, weights, sinks, scale: scales };
    for (const [name, array] of Object.entries(named)) requireFinite(array, name, parts.where, at);
    // Of these, -infinity means something: a query that may look nowhere, a key that a bias hides.
    for (const [name, array] of Object.entries({ lse, bias: added })) requireFinite(array?.filter((one) => one !== -Infinity), name, parts.where, at);
    const one = bias?.kind === "slopes" && added ? added.subarray(Math.min(at, added.length - 1)).subarray(0, 1) : added;
    return {
      queries: parts.queries,
      keys: parts.keys,
      width: q.shape[2],
      valueWidth: more.v?.shape[2] ?? 0,
      q: single(queryNumbers),
      k: single(keyNumbers),
      v: v && single(v),
      g: g && single(g),
      vo: vo && single(vo),
      // What isn't known is computed from a whole row when it is needed.
      lse: lse ? Float64Array.from(lse) : new Float64Array(parts.queries).fill(NaN),
      weights: weights && single(weights),
      scale: scales ? scales[at] : Number(scale),
      sink: sinks ? sinks[at] : null,
      softcap: parts.softcap,
      softcapOrder: parts.softcapOrder,
      bias: { kind: bias ? bias.kind : "none", values: one ? single(one) : new Float32Array(0) },
      mask: {
        ...mask,
        queryBlocks: /** @type {Int32Array | null} */ (queryBlocks),
        keyBlocks: /** @type {Int32Array | null} */ (keyBlocks),
        bits: /** @type {Uint8Array | null} */ (bits),
      },
    };
  };

  /** @param {string} name */
  const streamOf = (name) => {
    const found = streams.find((stream) => stream.name === name);
    if (!found) throw new TraceError(`${source.name} has no stream ${quoted(name)}: it has ${streams.map((one) => one.name).join(", ")}.`);
    return found;
  };

  /** @type {Map<string, {head: Promise<Head>, bytes: number}>} the one that was used last at the end */
  const heads = new Map();
  let held = 0;

  return {
    name: source.name,
    bytes: file.bytes,
    provenance: readProvenance(origin),
    streams,
    axes,
    images: [...images.keys()],
    stream: streamOf,
    axis(name) {
      const found = axes.get(name);
      if (!found) throw new TraceError(`${source.name} has no axis ${quoted(name)}: it has ${[...axes.keys()].join(", ")}.`);
      return found;
    },
    layer(stream, index) {
      const { layers } = streamOf(stream);
      if (!layers[index]) throw new TraceError(`${source.name} has no layer ${index} in ${quoted(stream)}: it has ${layers.length}, counted from 0.`);
      return layers[index];
    },
    head(stream, layer, head) {
      const label = JSON.stringify([stream, layer, head]);
      const known = heads.get(label);
      if (known) {
        heads.delete(label);
        heads.set(label, known);
        return known.head;
      }
      const parts = partsOf(stream, layer);
      if (!(head >= 0 && head < parts.heads)) {
        return Promise.reject(new TraceError(`${parts.where} has no head ${head}: it has ${parts.heads}, counted from 0.`));
      }
      const loading = loadHead(parts, head);
      const entry = { head: loading, bytes: headBytes(parts) };
      heads.set(label, entry);
      held += entry.bytes;
      for (const [old, { bytes }] of heads) {
        if (held <= KEPT || old === label) break;
        heads.delete(old);
        held -= bytes;
      }
      loading.catch(() => {
        if (heads.get(label) === entry && heads.delete(label)) held -= entry.bytes;
      });
      return loading;
    },
    async predictions(stream) {
      const parts = streamParts[streams.indexOf(streamOf(stream))].predictions;
      if (!parts) return null;
      const { of, texts, choices, probabilities, lens, lensProbabilities } = parts;
      const found = await Promise.all([load(choices), load(probabilities), load(lens), load(lensProbabilities)]);
      if ([found[0], found[2]].some((places) => places?.some((place) => !(place >= 0 && place < texts.length)))) {
        throw new TraceError(`the stream ${quoted(stream)} of ${source.name} predicts what isn't among its ${texts.length} texts.`);
      }
      return {
        of,
        positions: choices.shape[0],
        layers: lens ? lens.shape[0] : 0,
        likeliest(position, layer) {
          const [places, chances, best] = layer === undefined ? [found[0], found[1], choices.shape[1]] : [found[2], found[3], lens?.shape[2] ?? 0];
          const start = ((layer ?? 0) * choices.shape[0] + position) * best;
          return Array.from({ length: best }, (_, at) => ({ text: texts[places?.[start + at] ?? -1] ?? "", probability: chances?.[start + at] ?? NaN }));
        },
      };
    },
    async image(name) {
      const tensor = images.get(name);
      if (!tensor) throw new TraceError(`${source.name} has no image ${quoted(name)}.`);
      return { width: tensor.shape[1], height: tensor.shape[0], data: /** @type {Uint8Array} */ (await load(tensor)) };
    },
  };
}

/** @param {Fields} found @returns {import("vitrail/types.js").Provenance} */
function readProvenance(found) {
  return {
    model: found.needed("model", found.text("model")),
    weights: found.text("weights") ?? "trained",
    texts: found.texts("texts") ?? [],
    target: found.text("target"),
    revision: found.text("revision"),
    precision: found.text("precision") ?? "float32",
    seed: found.whole("seed"),
    versions: found.names("versions"),
    notes: found.names("notes"),
  };
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

/** What a head takes in memory, about. @param {import("vitrail/reading.js").Parts} parts */
function headBytes(parts) {
  const { q, k, more, bias, mask, heads } = parts;
  const bytes = (/** @type {Tensor | null | undefined} */ one, many = 1) =>
    one ? ((one.end - one.begin) / SIZES[one.dtype] / many) * (one.dtype === "U8" ? 1 : 4) : 0;
  const own = [q, more.g, more.vo, more.weights].reduce((sum, one) => sum + bytes(one, heads), 0);
  const shared = bytes(k, k.shape[0]) + bytes(more.v, k.shape[0]) + (bias ? bytes(bias.values, bias.values.shape[0]) : 0);
  return own + shared + 8 * parts.queries + bytes(mask.bits, mask.bits?.shape.length === 3 ? heads : 1);
}
