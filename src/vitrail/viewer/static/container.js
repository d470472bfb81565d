/**
 * A `.safetensors` file of which only what is needed is read; the twin of trace/container.py, and as doubtful: lengths,
 * offsets, shapes and types of a file from elsewhere may be anything.
 * @module
 */

/** What is said of a trace that can't be read: one sentence; the page lives on. */
export class TraceError extends Error {
  /** @override */
  name = "TraceError";
}

/**
 * Where a tensor stands in its file.
 * @typedef {Object} Tensor
 * @property {string} name
 * @property {"F64" | "F32" | "F16" | "I32" | "U8"} dtype
 * @property {number[]} shape
 * @property {number} begin its first byte
 * @property {number} end
 */

/**
 * @typedef {Object} Container
 * @property {Record<string, unknown>} metadata
 * @property {Map<string, Tensor>} tensors
 * @property {Read} read
 * @property {number} bytes of the whole file
 */

/** @typedef {(begin: number, end: number) => Promise<ArrayBuffer>} Read */

const HEADER_LIMIT = 8 * 2 ** 20;
const PARTS_LIMIT = 2 ** 18;
/** Read at once: a short trace whole, of a long one the header and the beginning. */
const FIRST = 2 ** 20;
/** Ranges as near as this are read together, with what lies between. */
const GAP = 2 ** 16;
const TOGETHER = 2 ** 25;
export const SIZES = Object.freeze({ F64: 8, F32: 4, F16: 2, I32: 4, U8: 1 });

/**
 * What is in a file; read in one or two requests.
 * @param {import("vitrail/types.js").Source} source
 * @returns {Promise<Container>}
 */
export async function openContainer(source) {
  const head = new Uint8Array(await source.read(0, FIRST));
  if (head.length < 8) throw new TraceError(`it has ${head.length} bytes, and the length of its header alone takes 8`);
  const view = new DataView(head.buffer, head.byteOffset, 8);
  const length = view.getUint32(0, true) + 2 ** 32 * view.getUint32(4, true);
  if (length > HEADER_LIMIT) {
    throw new TraceError(`its header should have ${length} bytes, and ${HEADER_LIMIT} are read`);
  }
  const start = 8 + length;
  let header = head.subarray(8, start);
  const whole = head.length < FIRST;
  if (header.length < length && !whole) {
    const rest = new Uint8Array(await source.read(head.length, start));
    const both = new Uint8Array(header.length + rest.length);
    both.set(header);
    both.set(rest, header.length);
    header = both;
  }
  if (header.length < length) throw new TraceError(`its header should have ${length} bytes, and ${header.length} are left`);
  const { __metadata__: metadata = {}, ...entries } = parseObject(decode(header), "its header");
  if (!isObject(metadata)) throw new TraceError("its metadata aren't texts by name");
  const tensors = new Map(Object.entries(entries).map(([name, entry]) => [name, place(name, entry, start)]));
  let end = start;
  for (const tensor of [...tensors.values()].sort((one, two) => one.begin - two.begin || one.end - two.end)) {
    if (tensor.begin !== end) throw new TraceError(`its tensor ${quoted(tensor.name)} doesn't begin where the one before ends`);
    end = tensor.end;
  }
  // The last byte is asked for, and the one behind it: files are cut off in transit, and lengths may lie.
  const last = whole ? head.length : end - 1 + (await source.read(end - 1, end + 1)).byteLength;
  if (last !== end) throw new TraceError(`its tensors end at byte ${end}, but the file has ${last < end ? "fewer" : "more"} bytes`);
  return { metadata, tensors, read: together(source, head), bytes: end };
}

/**
 * Reads what is asked for in one moment in as few requests as it takes.
 * @param {import("vitrail/types.js").Source} source
 * @param {Uint8Array} known its beginning
 * @returns {Read}
 */
function together(source, known) {
  /** @type {{begin: number, end: number, give: (bytes: ArrayBuffer) => void, fail: (error: unknown) => void}[]} */
  let waiting = [];
  const flush = () => {
    const asked = waiting.sort((one, two) => one.begin - two.begin);
    waiting = [];
    for (let at = 0; at < asked.length; ) {
      const group = [asked[at++]];
      const begin = group[0].begin;
      let end = group[0].end;
      while (at < asked.length && asked[at].begin <= end + GAP && asked[at].end - begin <= TOGETHER) {
        end = Math.max(end, asked[at].end);
        group.push(asked[at++]);
      }
      readGroup(group, begin, end);
    }
  };
  /** @param {typeof waiting} group @param {number} begin @param {number} end */
  const readGroup = async (group, begin, end) => {
    try {
      const bytes = await source.read(begin, end);
      if (bytes.byteLength !== end - begin) throw new TraceError(`${source.name} has become shorter: capture it again.`);
      // One that is alone keeps its bytes; of several, each gets its own, so that none holds the others in memory.
      for (const one of group) one.give(group.length === 1 ? bytes : bytes.slice(one.begin - begin, one.end - begin));
    } catch (error) {
      for (const one of group) one.fail(error);
    }
  };
  return (begin, end) => {
    if (end <= known.length) return Promise.resolve(known.slice(begin, end).buffer);
    return new Promise((give, fail) => {
      if (!waiting.length) queueMicrotask(flush);
      waiting.push({ begin, end, give, fail });
    });
  };
}

/**
 * Numbers of a tensor from its bytes, as what they are; broken ones of 16 bits as 32.
 * @param {ArrayBuffer} bytes little-endian, as all machines with a browser are
 * @param {Tensor["dtype"]} dtype
 * @returns {Float64Array | Float32Array | Int32Array | Uint8Array}
 */
export function numbers(bytes, dtype) {
  if (dtype === "F64") return new Float64Array(bytes);
  if (dtype === "F32") return new Float32Array(bytes);
  if (dtype === "I32") return new Int32Array(bytes);
  if (dtype === "U8") return new Uint8Array(bytes);
  const table = halves();
  return Float32Array.from(new Uint16Array(bytes), (bits) => table[bits]);
}

/** @type {Float32Array | null} */
let table = null;

/** All numbers of 16 bits. */
function halves() {
  table ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => {
    const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : (2 ** -14 * fraction) / 1024);
  });
  return table;
}

/** @param {Uint8Array} bytes */
function decode(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new TraceError("its header is no UTF-8");
  }
}

/**
 * A JSON object, however hostile.
 * @param {string} text
 * @param {string} what
 * @returns {Record<string, unknown>}
 */
export function parseObject(text, what) {
  let parts = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5b || code === 0x7b) parts++;
  }
  if (parts > PARTS_LIMIT) throw new TraceError(`${what} has more than ${PARTS_LIMIT} lists and objects`);
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TraceError(`${what} is ${error instanceof RangeError ? "nested too deep" : "no JSON"}`);
  }
  if (!isObject(value)) throw new TraceError(`${what} is no JSON object`);
  return value;
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * A name from a file, short enough to be said.
 * @param {unknown} name
 */
export function quoted(name) {
  const text = String(name);
  return `"${text.length > 40 ? `${text.slice(0, 40)}…` : text}"`;
}

/**
 * Type, shape and bytes of a tensor.
 * @param {string} name
 * @param {unknown} entry
 * @param {number} start where tensors begin
 * @returns {Tensor}
 */
function place(name, entry, start) {
  const label = quoted(name);
  if (!isObject(entry)) throw new TraceError(`its tensor ${label} has no type, shape and offsets`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !Object.hasOwn(SIZES, dtype)) {
    throw new TraceError(`its tensor ${label} is of ${quoted(dtype)}, and one of ${Object.keys(SIZES).join(", ")} is read`);
  }
  if (!isCounts(shape) || !isCounts(offsets) || offsets.length !== 2 || shape.length > 8 || shape.includes(0)) {
    throw new TraceError(`the shape or the offsets of its tensor ${label} aren't counts`);
  }
  const kind = /** @type {Tensor["dtype"]} */ (dtype);
  const [begin, end] = offsets;
  if (end - begin !== shape.reduce((product, count) => product * count, SIZES[kind])) {
    throw new TraceError(`its tensor ${label} has ${end - begin} bytes, which aren't ${kind} [${shape.join(", ")}]`);
  }
  return { name, dtype: kind, shape, begin: start + begin, end: start + end };
}

/**
 * @param {unknown} value
 * @returns {value is number[]}
 */
function isCounts(value) {
  return Array.isArray(value) && value.every((one) => Number.isInteger(one) && one >= 0 && one < 2 ** 48);
}
