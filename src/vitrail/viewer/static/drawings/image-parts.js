/**
 * What a drawing of patches is put together from: pictures to lay attention over, and what stands beside them.
 * @module
 */

import { el, label } from "vitrail/dom.js";
import { canvasOf, film, greyOf } from "vitrail/drawings/image-light.js";

/** @typedef {import("vitrail/drawings/image-paint.js").Chip} Chip */

/** More positions beside a picture than these are no buttons any more. */
const CHIPS = 300;

/**
 * Pictures that may lie below the film: the original, what the encoder saw, what the decoder made.
 * @param {import("vitrail/types.js").Scene} scene
 * @param {[number, number]} grid
 * @returns {Record<string, HTMLCanvasElement>}
 */
export function picturesOf({ queries, keys, picture, pictures, ramp }, grid) {
  if (!picture) return {};
  const axis = keys.grid ? keys : queries;
  const original = canvasOf(picture);
  const hidden = queries.hidden ?? keys.hidden;
  if (!hidden) return { original };
  const patch = axis.patch ?? [picture.height / grid[0], picture.width / grid[1]];
  const masked = el("canvas", { width: grid[1] * patch[1], height: grid[0] * patch[0] });
  const context = /** @type {CanvasRenderingContext2D} */ (masked.getContext("2d"));
  context.imageSmoothingEnabled = false;
  context.drawImage(original, 0, 0);
  const grey = greyOf(ramp);
  context.drawImage(film(grid, (place) => [...grey, hidden[place] ? 1 : 0]), 0, 0, masked.width, masked.height);
  const made = pictures?.reconstruction;
  return { original, masked, ...(made ? { reconstruction: canvasOf(made) } : {}) };
}

/**
 * Buttons beside the picture: one for a position that asks and is asked, else one for each.
 * @param {import("vitrail/types.js").Scene} scene
 * @param {import("vitrail/drawings/image-layout.js").Sorted} queries
 * @param {import("vitrail/drawings/image-layout.js").Sorted} keys
 * @returns {Chip[]}
 */
export function chipsOf(scene, queries, keys) {
  const mine = queries.outside.map((query) => ({ query, key: -1, text: label(scene.queries, query) }));
  const theirs = keys.outside.map((key) => ({ query: -1, key, text: label(scene.keys, key) }));
  const both = mine.length === theirs.length && mine.every(({ text }, at) => text === theirs[at].text);
  if (both) return mine.slice(0, CHIPS).map((chip, at) => ({ ...chip, key: theirs[at].key }));
  return [...mine.slice(0, CHIPS).map((chip) => ({ ...chip, text: `${chip.text} ▸` })), ...theirs.slice(0, CHIPS).map((chip) => ({ ...chip, text: `▸ ${chip.text}` }))];
}
