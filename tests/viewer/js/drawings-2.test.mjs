// Matrix, Image, Model, Atlas, roles and files: their geometry and their numbers, without a browser.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { ramp } from "vitrail/colour.js";
import { clipped, columnsOf, widthAt } from "vitrail/drawings/fitting.js";
import { covered, inside, layout, LARGEST_CELL, levelFor, seen, showing, tickStep, zoomed } from "vitrail/drawings/matrix-geometry.js";
import { heat, palette, pixel, triple } from "vitrail/drawings/matrix-heat.js";
import { bars, inCell, over, wrapped } from "vitrail/drawings/matrix-paint.js";
import { next, pool, stronger, valuesOf } from "vitrail/drawings/matrix-values.js";
import { csvOf, fileName, svgOf } from "vitrail/exporting.js";
import { digestOf, roleColour, roleOf, rolesOf } from "vitrail/roles.js";

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
    const [named] = rolesOf({ name: "", layers: [layer] }, axes, "light");
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
    const digest = digestOf(layer, axes);
    assert.equal(digest.names.includes("aligned"), layer.aligned !== null);
    if (layer.aligned === null) continue;
    const found = digest.scores[digest.names.indexOf("aligned")];
    for (const [head, expected] of layer.aligned.entries()) {
      assert.ok(expected === null ? Number.isNaN(found[head]) : Math.abs(found[head] - expected) < 1e-6);
    }
  }
  assert.equal(digestOf(layers[4], new Map([["source", { grid: [2, 2] }]])).names.includes("aligned"), false);
});

test("a head without a digest is unclear", () => {
  assert.equal(roleOf(null, 0).role, "unclear");
  assert.equal(rolesOf({ name: "", layers: [{ ...layers[0], digest: null, heads: 2 }] }, axes, "dark")[0].length, 2);
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
  assert.deepEqual([stronger(1, -2), stronger(Number.NaN, 3), stronger(3, Number.NaN)], [-2, 3, 3]);
  assert.ok(Number.isNaN(stronger(Number.NaN, Number.NaN)));
  const levels = [{ rows: 3, columns: 1, values: Float32Array.of(1, Number.NaN, -5) }, { rows: 2, columns: 1, values: new Float32Array(2) }];
  pool(levels, 0, 3);
  assert.deepEqual([...levels[1].values], [1, -5]);
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
