// Matrix, Image, Model, Atlas, roles and files: their geometry and their numbers, without a browser.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { withAlignment } from "vitrail/alignment.js";
import { ramp } from "vitrail/colour.js";
import { dotAt, plotOf } from "vitrail/drawings/atlas-plot.js";
import { rowsSeen, ROW } from "vitrail/drawings/atlas-table.js";
import { clipped, columnsOf, widthAt } from "vitrail/drawings/fitting.js";
import { evidenceOf, headTable, ordered, rolesMet, scoreOfRole, scoresOf, topOf } from "vitrail/drawings/heads.js";
import { boxAt, layout as imageLayout, meanOf, shade, sorted, step, strongest } from "vitrail/drawings/image-layout.js";
import { views } from "vitrail/drawings/image-views.js";
import { lowered } from "vitrail/drawings/lowered.js";
import { covered, inside, layout, LARGEST_CELL, levelFor, seen, showing, tickStep, zoomed } from "vitrail/drawings/matrix-geometry.js";
import { heat, palette, pixel, triple } from "vitrail/drawings/matrix-heat.js";
import { bars, inCell, over, wrapped } from "vitrail/drawings/matrix-paint.js";
import { next, pool, valuesOf } from "vitrail/drawings/matrix-values.js";
import { corner, neighbour, plan, thumbnailAt } from "vitrail/drawings/model-layout.js";
import { csvOf, fileName, svgOf } from "vitrail/exporting.js";
import { roleColour, roleOf, rolesOf } from "vitrail/roles.js";

const golden = JSON.parse(readFileSync(`${process.env.VITRAIL_GOLDEN}/roles.json`, "utf8"));
const numbers = (list) => Float32Array.from(list, (value) => value ?? Number.NaN);

// roles.js

const layers = golden.layers.map((layer) => ({
  ...layer,
  digest: {
    ...layer.digest,
    scores: layer.digest.scores.map(numbers),
    thumbnails: { ...layer.digest.thumbnails, data: Uint8Array.from(layer.digest.thumbnails.data) },
  },
}));
const axes = new Map([["source", { grid: null }], ["target", { grid: null }]]);

test("roles are those of Python, with the same words", () => {
  const met = new Set();
  for (const layer of layers) {
    const [named] = rolesOf({ name: "", layers: [{ ...layer, digest: withAlignment(layer, axes) }] }, "light");
    for (const [head, expected] of layer.roles.entries()) {
      met.add(expected.role);
      assert.equal(named[head].role, expected.role);
      assert.equal(named[head].evidence, expected.evidence);
      for (const name of ["score", "uniform"]) {
        if (expected[name] === null) assert.ok(Number.isNaN(named[head][name]));
        else assert.ok(Math.abs(named[head][name] - expected[name]) < 1e-6, name);
      }
      if ("nearest" in expected) assert.equal(named[head].nearest, expected.nearest);
    }
  }
  assert.ok(met.size >= 12, [...met].join());
});

test("cross-attention has one more score, as Python has it", () => {
  for (const layer of layers) {
    const digest = withAlignment(layer, axes);
    assert.equal(digest.names.includes("aligned"), layer.aligned !== null);
    if (layer.aligned === null) continue;
    const found = digest.scores[digest.names.indexOf("aligned")];
    for (const [head, expected] of layer.aligned.entries()) {
      assert.ok(expected === null ? Number.isNaN(found[head]) : Math.abs(found[head] - expected) < 1e-6);
    }
  }
  assert.equal(withAlignment(layers[4], new Map([["source", { grid: [2, 2] }]])).names.includes("aligned"), false);
});

test("a head without a digest is unclear", () => {
  assert.equal(roleOf(null, 0).role, "unclear");
  assert.equal(rolesOf({ name: "", layers: [{ ...layers[0], digest: null, heads: 2 }] }, "dark")[0].length, 2);
});

// Machado et al. 2009, severity 1: linear sRGB as seen without one kind of cone.
const SIGHT = [
  [1, 0, 0, 0, 1, 0, 0, 0, 1],
  [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
];
const linear = (css) => css.match(/\d+/g).map((part) => (part > 10.31 ? ((part / 255 + 0.055) / 1.055) ** 2.4 : part / 255 / 12.92));
const times = (matrix, [x, y, z]) => [0, 3, 6].map((row) => matrix[row] * x + matrix[row + 1] * y + matrix[row + 2] * z);
const oklab = (rgb) => {
  const cones = times([0.4122214708, 0.5363325363, 0.0514459929, 0.2119034982, 0.6806995451, 0.1073969566, 0.0883024619, 0.2817188376, 0.6299787005], rgb);
  return times([0.2104542553, 0.793617785, -0.0040720468, 1.9779984951, -2.428592205, 0.4505937099, 0.0259040371, 0.7827717662, -0.808675766], cones.map((cone) => Math.cbrt(Math.max(0, cone))));
};
const luminance = (rgb) => 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];

test("colours of roles that meet stay apart for every kind of sight, and stand out from the paper", () => {
  const families = [
    ["previous token", "next token", "own token", "first token", "separator", "punctuation", "duplicate token", "induction", "other sentence", "broad"],
    ["first token", "separator", "punctuation", "same token", "copying", "aligned", "broad"],
    ["first token", "broad", "local"],
  ];
  for (const theme of ["light", "dark"]) {
    const paper = luminance(linear(`rgb(${triple(ramp(theme).paper).join()})`));
    for (const roles of families) {
      const colours = roles.map((role) => linear(roleColour(role, theme)));
      for (const colour of colours) {
        const [low, high] = [luminance(colour), paper].sort((one, two) => one - two);
        assert.ok((high + 0.05) / (low + 0.05) >= 2.9, `contrast in ${theme}`);
      }
      const apart = colours.flatMap((one, at) =>
        colours.slice(0, at).flatMap((two) => SIGHT.map((sight) => Math.hypot(...oklab(times(sight, one)).map((part, axis) => part - oklab(times(sight, two))[axis])))),
      );
      assert.ok(Math.min(...apart) >= 0.08, `${theme}: ${Math.min(...apart)}`);
    }
  }
});

// exporting.js

test("CSV as RFC 4180 has it, which no spreadsheet computes", () => {
  const text = csvOf({ columns: ["a,b", 'say "x"'], rows: [["=1+1", -2.5], ["@x", 0.1234567], [" +1", Number.NaN], ["line\nbreak", 1 / 3], ["−1", 0], ["\t=1", 1e-12]] });
  assert.equal(text, '"a,b","say ""x"""\r\n\'=1+1,-2.5\r\n\'@x,0.1234567\r\n\' +1,\r\n"line\nbreak",0.333333333\r\n−1,0\r\n\'\t=1,1e-12\r\n');
  assert.equal(csvOf({ columns: [], rows: [] }), "\r\n");
});

test("names of files are clean", () => {
  assert.equal(fileName("matrix encoder 3.5", "svg"), "matrix-encoder-3.5.svg");
  assert.equal(fileName("../../etc/passwd\u0000<>|", "csv"), "etc-passwd.csv");
  assert.equal(fileName("con", "png"), "vitrail-con.png");
  assert.equal(fileName("…///", "png"), "vitrail.png");
  assert.equal(fileName("注意力 😀 é", "svg"), "注意力-é.svg");
  assert.ok(fileName("x".repeat(500), "svg").length <= 84);
});

test("SVG holds text as text", () => {
  const svg = svgOf(
    {
      paint(pen) {
        pen.text("</text><script>alert(1)</script>\u0000", 1, 2, { size: 11, colour: "red" });
        pen.rect(0, 0, 1, 1, '"/><x');
        return { width: 10.2, height: 20 };
      },
    },
    "#fff",
  );
  assert.ok(svg.startsWith("<svg ") && svg.includes('width="11"'));
  assert.ok(!svg.includes("<script>") && !svg.includes("<x") && !svg.includes("\u0000"));
});

// fitting.js

test("text is cut to its room, whatever it is", () => {
  assert.equal(columnsOf("abc"), 3);
  assert.equal(columnsOf("注意"), 4);
  assert.equal(columnsOf("é"), 1 + 0);
  assert.equal(clipped("abcdef", widthAt("abcdef", 12) + 0.1, 12), "abcdef");
  assert.equal(clipped("abcdef", widthAt("abcd", 12) + 0.1, 12), "abc…");
  assert.equal(clipped("注意力", widthAt("abcd", 12) + 0.1, 12), "注…");
  assert.equal(clipped("abc", 1, 12), "");
  assert.ok(clipped("x".repeat(100_000), 100, 12).length < 20);
});

// matrix-geometry.js

const asked = { width: 740, height: 610, rows: 16, columns: 16, rowLabel: 60, columnLabel: 60, rowSums: false, columnSums: true };

test("the matrix stays on the page, beside its legend or over it", () => {
  for (const [rows, columns] of [[1, 1], [2, 4096], [16, 16], [15, 39], [4096, 4096], [4096, 3]]) {
    for (const [width, height] of [[740, 610], [820, 900], [420, 500]]) {
      const { plot, legend, beside, fit } = layout({ ...asked, rows, columns, width, height });
      assert.ok(plot.x + plot.width <= width && plot.y + plot.height <= height, `${rows}x${columns} in ${width}x${height}`);
      assert.ok(Math.abs(plot.width - fit.cellX * columns) < 1e-6 && fit.cellX <= LARGEST_CELL && fit.cellY <= LARGEST_CELL);
      assert.equal(beside, width >= 620);
      if (beside) assert.ok(legend.x + legend.width <= width && legend.x > plot.x + plot.width);
      else assert.ok(legend.y > plot.y + plot.height);
      assert.ok(Math.max(fit.cellX / fit.cellY, fit.cellY / fit.cellX) <= 3.7);
    }
  }
  const { fit } = layout(asked);
  assert.equal(fit.cellX, fit.cellY);
});

test("a zoom keeps the cell under the pointer, and shows nothing beyond", () => {
  const at = layout({ ...asked, rows: 1024, columns: 1024 });
  let view = at.fit;
  const cell = (one, x, y) => [one.left + x / one.cellX, one.top + y / one.cellY];
  for (let step = 0; step < 8; step += 1) {
    const before = cell(view, 111, 222);
    view = zoomed(view, 1.5, 111, 222, at);
    const after = cell(view, 111, 222);
    assert.ok(Math.hypot(after[0] - before[0], after[1] - before[1]) < 1e-6);
  }
  for (let step = 0; step < 40; step += 1) view = zoomed(view, 1.5, 0, 0, at);
  assert.ok(view.cellX <= LARGEST_CELL * 1.001 && view.cellX > LARGEST_CELL * 0.99);
  for (let step = 0; step < 60; step += 1) view = zoomed(view, 0.7, 300, 10, at);
  assert.deepEqual(view, at.fit);
  assert.deepEqual(inside({ left: 1e9, top: -5, cellX: 10, cellY: 10 }, at).left, 1024 - at.plot.width / 10);
});

test("a cell that is asked for comes into view", () => {
  const at = layout({ ...asked, rows: 500, columns: 500 });
  const view = showing(zoomed(at.fit, 20, 0, 0, at), 400, 499, at);
  const [top, bottom] = seen(view.top, view.cellY, at.plot.height, 500);
  assert.ok(top <= 400 && bottom > 400);
  assert.equal(seen(view.left, view.cellX, at.plot.width, 500)[1], 500);
  assert.deepEqual(showing(at.fit, 3, -1, at), at.fit);
});

test("every cell is covered by some pixel, and pixels by cells that they touch", () => {
  for (const [count, pixels] of [[7, 30], [1000, 90], [4096, 443], [3, 3]]) {
    const cell = pixels / count;
    const level = levelFor(cell, 7);
    const cells = Math.ceil(count / 2 ** level);
    const [from, to] = covered(0, cell, pixels, level, cells);
    const met = new Set();
    for (let at = 0; at < pixels; at += 1) for (let one = from[at]; one <= to[at]; one += 1) met.add(one);
    assert.equal(met.size, cells);
    assert.ok(Math.max(...to.map((last, at) => last - from[at])) <= 2);
  }
  assert.equal(levelFor(0.1, 7), 3);
  assert.equal(levelFor(1e-9, 7), 6);
  assert.deepEqual([tickStep(10, 40), tickStep(0.1, 56), tickStep(1, 1), tickStep(3, 40)], [5, 1000, 1, 20]);
});

// matrix-values.js

const fake = (queries, keys, entry) => ({
  name: "0.0",
  head: 0,
  queries,
  keys,
  async pooled([from, to], [first, last], [rows, columns]) {
    assert.deepEqual([rows, columns], [to - from, last - first]);
    return Float32Array.from({ length: rows * columns }, (_, at) => entry(from + Math.floor(at / columns), first + (at % columns)));
  },
});
const stronger = (one, two) => (Number.isNaN(one) || Math.abs(two) > Math.abs(one) ? two : one);
const settled = async (values) => {
  while (values.done() < 1) await new Promise((wake) => setTimeout(wake, 1));
};

test("the matrix is filled in, added up and pooled, with what is left out left out", async () => {
  const [n, m] = [700, 5000];
  const entry = (i, j) => (j > i + 4500 ? Number.NaN : Math.fround(Math.sin(i * 7.1 + j * 3.3)));
  const queries = Int32Array.from({ length: n }, (_, at) => at).filter((at) => at % 10 !== 3);
  const keys = Int32Array.from({ length: m }, (_, at) => at).filter((at) => at % 7 !== 0);
  let told = 0;
  const values = valuesOf(fake(n, m, entry), queries, keys, () => (told += 1));
  values.want(400, 500);
  await settled(values);
  assert.ok(told > 2 && values.masked() && values.exact(17));
  const { rows, columns, values: all } = values.levels[0];
  const columnSums = new Float64Array(columns);
  for (let row = 0; row < rows; row += 1) {
    let sum = 0;
    for (let column = 0; column < columns; column += 1) {
      const value = entry(queries[row], keys[column]);
      assert.ok(Object.is(all[row * columns + column], value) || all[row * columns + column] === value);
      if (!Number.isNaN(value)) [sum, columnSums[column]] = [sum + value, columnSums[column] + value];
    }
    assert.ok(Math.abs(sum - values.rowSums[row]) < 1e-9);
  }
  assert.ok(columnSums.every((sum, column) => Math.abs(sum - values.columnSums[column]) < 1e-9));
  const { columns: wide, values: coarse } = values.levels[3];
  for (const [row, column] of [[0, 0], [31, 300], [values.levels[3].rows - 1, wide - 1]]) {
    let best = Number.NaN;
    for (let i = 8 * row; i < Math.min(rows, 8 * row + 8); i += 1) for (let j = 8 * column; j < Math.min(columns, 8 * column + 8); j += 1) best = stronger(best, all[i * columns + j]);
    assert.equal(Math.abs(coarse[row * wide + column]), Math.abs(best));
  }
  assert.ok(Math.abs(values.largest() - 1) < 1e-3);
});

test("a matrix that is left stops, an empty one never starts, and what is on the screen comes first", async () => {
  let asks = 0;
  const look = fake(2000, 2000, () => ++asks);
  const values = valuesOf(look, Int32Array.from({ length: 2000 }, (_, at) => at), Int32Array.of(0, 1), () => assert.fail("told"));
  values.stop();
  await new Promise((wake) => setTimeout(wake, 20));
  assert.equal(valuesOf(look, new Int32Array(0), new Int32Array(0), () => {}).done(), 1);
  assert.equal(next(Uint8Array.of(1, 0, 0, 0), 2, 4), 2);
  assert.equal(next(Uint8Array.of(1, 0, 1, 1), 2, 4), 1);
  const levels = [{ rows: 3, columns: 1, values: Float32Array.of(1, Number.NaN, -5) }, { rows: 2, columns: 1, values: new Float32Array(2) }];
  pool(levels, 0, 3);
  assert.deepEqual([...levels[1].values], [1, -5]);
  const four = (...values) => {
    const both = [{ rows: 2, columns: 2, values: Float32Array.of(...values) }, { rows: 1, columns: 1, values: new Float32Array(1) }];
    pool(both, 0, 2);
    return both[1].values[0];
  };
  assert.deepEqual([four(1, -2, 0, 1), four(Number.NaN, 3, 0, -4), four(3, Number.NaN, Number.NaN, Number.NaN), four(Number.NaN, Number.NaN, 0, Number.NaN)], [-2, -4, 3, 0]);
  assert.ok(Number.isNaN(four(Number.NaN, Number.NaN, Number.NaN, Number.NaN)));
});

// matrix-heat.js and matrix-paint.js

test("a pixel has the colour of the strongest that it covers; what may not be looked at is hatched", () => {
  const inks = ramp("light");
  const colours = palette(inks, true);
  assert.equal(colours[0], pixel(inks.rgb(-1, 1, true)));
  assert.equal(colours[colours.length - 1], pixel(inks.rgb(1, 1, true)));
  const levels = [{ rows: 1, columns: 4, values: Float32Array.of(0.1, -1, 0.5, Number.NaN) }];
  const ink = { colours, largest: 1, paper: 1, hatch: 2, ratio: 1 };
  const out = new Uint32Array(2);
  heat(out, 2, 1, levels, { left: 0, top: 0, cellX: 0.5, cellY: 1 }, ink);
  assert.deepEqual([...out], [pixel(inks.rgb(-1, 1, true)), pixel(inks.rgb(0.5, 1, true))]);
  const large = new Uint32Array(8 * 2);
  heat(large, 8, 2, levels, { left: 0, top: 0, cellX: 2, cellY: 2 }, ink);
  assert.deepEqual([large[6], large[7], large[14], large[2]], [2, 1, 1, pixel(inks.rgb(-1, 1, true))]);
  assert.deepEqual(triple("#102030"), [16, 32, 48]);
});

test("numbers in cells are short, and read over any colour", () => {
  assert.deepEqual([0.123, -0.123, 0.001, 1.25, 123.4, 0.999].map(inCell), [".12", "−.12", "", "1.3", "123", "1.0"]);
  assert.equal(over([255, 255, 255]), "#16171c");
  assert.equal(over([10, 30, 90]), "#ffffff");
  assert.deepEqual(wrapped("aa bb cc", 5, (part) => part.length), ["aa bb", "cc"]);
});

test("bars are as long as their sums, one a pixel at most", () => {
  assert.deepEqual(bars(Float64Array.of(1, -2), 0, 5, 10).map(({ size }) => size), [0.5, 1]);
  const many = bars(Float64Array.from({ length: 1000 }, (_, at) => at), 0, 0.1, 100);
  assert.equal(many.length, 100);
  assert.equal(many[99].size, 1);
});

// heads.js, atlas

const stream = {
  name: "encoder",
  layers: [0, 1].map((index) => ({
    index,
    heads: 3,
    digest: {
      names: ["entropy", "previous", "pixels"],
      scores: [Float32Array.of(1, 2, Number.NaN), Float32Array.of(0.25 + index / 2, 0.5, 0.125), Float32Array.of(Number.NaN, Number.NaN, Number.NaN)],
      uniform: [3, 0.1, null],
      counts: [9, 9, 0],
    },
  })),
};
const named = [
  ["previous token", "unclear", "unclear"],
  ["broad", "previous token", "unclear"],
].map((row) => row.map((role, at) => ({ role, colour: role, score: 0.9 - at / 10, uniform: 0.1, evidence: "", nearest: "" })));

test("heads come in the order of any score, unknown ones last, and some only", () => {
  const names = (asked) => ordered(stream, named, asked).map(({ layer, head }) => `${layer}.${head}`);
  assert.deepEqual(names({ sort: "layer" }), ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]);
  assert.deepEqual(names({ sort: "previous" }), ["1.0", "0.1", "1.1", "0.0", "0.2", "1.2"]);
  assert.deepEqual(names({ sort: "entropy", down: false }), ["0.0", "1.0", "0.1", "1.1", "0.2", "1.2"]);
  assert.deepEqual(names({ sort: "role" }), ["0.0", "1.1", "1.0", "0.1", "0.2", "1.2"]);
  assert.deepEqual(names({ sort: "layer", role: "previous token" }), ["0.0", "1.1"]);
  assert.deepEqual(rolesMet(named).map(({ role, count }) => [role, count]), [["previous token", 2], ["broad", 1], ["unclear", 3]]);
  assert.deepEqual(scoresOf(stream), ["entropy", "previous"]);
  const table = headTable(stream, named, ordered(stream, named, { sort: "layer" }));
  assert.deepEqual([table.rows.length, table.rows[3].length, table.columns.length, table.rows[3][6]], [6, 7, 7, 0.75]);
});

test("evidence is shown where it is seen best, on axes that reach over all values", () => {
  assert.equal(evidenceOf(stream, "previous", { layer: 0, head: 0 }), "matrix");
  assert.equal(evidenceOf(stream, "first", { layer: 0, head: 0 }), "lines");
  const seeing = { ...stream, layers: [{ ...stream.layers[0], digest: { ...stream.layers[0].digest, scores: [0, 0, 0].map(() => Float32Array.of(3, 3, 3)) } }] };
  assert.equal(evidenceOf(seeing, "first", { layer: 0, head: 0 }), "image");
  assert.deepEqual(["broad", "local", "copying", "unclear"].map(scoreOfRole), ["broadness", "pixels", "induction", ""]);
  assert.deepEqual([topOf(stream, "previous"), topOf(stream, "entropy"), topOf(stream, "nothing")], [1, 4, 1]);
});

test("a dot for each known head, found again under the pointer; rows near the screen only", () => {
  const { dots, y } = plotOf({ stream }, "entropy", 500, 250);
  assert.equal(dots.length, 4);
  for (const dot of dots) assert.equal(dotAt(dots, dot.x + 1, dot.y - 1), dot);
  assert.equal(dotAt(dots, -99, 0), null);
  assert.ok(y(0) > y(3) && y(4) >= 0);
  assert.deepEqual(rowsSeen(0, 300, 144), [0, 144]);
  const [from, to] = rowsSeen(1000 * ROW, 300, 3072);
  assert.ok(from < 1000 && from > 950 && to > 1011 && to < 1060);
  assert.deepEqual(rowsSeen(1e9, 300, 3072)[1], 3072);
});

// model-layout.js

test("every head has its place, is found there, and is reached by arrows", () => {
  for (const [layers, heads] of [[1, 1], [6, 12], [12, 12], [48, 64]]) {
    for (const [width, height] of [[740, 560], [820, 520], [380, 500]]) {
      for (const byLayer of [true, false]) {
        const order = Array.from({ length: layers * heads }, (_, at) => ({ layer: Math.floor(at / heads), head: at % heads }));
        const at = plan({ width, height, layers: Array(layers).fill(heads), sorted: byLayer ? null : order.length });
        for (const place of [0, heads - 1, order.length - 1]) {
          const [x, y] = corner(at, place, order[place]);
          assert.ok(x >= 0 && x + at.size <= width && y >= 0 && y + at.size <= at.height, `${layers}x${heads} in ${width}: ${x}`);
          assert.equal(thumbnailAt(at, order, x + at.size / 2, y + at.size / 2), place);
        }
        assert.ok(at.size >= 20);
        assert.equal(thumbnailAt(at, order, -1, 5), -1);
        if (layers > 1 && byLayer) assert.equal(order[neighbour(at, order, 0, "ArrowDown")].head, heads > at.perRow ? at.perRow : 0);
        assert.equal(neighbour(at, order, 0, "ArrowUp"), 0);
      }
    }
  }
  assert.equal(neighbour(plan({ width: 500, height: 500, layers: [], sorted: 0 }), [], -1, "ArrowDown"), -1);
});

// image

const patches = (over = {}) => ({ kind: "patches", length: 6, grid: [2, 3], patch: [4, 4], places: null, texts: null, hidden: null, ...over });

test("positions are sorted into patches and what stands beside them", () => {
  const all = sorted(patches(), [2, 3], new Uint8Array(6).fill(1));
  assert.deepEqual([[...all.at], all.outside], [[0, 1, 2, 3, 4, 5], []]);
  const places = Int32Array.of(-1, 5, 0);
  const some = sorted(patches({ length: 3, places }), [2, 3], Uint8Array.of(1, 1, 0));
  assert.deepEqual([[...some.at], [...some.places], some.outside], [[-1, -1, -1, -1, -1, 1], [-1, 5, -1], [0]]);
  assert.deepEqual(sorted(patches({ grid: null, length: 2 }), [2, 3], Uint8Array.of(1, 1)).outside, [0, 1]);
  assert.deepEqual(sorted(patches(), null, new Uint8Array(6).fill(1)).at.length, 0);
});

test("arrows lead from patch to patch, over those that aren't there, and to CLS", () => {
  const side = sorted(patches({ length: 5, places: Int32Array.of(-1, 0, 2, 3, 5) }), [2, 3], new Uint8Array(5).fill(1));
  const go = (from, arrow) => step(side, from, arrow, [2, 3]);
  assert.deepEqual([go(-1, "ArrowDown"), go(1, "ArrowRight"), go(2, "ArrowLeft"), go(1, "ArrowDown"), go(1, "ArrowLeft")], [1, 2, 1, 3, 1]);
  assert.deepEqual([go(1, "ArrowUp"), go(0, "ArrowDown"), go(0, "ArrowRight")], [0, 1, 0]);
});

test("the picture, its chips and its heads stay on the page and apart", () => {
  for (const [width, height] of [[740, 560], [820, 900], [400, 600]]) {
    for (const [grid, aspect] of [[[8, 8], 1], [[14, 14], 1], [[4, 16], 0.25], [[60, 80], 0.75]]) {
      const at = imageLayout({ width, height, grid, aspect, chips: [40, 90, 90], pictures: 3, heads: 16 });
      const boxes = [at.main, ...at.chips, ...at.pictures, ...at.heads];
      for (const [place, one] of boxes.entries()) {
        assert.ok(one.x >= 0 && one.x + one.width <= width + 1 && one.y + one.height <= at.height, `${width} ${grid} ${place}`);
        for (const two of boxes.slice(0, place)) {
          assert.ok(one.x + one.width <= two.x + 0.01 || two.x + two.width <= one.x + 0.01 || one.y + one.height <= two.y + 0.01 || two.y + two.height <= one.y + 0.01);
        }
      }
      assert.equal(at.main.width, at.cellX * grid[1]);
      assert.equal(boxAt(at.heads, at.heads[3].x + 1, at.heads[3].y + 1), 3);
    }
  }
});

test("strong patches keep their light; means and the strongest leave out what isn't a number", () => {
  assert.deepEqual(shade(1, 1), [1, 0]);
  assert.ok(shade(0, 1)[1] > 0.8 && shade(Number.NaN, 1)[1] > 0.8 && shade(1, 0)[1] > 0.8);
  assert.equal(shade(0.25, 1)[0], 0.5);
  assert.deepEqual([...meanOf([Float32Array.of(1, 2), Float32Array.of(3, Number.NaN)], 2)], [2, 1]);
  assert.ok(Number.isNaN(meanOf([], 1)[0]));
  assert.deepEqual(strongest(Float32Array.of(0.1, -3, 0, Number.NaN, 2), 2), [1, 4]);
});

test("at rest the mean over all queries is seen, or CLS", async () => {
  const rows = Array.from({ length: 7 }, (_, at) => Float32Array.of(at, 1));
  const look = { keys: 2, row: (query) => rows[query] };
  let told = 0;
  const resting = views({ shown: [0, 2, 4], cls: -1 }, () => (told += 1));
  assert.equal(resting.values(look, -1), null);
  await new Promise((wake) => setTimeout(wake, 5));
  assert.deepEqual([[...resting.values(look, -1)], told], [[2, 1], 1]);
  assert.equal(resting.values(look, 3), rows[3]);
  assert.deepEqual([...resting.mean([look, { keys: 2, row: () => Float32Array.of(1, 3) }], 3)], [2, 2]);
  assert.equal(views({ shown: [0], cls: 5 }, () => {}).values(look, -1), rows[5]);
});

test("a lowered pen draws everything lower", () => {
  const ys = [];
  const note = (...all) => ys.push(all.filter((one) => typeof one === "number")[1]);
  const pen = lowered({ line: note, rect: note, frame: note, disc: note, text: (_, x, y) => ys.push(y), image: (_, x, y) => ys.push(y), curve: note }, 5);
  pen.line(0, 1, 2, 3, "");
  pen.rect(0, 1, 2, 3, "");
  pen.frame(0, 1, 2, 3, "");
  pen.disc(0, 1, 2, "");
  pen.text("", 0, 1, {});
  pen.image(null, 0, 1, 2, 3);
  assert.deepEqual(ys, [6, 6, 6, 6, 6, 6]);
});
