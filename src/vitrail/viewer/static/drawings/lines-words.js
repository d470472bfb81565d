/**
 * What Lines says: its foot, its table, and how much room its tokens need.
 * @module
 */

import { label, number } from "vitrail/dom.js";
import { widthAt } from "vitrail/drawings/fitting.js";

/** @typedef {import("vitrail/types.js").Scene} Scene */
/** @typedef {import("vitrail/drawings/lines-focus.js").Focus} Focus */

/** Tokens of a long input that are asked for their width: enough to know the longest but for a rare one, which is cut. */
const SAMPLE = 600;

/**
 * How wide a column of tokens is.
 * @param {import("vitrail/types.js").Axis} axis
 * @param {import("vitrail/drawings/lines-layout.js").Side} side
 * @param {number} size of the font
 */
export function widestOf(axis, side, size) {
  const step = Math.max(1, Math.floor(side.places.length / SAMPLE));
  let widest = 0;
  for (let place = 0; place < side.places.length; place += step) {
    widest = Math.max(widest, widthAt(label(axis, side.places[place]).slice(0, 80), size));
  }
  return widest + 6;
}

/** @param {Scene} scene @param {number} least */
export function toldShort({ quantity, looks }, least) {
  const which = looks.length > 1 ? `${looks.length} heads. ` : "";
  const stub = quantity.signed ? "" : " Grey: what isn't drawn.";
  return `${which}Every link of ${number(least)} and more, ${quantity.signed ? "blue below 0, orange above" : "thicker where it is larger"}.${stub}`;
}

/** @param {Scene} scene @param {boolean} busy */
export function toldLong({ quantity, looks }, busy) {
  const which = looks.length > 1 ? `${looks.length} heads. ` : "";
  const stub = quantity.signed ? "" : "; grey: the rest";
  return `${which}Each query's strongest keys: at most 3, up to 80% of its ${quantity.signed ? "size" : "mass"}${stub}.${busy ? " Still counting …" : ""}`;
}

/**
 * What is seen, as numbers: the row or column that is looked at, or each query's strongest key.
 * @param {Scene} scene
 * @param {Focus | null} focus
 * @param {Map<number, {keys: ArrayLike<number>, values: ArrayLike<number>}>[] | null} known by head: strongest keys of the
 *   queries of a long input, as far as they were counted; null where rows are short enough to be computed again
 * @returns {import("vitrail/types.js").Table}
 */
export function tableOf(scene, focus, known) {
  const { looks, queries, keys, quantity } = scene;
  const values = looks.map((look) => `${quantity.label} ${look.name}`);
  if (focus?.rows) {
    const rows = focus.rows;
    const asks = focus.from === "query";
    const [axis, flags, own] = asks ? [keys, scene.shownKeys, queries] : [queries, scene.shownQueries, keys];
    const token = label(own, focus.position);
    return {
      caption: `${quantity.label} from ${asks ? `query ${focus.position} (${token}) to each key` : `each query to key ${focus.position} (${token})`}`,
      columns: ["position", asks ? "key" : "query", ...values],
      rows: Array.from(flags.keys())
        .filter((at) => flags[at])
        .map((at) => [at, label(axis, at), ...rows.map((row) => exactly(row[at]))]),
    };
  }
  const shown = Array.from(scene.shownQueries.keys()).filter((query) => scene.shownQueries[query]);
  const counted = known ? shown.filter((query) => known.every((rows) => rows.has(query))) : shown;
  const some = counted.length < shown.length ? ` (${counted.length} of ${shown.length} queries are counted so far)` : "";
  return {
    caption: `Each query's strongest key: ${quantity.label}${some}`,
    columns: ["position", "query", ...looks.flatMap((look) => [`key ${look.name}`, `${quantity.label} ${look.name}`])],
    rows: counted.map((query) => [
      query,
      label(queries, query),
      ...looks.flatMap((look, at) => {
        const few = known?.[at].get(query);
        return few ? strongest(few.keys, few.values, scene) : strongest(Array.from(scene.shownKeys.keys()), look.row(query), scene);
      }),
    ]),
  };
}

/** @param {ArrayLike<number>} places @param {ArrayLike<number>} values @param {Scene} scene @returns {(string | number)[]} */
function strongest(places, values, { keys, shownKeys }) {
  let best = -1;
  for (let at = 0; at < places.length; at++) {
    if (shownKeys[places[at]] && Number.isFinite(values[at]) && (best < 0 || Math.abs(values[at]) > Math.abs(values[best]))) best = at;
  }
  return best < 0 ? ["–", ""] : [label(keys, places[best]), exactly(values[best])];
}

/** As many digits as a number of 32 bits has. @param {number} value */
export function exactly(value) {
  return Number.isFinite(value) ? Number(value.toPrecision(7)) : String(value);
}
