// Traces for the tests: read from the disk by ranges, or made on the spot.
import { open } from "node:fs/promises";
import { basename } from "node:path";

/** A source of a file, which counts what is read. */
export async function diskSource(path) {
  const file = await open(path);
  const { size } = await file.stat();
  const source = {
    name: basename(path),
    reads: 0,
    bytes: 0,
    async read(start, end) {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - start));
      await file.read(bytes, 0, bytes.length, start);
      source.reads++;
      source.bytes += bytes.length;
      return bytes.buffer;
    },
    close: () => file.close(),
  };
  return source;
}

/** The bytes of a file: its header (an object, or a text as it is) and what follows. */
export function fileBytes(header, tensors = new Uint8Array(0), length = null) {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + tensors.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length ?? text.length), true);
  bytes.set(text, 8);
  bytes.set(tensors, 8 + text.length);
  return bytes;
}

const SIZES = { F64: 8, F32: 4, F16: 2, I32: 4, U8: 1 };

/** A small trace of one layer, as header and bytes; `change` may spoil the description, the tensors or the metadata. */
export function smallTrace(change = () => undefined) {
  const [h, n, d] = [2, 3, 4];
  const wanted = {
    lse: ["F64", [h, n]],
    q: ["F32", [h, n, d]],
    k: ["F32", [h, n, d]],
    v: ["F32", [h, n, d]],
    places: ["I32", [n]],
    scores: ["F32", [1, h]],
    thumbnails: ["U8", [h, n, n]],
    image: ["U8", [2, 2, 3]],
    bits: ["U8", [n, 1]],
    blocks: ["I32", [n]],
    short: ["F32", [h, n - 1, d]],
    scalar: ["F32", []],
  };
  const trace = {
    axes: [{ name: "t", kind: "tokens", length: n, texts: ["a", " b", " c"] }],
    streams: [
      {
        name: "encoder",
        queries: "t",
        keys: "t",
        layers: [
          {
            name: "layer.0",
            q: "q",
            k: "k",
            v: "v",
            scale: 0.5,
            lse: "lse",
            mask: { rule: "all" },
            digest: { names: ["entropy"], scores: "scores", uniform: [1], counts: [3], thumbnails: "thumbnails" },
          },
        ],
      },
    ],
    images: { photograph: "image" },
    provenance: { model: "m" },
  };
  const metadata = { format: "vitrail.trace", version: "1" };
  const file = { trace, wanted, metadata, layer: trace.streams[0].layers[0], axis: trace.axes[0] };
  change(file);
  const header = { __metadata__: { ...file.metadata, trace: file.metadata.trace ?? JSON.stringify(file.trace) } };
  let end = 0;
  for (const [name, [dtype, shape]] of Object.entries(file.wanted)) {
    const begin = end;
    end += shape.reduce((product, count) => product * count, SIZES[dtype] ?? 1);
    header[name] = { dtype, shape, data_offsets: [begin, end] };
  }
  return { header, bytes: new Uint8Array(end) };
}

export function smallBytes(change) {
  const { header, bytes } = smallTrace(change);
  return fileBytes(header, bytes);
}
