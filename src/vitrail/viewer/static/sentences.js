/**
 * What numbers mean, in one plain sentence; and when weight isn't influence.
 * @module
 */

import { number } from "vitrail/dom.js";

/** @typedef {import("vitrail/types.js").Layer} Layer */

/** What each score is: its name for people, what it says of a head, and whether it is a share from 0 to 1. */
export const SCORES = /** @type {Record<string, {label: string, says: string, share: boolean}>} */ ({
  entropy: { label: "entropy", says: "in nats: 0 where one key gets everything", share: false },
  broadness: { label: "spread over", says: "as over how many keys attention is spread", share: false },
  previous: { label: "previous token", says: "looks at the position before", share: true },
  next: { label: "next token", says: "looks at the position after", share: true },
  self: { label: "own token", says: "looks at its own position", share: true },
  first: { label: "first token", says: "looks at the first position", share: true },
  separator: { label: "separator", says: "looks at separators that the model added", share: true },
  punctuation: { label: "punctuation", says: "looks at punctuation", share: true },
  duplicate: { label: "same token", says: "looks at earlier occurrences of the same token", share: true },
  induction: { label: "induction", says: "looks at what followed earlier occurrences of the same token", share: true },
  aligned: { label: "aligned", says: "moves along with the text", share: true },
  distance: { label: "distance", says: "how far it looks, in positions", share: false },
  pixels: { label: "distance in pixels", says: "how far it looks, in pixels", share: false },
  "A to A": { label: "A → A", says: "stays within the first sentence", share: true },
  "A to B": { label: "A → B", says: "looks from the first sentence at the second", share: true },
  "B to A": { label: "B → A", says: "looks from the second sentence at the first", share: true },
  "B to B": { label: "B → B", says: "stays within the second sentence", share: true },
  importance: { label: "importance", says: "|Σ weight × gradient|: how much the target hangs on it", share: false },
  ablation: { label: "effect of ablation", says: "how much the output changes without this head", share: false },
});

/** @param {string} name */
export function scoreLabel(name) {
  return SCORES[name]?.label ?? name;
}

/**
 * What a head does, by its strongest role or by how widely it looks.
 * @param {Layer} layer
 * @param {number} head
 * @param {{role: string, score: number} | null} role
 */
export function headSentence(layer, head, role) {
  const name = `Head ${layer.index}.${head}`;
  const digest = layer.digest;
  if (!digest) return `${name}: this trace has no scores.`;
  const shares = digest.names
    .map((score, at) => ({ score, value: digest.scores[at][head], uniform: digest.uniform[at], count: digest.counts[at] }))
    .filter(({ score, value }) => SCORES[score]?.share && !score.includes(" to ") && Number.isFinite(value))
    .sort((one, two) => two.value - (two.uniform ?? 0) - (one.value - (one.uniform ?? 0)));
  const spread = digest.names.indexOf("broadness");
  const width = spread < 0 ? Number.NaN : digest.scores[spread][head];
  const over = Number.isFinite(width) ? ` Its attention is spread as over ${width.toFixed(1)} of ${layer.keys} keys.` : "";
  const best = shares[0];
  if (!best) return `${name}.${over}`;
  const told = `${SCORES[best.score].says}: ${best.value.toFixed(2)} of its weight, over ${best.count} ${unit(best.count)}`;
  const uniform = best.uniform === null ? "" : ` (uniform attention: ${best.uniform.toFixed(2)})`;
  const clear = role !== null && role.role !== "unclear";
  return clear ? `${name} ${told}${uniform}.${over}` : `${name} has no clear role; most of all it ${told}${uniform}.${over}`;
}

/** @param {number} count */
function unit(count) {
  return count === 1 ? "query" : "queries";
}

/**
 * A warning where much weight goes to a place that gives little: a sink.
 * @param {Layer} layer
 * @param {number} head
 * @param {import("vitrail/types.js").Head | null} numbers
 * @param {import("vitrail/types.js").Axis} keys
 */
export function caution(layer, head, numbers, keys) {
  const digest = layer.digest;
  if (!digest) return null;
  /** @param {string} name */
  const share = (name) => {
    const at = digest.names.indexOf(name);
    return at < 0 ? 0 : digest.scores[at][head];
  };
  const sinks = [
    { where: "the first position", share: share("first"), at: [0] },
    { where: "separators", share: share("separator"), at: added(keys) },
  ].filter((sink) => sink.share >= 0.5 && sink.at.length);
  if (!sinks.length) return null;
  const { where, share: weight, at } = sinks.reduce((one, two) => (two.share > one.share ? two : one));
  const begin = `Weight is not influence: ${weight.toFixed(2)} of it goes to ${where}`;
  if (!numbers?.vo) return `${begin}, where heads often park attention that they have no use for.`;
  const norms = numbers.vo;
  const sink = at.reduce((sum, place) => sum + norms[place], 0) / at.length;
  const all = norms.reduce((sum, norm) => sum + norm, 0) / norms.length;
  const ratio = sink / all;
  return ratio < 0.7
    ? `${begin}, whose value adds little: ${number(sink)} long beside ${number(all)} on average.`
    : `${begin}; its value is ${ratio.toFixed(1)} times as long as the average, so here it does count.`;
}

/** @param {import("vitrail/types.js").Axis} keys */
function added(keys) {
  const special = keys.special;
  return special ? Array.from(special.keys()).filter((place) => special[place] && place > 0) : [];
}

/**
 * How exact what is drawn is.
 * @param {Layer} layer
 */
export function exactness(layer) {
  const worst = layer.errorModel === null || layer.errorStored === null ? null : layer.errorModel + layer.errorStored;
  if (worst === null || !Number.isFinite(worst)) return "How far these weights are from the model's own is not known.";
  return `Recomputed here from queries and keys; at most ${worst.toExponential(0).replace("-", "−")} from the weights the model used.`;
}
