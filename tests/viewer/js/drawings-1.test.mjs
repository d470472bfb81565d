// Lines, Text and Arithmetic: their geometry, their words and their numbers, without a browser.
import assert from "node:assert/strict";
import test from "node:test";
import { cutTo } from "vitrail/drawings/text-blocks.js";
import { exact, largestIn, rowOf, stepsOf, thinned } from "vitrail/drawings/arithmetic-steps.js";
import { apart, columns, docked, drawnIn, fallen, middle, onScreen, placeAt, settle, sideOf, squeezed } from "vitrail/drawings/lines-layout.js";
import { byStrength, shortLinks, strongestOf } from "vitrail/drawings/lines-links.js";
import { tableOf } from "vitrail/drawings/lines-words.js";
import { lock, stepped } from "vitrail/drawings/pointing.js";
import { flow, largestOf, linesOf, meanOf, pieceAt, pieceBeside, piecesOf } from "vitrail/drawings/text-layout.js";
import { createStore } from "vitrail/store.js";

const flags = (count) => new Uint8Array(count).fill(1);
const axisOf = (texts, more = {}) => ({
  name: "t", kind: "tokens", length: texts.length, texts, words: null, special: null, segments: null, offsets: null,
  grid: null, patch: null, places: null, hidden: null, image: null, ...more,
});

// Lines

test("rows fill the height of a short text, and are never too small to read", () => {
  assert.equal(sideOf(flags(13), 390).row, 30);
  assert.equal(sideOf(flags(3), 600).row, 52);
  assert.equal(sideOf(flags(997), 500).row, 13);
  assert.equal(sideOf(flags(1), 500).size, 52);
  assert.equal(sideOf(new Uint8Array(5), 500).places.length, 0);
});

test("positions that are left out have no place", () => {
  const side = sideOf(Uint8Array.from([0, 1, 1, 0, 1]), 100);
  assert.deepEqual([...side.places], [1, 2, 4]);
  assert.deepEqual([...side.at], [-1, 0, 1, -1, 2]);
});

test("both sides begin and end together, however they are scrolled", () => {
  const [queries, keys] = [sideOf(flags(101), 400), sideOf(flags(307), 400)];
  settle([queries, keys], 400, 0);
  assert.equal(middle(queries, 0), middle(keys, 0));
  settle([queries, keys], 400, keys.size - 400);
  assert.ok(Math.abs(middle(queries, 100) - middle(keys, 306)) < 1e-9);
  assert.equal(placeAt(keys, 399), 306);
  assert.deepEqual(onScreen(keys, 400), [276, 307]);
});

test("a short side stands in the middle, and stays when the other is scrolled", () => {
  const [queries, keys] = [sideOf(flags(5), 400), sideOf(flags(307), 400)];
  settle([queries, keys], 400, 1000);
  assert.equal(queries.begin, 70);
  assert.equal(queries.offset, 0);
  assert.equal(placeAt(queries, 69), -1);
  assert.equal(placeAt(queries, 71), 0);
});

test("a place and its height are inverse", () => {
  const side = sideOf(flags(83), 400);
  settle([side], 400, 211);
  for (let place = 0; place < 83; place++) assert.equal(placeAt(side, middle(side, place)), place);
});

test("columns leave most of the width to the links, and overlap nowhere", () => {
  for (const width of [480, 700, 740, 1280, 2000]) {
    for (const heads of [1, 3, 12]) {
      for (const long of [false, true]) {
        const at = columns(width, { query: 900, key: 120 }, heads, long);
        const order = [at.edge, at.queryEnd - at.queryRoom, at.queryEnd, at.from, at.to, at.keyBegin, at.keyValue];
        assert.deepEqual(order, [...order].sort((one, two) => one - two), `${width} ${heads} ${long}`);
        if (width >= 700) assert.ok(at.to - at.from > 0.24 * width, `${width} ${heads} ${long}`);
      }
    }
  }
});

test("short texts: every link of a hundredth of the largest and more, the rest as a stub", () => {
  const rows = [Float32Array.from([0.9, 0.1, 0]), Float32Array.from([0.004, 0.006, 0.99])];
  const side = sideOf(flags(3), 100);
  const found = shortLinks([(query) => rows[query % 2]], sideOf(Uint8Array.from([1, 1, 0]), 100), side);
  assert.equal(found.largest, Math.fround(0.99));
  assert.equal(found.links.count, 3);
  assert.ok(Math.abs(found.rest[0]) < 1e-6);
  assert.ok(Math.abs(found.rest[1] - 0.01) < 1e-6);
});

test("a key that is left out counts as rest, and what isn't a number as nothing", () => {
  const found = shortLinks([() => Float32Array.from([0.7, 0.3, NaN, -Infinity])], sideOf(flags(1), 50), sideOf(Uint8Array.from([0, 1, 1, 1]), 50));
  assert.equal(found.links.count, 1);
  assert.ok(Math.abs(found.rest[0] - 0.7) < 1e-6);
  const nothing = shortLinks([() => new Float32Array(2).fill(NaN)], sideOf(flags(2), 50), sideOf(flags(2), 50));
  assert.equal(nothing.links.count, 0);
  assert.equal(nothing.largest, 0);
});

test("no more curves than can be told apart, the strongest of them", () => {
  const many = 64;
  const rows = Array.from({ length: many }, (_, query) => Float32Array.from({ length: many }, (_, key) => 0.5 + ((query * many + key) % 97) / 997));
  const found = shortLinks([(query) => rows[query], (query) => rows[query]], sideOf(flags(many), 900), sideOf(flags(many), 900));
  assert.ok(found.links.count <= 4200 && found.links.count > 3000);
  assert.ok(Math.min(...found.links.value.slice(0, found.links.count)) >= found.least);
});

test("the strongest keys of a row are the smallest set with the share", () => {
  const row = [0.05, 0.5, 0.02, 0.31, 0.12];
  assert.deepEqual(strongestOf(row, 0.8, 3).keys, [1, 3]);
  assert.deepEqual(strongestOf(row, 0.9, 3).keys, [1, 3, 4]);
  assert.deepEqual(strongestOf(row, 0.9, 1).keys, [1]);
  assert.ok(Math.abs(strongestOf(row, 0.8, 3).rest - 0.19) < 1e-9);
  assert.deepEqual(strongestOf([-3, 1, 2], 0.5, 3).keys, [0]);
  assert.deepEqual(strongestOf([NaN, -Infinity, 0], 0.8, 3), { keys: [], values: [], rest: 0 });
});

test("links in order of strength: what is drawn last is strongest", () => {
  const { links } = shortLinks([() => Float32Array.from([0.2, 0.9, 0.05, 0.6])], sideOf(flags(3), 50), sideOf(flags(4), 50));
  const sorted = byStrength(links, 0.9);
  assert.equal(sorted.count, links.count);
  const values = [...sorted.value.slice(0, sorted.count)].map((value) => Math.round(value * 100));
  assert.deepEqual(values, [5, 5, 5, 20, 20, 20, 60, 60, 60, 90, 90, 90]);
});

test("a curve is where it is drawn", () => {
  assert.ok(fallen(0) < 1e-6);
  assert.ok(Math.abs(fallen(0.5) - 0.5) < 1e-6);
  assert.ok(fallen(1) > 1 - 1e-6);
  // A point of the Bézier curve from (0, 0) to (1, 1) with handles at (½, 0) and (½, 1), at t = 0.3.
  const t = 0.3;
  const x = 1.5 * t * (1 - t) ** 2 + 1.5 * t * t * (1 - t) + t ** 3;
  assert.ok(Math.abs(fallen(x) - (3 * t * t * (1 - t) + t ** 3)) < 1e-6);
});

test("ends off screen are drawn in, in their order; those on screen stay", () => {
  assert.equal(drawnIn(37, 400), 37);
  const [near, far] = [drawnIn(500, 400), drawnIn(50_000, 400)];
  assert.ok(400 < near && near < far && far < 700);
  assert.ok(drawnIn(-50_000, 400) < drawnIn(-100, 400) && drawnIn(-100, 400) < 0);
});

test("heads run side by side, around the middle, within their row", () => {
  const all = Array.from({ length: 12 }, (_, look) => apart(look, 12, 13));
  assert.ok(Math.abs(all.reduce((sum, one) => sum + one, 0)) < 1e-9);
  assert.ok(all[11] - all[0] < 13);
  assert.equal(apart(0, 1, 30), 0);
});

test("what was scrolled away and matters is written at its edge", () => {
  const side = sideOf(flags(997), 400);
  settle([side], 400, 5000);
  const strength = new Float32Array(997);
  for (const [position, value] of [[3, 0.5], [7, 0.01], [200, 0.3], [400, 0.9], [996, 0.2], [995, 0.25], [994, 0.24]]) strength[position] = value;
  assert.deepEqual(docked(side, strength, 400, 0.05, 2), { above: [3, 200], below: [994, 995] });
  assert.deepEqual(docked(side, new Float32Array(997).fill(NaN), 400, 0.05, 2), { above: [], below: [] });
  const short = sideOf(flags(3), 400);
  settle([short], 400, 0);
  assert.deepEqual(docked(short, [1, 1, 1], 400, 0.05, 2), { above: [], below: [] });
});

test("the strip of a whole text has the largest of each pixel", () => {
  const cells = squeezed(sideOf(flags(10), 100), [0, 1, 0, -5, 0, 0, NaN, 2, 0, 3], 5);
  assert.deepEqual([...cells], [1, 5, 0, 2, 3]);
});

test("tables: a row that is looked at, or each query's strongest key", () => {
  const rows = [Float32Array.from([0.25, 0.75]), Float32Array.from([NaN, NaN])];
  const looks = [{ name: "1.2", row: (query) => rows[query] }];
  const scene = { looks, queries: axisOf(["a", "b"]), keys: axisOf(["c", "<b>"]), shownQueries: flags(2), shownKeys: flags(2), quantity: { label: "Weight" } };
  assert.deepEqual(tableOf(scene, null, null).rows, [[0, "a", "<b>", 0.75], [1, "b", "–", ""]]);
  const row = tableOf(scene, { from: "query", position: 0, other: -1, locked: false, rows: [rows[0]] }, null);
  assert.deepEqual(row.rows, [[0, "c", 0.25], [1, "<b>", 0.75]]);
  assert.match(row.caption, /query 0 \(a\)/);
  const known = [new Map([[1, { keys: [1, 0], values: [0.9, 0.1] }]])];
  const some = tableOf(scene, null, known);
  assert.deepEqual(some.rows, [[1, "b", "<b>", 0.9]]);
  assert.match(some.caption, /1 of 2 queries/);
});

// Pointing

test("a click keeps and lets go, side by side or both", () => {
  const store = createStore();
  lock(store, { query: 3 });
  lock(store, { key: 5 });
  assert.deepEqual([store.get().query, store.get().key], [3, 5]);
  lock(store, { query: 3, key: 5 });
  assert.deepEqual([store.get().query, store.get().key], [-1, -1]);
  lock(store, { query: 3 });
  lock(store, { query: 3 });
  assert.equal(store.get().query, -1);
});

test("arrows go through what is shown, and stop at its ends", () => {
  assert.equal(stepped([2, 5, 7], 5, 1), 7);
  assert.equal(stepped([2, 5, 7], 7, 1), 7);
  assert.equal(stepped([2, 5, 7], -1, 1), 2);
  assert.equal(stepped([2, 5, 7], -1, -1), 7);
  assert.equal(stepped([], 3, 1), -1);
});

// Text

const all = () => true;

test("word pieces of every kind of tokenizer become the text that was read", () => {
  const written = (axis) => piecesOf(axis, all).map(({ text, glued }) => (glued ? "" : " ") + text).join("");
  assert.equal(written(axisOf(["acc", "##ura", "##cies", "are"])), " accuracies are");
  assert.equal(written(axisOf([" Pa", "pers", ":", " A"])), " Papers: A");
  assert.equal(written(axisOf(["▁attend", "s", "▁to"])), " attends to");
  assert.equal(written(axisOf(["it", "."], { offsets: Int32Array.from([0, 2, 2, 3]) })), " it.");
  assert.equal(written(axisOf(["it", "."], { offsets: Int32Array.from([0, 2, 3, 4]) })), " it .");
  assert.equal(written(axisOf(["a", "b"], { words: Int32Array.from([4, 4]) })), " ab");
});

test("special tokens are tags of their own, a second sentence begins a line, and nothing hidden is glued over", () => {
  const axis = axisOf(["[CLS]", "a", "b", "[SEP]", "c"], { special: Uint8Array.from([1, 0, 0, 1, 0]), segments: Int32Array.from([0, 0, 0, 0, 1]), words: Int32Array.from([-1, 0, 0, -1, 1]) });
  const pieces = piecesOf(axis, all);
  assert.deepEqual(pieces.map(({ special }) => special), [true, false, false, true, false]);
  assert.deepEqual(pieces.map(({ begins }) => begins), [false, false, false, false, true]);
  assert.deepEqual(piecesOf(axis, (at) => at !== 1 && at !== 0).map(({ glued }) => glued), [false, false, false]);
});

test("hostile tokens are text, and what can't be seen is written as its sign", () => {
  const texts = ["<script>", "\u202e", "\n", "", "  ", "👩🏽‍🚀"];
  const pieces = piecesOf(axisOf(texts, { words: Int32Array.from(texts.keys()) }), all);
  assert.deepEqual(pieces.slice(0, 5).map(({ text }) => text), ["<script>", "‹202e›", "⏎", "∅", "∅"]);
  assert.ok(pieces[3].begins);
});

const lines = (texts, room, more) => flow(piecesOf(axisOf(texts, more), all), texts.length, room, ({ text }) => 10 * text.length);

test("words stay whole where a line can hold them, and nothing leaves the line", () => {
  const found = lines(["aaaa", "bb", "##bb", "##b", "cc"], 80);
  assert.deepEqual([...found.line], [0, 1, 1, 1, 2]);
  for (let at = 0; at < 5; at++) assert.ok(found.x[at] + found.width[at] <= 80 + 1e-6);
  const long = lines(["a", "##aaaa", "##bbbb", "##cccc"], 60);
  assert.deepEqual([...long.line], [0, 0, 1, 2]);
  assert.equal(lines(["x".repeat(300)], 60).width[0], 60);
});

test("a text of nothing has no lines", () => {
  const found = lines([], 100);
  assert.equal(linesOf(found), 0);
  assert.equal(pieceAt(found, 5, 0), -1);
});

test("a piece is found where it stands, and its neighbours above and below", () => {
  const found = lines(Array.from({ length: 31 }, (_, at) => "abc".slice(0, 1 + (at % 3))), 107);
  for (let at = 0; at < 31; at++) assert.equal(pieceAt(found, found.x[at] + found.width[at] / 2, found.line[at]), at);
  assert.equal(pieceAt(found, 5, -1), -1);
  assert.equal(pieceAt(found, 5, 99), -1);
  const below = pieceBeside(found, 0, 1);
  assert.equal(found.line[below], 1);
  assert.equal(pieceBeside(found, 0, -1), 0);
});

test("the mean of heads, with the largest of what is shown, and at least the floor", () => {
  const rows = [[0.2, 0.8, NaN], [0.4, 0.6, NaN]];
  const { values, largest } = meanOf(rows, (at) => at !== 1, 0.1);
  assert.ok(Math.abs(values[0] - 0.3) < 1e-6 && Number.isNaN(values[2]));
  assert.ok(Math.abs(largest - 0.3) < 1e-6);
  assert.equal(meanOf([[0.01]], all, 0.1).largest, 0.1);
});

test("the largest, the largest first; nothing of nothing", () => {
  assert.deepEqual(largestOf([0.1, -0.9, NaN, 0.5, 0], all, 3), [1, 3, 0]);
  assert.deepEqual(largestOf([0.1, -0.9, 0.5], (at) => at !== 1, 1), [2]);
  assert.deepEqual(largestOf([NaN, 0], all, 3), []);
});

test("what is wider than a line is cut between characters", () => {
  const width = (text) => 10 * text.length;
  assert.equal(cutTo("abcdef", 60, width), "abcdef");
  assert.equal(cutTo("abcdefg", 60, width), "abcde…");
  assert.equal(cutTo("😀😀😀😀", 60, width), "😀😀…");
  assert.equal(cutTo("😀😀", 5, width), "😀…");
});

// Arithmetic

/** A head of prime sizes, its numbers from a fixed sequence. */
function headOf(more = {}) {
  const [queries, keys, width, valueWidth] = [5, 7, 11, 3];
  let seed = 41;
  const draw = (count) => Float32Array.from({ length: count }, () => (seed = (seed * 1103 + 377) % 9973) / 4986 - 1);
  return {
    queries, keys, width, valueWidth, q: draw(queries * width), k: draw(keys * width), v: draw(keys * valueWidth), g: null, vo: null,
    lse: new Float64Array(queries).fill(NaN), weights: null, scale: 0.3, sink: null, softcap: null, softcapOrder: "before mask",
    bias: { kind: "none", values: new Float32Array(0) },
    mask: { rule: "all", offset: 2, before: null, after: null, length: 0, queryBlocks: null, keyBlocks: null, bits: null }, ...more,
  };
}

const near = (one, two, what) => assert.ok(Math.abs(one - two) < 1e-9, `${what}: ${one} ${two}`);

test("the steps of a pair are those of a naive loop", () => {
  const cap = 1.7;
  const values = Float32Array.from({ length: 35 }, (_, at) => at / 50);
  const head = headOf({ softcap: cap, bias: { kind: "dense", values }, mask: { ...headOf().mask, rule: "causal" } });
  const query = 3;
  const scores = [];
  for (let key = 0; key < 7; key++) {
    let sum = 0;
    for (let at = 0; at < 11; at++) sum += head.q[query * 11 + at] * head.k[key * 11 + at];
    const capped = cap * Math.tanh((0.3 * sum) / cap);
    scores.push(key <= query + 2 ? capped + values[query * 7 + key] : -Infinity);
    const steps = stepsOf(head, query, key);
    near(steps.sum, sum, "sum");
    near(steps.scaled, 0.3 * sum, "scaled");
    near(steps.capped, capped, "capped");
    near(steps.bias, values[query * 7 + key], "bias");
    assert.equal(steps.allowed, key <= query + 2);
    if (steps.allowed) near(steps.score, scores[key], "score");
    else assert.equal(steps.score, -Infinity);
  }
  const lse = Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0));
  near(stepsOf(head, query, 0).lse, lse, "lse");
  near(stepsOf(head, query, 2).weight, Math.exp(scores[2] - lse), "weight");
  const row = rowOf(head, query);
  for (let at = 0; at < 3; at++) {
    const sum = scores.reduce((one, score, key) => one + Math.exp(score - lse) * head.v[key * 3 + at], 0);
    assert.ok(Math.abs(row.output[at] - sum) < 1e-6);
    assert.ok(Math.abs(stepsOf(head, query, 2).passed[at] - Math.exp(scores[2] - lse) * head.v[6 + at]) < 1e-9);
  }
});

test("a query that may look nowhere gives nothing", () => {
  const blocks = { queryBlocks: new Int32Array(5), keyBlocks: new Int32Array(7).fill(1) };
  const head = headOf({ mask: { ...headOf().mask, rule: "blocks", ...blocks } });
  const row = rowOf(head, 1);
  assert.deepEqual([...row.output], [0, 0, 0]);
  assert.equal(stepsOf(head, 1, 2).allowed, false);
});

test("without values there is nothing passed on", () => {
  const head = headOf({ v: null, valueWidth: 0 });
  assert.equal(rowOf(head, 0).output, null);
  assert.equal(stepsOf(head, 0, 0).passed, null);
});

test("more numbers than pixels: the one of largest magnitude stays", () => {
  assert.deepEqual([...thinned([1, -5, 2, 3, 0, 0], 3)], [-5, 3, 0]);
  const few = [1, 2];
  assert.equal(thinned(few, 300), few);
  assert.equal(thinned(new Float32Array(256).fill(1), 80).length, 80);
});

test("numbers in formulas have four digits, and say what isn't a number", () => {
  assert.equal(exact(0.34567), "0.3457");
  assert.equal(exact(-1.5), "−1.5000");
  assert.equal(exact(0), "0.0000");
  assert.equal(exact(0.0000123), "1.230e−5");
  assert.equal(exact(-Infinity), "−∞");
  assert.equal(exact(NaN), "–");
  assert.equal(largestIn([NaN, -3, Infinity, 2]), 3);
});
