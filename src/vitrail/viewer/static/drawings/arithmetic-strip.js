/**
 * One pair of query and key, every step on a line of its own: bars where a step has a number for each dimension, the formula
 * with its numbers where it has one.
 * @module
 */

import { label } from "vitrail/dom.js";
import { clipped, sharing } from "vitrail/drawings/fitting.js";
import { LEGEND, paintBars, paintLegend, TITLE } from "vitrail/drawings/arithmetic-painting.js";
import { exact, largestIn } from "vitrail/drawings/arithmetic-steps.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/drawings/arithmetic-steps.js").Steps} Steps */
/** @typedef {import("vitrail/drawings/arithmetic-painting.js").Sheet} Sheet */

/**
 * A line: a name, what it is in words, and bars or a formula.
 * @typedef {{name: string, words: string, values?: ArrayLike<number>, formula?: string, result?: string, spread?: boolean}} Line
 */

export const BACK = { x: 14, y: 34, width: 92, height: 22 };
const HEAD = 64;
const TEXT = 196;

/**
 * The steps of a pair, in words and numbers.
 * @param {Sheet} sheet
 * @param {Steps} steps
 * @returns {Line[]}
 */
export function linesOf({ scene, query, key, row }, steps) {
  const { numbers } = scene;
  const [asks, asked] = [label(scene.queries, query).slice(0, 20), label(scene.keys, key).slice(0, 20)];
  /** @type {Line[]} */
  const lines = [
    { name: "q", words: `the query of “${asks}”`, values: steps.q },
    { name: "k", words: `the key of “${asked}”`, values: steps.k },
    { name: "q ∘ k", words: "multiplied number by number", values: steps.products, result: `Σ = ${exact(steps.sum)}` },
    { name: "scaled", words: "their sum times the scale", formula: `${exact(numbers.scale)} × ${exact(steps.sum)} =`, result: exact(steps.scaled) },
  ];
  const { softcap, softcapOrder } = numbers;
  if (steps.capped !== null) lines.push({ name: "capped", words: "c · tanh(scaled ∕ c)", formula: `c = ${softcap}`, result: exact(steps.capped) });
  const before = steps.capped ?? steps.scaled;
  if (numbers.bias.kind !== "none") lines.push({ name: "bias", words: `by place (${numbers.bias.kind})`, formula: `${exact(before)} + ${exact(steps.bias)} =`, result: exact(before + steps.bias) });
  if (numbers.mask.rule !== "all") lines.push({ name: "mask", words: `rule: ${numbers.mask.rule}`, formula: steps.allowed ? "this key may be looked at" : "this key may not be looked at", result: steps.allowed ? "" : "−∞" });
  if (softcap !== null && softcapOrder === "after mask") lines.push({ name: "capped", words: "c · tanh(score ∕ c)", formula: `c = ${softcap}`, result: exact(steps.score) });
  lines.push({
    name: "weight",
    words: steps.shipped ? "the model's own, kept in the trace" : "exp(score − lse of all keys)",
    formula: steps.shipped ? "" : `exp(${exact(steps.score)} − ${exact(steps.lse)}) =`,
    result: exact(steps.weight || 0),
    spread: true,
  });
  if (!steps.v || !steps.passed || !row.output) return [...lines, { name: "v", words: "not in this trace", formula: "It was captured without values: capture it again with them.", result: "" }];
  return [
    ...lines,
    { name: "v", words: `the value of “${asked}”`, values: steps.v },
    { name: "weight · v", words: `what “${asked}” gives`, values: steps.passed },
    { name: "output", words: "of all keys; its part of it:", values: row.output, result: share(steps.passed, row.output) },
  ];
}

/** How much of the output's length a part makes, along the output. @param {ArrayLike<number>} part @param {ArrayLike<number>} whole */
function share(part, whole) {
  let [along, length] = [0, 0];
  for (let at = 0; at < whole.length; at++) {
    along += part[at] * whole[at];
    length += whole[at] * whole[at];
  }
  return length > 0 ? `${((100 * along) / length).toFixed(1).replace("-", "−")}%` : "0%";
}

/** How tall the strip is. @param {Line[]} lines @param {number} room */
export function heightOf(lines, room) {
  return HEAD + lines.length * tallOf(lines, room) + 8;
}

/** @param {Line[]} lines @param {number} room */
function tallOf(lines, room) {
  return Math.min(84, Math.max(46, (room - HEAD - 8) / lines.length));
}

/** Where bars are: from, to. @param {number} width @returns {[number, number]} */
function barsOf(width) {
  return [TEXT, width - 128];
}

/** The title: words, and the tokens that stand between them. @param {Sheet} sheet @returns {[string[], string[]]} */
export function pairTitleOf({ scene, query, key }) {
  return [["“", "” → “", `”, head ${scene.looks[0].name}`], [label(scene.queries, query), label(scene.keys, key)]];
}

/**
 * @param {Pen} pen
 * @param {Sheet} sheet
 * @param {Steps} steps
 * @param {number} top how far it is scrolled
 * @param {number} dimension that is pointed at; -1 for none
 */
export function paintStrip(pen, sheet, steps, top, dimension) {
  const { scene, width, height, key, row } = sheet;
  const { ramp } = scene;
  const lines = linesOf(sheet, steps);
  const tall = tallOf(lines, height);
  const [from, to] = barsOf(width);
  const right = width - 16;
  lines.forEach((line, place) => {
    const y = HEAD + (place + 0.5) * tall - top;
    pen.text(line.name, 16, y - 8, { size: 15, colour: ramp.ink, weight: 600 });
    pen.text(clipped(line.words, TEXT - 20, 10), 16, y + 10, { size: 11, colour: ramp.quiet });
    if (line.values) {
      const most = largestIn(Array.from(line.values));
      paintBars(pen, line.values, from, y, to - from, tall / 2 - 5, most, ramp);
      const pointed = dimension >= 0 && dimension < line.values.length;
      if (pointed) {
        const each = (to - from) / line.values.length;
        pen.frame(from + dimension * each - 1, y - tall / 2 + 3, Math.max(3, each + 1), tall - 6, ramp.accent, 1);
      }
      const said = pointed ? `[${dimension}] ${exact(line.values[dimension])}` : (line.result ?? `±${exact(most)}`);
      pen.text(said, right, y, { size: line.result && !pointed ? 13 : 11, colour: pointed ? ramp.accent : line.result ? ramp.ink : ramp.quiet, mono: true, align: "right", weight: line.result && !pointed ? 600 : 400 });
    } else {
      if (line.spread) paintSpread(pen, row.weights, key, from, y + tall / 2 - 5, to - from, tall * 0.42, ramp);
      pen.text(clipped(line.formula ?? "", right - from - 80, 13), from, line.spread ? y - tall * 0.2 : y, { size: 13, colour: ramp.ink, mono: !line.formula?.startsWith("It ") });
      pen.text(line.result ?? "", right, y, { size: 15, colour: ramp.ink, mono: true, align: "right", weight: 600 });
    }
    if (place) pen.line(16, y - tall / 2, right, y - tall / 2, ramp.faint);
  });
  pen.rect(0, 0, width, HEAD - 2, ramp.paper);
  pen.text(sharing(...pairTitleOf(sheet), width - 16 - LEGEND, TITLE), 16, 16, { ...TITLE, colour: ramp.ink });
  paintLegend(pen, ramp, right - 8);
}

/** The way back to all keys: a control, no part of the picture. @param {Pen} pen @param {import("vitrail/types.js").Ramp} ramp */
export function paintBack(pen, ramp) {
  pen.frame(BACK.x + 0.5, BACK.y + 0.5, BACK.width, BACK.height, ramp.faint);
  pen.text("← all keys", BACK.x + BACK.width / 2, BACK.y + BACK.height / 2 + 0.5, { size: 12, colour: ramp.ink, align: "center" });
}

/** Weights of all keys in the order of the text, this one in the accent. @param {Pen} pen @param {Float32Array} weights @param {number} key @param {number} x @param {number} y @param {number} width @param {number} height @param {import("vitrail/types.js").Ramp} ramp */
function paintSpread(pen, weights, key, x, y, width, height, ramp) {
  const most = largestIn(weights);
  pen.line(x, y, x + width, y, ramp.faint);
  if (!(most > 0)) return;
  const each = width / weights.length;
  const wide = Math.max(1, each - (each > 3 ? 1 : 0));
  weights.forEach((weight, at) => {
    const tall = height * Math.sqrt((weight || 0) / most);
    if (at !== key && tall > 0.5) pen.rect(x + at * each, y - tall, wide, tall, ramp.quiet, 0.45);
  });
  const own = Math.max(1.5, height * Math.sqrt((weights[key] || 0) / most));
  pen.rect(x + key * each, y - own, Math.max(2, wide), own, ramp.accent);
}

/** The dimension at a point; -1 for none. @param {number} x @param {number} y @param {number} width @param {number} count */
export function dimensionAt(x, y, width, count) {
  const [from, to] = barsOf(width);
  return y > HEAD && x >= from && x < to ? Math.floor(((x - from) * count) / (to - from)) : -1;
}
