// What is read when: a long trace by ranges, a head's rows alone, what is asked for together in one request.
import assert from "node:assert/strict";
import test from "node:test";
import { bytesSource, fileSource, httpSource } from "vitrail/source.js";
import { openTrace } from "vitrail/trace.js";
import { fileBytes, smallBytes, smallTrace } from "./files.mjs";

const [HEADS, TOKENS, WIDTH, LAYERS] = [4, 1024, 32, 3];

/** A trace of several MiB: number at of head h of layer l in q is l + h / 10 + at / 1e6. */
function longTrace(texts = "x") {
  return smallTrace(({ trace, wanted, layer, axis }) => {
    for (const name of Object.keys(wanted)) delete wanted[name];
    delete trace.images;
    Object.assign(axis, { length: TOKENS, texts: Array(TOKENS).fill(texts) });
    const layers = Array.from({ length: LAYERS }, (_, at) => ({
      ...layer,
      name: `layer.${at}`,
      ...Object.fromEntries(["lse", "q", "k", "v"].map((name) => [name, `${name}${at}`])),
      digest: { ...layer.digest, scores: `scores${at}`, thumbnails: `thumbnails${at}` },
    }));
    trace.streams[0].layers = layers;
    for (let at = 0; at < LAYERS; at++) wanted[`lse${at}`] = ["F64", [HEADS, TOKENS]];
    for (let at = 0; at < LAYERS; at++) Object.assign(wanted, { [`scores${at}`]: ["F32", [1, HEADS]], [`thumbnails${at}`]: ["U8", [HEADS, 8, 8]] });
    for (let at = 0; at < LAYERS; at++) for (const name of "qkv") wanted[`${name}${at}`] = ["F32", [HEADS, TOKENS, WIDTH]];
  });
}

function filled({ header, bytes }) {
  for (let layer = 0; layer < LAYERS; layer++) {
    const numbers = new Float32Array(bytes.buffer, header[`q${layer}`].data_offsets[0], HEADS * TOKENS * WIDTH);
    for (let at = 0; at < numbers.length; at++) numbers[at] = layer + Math.floor(at / (TOKENS * WIDTH)) / 10 + (at % (TOKENS * WIDTH)) / 1e6;
  }
  return fileBytes(header, bytes);
}

function counted(bytes) {
  const source = { ...bytesSource(bytes, "long"), reads: [] };
  const { read } = source;
  source.read = (start, end) => {
    source.reads.push([start, end]);
    return read(start, end);
  };
  return source;
}

test("the beginning is read at once, and a head when it is looked at", async () => {
  const source = counted(filled(longTrace()));
  const trace = await openTrace(source);
  assert.deepEqual(source.reads.map(([start, end]) => end - start), [2 ** 20, 2]); // and whether the file ends where it says
  assert.deepEqual([trace.layer("encoder", 2).name, trace.layer("encoder", 2).digest.scores[0].length], ["layer.2", HEADS]);

  source.reads.length = 0;
  const head = await trace.head("encoder", 2, 3);
  assert.deepEqual([head.q[0], head.q[5], head.q.length], [Math.fround(2.3), Math.fround(2.3 + 5 / 1e6), TOKENS * WIDTH]);
  const read = source.reads.reduce((sum, [start, end]) => sum + end - start, 0);
  assert.deepEqual([source.reads.length, read], [3, 3 * TOKENS * WIDTH * 4]);
});

test("heads that are asked for together are read together, and each once", async () => {
  const source = counted(filled(longTrace()));
  const trace = await openTrace(source);
  source.reads.length = 0;
  const asked = [0, 1, 2, 3, 3, 0].map((head) => trace.head("encoder", 1, head));
  const heads = await Promise.all(asked);
  assert.equal(heads[0], heads[5]);
  assert.equal(source.reads.length, 1); // q, k and v of a layer stand side by side
  assert.deepEqual(heads.slice(0, 4).map(({ q }) => q[0]), [1, 1.1, 1.2, 1.3].map(Math.fround));
  assert.ok(heads.every(({ q, v }) => q.buffer.byteLength === q.byteLength && v.buffer.byteLength === v.byteLength), "no head holds the others");
  await trace.head("encoder", 1, 2);
  assert.equal(source.reads.length, 1);
});

test("a link is a few numbers; where the file hasn't its log-sum-exp, the head is read for it", async () => {
  const source = counted(filled(longTrace()));
  const trace = await openTrace(source);
  source.reads.length = 0;
  const link = await trace.link("encoder", 2, 3, 1000, 17);
  assert.deepEqual([link.queries, link.keys, link.q.length, link.q[0]], [1, 1, WIDTH, Math.fround(2.3 + (1000 * WIDTH) / 1e6)]);
  assert.equal(source.reads.reduce((sum, [start, end]) => sum + end - start, 0), 2 * WIDTH * 4);
  await assert.rejects(trace.link("encoder", 2, 3, 1024, 0), /no link from 1024 to 0: it has 1024 queries/);

  const least = await openTrace(bytesSource(smallBytes(({ layer }) => delete layer.lse), "f"));
  assert.equal((await least.link("encoder", 0, 1, 2, 0)).lse[0], Math.log(3));
});

test("a long header is read to its end, a short file whole", async () => {
  const long = counted(filled(longTrace("word ".repeat(300))));
  assert.equal((await openTrace(long)).axis("t").texts[5].length, 1500);
  assert.equal(long.reads[1][0], 2 ** 20);
  const short = counted(smallBytes());
  await (await openTrace(short)).head("encoder", 0, 0);
  assert.equal(short.reads.length, 1);
});

test("a file that becomes shorter is said, and asked for again the next time", async () => {
  const bytes = filled(longTrace());
  const source = bytesSource(bytes, "long");
  const { read } = source;
  const trace = await openTrace(source);
  source.read = async () => new ArrayBuffer(3);
  await assert.rejects(trace.head("encoder", 0, 0), /long has become shorter: capture it again\./);
  source.read = read;
  assert.equal((await trace.head("encoder", 0, 0)).q.length, TOKENS * WIDTH);
});

test("heads that were not used for long leave, so that memory is bounded", async () => {
  const [tokens, heads] = [4096, 60];
  // 60 heads of 3 MiB each over one region: no test should need as much memory as what it forbids.
  const { header } = smallTrace(({ wanted, layer, axis, trace }) => {
    for (const name of Object.keys(wanted)) delete wanted[name];
    delete trace.images;
    Object.assign(axis, { length: tokens, texts: null });
    for (const name of ["lse", "digest"]) delete layer[name];
    for (const name of "qkv") wanted[name] = ["F32", [heads, tokens, 64]];
  });
  const text = fileBytes(header);
  const end = text.length + header.v.data_offsets[1];
  let bytes = 0;
  const source = {
    name: "many",
    async read(start, stop) {
      const found = new Uint8Array(Math.max(0, Math.min(stop, end) - start));
      if (start < text.length) found.set(text.subarray(start, stop));
      bytes += found.length;
      return found.buffer;
    },
  };
  const trace = await openTrace(source);
  const reads = async (head) => {
    bytes = 0;
    await trace.head("encoder", 0, head);
    return bytes > 0;
  };
  for (let head = 0; head < heads; head++) await reads(head);
  assert.equal(await reads(heads - 1), false);
  assert.equal(await reads(heads - 40), false);
  assert.equal(await reads(0), true);
});

test("predictions: what a model says at each position and after each layer", async () => {
  const predicting = (choice) => {
    const { header, bytes } = smallTrace(({ trace, wanted }) => {
      Object.assign(wanted, { padding: ["U8", [3]], choices: ["I32", [3, 2]], chances: ["F32", [3, 2]], lens: ["I32", [1, 3, 2]], lensChances: ["F32", [1, 3, 2]] });
      trace.streams[0].predictions = {
        of: "next token", texts: ["a", " b"], choices: "choices", probabilities: "chances", lens: "lens", lens_probabilities: "lensChances",
      };
    });
    new Int32Array(bytes.buffer, header.choices.data_offsets[0], 6).set([0, 1, 1, 0, choice, 0]);
    new Float32Array(bytes.buffer, header.chances.data_offsets[0], 6).set([0.5, 0.25, 0.75, 0.125, 1, 0]);
    new Int32Array(bytes.buffer, header.lens.data_offsets[0], 6).set([1, 0, 0, 1, 0, 1]);
    return openTrace(bytesSource(fileBytes(header, bytes), "f"));
  };
  const found = await (await predicting(1)).predictions("encoder");
  assert.deepEqual([found.of, found.positions, found.layers], ["next token", 3, 1]);
  assert.deepEqual(found.likeliest(1), [{ text: " b", probability: 0.75 }, { text: "a", probability: 0.125 }]);
  assert.deepEqual(found.likeliest(0, 0).map(({ text }) => text), [" b", "a"]);
  await assert.rejects((await predicting(2)).predictions("encoder"), /isn't among its 2 texts/);
  assert.equal(await (await openTrace(bytesSource(smallBytes(), "f"))).predictions("encoder"), null);
});

test("a server with ranges, one without, one that is gone; a file that is gone", async () => {
  const bytes = smallBytes();
  const asked = [];
  const real = globalThis.fetch;
  const serve = (answer) => (globalThis.fetch = async (url, { headers }) => (asked.push(headers.Range), answer(headers.Range)));
  try {
    serve((range) => {
      const [start, end] = range.slice(6).split("-").map(Number);
      if (start >= bytes.length) return new Response("no", { status: 416 });
      return new Response(bytes.slice(start, end + 1), { status: 206 });
    });
    assert.equal((await openTrace(httpSource("/t", "t"))).streams.length, 1);
    assert.deepEqual(asked, [`bytes=0-${2 ** 20 - 1}`]);
    assert.equal((await httpSource("/t", "t").read(10 ** 6, 10 ** 6 + 5)).byteLength, 0);

    asked.length = 0;
    serve(() => new Response(bytes));
    const whole = httpSource("/t", "t");
    assert.deepEqual(new Uint8Array(await whole.read(3, 7)), bytes.slice(3, 7));
    assert.deepEqual(new Uint8Array(await whole.read(7, 9)), bytes.slice(7, 9));
    assert.equal(asked.length, 1);

    serve(() => new Response("", { status: 404 }));
    await assert.rejects(openTrace(httpSource("/t", "t")), /t can't be fetched: the server answers 404/);
    serve(() => Promise.reject(new TypeError("Failed to fetch")));
    await assert.rejects(openTrace(httpSource("/t", "t")), /the server doesn't answer; start it again with "vitrail view"\./);
  } finally {
    globalThis.fetch = real;
  }
  const gone = { name: "dropped", slice: () => ({ arrayBuffer: () => Promise.reject(new Error("NotReadableError")) }) };
  await assert.rejects(openTrace(fileSource(gone)), /dropped can't be read: it was changed or moved since; choose it again\./);
  const file = { name: "f", slice: (start, end) => new Blob([bytes]).slice(start, end) };
  assert.equal((await openTrace(fileSource(file))).name, "f");
});
