// What has nothing to do with numbers: addresses that bring a view back, colours, and SVG that nothing escapes from.
import assert from "node:assert/strict";
import test from "node:test";
import { headColours, oklch, ramp } from "vitrail/colour.js";
import { label, number, shown } from "vitrail/dom.js";
import { svgPen } from "vitrail/pens.js";
import { before, seriesOf } from "vitrail/series.js";
import { START, createStore, fromAddress, lookedAt, toAddress } from "vitrail/store.js";

const STRANGE = ['a&b=c#d', "<script>alert(1)</script>", "ä 中 🎈", "%00", '"', "", "a+b c"];

test("everything that an address holds comes back", () => {
  for (const name of STRANGE) {
    const state = {
      ...START, trace: name, other: `${name}2`, stream: name, layer: 11, head: 3, heads: [3, 0, 7], drawing: "matrix",
      quantity: "weight-value", query: 4095, key: 0, pin: [0, 12], score: "entropy", words: true, special: false, sentences: "ab",
    };
    assert.deepEqual({ ...START, ...fromAddress(`#${toAddress(state)}`) }, state);
  }
  assert.equal(toAddress(START), "");
  assert.equal(toAddress({ ...START, hover: { query: 1, key: 2 }, swapped: true }), "");
});

test("an address that isn't understood changes nothing that it doesn't name", () => {
  for (const address of ["#", "layer=1e9", "layer=NaN", "heads=a.b", "heads=-1", "pin=1", "pin=1.2.3", "query=1.5", "hover=1", "__proto__=1", "layer=99999999999"]) {
    assert.deepEqual({ ...fromAddress(address) }, {}, address);
  }
  assert.equal(Object.getPrototypeOf(fromAddress("__proto__=x&layer=2")), Object.prototype);
  assert.deepEqual(fromAddress("layer=2&words=true&nothing=3"), { layer: 2, words: true });
});

test("the store tells what has changed, once, and nothing where nothing has", () => {
  const store = createStore({ layer: 2 });
  const told = [];
  const stop = store.subscribe((state, changed) => told.push([state.layer, [...changed].sort()]));
  store.set({ layer: 2 });
  store.set({ layer: 3, head: 1, heads: [0] });
  store.set({ pin: [1, 2] });
  store.set({ pin: [1, 2] });
  stop();
  store.set({ layer: 4 });
  assert.deepEqual(told, [[3, ["head", "layer"]], [3, ["pin"]]]);
  assert.deepEqual(lookedAt({ ...START, query: 1, key: 2 }), { query: 1, key: 2 });
  assert.deepEqual(lookedAt({ ...START, query: 1, key: 2, hover: { query: -1, key: 5 } }), { query: -1, key: 5 });
});

test("colours of OKLCH are those of its author", () => {
  // bottosson.github.io/posts/oklab: red, green and blue of sRGB.
  for (const [lightness, chroma, hue, wanted] of [
    [0.6279, 0.2577, 29.23, [255, 0, 0]],
    [0.8664, 0.2948, 142.5, [0, 255, 0]],
    [0.452, 0.3132, 264.05, [0, 0, 255]],
    [1, 0, 0, [255, 255, 255]],
    [0, 0, 0, [0, 0, 0]],
  ]) {
    oklch(lightness, chroma, hue).forEach((channel, at) => assert.ok(Math.abs(channel - wanted[at]) <= 2, `${channel} ${wanted}`));
  }
});

test("ramps go one way, and zero looks the same on both sides", () => {
  for (const theme of ["light", "dark"]) {
    const { rgb, sequential, signed } = ramp(theme);
    const light = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
    for (const sign of [false, true]) {
      const lights = Array.from({ length: 101 }, (_, at) => light(rgb(at / 100, 1, sign)));
      const steps = lights.slice(1).map((one, at) => (theme === "light" ? lights[at] - one : one - lights[at]));
      assert.ok(steps.every((step) => step > -0.75), `${theme} ${sign}`);
    }
    rgb(0, 1, true).forEach((channel, at) => assert.ok(Math.abs(channel - rgb(-0, 1, true)[at]) <= 2));
    assert.deepEqual(rgb(NaN, 1, false), rgb(0, 1, false));
    assert.deepEqual(rgb(5, 1, false), rgb(1, 1, false));
    assert.match(sequential(0.3, 1), /^rgb\(\d+,\d+,\d+\)$/);
    assert.notEqual(signed(0.5, 1), signed(-0.5, 1));
    assert.equal(new Set(headColours(16, theme)).size, 16);
  }
});

test("nothing that a token says becomes a part of the SVG", () => {
  const pen = svgPen();
  const texts = ['<script>alert("1")</script>', "]]>", "&amp;", "\u0000\u0008\ufffe", "'\" onload=\"x", "a\tb\nc"];
  texts.forEach((text, at) => pen.text(text, at, at, { size: 11, colour: text }));
  pen.line(0, 0, 1.23456, 1, 'red"><script/>');
  pen.curve([0, 1, 2, 3, 4, 5, 6, 7], "red");
  const written = pen.svg(10, 10, '"><script>');
  assert.doesNotMatch(written, /<script|onload="|\u0000|\u0008|\ufffe/);
  assert.match(written, /&#60;script&#62;alert\(&#34;1&#34;\)&#60;\/script&#62;/);
  assert.match(written, /x2="1.23"/);
  const tags = written.match(/<\/?[a-z]+/g);
  assert.deepEqual(new Set(tags), new Set(["<svg", "</svg", "<rect", "<text", "</text", "<line", "<path"]));
});

test("what can't be seen in a token is written as a sign", () => {
  assert.equal(shown(" dog"), "·dog");
  assert.equal(shown(""), "∅");
  assert.equal(shown("a\u202eb\u200b\n"), "a‹202e›b‹200b›⏎");
  assert.equal(shown("🎈"), "🎈");
  assert.equal(number(NaN), "–");
  assert.equal(number(-0.25), "−0.250");
  assert.equal(number(-Infinity), "−∞");
  const patches = { kind: "patches", texts: null, grid: [2, 3], places: Int32Array.of(-1, 4) };
  assert.deepEqual([label(patches, 0), label(patches, 1)], ["CLS", "1,1"]);
});

test("checkpoints of one model on one input are a series, by their steps", () => {
  const [model, texts] = ["runs/a", ["a text"]];
  const offered = new Map([
    ["late", { model, texts, step: 900 }],
    ["begun", { model, texts: [...texts], step: 0 }],
    ["broken", { model, texts, step: 3, error: "it can't be read." }],
    ["other input", { model, texts: ["another"], step: 5 }],
    ["finished", { model, texts }],
    ["middle", { model, texts, step: 50 }],
  ]);
  assert.deepEqual(seriesOf(offered, "middle").map(({ id, step }) => [id, step]), [["begun", 0], ["middle", 50], ["late", 900]]);
  for (const alone of ["finished", "other input", "nowhere"]) assert.deepEqual(seriesOf(offered, alone), []);
  assert.deepEqual(["late", "middle", "begun", "finished"].map((id) => before(offered, id)), ["middle", "begun", "", ""]);
});
