/**
 * The cells of the matrix as pixels: never more cells than pixels, and each pixel the strongest of what it covers.
 * @module
 */

import { covered, levelFor } from "vitrail/drawings/matrix-geometry.js";

/** @typedef {import("vitrail/types.js").Ramp} Ramp */

const STEPS = 1023;

/**
 * Colours as pixels, by the square root of the magnitude: of -1 first, 0 in the middle, of 1 last.
 * @param {Ramp} ramp
 * @param {boolean} signed
 */
export function palette(ramp, signed) {
  return Uint32Array.from({ length: 2 * STEPS + 1 }, (_, at) => {
    const root = (at - STEPS) / STEPS;
    return pixel(ramp.rgb(Math.sign(root) * root * root, 1, signed));
  });
}

/** @param {[number, number, number]} triple */
export function pixel([red, green, blue]) {
  // ImageData is bytes of red, green, blue, alpha; every machine with a browser puts the lowest byte first.
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** @param {string} colour "#rrggbb" @returns {[number, number, number]} */
export function triple(colour) {
  const all = Number.parseInt(colour.slice(1), 16);
  return [all >> 16, (all >> 8) & 255, all & 255];
}

/**
 * @param {Uint32Array} out [height width]
 * @param {number} width in pixels of the screen
 * @param {number} height
 * @param {import("vitrail/drawings/matrix-values.js").Level[]} levels
 * @param {import("vitrail/drawings/matrix-geometry.js").View} view with cells in pixels of the screen
 * @param {{colours: Uint32Array, largest: number, paper: number, hatch: number, ratio: number}} ink
 */
export function heat(out, width, height, levels, { left, top, cellX, cellY }, { colours, largest, paper, hatch, ratio }) {
  const depth = levelFor(Math.max(cellX, cellY), levels.length);
  const { rows, columns, values } = levels[depth];
  const [firstColumn, lastColumn] = covered(left, cellX, width, depth, columns);
  const [firstRow, lastRow] = covered(top, cellY, height, depth, rows);
  const scale = largest > 0 ? 1 / largest : 0;
  const period = Math.round(6 * ratio);
  let plain = false;
  for (let y = 0; y < height; y += 1) {
    const start = y * width;
    const [from, to] = [firstRow[y], lastRow[y]];
    if (plain && from === firstRow[y - 1] && to === lastRow[y - 1]) {
      out.copyWithin(start, start - width, start);
      continue;
    }
    plain = true;
    for (let x = 0; x < width; x += 1) {
      let best = 0;
      let size = -1;
      for (let row = from; row <= to; row += 1) {
        const line = row * columns;
        const last = line + lastColumn[x];
        for (let at = line + firstColumn[x]; at <= last; at += 1) {
          const value = values[at];
          const magnitude = value < 0 ? -value : value;
          if (magnitude > size) {
            best = value;
            size = magnitude;
          }
        }
      }
      if (size < 0) {
        out[start + x] = (x + y) % period < ratio ? hatch : paper;
        plain = false;
      } else {
        const step = Math.round(STEPS * Math.sqrt(Math.min(1, size * scale)));
        out[start + x] = colours[best < 0 ? STEPS - step : STEPS + step];
      }
    }
  }
}
