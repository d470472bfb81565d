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

/** What a head of each role does. */
const DOES = /** @type {Record<string, string>} */ ({
  "previous token": "looks at the position before",
  "next token": "looks at the position after",
  "own token": "looks at its own position",
  "first token": "looks at the first position",
  separator: "looks at separators",
  punctuation: "looks at punctuation",
  "duplicate token": "looks at earlier occurrences of the same token",
  induction: "is an induction head",
  "other sentence": "looks at the other sentence",
  "same token": "looks for the same token in what is read",
  copying: "looks at what copying would write next",
  aligned: "moves along with the text",
  broad: "looks nearly everywhere alike",
  local: "looks at what is near",
});

/**
 * What a head does: its role with the evidence, or that it has none.
 * @param {Layer} layer
 * @param {number} head
 * @param {import("vitrail/types.js").Named} role
 */
export function headSentence(layer, head, role) {
  const name = `Head ${layer.index}.${head}`;
  const digest = layer.digest;
  if (!digest) return `${name}: this trace has no scores.`;
  const spread = digest.names.indexOf("broadness");
  const width = spread < 0 ? Number.NaN : digest.scores[spread][head];
  const over = Number.isFinite(width) && role.role !== "broad" ? ` Its attention is spread as over ${width.toFixed(1)} of ${layer.keys} keys.` : "";
  const does = DOES[role.role];
  return does ? `${name} ${does}: ${role.evidence}.${over}` : `${name} has no clear role; ${role.evidence}.${over}`;
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
