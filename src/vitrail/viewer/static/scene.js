/**
 * From what is looked at to what a drawing gets: the axes, the looks, and which positions are shown.
 * @module
 */

import { align } from "vitrail/align.js";
import { differenceLook, lookOf, QUANTITIES, quantities, rolloutLook, wordAxis, wordLook } from "vitrail/looks.js";

/** @typedef {import("vitrail/types.js").State} State */
/** @typedef {import("vitrail/types.js").Axis} Axis */
/** @typedef {import("vitrail/types.js").Look} Look */
/** @typedef {import("vitrail/types.js").OpenTrace} OpenTrace */

/** Positions up to which the page multiplies whole layers. */
const ROLLED = 640;

/**
 * The state as far as this trace has it: a stream, layer or head that isn't there becomes one that is.
 * @param {State} state
 * @param {OpenTrace} trace
 * @param {OpenTrace | null} other
 * @returns {Partial<State>} what has to change
 */
export function fitting(state, trace, other) {
  /** @type {Partial<State>} */
  const patch = {};
  const stream = trace.streams.find(({ name }) => name === state.stream) ?? trace.streams[0];
  if (stream.name !== state.stream) patch.stream = stream.name;
  const index = Math.min(Math.max(0, state.layer), stream.layers.length - 1);
  if (index !== state.layer) patch.layer = index;
  const layer = stream.layers[index];
  const head = Math.min(Math.max(0, state.head), layer.heads - 1);
  if (head !== state.head) patch.head = head;
  const heads = state.heads.filter((one) => one < layer.heads);
  const kept = heads.includes(head) ? heads : [head];
  if (kept.length !== state.heads.length || !state.heads.includes(head)) patch.heads = kept;
  if (state.query >= layer.queries) patch.query = -1;
  if (state.key >= layer.keys) patch.key = -1;
  if (state.pin && (state.pin[0] >= layer.queries || state.pin[1] >= layer.keys)) patch.pin = null;
  if (!drawingsOf(trace, stream.name, index).includes(state.drawing)) patch.drawing = "lines";
  const known = quantities(layer, comparable(other, stream.name, index, head));
  if (!known.includes(state.quantity)) patch.quantity = "weight";
  return patch;
}

/**
 * Whether a trace has this head too.
 * @param {OpenTrace | null} other @param {string} stream @param {number} layer @param {number} head
 */
export function comparable(other, stream, layer, head) {
  const found = other?.streams.find(({ name }) => name === stream)?.layers[layer];
  return found !== undefined && head < found.heads;
}

/**
 * The drawings that make sense of a layer.
 * @param {OpenTrace} trace @param {string} stream @param {number} index
 * @returns {import("vitrail/types.js").Drawing[]}
 */
export function drawingsOf(trace, stream, index) {
  const layer = trace.layer(stream, index);
  const axes = [trace.axis(layer.queryAxis), trace.axis(layer.keyAxis)];
  const tokens = axes.some((axis) => axis.texts !== null && axis.kind !== "patches");
  const patches = axes.some((axis) => axis.grid !== null);
  return ["lines", "matrix", ...(tokens ? /** @type {const} */ (["text"]) : []), ...(patches ? /** @type {const} */ (["image"]) : []), "arithmetic", "model", "atlas"];
}

/**
 * @param {import("vitrail/types.js").Store} store
 * @param {OpenTrace} trace
 * @param {OpenTrace | null} other
 * @param {{crew: import("vitrail/types.js").Crew, ramp: import("vitrail/types.js").Ramp, colours: string[]}} tools colours: one a head of the layer
 * @returns {Promise<import("vitrail/types.js").Scene>}
 */
export async function makeScene(store, trace, other, { crew, ramp, colours }) {
  const state = store.get();
  const layer = trace.layer(state.stream, state.layer);
  const wordless = !state.words || state.drawing === "arithmetic";
  const axes = { queries: trace.axis(layer.queryAxis), keys: trace.axis(layer.keyAxis) };
  const heads = [state.head, ...state.heads.filter((head) => head !== state.head)];
  const numbers = await Promise.all(heads.map((head) => trace.head(state.stream, state.layer, head)));
  let looks = numbers.map((one, at) => lookOf(one, state.quantity === "difference" ? "weight" : state.quantity, crew, `${state.layer}.${heads[at]}`, heads[at]));
  if (state.quantity === "difference" && other) looks = await differences(looks, other, state, axes, crew);
  if (!wordless) {
    const [queries, keys] = [wordAxis(axes.queries), wordAxis(axes.keys)];
    looks = looks.map((look) => wordLook(look, queries.groups, keys.groups));
    Object.assign(axes, { queries: queries.axis, keys: keys.axis });
  }
  const { queries, keys } = axes;
  return {
    store,
    queries,
    keys,
    same: layer.queryAxis === layer.keyAxis,
    looks,
    colours: heads.map((head) => colours[head]),
    numbers: numbers[0],
    shownQueries: shown(queries, state, 0),
    shownKeys: shown(keys, state, 1),
    quantity: { ...QUANTITIES[state.quantity], signed: looks[0].signed },
    ...(await picturesOf(trace, queries, keys)),
    every: () => everyHead(trace, state, layer.heads, crew),
    ...(layer.queryAxis === layer.keyAxis && layer.queries <= ROLLED ? { rollout: () => rolloutOf(trace, state, crew) } : {}),
    ramp,
  };
}

/**
 * @param {Look[]} looks @param {OpenTrace} other @param {State} state @param {{queries: Axis, keys: Axis}} axes
 * @param {import("vitrail/types.js").Crew} crew
 */
async function differences(looks, other, state, axes, crew) {
  const layer = other.layer(state.stream, state.layer);
  const alignment = { queries: align(axes.queries, other.axis(layer.queryAxis)), keys: align(axes.keys, other.axis(layer.keyAxis)) };
  return Promise.all(
    looks.map(async (look) => {
      const there = await other.head(state.stream, state.layer, Math.min(look.head, layer.heads - 1));
      return differenceLook(look, lookOf(there, "weight", crew, look.name, look.head), alignment);
    }),
  );
}

/**
 * Which positions are drawn: special tokens and the other sentence may be left out.
 * @param {Axis} axis @param {State} state @param {0 | 1} side 0: queries, 1: keys
 */
function shown(axis, state, side) {
  const wanted = state.sentences === "all" ? null : "ab".indexOf(state.sentences[side]);
  return Uint8Array.from({ length: axis.length }, (_, at) => {
    const added = axis.special !== null && axis.special[at] !== 0;
    if (added && !state.special) return 0;
    return Number(wanted === null || axis.segments === null || axis.segments[at] === wanted);
  });
}

/** @param {OpenTrace} trace @param {Axis} queries @param {Axis} keys */
async function picturesOf(trace, queries, keys) {
  const name = keys.image ?? queries.image;
  if (name === null) return { picture: null };
  const pictures = Object.fromEntries(await Promise.all(trace.images.map(async (one) => /** @type {const} */ ([one, await trace.image(one)]))));
  return { picture: pictures[name] ?? null, pictures };
}

/** All heads of the layer, for drawings that show them side by side. @param {OpenTrace} trace @param {State} state @param {number} heads @param {import("vitrail/types.js").Crew} crew */
function everyHead(trace, state, heads, crew) {
  const quantity = state.quantity === "difference" ? "weight" : state.quantity;
  return Promise.all(
    Array.from({ length: heads }, async (_, head) => lookOf(await trace.head(state.stream, state.layer, head), quantity, crew, `${state.layer}.${head}`, head)),
  );
}

/** All layers up to this one, multiplied. @param {OpenTrace} trace @param {State} state @param {import("vitrail/types.js").Crew} crew */
async function rolloutOf(trace, state, crew) {
  const layers = trace.stream(state.stream).layers.slice(0, state.layer + 1);
  const heads = await Promise.all(
    layers.map((layer) => Promise.all(Array.from({ length: layer.heads }, (_, head) => trace.head(state.stream, layer.index, head)))),
  );
  return rolloutLook(heads, crew, `rollout to layer ${state.layer}`);
}
