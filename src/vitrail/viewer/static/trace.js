/**
 * A trace, opened: what it is made of at once, one head's numbers when somebody looks at it.
 *
 * Rows of one head stand side by side in the file ([h q d]), so a head is a few ranges; heads that were looked at stay in
 * memory until others need the room.
 * @module
 */

import { withAlignment } from "vitrail/alignment.js";
import { SIZES, TraceError, numbers, openContainer, parseObject, quoted } from "vitrail/container.js";
import { Fields } from "vitrail/fields.js";
import { headBytes, loadHead, loadLink } from "vitrail/heads.js";
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
/** Heads, all in all; the largest models have a fourth of it. Layers may share tensors, so a small file may claim any number. */
const MOST = 2 ** 16;

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
  const allParts = top.objects("streams").map((stream) => {
    const layers = stream.objects("layers").map((layer) => readLayer(layer, stream, axisParts));
    const queries = axisParts.get(stream.text("queries") ?? "")?.length ?? 0;
    const predictions = readPredictions(stream.object("predictions"), layers.length, queries);
    return { name: stream.needed("name", stream.text("name")), layers, predictions };
  });
  const streamParts = allParts.filter(({ layers }) => layers.length);
  if (!streamParts.length || new Set(allParts.map(({ name }) => name)).size < allParts.length) {
    throw new TraceError("its streams aren't at least one with a layer, and each name once");
  }
  const count = streamParts.flatMap(({ layers }) => layers).reduce((sum, { heads }) => sum + heads, 0);
  if (count > MOST) throw new TraceError(`it has ${count} heads, and the map of all heads has room for ${MOST}`);

  /** @type {import("vitrail/heads.js").Load} */
  const load = (tensor, start, count) => /** @type {any} */ (tensor && loadSome(tensor, start, count));

  /** @param {Tensor} tensor @param {number} [start] @param {number} [count] */
  const loadSome = async ({ dtype, begin, end }, start = 0, count = (end - begin) / SIZES[dtype]) => {
    const first = begin + start * SIZES[dtype];
    return numbers(await file.read(first, first + count * SIZES[dtype]), dtype);
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
  const streams = streamParts.map(({ name }, at) => ({
    name,
    layers: layerLists[at].map((layer) => ({ ...layer, digest: withAlignment(layer, axes) })),
  }));

  /** @param {string} name */
  const streamOf = (name) => {
    const found = streams.find((stream) => stream.name === name);
    if (!found) throw new TraceError(`${source.name} has no stream ${quoted(name)}: it has ${streams.map((one) => one.name).join(", ")}.`);
    return found;
  };

  /** @param {string} stream @param {number} index @param {number} head */
  const partsOf = (stream, index, head) => {
    const { layers } = streamParts[streams.indexOf(streamOf(stream))];
    const parts = layers[index];
    if (!parts) throw new TraceError(`${source.name} has no layer ${index} in ${quoted(stream)}: it has ${layers.length}, counted from 0.`);
    if (!(head >= 0 && head < parts.heads)) throw new TraceError(`${parts.where} has no head ${head}: it has ${parts.heads}, counted from 0.`);
    return parts;
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
      partsOf(stream, index, 0);
      return streamOf(stream).layers[index];
    },
    async head(stream, layer, head) {
      const parts = partsOf(stream, layer, head);
      const label = JSON.stringify([stream, layer, head]);
      const known = heads.get(label);
      if (known) {
        heads.delete(label);
        heads.set(label, known);
        return known.head;
      }
      const entry = { head: loadHead(load, parts, head), bytes: headBytes(parts) };
      heads.set(label, entry);
      held += entry.bytes;
      for (const [old, { bytes }] of heads) {
        if (held <= KEPT || old === label) break;
        heads.delete(old);
        held -= bytes;
      }
      entry.head.catch(() => {
        if (heads.get(label) === entry && heads.delete(label)) held -= entry.bytes;
      });
      return entry.head;
    },
    async link(stream, layer, head, query, key) {
      const parts = partsOf(stream, layer, head);
      if (!(query >= 0 && query < parts.queries && key >= 0 && key < parts.keys)) {
        throw new TraceError(`${parts.where} has no link from ${query} to ${key}: it has ${parts.queries} queries and ${parts.keys} keys, counted from 0.`);
      }
      return loadLink(load, parts, head, query, key);
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
    step: found.whole("step"),
  };
}
