// The arithmetic of the page against Python's, on traces that test_modules.py has written.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { align } from "vitrail/align.js";
import { kernel } from "vitrail/kernel.js";
import { change, differenceLook, lookOf, quantities, rolloutLook, wordAxis, wordLook } from "vitrail/looks.js";
import { openTrace } from "vitrail/trace.js";
import { crew } from "vitrail/worker.js";
import { diskSource } from "./files.mjs";

const folder = process.env.VITRAIL_GOLDEN;
const skip = folder ? false : "VITRAIL_GOLDEN names no folder: pytest tests/viewer/js";
const team = crew({ workers: false });
const QUANTITIES = ["weight", "score", "gradient", "weight-gradient", "weight-value"];

/** Every head of a golden trace with what Python computed of it. */
async function* golden(name) {
  const expected = JSON.parse(await readFile(`${folder}/${name}.json`, "utf8"));
  const source = await diskSource(`${folder}/${name}.safetensors`);
  const trace = await openTrace(source);
  for (const stream of trace.streams) {
    for (const layer of stream.layers) {
      for (let number = 0; number < layer.heads; number++) {
        const head = await trace.head(stream.name, layer.index, number);
        const found = Object.entries(expected[stream.name][layer.index]).map(([quantity, heads]) => [quantity, heads[number]]);
        yield { trace, stream, layer, number, head, expected: Object.fromEntries(found), where: `${stream.name}.${layer.index}.${number}` };
      }
    }
  }
  await source.close();
}

/** Equal to 1e-6, as a share of what is large; null is nothing, as NaN is. */
function near(found, wanted, where, tolerance = 1e-6) {
  assert.equal(found.length, wanted.length, where);
  for (let at = 0; at < found.length; at++) {
    if (wanted[at] === null) assert.ok(Number.isNaN(found[at]), `${where}[${at}] is ${found[at]}, and nothing is there`);
    else {
      const apart = Math.abs(found[at] - wanted[at]);
      assert.ok(apart <= tolerance * Math.max(1, Math.abs(wanted[at])), `${where}[${at}] is ${found[at]}, not ${wanted[at]}`);
    }
  }
}

for (const name of ["single", "half"]) {
  test(`every quantity of every kind of layer is Python's: ${name}`, { skip }, async () => {
    let seen = 0;
    for await (const { layer, number, head, expected, where } of golden(name)) {
      for (const quantity of QUANTITIES.filter((one) => expected[one])) {
        const look = lookOf(head, quantity, team, where, number);
        for (let query = 0; query < look.queries; query++) {
          near(look.row(query), expected[quantity][query], `${where} ${quantity} ${query}`);
          for (let key = query % 3; key < look.keys; key += 3) {
            near([look.entry(query, key)], [expected[quantity][query][key]], `${where} ${quantity} ${query} ${key}`);
          }
        }
      }
      assert.deepEqual(quantities(layer, false), QUANTITIES.filter((one) => expected[one]));
      seen++;
    }
    assert.equal(seen, 4 * 12 * 6);
  });
}

test("one link of a head, read by itself, has the head's numbers", { skip }, async () => {
  for await (const { trace, stream, layer, number, head, expected, where } of golden("single")) {
    for (const quantity of QUANTITIES.filter((one) => expected[one])) {
      const whole = lookOf(head, quantity, team, where, number);
      for (let query = number % 2; query < whole.queries; query += 3) {
        for (let key = query % 2; key < whole.keys; key += 2) {
          const link = await trace.link(stream.name, layer.index, number, query, key);
          const found = lookOf(link, quantity, team, where, number).entry(0, 0);
          near([found], [expected[quantity][query][key]], `${where} ${quantity} ${query} ${key}`);
        }
      }
    }
  }
});

test("in float64, scores and log-sum-exps are Python's to 1e-12, given or not", { skip }, async () => {
  const { scoreRow, lse } = kernel();
  for await (const { head, expected, where } of golden("single")) {
    const unknown = { ...head, lse: new Float64Array(head.queries).fill(NaN) };
    const known = Array.from(head.lse).every((one) => !Number.isNaN(one));
    for (let query = 0; query < head.queries; query++) {
      const row = Array.from(scoreRow(head, query), (score) => (score === -Infinity ? NaN : score));
      near(row, expected.score[query], where); // Python gives scores in float32
      const wanted = expected.lse[query] ?? -Infinity;
      for (const found of [lse(unknown, query), known ? head.lse[query] : wanted]) {
        assert.ok(found === wanted || Math.abs(found - wanted) < 1e-12, `${where} ${query}: ${found}, not ${wanted}`);
      }
    }
  }
});

/** A look's whole matrix with NaN where nobody may look, as jobs see it. */
function whole(look, hidden) {
  return Array.from({ length: look.queries }, (_, query) => look.row(query).map((value, key) => (hidden?.[query][key] ? NaN : value)));
}

test("columns, sums, strongest keys and pooled cells are those of the whole matrix", { skip }, async () => {
  for await (const { number, head, expected, where } of golden("single")) {
    if (number % 5) continue;
    for (const quantity of ["weight", "score", "weight-gradient"].filter((one) => expected[one])) {
      const look = lookOf(head, quantity, team, where, number);
      const rows = whole(look, expected.hidden);
      const known = rows.flatMap((row) => [...row]).filter((value) => !Number.isNaN(value));
      const { queries, keys } = look;

      assert.equal(Math.fround(await look.largest()), Math.max(0, ...known.map(Math.abs)), where);
      near(await look.column(keys - 1), rows.map((_, query) => look.row(query)[keys - 1]).map((one) => (Number.isNaN(one) ? null : one)), where, 0);
      const sums = await look.sums();
      near(sums.rows, rows.map((row) => row.reduce((sum, value) => sum + (value || 0), 0)), where);
      near(sums.columns, rows[0].reduce((_, __, key) => [..._, rows.reduce((sum, row) => sum + (row[key] || 0), 0)], []), where);

      for (const [share, most, from, to] of [[0.8, 3, 0, queries], [1, keys, 0, queries], [0.5, 1, queries - 1, queries]]) {
        const found = await look.strongest(share, most, [from, to]);
        assert.equal(found.start.length, to - from + 1);
        for (let query = from; query < to; query++) {
          const [begin, end] = [found.start[query - from], found.start[query - from + 1]];
          const order = [...rows[query].keys()].filter((key) => rows[query][key]).sort((a, b) => Math.abs(rows[query][b]) - Math.abs(rows[query][a]));
          const total = order.reduce((sum, key) => sum + Math.abs(rows[query][key]), 0);
          let [count, mass] = [0, 0];
          while (count < Math.min(most, order.length) && mass < share * total - 1e-9) mass += Math.abs(rows[query][order[count++]]);
          assert.deepEqual([...found.keys.slice(begin, end)], order.slice(0, count), `${where} ${quantity} ${query}`);
          near(found.values.slice(begin, end), order.slice(0, count).map((key) => rows[query][key]), where);
          near([found.rest[query - from]], [total - mass], where);
        }
      }

      for (const [down, across, cells] of [
        [[0, queries], [0, keys], [Math.min(4, queries), 5]],
        [[queries - 1, queries], [2, Math.min(9, keys)], [3, 11]],
        [[0, queries], [keys - 1, keys], [queries, 1]],
      ]) {
        const found = await look.pooled(down, across, cells);
        near(found, naivePooled(rows, down, across, cells), `${where} ${quantity} pooled`, 0);
      }
    }
  }
});

/** Cell by cell: the value of largest magnitude among those that fall into it. */
function naivePooled(rows, [top, bottom], [left, right], [down, across]) {
  const inside = (at, from, to, cells, cell) =>
    cells <= to - from ? Math.floor(((at - from) * cells) / (to - from)) === cell : Math.floor((cell * (to - from)) / cells) === at - from;
  return Array.from({ length: down * across }, (_, cell) => {
    let best = null;
    for (let query = top; query < bottom; query++) {
      if (!inside(query, top, bottom, down, Math.floor(cell / across))) continue;
      for (let key = left; key < right; key++) {
        const value = rows[query][key];
        if (!inside(key, left, right, across, cell % across) || Number.isNaN(value)) continue;
        if (best === null || Math.abs(value) > Math.abs(best)) best = value;
      }
    }
    return best;
  });
}

test("weights between words are Python's; their axes say where they begin", { skip }, async () => {
  for await (const { trace, layer, number, head, expected, where } of golden("single")) {
    const [queries, keys] = [wordAxis(trace.axis(layer.queryAxis)), wordAxis(trace.axis(layer.keyAxis))];
    const look = wordLook(lookOf(head, "weight", team, where, number), queries.groups, keys.groups);
    assert.deepEqual([look.queries, look.keys], [queries.axis.length, keys.axis.length]);
    for (let query = 0; query < look.queries; query++) near(look.row(query), expected.words[query], `${where} ${query}`);
    if (number === 0) near((await look.sums()).rows, expected.words.map((row) => row.reduce((sum, one) => sum + one, 0)), where);
  }
});

test("a word has the text, the flags and the place of its pieces", { skip }, async () => {
  const source = await diskSource(`${folder}/single.safetensors`);
  const trace = await openTrace(source);
  await source.close(); // so short a file was read whole
  const { axis, groups } = wordAxis(trace.axis("source"));
  assert.deepEqual(axis.texts, ["[CLS]", "the", " cat sat", ",", " the", " cat", "[SEP]", "the", " dog ran", ".", "[SEP]"]);
  assert.deepEqual([...groups], [0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13]);
  assert.deepEqual([...axis.special], [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
  assert.deepEqual([...axis.segments], [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
  assert.deepEqual([...axis.offsets.slice(4, 8)], [4, 7, 8, 9]);
  const patches = trace.axis("patches");
  assert.deepEqual([...wordAxis(patches).axis.places], [...patches.places]);
  assert.deepEqual(await trace.image("a").then(({ width, height, data }) => [width, height, data.length]), [20, 6, 360]);
  assert.deepEqual([trace.provenance.notes, trace.provenance.target, trace.provenance.seed], [{ n: "ä" }, "loss", 7]);
});

test("rollout over four layers is Python's", { skip }, async () => {
  const source = await diskSource(`${folder}/single.safetensors`);
  const trace = await openTrace(source);
  const wanted = JSON.parse(await readFile(`${folder}/single.rollout.json`, "utf8"));
  const heads = [0, 1, 2, 3].map((layer) => Promise.all([0, 1, 2, 3, 4, 5].map((head) => trace.head("self", layer, head))));
  const look = await rolloutLook(await Promise.all(heads), team, "rollout");
  wanted.forEach((row, query) => near(look.row(query), row, `rollout ${query}`));
  near([await look.largest()], [Math.max(...wanted.flat())], "largest");
  await source.close();
});

/** A head whose weights are these. */
function shippedHead(rows) {
  const [queries, keys] = [rows.length, rows[0].length];
  return {
    queries, keys, width: 1, valueWidth: 0, q: new Float32Array(queries), k: new Float32Array(keys), v: null, g: null, vo: null,
    lse: new Float64Array(queries).fill(NaN), sink: null, weights: Float32Array.from(rows.flat()), scale: 1, softcap: null,
    softcapOrder: "before mask", bias: { kind: "none", values: new Float32Array(0) },
    mask: { rule: "all", offset: 0, before: null, after: null, length: 0, queryBlocks: null, keyBlocks: null, bits: null },
  };
}

test("texts align as Python aligns them, and maps are as far apart", { skip }, async () => {
  for (const { texts, first, second, maps, divergence } of JSON.parse(await readFile(`${folder}/align.json`, "utf8"))) {
    const axes = texts.map((one) => ({ name: "t", kind: "tokens", length: one.length, texts: one }));
    const found = align(axes[0], axes[1]);
    assert.deepEqual([[...found.first], [...found.second]], [first, second], JSON.stringify(texts));
    const looks = maps.map((rows) => lookOf(shippedHead(rows), "weight", team, "0.0", 0));
    const apart = await change(looks[0], looks[1], { queries: found, keys: found });
    if (divergence === null) assert.ok(Number.isNaN(apart));
    else assert.ok(Math.abs(apart - divergence) < 1e-6, `${apart}, not ${divergence}`);

    const difference = differenceLook(looks[0], looks[1], { queries: found, keys: found });
    const partner = new Map(first.map((at, pair) => [at, second[pair]]));
    for (let query = 0; query < difference.queries; query++) {
      const wanted = maps[0][query].map((mine, key) =>
        partner.has(query) && partner.has(key) ? mine - maps[1][partner.get(query)][partner.get(key)] : null,
      );
      near(difference.row(query), wanted, JSON.stringify(texts));
      near([difference.entry(query, 0)], [wanted[0]], JSON.stringify(texts));
    }
  }
});

test("a difference of words, and of one that may look where the other may not", async () => {
  const rows = [[0.5, 0.5, 0], [0.2, 0.3, 0.5], [0, 0, 1]];
  const [one, two] = [shippedHead(rows), shippedHead(rows)];
  one.mask = { ...one.mask, rule: "causal" };
  const same = { first: Int32Array.of(0, 1, 2), second: Int32Array.of(0, 1, 2) };
  const looks = [one, two].map((head) => lookOf(head, "weight", team, "0.0", 0));
  const difference = differenceLook(looks[0], looks[1], { queries: same, keys: same });
  near(difference.row(0), [0, -0.5, 0], "only the other may look");
  const words = wordLook(difference, Int32Array.of(0, 1, 3), Int32Array.of(0, 1, 3));
  near(words.row(0), [0, -0.5], "the sum over keys");
  near(words.row(1), [0, -0.25], "the mean over queries");
  near(await words.column(1), [-0.5, -0.25], "a column");
});

test("many tokens that are the same don't hang the page", { timeout: 60_000 }, () => {
  const texts = Array.from({ length: 4096 }, (_, at) => (at % 3 ? "a" : "b"));
  const axis = { name: "t", kind: "tokens", length: texts.length, texts };
  assert.equal(align(axis, { ...axis, texts: [...texts].reverse() }).first.length > 0, true);
});

test("patches align by their place, registers by their order", () => {
  const axis = { name: "p", kind: "patches", length: 4, texts: null, grid: [2, 2], places: Int32Array.of(-1, -1, 0, 3) };
  const found = align(axis, { ...axis, places: Int32Array.of(-1, 3, 2, 0) });
  assert.deepEqual([[...found.first], [...found.second]], [[0, 2, 3], [0, 3, 1]]);
});
