// Files from elsewhere: whatever stands in them, one sentence comes out, at once.
import assert from "node:assert/strict";
import test from "node:test";
import { TraceError, openTrace } from "vitrail/trace.js";
import { base64Source, bytesSource, portSource } from "vitrail/source.js";
import { fileBytes, smallBytes, smallTrace } from "./files.mjs";

const deep = (open, close, many) => open.repeat(many) + close.repeat(many);
const spoilt = (change) => () => smallBytes(change);
const cut = (bytes, many) => bytes.slice(0, bytes.length - many);
const long = 3 * 2 ** 20;

/** name: [bytes, what is said] */
const CASES = {
  "an empty file": [() => new Uint8Array(0), /0 bytes/],
  "seven bytes": [() => new Uint8Array(7), /7 bytes/],
  "a header of 2^64 bytes": [() => new Uint8Array(64).fill(255), /are read/],
  "a header of more than 8 MiB": [() => fileBytes("{}", undefined, 8 * 2 ** 20 + 1), /8388608 are read/],
  "a header longer than the file": [() => fileBytes("{}", undefined, 4000), /2 are left/],
  "a long header that is cut off": [() => cut(fileBytes(`{"a":"${"x".repeat(long)}"}`), 9), /are left/],
  "a header that is no JSON": [() => fileBytes("{'a': 1}"), /its header is no JSON/],
  "a header that is a list": [() => fileBytes("[]"), /no JSON object/],
  "a header that is no UTF-8": [() => fileBytes('{"~"}').map((byte) => (byte === 0x7e ? 0xff : byte)), /no UTF-8/],
  "a header with NaN": [() => fileBytes('{"a": NaN}'), /no JSON/],
  "a header nested 200,000 deep": [() => fileBytes(deep("[", "]", 200_000)), /its header is/],
  "a header with a million lists": [() => fileBytes(`[${"[],".repeat(1_000_000)}[]]`), /lists and objects/],
  "a description nested 100,000 deep": [spoilt(({ metadata }) => (metadata.trace = deep('{"a":', "}", 100_000).replace("{}", '{"a":1}'))), /description/],
  "metadata that are a list": [() => fileBytes({ __metadata__: [] }), /metadata/],
  "no metadata": [() => fileBytes({}), /format is "undefined"/],
  "another format": [spoilt(({ metadata }) => (metadata.format = "pt")), /format is "pt"/],
  "another version": [spoilt(({ metadata }) => (metadata.version = "2")), /version "2".*update Vitrail/],
  "no description": [() => fileBytes({ __metadata__: { format: "vitrail.trace", version: "1" } }), /description is no JSON/],
  "a description that is a number": [spoilt(({ metadata }) => (metadata.trace = "7")), /description is no JSON object/],
  "a file that is cut off": [() => cut(smallBytes(), 1), /fewer bytes/],
  "a file with something behind": [() => new Uint8Array([...smallBytes(), 0]), /more bytes/],
  "a gap between tensors": [
    () => {
      const { header, bytes } = smallTrace();
      header.k.data_offsets = header.k.data_offsets.map((at) => at + 4);
      return fileBytes(header, bytes);
    },
    /doesn't begin where/,
  ],
  "tensors on top of each other": [
    () => {
      const { header, bytes } = smallTrace();
      header.k.data_offsets = header.q.data_offsets;
      return fileBytes(header, bytes);
    },
    /doesn't begin where/,
  ],
  "offsets past the end": [
    () => {
      const { header } = smallTrace();
      return fileBytes({ __metadata__: header.__metadata__, q: { dtype: "U8", shape: [2 ** 40], data_offsets: [0, 2 ** 40] } });
    },
    /fewer bytes/,
  ],
  "offsets that are texts": [() => fileBytes({ q: { dtype: "U8", shape: [1], data_offsets: ["0", "1"] } }), /aren't counts/],
  "negative offsets": [() => fileBytes({ q: { dtype: "U8", shape: [8], data_offsets: [-8, 0] } }), /aren't counts/],
  "a shape of nothing": [() => fileBytes({ q: { dtype: "U8", shape: [0], data_offsets: [0, 0] } }), /aren't counts/],
  "a shape that overflows": [
    () => fileBytes({ q: { dtype: "F64", shape: Array(8).fill(2 ** 47), data_offsets: [0, 8] } }),
    /has 8 bytes, which aren't F64/,
  ],
  "a tensor that is a text": [() => fileBytes({ q: "U8" }), /no type, shape and offsets/],
  "an unknown type": [spoilt(({ wanted }) => (wanted.q = ["BF16", [1]])), /is of "BF16"/],
  "a type from the prototype": [spoilt(({ wanted }) => (wanted.q = ["constructor", [1]])), /is of "constructor"/],
  "no axes": [spoilt(({ trace }) => delete trace.axes), /no such axis/],
  "axes that are a text": [spoilt(({ trace }) => (trace.axes = "t")), /axes of its description isn't a list/],
  "an axis of another kind": [spoilt(({ axis }) => (axis.kind = "smells")), /isn't tokens, patches/],
  "an axis without positions": [spoilt(({ axis }) => (axis.length = 0)), /isn't at least 1/],
  "an axis of 2^60 positions": [spoilt(({ axis }) => (axis.length = 2 ** 60)), /whole number/],
  "an axis of half a position": [spoilt(({ axis }) => (axis.length = 0.5)), /whole number/],
  "too few texts": [spoilt(({ axis }) => axis.texts.pop()), /one text for each position/],
  "texts that are numbers": [spoilt(({ axis }) => (axis.texts = [1, 2, 3])), /isn't a list of texts/],
  "words of another type": [spoilt(({ axis }) => (axis.words = "thumbnails")), /words of axes 0.* is U8/],
  "places without a grid": [spoilt(({ axis }) => (axis.places = "places")), /grid/],
  "an empty grid": [spoilt(({ axis }) => (axis.grid = [0, 3])), /two counts/],
  "an image that isn't there": [spoilt(({ axis }) => (axis.image = "x")), /image "x"/],
  "an image that is grey": [spoilt(({ wanted }) => (wanted.image = ["U8", [4, 3]])), /photograph of images .* is \[4, 3\]/],
  "no streams": [spoilt(({ trace }) => (trace.streams = [])), /at least one/],
  "a stream without layers, alone": [spoilt(({ trace }) => (trace.streams[0].layers = [])), /at least one with a layer/],
  "40,000 layers of the same numbers": [
    spoilt(({ trace, layer }) => (trace.streams[0].layers = Array(40_000).fill({ ...layer, mask: null, digest: null }))),
    /80000 heads, and the map of all heads has room for 65536/,
  ],
  "two streams of a name": [spoilt(({ trace }) => trace.streams.push(trace.streams[0])), /each name once/],
  "no provenance": [spoilt(({ trace }) => delete trace.provenance), /provenance of its description is missing/],
  "notes that are numbers": [spoilt(({ trace }) => (trace.provenance.notes = { a: 1 })), /texts by name/],
  "a layer without queries": [spoilt(({ layer }) => delete layer.q), /q of the layer "layer.0" is missing/],
  "a layer that names nothing": [spoilt(({ layer }) => (layer.q = "nothing")), /"nothing", which isn't in the file/],
  "a tensor from the prototype": [spoilt(({ layer }) => (layer.q = "__proto__")), /which isn't in the file/],
  "keys of another length": [spoilt(({ layer }) => (layer.k = "short")), /k of the layer "layer.0" is \[2, 2, 4\]/],
  "values of another length": [spoilt(({ layer }) => (layer.v = "short")), /v of the layer/],
  "queries without an axis": [spoilt(({ layer }) => (layer.q = "scalar")), /q of the layer "layer.0" is \[\]/],
  "heads that don't divide": [spoilt(({ wanted }) => ((wanted.k = ["F32", [3, 3, 4]]), (wanted.v = ["F32", [3, 3, 4]]))), /don't divide/],
  "no scale": [spoilt(({ layer }) => delete layer.scale), /scale of .* is missing/],
  "a scale of 1e999": [
    spoilt((file) => (file.metadata.trace = JSON.stringify(file.trace).replace('"scale":0.5', '"scale":1e999'))),
    /isn't a finite number/,
  ],
  "a softcap of 0": [spoilt(({ layer }) => (layer.softcap = 0)), /above 0/],
  "another order": [spoilt(({ layer }) => (layer.softcap_order = "never")), /before mask or after mask/],
  "another normaliser": [spoilt(({ layer }) => (layer.normaliser = "relu")), /softmax, sink or other/],
  "sinks that aren't there": [spoilt(({ layer }) => (layer.normaliser = "sink")), /where there are sinks/],
  "weights that aren't there": [spoilt(({ layer }) => (layer.normaliser = "other")), /none are in the file/],
  "an unknown mask": [spoilt(({ layer }) => (layer.mask = { rule: "maybe" })), /rule of mask/],
  "a mask that is a text": [spoilt(({ layer }) => (layer.mask = "all")), /no JSON object/],
  "a window of -1": [spoilt(({ layer }) => (layer.mask = { rule: "window", before: -1 })), /count of keys/],
  "a prefix without a length": [spoilt(({ layer }) => (layer.mask = { rule: "prefix" })), /length of mask .* is missing/],
  "bits that aren't there": [spoilt(({ layer }) => (layer.mask = { rule: "bits" })), /bits of mask .* is missing/],
  "bits of another size": [spoilt(({ layer }) => (layer.mask = { rule: "bits", bits: "thumbnails" })), /bytes, or these for each head/],
  "half of the blocks": [spoilt(({ layer }) => (layer.mask = { rule: "blocks", query_blocks: "blocks" })), /key_blocks of mask .* is missing/],
  "an unknown bias": [spoilt(({ layer }) => (layer.bias = { kind: "constructor", values: "q" })), /toeplitz, slopes/],
  "a bias of another size": [spoilt(({ layer }) => (layer.bias = { kind: "dense", values: "q" })), /values of bias/],
  "a digest of another size": [spoilt(({ layer }) => layer.digest.names.push("other")), /scores of digest/],
  "thumbnails as large as posters": [spoilt(({ wanted }) => (wanted.thumbnails = ["U8", [2, 49, 3]])), /at most 48 by 48/],
  "a digest without counts": [spoilt(({ layer }) => (layer.digest.counts = [])), /one count for each name/],
  "uniform scores that are texts": [spoilt(({ layer }) => (layer.digest.uniform = ["1"])), /uniform of digest/],
};

for (const [name, [make, said]] of Object.entries(CASES)) {
  test(`refused: ${name}`, { timeout: 20_000 }, async () => {
    await assert.rejects(openTrace(bytesSource(make(), "file.safetensors")), (error) => {
      assert.ok(error instanceof TraceError, String(error));
      assert.match(error.message, said);
      assert.ok(error.message.startsWith("file.safetensors can't be read as a trace: ") && error.message.length < 600);
      assert.ok(error.message.endsWith("; capture it again."));
      return true;
    });
  });
}

test("places outside of the grid are refused when they are read", async () => {
  const { header, bytes } = smallTrace(({ axis }) => Object.assign(axis, { kind: "patches", grid: [1, 2], places: "places" }));
  new Int32Array(bytes.buffer, header.places.data_offsets[0], 3).set([0, 1, 2]);
  await assert.rejects(openTrace(bytesSource(fileBytes(header, bytes), "f")), /outside of its grid of 2 patches/);
});

test("numbers that aren't finite are refused by name, and other heads live on", async () => {
  const { header, bytes } = smallTrace();
  new Float32Array(bytes.buffer, header.q.data_offsets[0], 24)[13] = NaN;
  const trace = await openTrace(bytesSource(fileBytes(header, bytes), "f"));
  assert.equal((await trace.head("encoder", 0, 0)).queries, 3);
  await assert.rejects(trace.head("encoder", 0, 1), /"layer.0" has q with numbers that aren't finite in head 1/);
  await assert.rejects(trace.head("encoder", 0, 1), TraceError);
});

test("what isn't there is named", async () => {
  const trace = await openTrace(bytesSource(smallBytes(), "f"));
  assert.throws(() => trace.stream("decoder"), /no stream "decoder": it has encoder/);
  assert.throws(() => trace.axis("u"), /no axis "u": it has t/);
  assert.throws(() => trace.layer("encoder", 1), /no layer 1 in "encoder": it has 1/);
  await assert.rejects(trace.head("encoder", 0, 2), /no head 2: it has 2/);
  await assert.rejects(trace.image("x"), /no image "x"/);
});

test("a stream without layers is left out beside another", async () => {
  const bytes = smallBytes(({ trace }) => trace.streams.unshift({ name: "none", queries: "t", keys: "t", layers: [] }));
  const trace = await openTrace(bytesSource(bytes, "f"));
  assert.deepEqual([trace.streams.map(({ name }) => name), (await trace.head("encoder", 0, 1)).keys], [["encoder"], 3]);
});

test("unknown fields are left alone, and the least that a layer may have is enough", async () => {
  const least = ({ layer, trace }) => {
    for (const name of ["v", "lse", "mask", "digest"]) delete layer[name];
    Object.assign(layer, { later: { what: "ever" } });
    trace.later = 1;
    delete trace.images;
  };
  const trace = await openTrace(bytesSource(smallBytes(least), "f"));
  const head = await trace.head("encoder", 0, 1);
  assert.deepEqual([head.v, head.weights, head.bias.kind, head.mask.rule, trace.layer("encoder", 0).digest], [null, null, "none", "all", null]);
  assert.deepEqual(trace.layer("encoder", 0).has, { weights: false, g: false, v: false, vo: false, hidden: false });
});

test("a source that gives too little, or fails, is said", async () => {
  const bytes = smallBytes();
  await assert.rejects(openTrace(portSource(async () => Promise.reject(new Error("x")), "cell")), /cell can't be read: the notebook/);
  const long = { ...bytesSource(bytes, "cut"), read: async () => new ArrayBuffer(0) };
  await assert.rejects(openTrace(long), /0 bytes/);
});

test("base64 is decoded where it is read", async () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, at) => (7 * at) % 256);
  const source = base64Source(Buffer.from(bytes).toString("base64"), "b");
  for (const [start, end] of [[0, 8], [1, 2], [5, 100], [98, 400], [120, 130], [33, 66]]) {
    assert.deepEqual(new Uint8Array(await source.read(start, end)), bytes.slice(start, end));
  }
});

test("3,000 files with a few bytes changed: each opens, or says why not", { timeout: 120_000 }, async () => {
  let seed = 29;
  const draw = (below) => (seed = (seed * 16807) % 2147483647) % below;
  const whole = smallBytes(({ layer, trace, wanted }) => {
    Object.assign(wanted, { padding: ["U8", [3]], values: ["F32", [2, 3]], choices: ["I32", [3, 2]], chances: ["F32", [3, 2]], vo: ["F32", [2, 3]] });
    Object.assign(layer, { bias: { kind: "keys", values: "values" }, mask: { rule: "bits", bits: "bits" }, softcap: 3.5, vo: "vo" });
    trace.streams[0].predictions = { of: "token", texts: ["a"], choices: "choices", probabilities: "chances" };
  });
  const length = 8 + new DataView(whole.buffer).getUint32(0, true);
  const counts = { opened: 0, refused: 0 };
  for (let round = 0; round < 3000; round++) {
    const bytes = whole.slice();
    // Digits, brackets, quotes and letters of the header; now and then its length or a number.
    for (let change = draw(3); change >= 0; change--) bytes[draw(20) ? 8 + draw(length - 8) : draw(bytes.length)] = '0179[]{}",:-eaqk\u0000\u00ff'.charCodeAt(draw(18));
    try {
      const trace = await openTrace(bytesSource(bytes, "f"));
      for (const { name, layers } of trace.streams) {
        await trace.predictions(name);
        for (const { index, heads } of layers) {
          await trace.head(name, index, heads - 1);
          await trace.link(name, index, 0, 0, 0);
        }
      }
      counts.opened++;
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      assert.match(error.message, /^[^]+\.$/);
      counts.refused++;
    }
  }
  assert.ok(counts.opened > 100 && counts.refused > 1000, JSON.stringify(counts));
});
