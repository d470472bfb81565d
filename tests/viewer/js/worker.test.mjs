// The worker, made of its text as in a browser: what it is sent, the order of its work, and what happens without it.
import assert from "node:assert/strict";
import { resolveObjectURL } from "node:buffer";
import test from "node:test";
import { Worker as Thread } from "node:worker_threads";
import { kernel } from "vitrail/kernel.js";
import { lookOf, wordLook } from "vitrail/looks.js";
import { crew } from "vitrail/worker.js";

const [QUERIES, KEYS, WIDTH] = [300, 200, 16];

/** A head of random numbers. */
function head(seed, queries = QUERIES, keys = KEYS) {
  let state = seed;
  const draw = (count) => Float32Array.from({ length: count }, () => (state = (state * 16807) % 2147483647) / 2147483647 - 0.5);
  return {
    queries, keys, width: WIDTH, valueWidth: 0, q: draw(queries * WIDTH), k: draw(keys * WIDTH), v: null, g: null, vo: null,
    lse: new Float64Array(queries).fill(NaN), sink: null, weights: null, scale: 1, softcap: null, softcapOrder: "before mask",
    bias: { kind: "none", values: new Float32Array(0) },
    mask: { rule: "causal", offset: keys - queries, before: null, after: null, length: 0, queryBlocks: null, keyBlocks: null, bits: null },
  };
}

/** What a browser gives its workers, before the text of the worker. */
const BROWSER = `
  const { parentPort } = require("node:worker_threads");
  globalThis.self = {
    postMessage: (message) => parentPort.postMessage(message),
    set onmessage(hear) { parentPort.on("message", (data) => hear({ data })); },
  };
`;

/** Runs `body` where workers are node's threads; `sent` is all that they were told. */
async function inThreads(body) {
  const sent = [];
  const threads = [];
  globalThis.Worker = class {
    constructor(url) {
      this.thread = resolveObjectURL(url)
        .text()
        .then((text) => {
          const thread = new Thread(BROWSER + text, { eval: true });
          threads.push(thread);
          thread.on("message", (data) => this.onmessage({ data }));
          thread.on("error", (error) => this.onerror({ preventDefault: () => undefined, error }));
          return thread;
        });
    }
    postMessage(message) {
      sent.push(message);
      this.thread.then((thread) => thread.postMessage(message));
    }
    terminate() {
      this.thread.then((thread) => thread.terminate());
    }
  };
  try {
    await body(sent);
  } finally {
    delete globalThis.Worker;
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

test("the worker's text stands by itself, and gives what the page gives", { timeout: 120_000 }, async () => {
  await inThreads(async (sent) => {
    const [there, here] = [crew(), crew({ workers: false })];
    const one = head(7);
    const words = Int32Array.of(0, 3, 10, KEYS);
    const rows = Int32Array.from({ length: QUERIES + 1 }, (_, at) => at);
    const looks = [there, here].map((team) => lookOf(one, "weight", team, "0.0", 0));
    for (const ask of [
      (look) => look.largest(),
      (look) => look.sums(),
      (look) => look.column(17),
      (look) => look.strongest(0.8, 3),
      (look) => look.pooled([10, 200], [0, KEYS], [31, 50]),
      (look) => wordLook(look, rows, words).sums(),
    ]) {
      const [theirs, ours] = await Promise.all(looks.map(ask));
      const flat = (found) => (typeof found === "number" ? [found] : Object.values(found.buffer ? { found } : found).flatMap((array) => [...array]));
      const [found, wanted] = [flat(theirs), flat(ours)];
      assert.equal(found.length, wanted.length);
      found.forEach((value, at) => {
        assert.ok(Object.is(value, wanted[at]) || Math.abs(value - wanted[at]) < 1e-6, `${ask}: ${value}, not ${wanted[at]}`);
      });
    }
    assert.equal(sent.filter((message) => "numbers" in message).length, 1, "a head is sent once");
    there.close();
  });
});

for (const workers of [true, false]) {
  test(`what was asked last comes first, and what is dropped never comes: ${workers ? "worker" : "page"}`, { timeout: 120_000 }, async () => {
    await inThreads(async () => {
      const team = crew({ workers });
      const order = [];
      const ask = (name, of, rows) => lookOf(of, "weight", team, name, 0).strongest(0.9, 3, rows).then(() => order.push(name));
      const long = head(3, 1000, 1000);
      const early = [ask("first", long), ask("second", head(5))];
      await new Promise((later) => setTimeout(later, 1));
      const late = [ask("third", head(9), [0, 20]), ask("fourth", head(11), [0, 20])];
      await Promise.all([...early, ...late]);
      assert.deepEqual(order, ["third", "fourth", "first", "second"]);

      let came = false;
      lookOf(long, "score", team, "dropped", 0).largest().then(() => (came = true));
      team.drop();
      await lookOf(head(13), "weight", team, "kept", 0).largest();
      await new Promise((later) => setTimeout(later, 50));
      assert.equal(came, false);
      team.close();
    });
  });
}

test("where workers are not allowed, the page does it", { timeout: 120_000 }, async () => {
  const wanted = await lookOf(head(7), "weight", crew({ workers: false }), "", 0).largest();
  for (const Forbidden of [
    class {
      constructor() {
        throw new Error("SecurityError");
      }
    },
    class {
      constructor() {
        setTimeout(() => this.onerror({ preventDefault: () => undefined }), 5);
      }
      postMessage() {}
      terminate() {}
    },
  ]) {
    globalThis.Worker = Forbidden;
    try {
      const team = crew();
      assert.equal(await lookOf(head(7), "weight", team, "", 0).largest(), wanted);
      await new Promise((later) => setTimeout(later, 10));
      assert.equal(await lookOf(head(7), "weight", team, "", 0).largest(), wanted);
    } finally {
      delete globalThis.Worker;
    }
  }
});

test("rows that are kept are the rows, whatever was asked first and whatever had to leave", () => {
  const [kept, plain] = [kernel(2 * 4 * QUERIES * KEYS), kernel()];
  const heads = [head(3), head(5), head(7)];
  for (const one of [...heads, ...heads]) {
    for (const quantity of ["weight", "score"]) {
      const matrix = { of: "head", head: one, quantity };
      assert.equal(Math.fround(kept.entry(matrix, 250, 7)), Math.fround(plain.entry(matrix, 250, 7)));
      for (const query of [250, 3, 250]) assert.deepEqual(kept.row(matrix, query), plain.row(matrix, query));
      assert.deepEqual(kept.column(matrix, 11), plain.column(matrix, 11));
    }
  }
});

test("a job that fails is said, and the next one is done", { timeout: 120_000 }, async () => {
  for (const workers of [true, false]) {
    await inThreads(async () => {
      const team = crew({ workers });
      await assert.rejects(lookOf(head(7), "gradient", team, "", 0).largest(), /has no gradients: capture it again with a target/);
      assert.ok((await lookOf(head(7), "weight", team, "", 0).largest()) > 0);
      team.close();
    });
  }
});

test("the worker forgets heads that were not used for long, and is sent them again", { timeout: 120_000 }, async () => {
  await inThreads(async (sent) => {
    const team = crew();
    // Each of 20 MiB, so that fewer than five of six may stay.
    const heads = Array.from({ length: 6 }, (_, at) => ({ ...head(at + 1, 8, 8), vo: new Float32Array(5 * 2 ** 20) }));
    const asked = heads.map((one, at) => lookOf(one, "weight", team, String(at), 0).largest());
    await Promise.all(asked);
    assert.deepEqual(sent.flatMap((message) => ("forget" in message ? [message.forget] : [])), [0, 1]);
    for (const again of [2, 0, 2]) await lookOf(heads[again], "score", team, "again", 0).largest();
    assert.deepEqual(sent.flatMap((message) => ("numbers" in message ? [message.head] : [])), [0, 1, 2, 3, 4, 5, 0]);
    assert.deepEqual(sent.flatMap((message) => ("forget" in message ? [message.forget] : [])), [0, 1, 3], "the one that was used least lately");
    team.close();
  });
});
