/**
 * Light on patches: pictures as canvases, and attention as a thin film over them, dark where little goes.
 * @module
 */

import { el } from "vitrail/dom.js";
import { shade } from "vitrail/drawings/image-layout.js";
import { triple } from "vitrail/drawings/matrix-heat.js";

/** @typedef {import("vitrail/types.js").Picture} Picture */
/** @typedef {import("vitrail/types.js").Ramp} Ramp */

/** Pictures smaller than this show their pixels; larger ones are smoothed. */
const PIXELS = 96;

/**
 * @param {Picture} picture
 * @returns {HTMLCanvasElement} pixel for pixel
 */
export function canvasOf({ width, height, data }) {
  const canvas = el("canvas", { width, height });
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    image.data[to] = data[from];
    image.data[to + 1] = data[from + 1];
    image.data[to + 2] = data[from + 2];
    image.data[to + 3] = 255;
  }
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
  return canvas;
}

/**
 * The part of a picture that patches were cut from, as large as it is drawn.
 * @param {HTMLCanvasElement} source
 * @param {{grid: [number, number], patch: [number, number] | null}} cut
 * @param {number} width
 * @param {number} height
 */
export function scaled(source, { grid, patch }, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const canvas = el("canvas", { width: Math.max(1, Math.round(width * ratio)), height: Math.max(1, Math.round(height * ratio)) });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingEnabled = source.width >= PIXELS || canvas.width < source.width;
  context.imageSmoothingQuality = "high";
  // Patches need not reach the edge of the picture; they never reach beyond it.
  const [wide, high] = patch ? [Math.min(source.width, grid[1] * patch[1]), Math.min(source.height, grid[0] * patch[0])] : [source.width, source.height];
  context.drawImage(source, 0, 0, wide, high, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/**
 * A film of one pixel a patch.
 * @param {[number, number]} grid
 * @param {(place: number) => [number, number, number, number]} colour red, green, blue, 0-255, and how much it covers, 0-1
 */
export function film(grid, colour) {
  const [rows, columns] = grid;
  const canvas = el("canvas", { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  for (let place = 0; place < rows * columns; place += 1) {
    const [red, green, blue, cover] = colour(place);
    image.data.set([red, green, blue, Math.round(255 * cover)], 4 * place);
  }
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
  return canvas;
}

/**
 * Attention as a film: strong patches keep their light; those that aren't asked are grey. Without a picture below, it is
 * the colours of the ramp.
 * @param {[number, number]} grid
 * @param {Int32Array} keyAt position of each patch among the keys; -1 for none
 * @param {Float32Array | null} values of each key; null: nothing is asked yet
 * @param {{ramp: Ramp, signed: boolean, picture: boolean}} ink
 */
export function attention(grid, keyAt, values, { ramp, signed, picture }) {
  const largest = largestOn(keyAt, values);
  const grey = greyOf(ramp);
  return film(grid, (place) => {
    const key = keyAt[place];
    if (key < 0) return [...grey, picture ? 0.94 : 1];
    if (!values) return [0, 0, 0, 0];
    const value = values[key];
    if (!picture) return [...ramp.rgb(value, largest, signed), 1];
    const [share, dark] = shade(value, largest);
    if (!signed) return [0, 0, 0, dark];
    const [red, green, blue] = ramp.rgb(value, largest, true);
    return [red * share, green * share, blue * share, Math.max(dark, 0.5 * share)];
  });
}

/**
 * What covers a patch that isn't there for those who ask: neither light nor dark.
 * @param {Ramp} ramp
 * @returns {[number, number, number]}
 */
export function greyOf({ faint, quiet, paper }) {
  const [one, two] = [triple(faint), triple(quiet)];
  return triple(paper)[0] < 128 ? one : [(one[0] + two[0]) / 2, (one[1] + two[1]) / 2, (one[2] + two[2]) / 2];
}

/**
 * The largest magnitude that a patch has.
 * @param {Int32Array} keyAt
 * @param {Float32Array | null} values
 */
export function largestOn(keyAt, values) {
  let most = 0;
  for (const key of keyAt) {
    const size = key >= 0 && values ? Math.abs(values[key]) : 0;
    if (Number.isFinite(size) && size > most) most = size;
  }
  return most;
}
