/**
 * What Arithmetic paints for a query: a row for each of its strongest keys, from k to weight · v, as signed bars.
 * @module
 */

import { label } from "vitrail/dom.js";
import { clipped, sharing } from "vitrail/drawings/fitting.js";
import { exact, largestIn, stepsOf, thinned } from "vitrail/drawings/arithmetic-steps.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/types.js").Ramp} Ramp */
/** @typedef {import("vitrail/types.js").Scene} Scene */
/** @typedef {import("vitrail/drawings/arithmetic-steps.js").Row} Row */
/** @typedef {import("vitrail/drawings/arithmetic-steps.js").Steps} Steps */

export const HEAD = 134;
export const FOOT = 26;
export const TITLE = { size: 14, weight: 600 };
/** Width of the legend beside a title, and some air. */
export const LEGEND = 190;

/**
 * A query taken apart.
 * @typedef {Object} Sheet
 * @property {Scene} scene
 * @property {number} query
 * @property {boolean} asked somebody chose this query
 * @property {number} key chosen; -1 for none
 * @property {Row} row
 * @property {number[]} keys that are listed, the strongest first
 * @property {Steps[]} steps of these
 * @property {{k: number, products: number, v: number, passed: number}} largest
 * @property {number} width
 * @property {number} height
 * @property {number} tall height of a listed key
 */

/**
 * @param {Scene} scene @param {Row} row @param {number} query @param {number[]} keys
 * @returns {Pick<Sheet, "keys" | "steps" | "largest">}
 */
export function listed({ numbers }, row, query, keys) {
  const room = new Float64Array(numbers.keys);
  const steps = keys.map((key) => stepsOf(numbers, query, key, room));
  /** @param {(one: Steps) => ArrayLike<number> | null} part */
  const most = (part) => Math.max(0, ...steps.map((one) => largestIn(Array.from(part(one) ?? []))));
  return { keys, steps, largest: { k: most(({ k }) => k), products: most(({ products }) => products), v: most(({ v }) => v), passed: most(({ passed }) => passed) } };
}

/**
 * Signed numbers as bars around a line, orange up and blue down, by the square root.
 * @param {Pen} pen @param {ArrayLike<number>} values @param {number} x @param {number} y of the line @param {number} width
 * @param {number} height of the largest @param {number} largest @param {Ramp} ramp
 */
export function paintBars(pen, values, x, y, width, height, largest, ramp) {
  pen.line(x, y, x + width, y, ramp.faint);
  if (!(largest > 0)) return;
  const cells = thinned(values, width);
  const each = width / cells.length;
  const gap = each >= 3 ? 1 : 0;
  for (let at = 0; at < cells.length; at++) {
    const value = cells[at];
    const tall = height * Math.sqrt(Math.min(1, Math.abs(value) / largest));
    if (!(tall >= 0.4)) continue;
    pen.rect(x + at * each, value > 0 ? y - tall : y, each - gap, tall, ramp.signed(Math.sign(value) * (0.25 * largest + 0.75 * Math.abs(value)), largest));
  }
}

/**
 * Where columns are: each of the four with bars has the same width, so that dimensions stand below one another.
 * @param {Sheet} sheet
 */
function columnsOf({ width, scene }) {
  const edge = 14;
  const gap = 14;
  const narrow = width < 760;
  const token = narrow ? 84 : 120;
  const score = 58;
  const weight = narrow ? 62 : 96;
  const strips = scene.numbers.v ? 4 : 2;
  const bars = Math.max(40, (width - 2 * edge - token - score - weight - (strips + 2) * gap) / strips);
  const k = edge + token + gap;
  const products = k + bars + gap;
  const scoreAt = products + bars + gap;
  const weightAt = scoreAt + score + gap;
  const v = weightAt + weight + gap;
  return { edge, token, bars, k, products, score: scoreAt, scoreWidth: score, weight: weightAt, weightWidth: weight, v, passed: v + bars + gap };
}

/**
 * Rows of keys that are on screen.
 * @param {Pen} pen
 * @param {Sheet} sheet
 * @param {number} top how far it is scrolled
 */
export function paintRows(pen, sheet, top) {
  const { scene, keys, steps, tall, height, largest } = sheet;
  const { ramp } = scene;
  const at = columnsOf(sheet);
  const most = steps.reduce((one, { weight }) => Math.max(one, weight || 0), 0);
  keys.forEach((key, place) => {
    const y = HEAD + (place + 0.5) * tall - top;
    if (y < HEAD - tall || y > height - FOOT + tall) return;
    const { k, products, score, weight, allowed, v, passed } = steps[place];
    const bars = (tall - 6) / 2;
    const mono = { size: 12, mono: true };
    pen.text(clipped(label(scene.keys, key), at.token, 13), at.edge, y, { size: 13, colour: ramp.ink, mono: true });
    paintBars(pen, k, at.k, y, at.bars, bars, largest.k, ramp);
    paintBars(pen, products, at.products, y, at.bars, bars, largest.products, ramp);
    pen.text(allowed ? exact(score) : "masked", at.score + at.scoreWidth, y, { ...mono, colour: allowed ? ramp.ink : ramp.quiet, align: "right" });
    const share = Number.isFinite(weight) && most > 0 ? weight / most : 0;
    pen.rect(at.weight, y + 9, at.weightWidth, 2, ramp.faint, 0.7);
    pen.rect(at.weight, y + 9, at.weightWidth * share, 2, ramp.sequential(0.7, 1));
    pen.text(exact(weight || 0), at.weight + at.weightWidth, y, { ...mono, colour: share > 0.05 ? ramp.ink : ramp.quiet, align: "right" });
    if (v && passed) {
      paintBars(pen, v, at.v, y, at.bars, bars, largest.v, ramp);
      paintBars(pen, passed, at.passed, y, at.bars, bars, largest.passed, ramp);
    }
  });
  paintHead(pen, sheet, at);
  paintFoot(pen, sheet);
}

/** The title: words, and the tokens that stand between them. @param {Sheet} sheet @returns {[string[], string[]]} */
export function titleOf({ scene, query, asked }) {
  const head = scene.looks[0].name;
  const words = asked ? ["How “", `” looks around: head ${head}`] : ["No query is chosen: “", `” is taken. Head ${head}`];
  return [words, [label(scene.queries, query)]];
}

/** @param {Pen} pen @param {Sheet} sheet @param {ReturnType<typeof columnsOf>} at */
function paintHead(pen, sheet, at) {
  const { scene, row, largest, width } = sheet;
  const { ramp, numbers } = scene;
  pen.rect(0, 0, width, HEAD, ramp.paper);
  pen.text(sharing(...titleOf(sheet), width - at.edge - LEGEND, TITLE), at.edge, 16, { ...TITLE, colour: ramp.ink });
  paintLegend(pen, ramp, width - 14);
  const narrow = at.bars < 118;
  /** @type {(x: number, wide: number, title: string, small: string, most?: number) => void} */
  const column = (x, wide, title, small, most) => {
    pen.text(clipped(title, wide + 10, 11), x, 42, { size: 12, colour: ramp.ink, weight: 600 });
    pen.text(clipped(small, wide + 12, 10), x, 58, { size: 11, colour: ramp.quiet });
    if (most !== undefined && !narrow) pen.text(`±${exact(most)}`, x + wide, 42, { size: 11, colour: ramp.quiet, mono: true, align: "right" });
  };
  column(at.edge, at.token, "key", "by its weight");
  column(at.k, at.bars, "k", "above it q", largest.k);
  column(at.products, at.bars, "q ∘ k", narrow ? "products" : "number by number", largest.products);
  column(at.score, at.scoreWidth + 10, "score", `Σ · ${numbers.scale.toFixed(3)}`);
  column(at.weight, at.weightWidth, "weight", narrow ? "softmax" : "exp(score − lse)");
  const middle = 92;
  pen.text("q", at.k - 5, middle, { size: 12, colour: ramp.accent, weight: 600, align: "right" });
  paintBars(pen, row.q, at.k, middle, at.bars, 24, largestIn(row.q), ramp);
  pen.text(`lse ${exact(row.lse)}`, at.weight + at.weightWidth, middle, { size: 11, colour: ramp.quiet, mono: true, align: "right" });
  if (row.output) {
    column(at.v, at.bars, "v", "the value", largest.v);
    column(at.passed, at.bars, "weight · v", narrow ? "above: their Σ" : "above it their sum, Σ", largest.passed);
    pen.text("Σ", at.passed - 4, middle, { size: 12, colour: ramp.accent, weight: 600, align: "right" });
    paintBars(pen, row.output, at.passed, middle, at.bars, 24, largestIn(row.output), ramp);
  }
  pen.line(at.edge, HEAD - 8, width - at.edge, HEAD - 8, ramp.faint);
}

/** Blue to orange, and what height and shade mean. @param {Pen} pen @param {Ramp} ramp @param {number} right */
export function paintLegend(pen, ramp, right) {
  const wide = 54;
  for (let step = 0; step < 18; step++) {
    const share = (2 * step) / 17 - 1;
    pen.rect(right - wide + step * 3, 11, 3, 10, ramp.signed(Math.sign(share) * share * share, 1));
  }
  pen.text("−", right - wide - 8, 16, { size: 11, colour: ramp.quiet, align: "right" });
  pen.text("+", right + 2, 16, { size: 11, colour: ramp.quiet });
  pen.text("by square root", right - wide - 22, 16, { size: 11, colour: ramp.quiet, align: "right" });
}

/** @param {Pen} pen @param {Sheet} sheet */
function paintFoot(pen, { scene, row, keys, width, height }) {
  const { ramp } = scene;
  const listedSum = keys.reduce((sum, key) => sum + (row.weights[key] || 0), 0);
  const all = row.weights.reduce((sum, weight) => sum + (weight || 0), 0);
  const others = row.weights.length - keys.length;
  const left = others > 0 ? `The other ${others.toLocaleString("en")} keys share ${exact(Math.max(0, all - listedSum))} of the weight. ` : "";
  const none = all === 0 ? "The mask leaves this query nowhere to look. " : "";
  const valueless = scene.numbers.v ? "" : "The trace was captured without values: nothing is known of what is passed on. ";
  pen.rect(0, height - FOOT, width, FOOT, ramp.paper);
  pen.line(14, height - FOOT, width - 14, height - FOOT, ramp.faint);
  pen.text(clipped(`${none}${left}${valueless}Click a key to see every step.`, width - 28, 11), 14, height - FOOT / 2, { size: 11, colour: ramp.quiet });
}

/** The listed key at a height; -1 for none. @param {Sheet} sheet @param {number} y @param {number} top */
export function keyAt({ keys, tall, height }, y, top) {
  if (y < HEAD || y > height - FOOT) return -1;
  return keys[Math.floor((y - HEAD + top) / tall)] ?? -1;
}

/** The key that is pointed at. @param {Pen} pen @param {Sheet} sheet @param {number} top */
export function paintPointed(pen, { keys, key, tall, width, height, scene }, top) {
  const place = keys.indexOf(key);
  const y = HEAD + place * tall - top;
  if (place < 0 || y < HEAD - tall / 2 || y > height - FOOT - tall / 2) return;
  pen.rect(6, y, width - 12, tall, scene.ramp.accent, 0.08);
  pen.rect(6, y, 3, tall, scene.ramp.accent);
}
