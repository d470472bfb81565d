/**
 * What each head is for: the rule of vitrail/trace/roles.py on one trace, number for number, and a colour for each role.
 *
 * A role is a share of attention on one kind of key: at least half, and well above what uniform attention would give.
 * @module
 */

import { css, oklch } from "vitrail/colour.js";

/** @typedef {import("vitrail/types.js").Digest} Digest */
/** @typedef {import("vitrail/types.js").Named} Named */
/** @typedef {import("vitrail/types.js").Stream} Stream */

/** The least share of attention that names a head. */
export const SHARE = 0.5;
/** How much of what uniform attention leaves to win must be won. */
export const LIFT = 0.4;
/** Fewer queries that a score was taken over name no head. */
export const QUERIES = 8;
/** Spread over this share of the keys that uniform attention is spread over. */
export const BROAD = 0.9;
export const UNCLEAR = "unclear";

/** Roles of self-attention, the score of each, and where that attention goes. @type {Record<string, [string, string]>} */
export const ROLES = {
  "previous token": ["previous", "on the position before"],
  "next token": ["next", "on the position after"],
  "own token": ["self", "on its own position"],
  "first token": ["first", "on the first position"],
  separator: ["separator", "on tokens that the model added after the first"],
  punctuation: ["punctuation", "on punctuation"],
  "duplicate token": ["duplicate", "on earlier occurrences of the same token"],
  induction: ["induction", "on what followed earlier occurrences of the same token"],
};

/** Roles of cross-attention. @type {Record<string, [string, string]>} */
export const CROSS_ROLES = {
  "first token": ROLES["first token"],
  separator: ROLES.separator,
  punctuation: ROLES.punctuation,
  "same token": ["duplicate", "on the query's own token in what is read"],
  copying: ["induction", "on what follows the query's own token in what is read"],
  aligned: ["aligned", "along a line that rises with the queries"],
};

/**
 * Lightness, chroma and hue of each role, in light and in dark. Searched for: under normal sight and without red, green
 * or blue cones (Machado et al. 2009), any two of them stay at least 0.08 apart in OKLab, and as
 * far from the accent. Roles that never meet share one.
 * @type {Record<string, [[number, number, number], [number, number, number]]>}
 */
const COLOURS = {
  "previous token": [[0.319, 0.156, 277], [0.698, 0.14, 285]],
  "next token": [[0.404, 0.059, 212], [0.793, 0.145, 178]],
  "own token": [[0.457, 0.18, 305], [0.519, 0.189, 280]],
  "first token": [[0.665, 0.136, 91], [0.872, 0.135, 105]],
  separator: [[0.535, 0.041, 113], [0.658, 0.127, 94]],
  punctuation: [[0.409, 0.089, 45], [0.55, 0.18, 38]],
  "duplicate token": [[0.301, 0.125, 352], [0.681, 0.19, 352]],
  induction: [[0.58, 0.169, 337], [0.529, 0.17, 333]],
  "other sentence": [[0.647, 0.13, 163], [0.576, 0.115, 166]],
  broad: [[0.56, 0.189, 261], [0.918, 0.04, 242]],
  [UNCLEAR]: [[0.74, 0.008, 270], [0.5, 0.012, 270]],
};
/** @type {Record<string, string>} */
const ALIKE = { "same token": "duplicate token", copying: "induction", aligned: "previous token", local: "own token" };

/**
 * @param {string} role
 * @param {"light" | "dark"} theme
 */
export function roleColour(role, theme) {
  const [light, dark] = COLOURS[ALIKE[role] ?? role] ?? COLOURS[UNCLEAR];
  return css(oklch(...(theme === "dark" ? dark : light)));
}

/**
 * The role of every head of a stream, with its colour: [layer][head].
 * @param {Stream} stream
 * @param {"light" | "dark"} theme
 * @returns {Named[][]}
 */
export function rolesOf(stream, theme) {
  return stream.layers.map(({ digest, heads }) =>
    Array.from({ length: heads }, (_, head) => {
      const found = roleOf(digest, head);
      return { ...found, colour: roleColour(found.role, theme) };
    }),
  );
}

/**
 * The role with the largest lift, if it is one.
 * @param {Digest | null} digest
 * @param {number} head
 * @returns {Omit<Named, "colour">}
 */
export function roleOf(digest, head) {
  const nothing = { role: UNCLEAR, score: Number.NaN, uniform: Number.NaN, nearest: "" };
  if (!digest) return { ...nothing, evidence: "this trace has no scores" };
  /** @param {string} name */
  const told = (name) => {
    const at = digest.names.indexOf(name);
    return at < 0
      ? { value: Number.NaN, uniform: Number.NaN, count: 0 }
      : { value: digest.scores[at][head], uniform: digest.uniform[at] ?? Number.NaN, count: digest.counts[at] };
  };
  // Only in self-attention is there an own position.
  const roles = Object.entries(told("self").count ? ROLES : CROSS_ROLES).filter(([, [name]]) => name !== "aligned" || digest.names.includes(name));
  const shares = roles.map(([role, [name, where]]) => ({ role, where, ...told(name) }));
  const [there, back] = [told("A to B"), told("B to A")];
  shares.push({
    role: "other sentence",
    where: "on the other sentence",
    value: (there.value + back.value) / 2,
    uniform: (there.uniform + back.uniform) / 2,
    count: there.count + back.count,
  });
  const found = shares
    .filter(({ value, uniform, count }) => count >= QUERIES && value > uniform)
    .map(({ role, where, value, uniform, count }) => ({
      role,
      score: value,
      uniform,
      nearest: "",
      evidence: `${percent(value)} ${where}, over ${count.toLocaleString("en-US")} queries; uniform attention has ${percent(uniform)}`,
    }))
    .sort((one, two) => lift(two) - lift(one));
  const clear = found.find((share) => share.score >= SHARE && lift(share) >= LIFT);
  if (clear) return clear;
  const other = broad(told("broadness")) ?? local(told("pixels"));
  if (other) return other;
  if (!roles.some(([, [name]]) => told(name).count >= QUERIES)) return { ...nothing, evidence: "too little in the input to tell" };
  if (!found.length) return { ...nothing, evidence: "no role gets more than uniform attention gives it" };
  const { role, score, uniform, evidence } = found[0];
  return { role: UNCLEAR, score, uniform, nearest: role, evidence: `the nearest is ${role}: ${evidence}` };
}

/** @param {{score: number, uniform: number}} share */
function lift({ score, uniform }) {
  return uniform < 1 ? (score - uniform) / (1 - uniform) : 0;
}

/** @param {{value: number, uniform: number}} told */
function broad({ value, uniform }) {
  if (!(uniform > QUERIES) || value < BROAD * uniform) return null;
  const evidence = `spread as over ${fixed(value, 1)} keys, uniform attention as over ${fixed(uniform, 1)}`;
  return { role: "broad", score: value / uniform, uniform: 1, nearest: "", evidence };
}

/** @param {{value: number, uniform: number}} told */
function local({ value, uniform }) {
  if (!(uniform > 0) || value > (1 - SHARE) * uniform) return null;
  const evidence = `${fixed(value, 1)} px away on average, uniform attention ${fixed(uniform, 1)} px`;
  return { role: "local", score: 1 - value / uniform, uniform: 0, nearest: "", evidence };
}

/** @param {number} share */
function percent(share) {
  return `${fixed(share * 100, 0)}%`;
}

/**
 * As Python writes numbers: an exact half goes to the even digit, where toFixed goes up.
 * @param {number} value
 * @param {0 | 1} digits
 */
function fixed(value, digits) {
  const half = digits ? Number.isInteger(value * 4) && Math.abs((value * 10) % 1) === 0.5 : Math.abs(value % 1) === 0.5;
  if (!half) return value.toFixed(digits);
  const scale = digits ? 10 : 1;
  return ((2 * Math.round((value * scale) / 2)) / scale).toFixed(digits);
}
