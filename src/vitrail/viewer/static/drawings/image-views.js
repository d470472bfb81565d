/**
 * Whose attention lies over the picture: a query's row of one head, of the mean over all heads, or of rollout; and, while
 * nobody points at anything, CLS's row or the mean over all queries.
 * @module
 */

import { meanOf } from "vitrail/drawings/image-layout.js";

/** @typedef {import("vitrail/types.js").Look} Look */
/** @typedef {"head" | "mean" | "rollout"} Mode */

/** The mean over all queries is taken in pieces of so many values: a frame's time. */
const PIECE = 2 ** 18;

/**
 * @param {{shown: number[], cls: number}} queries shown: positions; cls: the one that is shown at rest, -1 for the mean
 * @param {() => void} changed
 */
export function views({ shown, cls }, changed) {
  /** @type {Map<Look, Float32Array | null>} */
  const means = new Map();
  let stopped = false;

  /** @param {Look} look */
  async function take(look) {
    // Whoever asked is still painting.
    await null;
    const mean = new Float32Array(look.keys);
    const rows = Math.max(1, Math.floor(PIECE / Math.max(1, look.keys)));
    for (let from = 0; from < shown.length && !stopped; from += rows) {
      const some = shown.slice(from, from + rows);
      const part = meanOf(some.map(look.row), look.keys);
      for (let at = 0; at < mean.length; at += 1) mean[at] += (part[at] * some.length) / shown.length;
      if (from + rows < shown.length) await new Promise((wake) => setTimeout(wake));
    }
    means.set(look, mean);
    if (!stopped) changed();
  }

  /**
   * What a look gives each key: for a query, or at rest.
   * @param {Look} look
   * @param {number} query -1: nobody points
   * @returns {Float32Array | null} null: not known yet
   */
  function values(look, query) {
    if (query >= 0) return look.row(query);
    if (cls >= 0) return look.row(cls);
    const known = means.get(look);
    if (known) return known;
    if (known === undefined) {
      means.set(look, null);
      void take(look);
    }
    return means.get(look) ?? null;
  }

  return {
    values,
    /**
     * The mean over heads of the same.
     * @param {Look[]} looks
     * @param {number} query
     */
    mean(looks, query) {
      const rows = looks.map((look) => values(look, query));
      return rows.some((row) => row === null) ? null : meanOf(/** @type {Float32Array[]} */ (rows), looks[0]?.keys ?? 0);
    },
    stop: () => {
      stopped = true;
    },
  };
}
