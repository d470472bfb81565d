/**
 * Painting patches: the picture under its film of attention, outlines, numbers, chips beside it and heads in small.
 * @module
 */

import { label } from "vitrail/dom.js";
import { clipped } from "vitrail/drawings/fitting.js";
import { CAPTION, strongest } from "vitrail/drawings/image-layout.js";
import { attention, largestOn } from "vitrail/drawings/image-light.js";
import { exactly, over } from "vitrail/drawings/matrix-paint.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/types.js").Scene} Scene */
/** @typedef {import("vitrail/drawings/image-layout.js").Layout} Layout */
/** @typedef {import("vitrail/drawings/image-layout.js").Sorted} Sorted */
/** @typedef {{query: number, key: number, text: string}} Chip a position that is no patch, as query and as key; -1 for none */

/**
 * @typedef {Object} Shown
 * @property {Scene} scene
 * @property {[number, number]} grid
 * @property {Layout} at
 * @property {Sorted} queries
 * @property {Sorted} keys
 * @property {Chip[]} chips
 * @property {boolean} picture there is one below the film
 */

/** @param {Shown} shown @param {number} place */
function patchBox({ at, grid }, place) {
  return {
    x: at.main.x + (place % grid[1]) * at.cellX,
    y: at.main.y + Math.floor(place / grid[1]) * at.cellY,
    width: at.cellX,
    height: at.cellY,
  };
}

/**
 * The film over the large picture, and who is meant.
 * @param {Pen} pen
 * @param {Shown} shown
 * @param {{values: Float32Array | null, query: number, key: number, resting: string, hint: boolean}} now resting: whose
 *   values are shown while nobody points; hint: say what a click does
 */
export function paintMain(pen, shown, { values, query, key, resting, hint }) {
  const { scene, grid, at, queries, keys, picture } = shown;
  const { ramp } = scene;
  const asksPatches = keys.at.some((one) => one >= 0);
  if (asksPatches) pen.image(attention(grid, keys.at, values, { ramp, signed: scene.quantity.signed, picture }), at.main.x, at.main.y, at.main.width, at.main.height);
  pen.frame(at.main.x - 0.5, at.main.y - 0.5, at.main.width + 1, at.main.height + 1, ramp.faint);
  if (values && query >= 0 && asksPatches) paintNumbers(pen, shown, values);
  const pin = scene.store.get().pin;
  if (pin) {
    for (const place of [queries.places[pin[0]], keys.places[pin[1]]]) if (place >= 0) outline(pen, patchBox(shown, place), ramp.accent, 1.5, -2);
  }
  if (key >= 0 && keys.places[key] >= 0) outline(pen, patchBox(shown, keys.places[key]), ramp.ink, 2, 0);
  if (query >= 0 && queries.places[query] >= 0) outline(pen, patchBox(shown, queries.places[query]), ramp.accent, 3, 0);
  paintReadout(pen, shown, { values, query, key, resting, hint });
}

/** @param {Pen} pen @param {import("vitrail/drawings/image-layout.js").Box} box @param {string} colour @param {number} line @param {number} air */
function outline(pen, { x, y, width, height }, colour, line, air) {
  // A dark line beside the bright one is seen on any picture.
  pen.frame(x + air - line / 2 - 0.5, y + air - line / 2 - 0.5, width - 2 * air + line + 1, height - 2 * air + line + 1, "#000000", 1);
  pen.frame(x + air, y + air, width - 2 * air, height - 2 * air, colour, line);
}

/** The strongest patches say how strong they are, as far as there is room. @param {Pen} pen @param {Shown} shown @param {Float32Array} values */
function paintNumbers(pen, shown, values) {
  /** @type {{x: number, y: number, width: number}[]} */
  const taken = [];
  for (const key of strongest(values, 12)) {
    const place = shown.keys.places[key];
    if (place < 0 || taken.length >= 5) continue;
    const box = patchBox(shown, place);
    const text = values[key].toFixed(3).replace(/^(-?)0\./, "$1.").replace("-", "−");
    const [x, y, width] = [box.x + box.width / 2, box.y + box.height / 2, text.length * 6.8 + 8];
    if (taken.some((one) => Math.abs(one.x - x) < (one.width + width) / 2 + 2 && Math.abs(one.y - y) < 18)) continue;
    taken.push({ x, y, width });
    pen.rect(x - width / 2, y - 8, width, 16, "#000000", 0.62);
    pen.text(text, x, y, { size: 11, colour: "#ffffff", align: "center", mono: true });
  }
}

/** @param {Shown} shown @param {"queries" | "keys"} side @param {number} at */
function named({ scene, ...shown }, side, at) {
  const name = label(scene[side], at);
  return shown[side].places[at] >= 0 ? `patch ${name}` : name;
}

/** @param {Pen} pen @param {Shown} shown @param {{values: Float32Array | null, query: number, key: number, resting: string, hint: boolean}} now */
function paintReadout(pen, shown, { values, query, key, resting, hint }) {
  const { scene, at, keys } = shown;
  const { ramp, quantity } = scene;
  const room = Math.max(at.main.width, 200);
  let y = at.readout;
  /** @param {string} text @param {string} colour @param {number} [weight] */
  const say = (text, colour, weight = 400) => {
    pen.text(clipped(text, room / 0.95, 12.5), at.main.x, y, { size: 12.5, colour, weight });
    y += 18;
  };
  const who = query >= 0 ? named(shown, "queries", query) : resting;
  const unit = quantity.label.toLowerCase();
  if (!values) say("counting …", ramp.quiet);
  else if (key >= 0) say(`${who} → ${named(shown, "keys", key)}: ${exactly(values[key])} ${unit}`, ramp.ink, 600);
  else {
    const best = strongest(values, query >= 0 ? 3 : 2).map((one) => `${label(scene.keys, one)} ${exactly(values[one])}`);
    say(best.length ? `${who} → ${best.join(" · ")}` : `${who}: nothing`, ramp.ink, 600);
  }
  if (keys.at.some((one) => one >= 0)) {
    const largest = exactly(largestOn(keys.at, values));
    const grey = keys.at.some((one) => one < 0) ? "; grey: not asked" : "";
    say(shown.picture ? `full light: ${largest}, darker by √${quantity.signed ? ", orange +, blue −" : ""}${grey}` : `strongest patch: ${largest}, √ scale${grey}`, ramp.quiet);
  }
  if (hint) say(scene.store.get().query >= 0 ? "click the outlined patch to let go" : "point at a patch: where it looks; click keeps it", ramp.quiet);
}

/**
 * Positions that are no patches: CLS, registers, or all tokens of a text.
 * @param {Pen} pen
 * @param {Shown} shown
 * @param {{values: Float32Array | null, query: number, key: number}} now
 */
export function paintChips(pen, { scene, at, chips }, { values, query, key }) {
  const { ramp, quantity } = scene;
  if (!chips.length) return;
  pen.text("beside the patches", at.titles.x, at.titles.chips + 6, { size: 12, colour: ramp.quiet });
  const largest = values ? values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0) : 0;
  for (const [place, chip] of chips.entries()) {
    const { x, y, width, height } = at.chips[place];
    const value = chip.key >= 0 && values ? values[chip.key] : Number.NaN;
    const rgb = Number.isFinite(value) ? ramp.rgb(value, largest, quantity.signed) : null;
    if (rgb) pen.rect(x, y, width, height, `rgb(${rgb.join(",")})`);
    const mine = chip.query >= 0 && chip.query === query;
    const pointed = chip.key >= 0 && chip.key === key;
    pen.frame(x + 0.5, y + 0.5, width - 1, height - 1, mine ? ramp.accent : pointed ? ramp.ink : ramp.faint, mine || pointed ? 2 : 1);
    pen.text(clipped(chip.text, width - 10, 12), x + 8, y + height / 2, { size: 12, colour: rgb ? over(rgb) : ramp.ink, mono: true });
  }
}

/**
 * The film over each small picture of a head.
 * @param {Pen} pen
 * @param {Shown} shown
 * @param {{name: string, chosen: boolean, values: Float32Array | null}[]} heads
 */
export function paintHeads(pen, { scene, grid, at, keys, picture }, heads) {
  const { ramp } = scene;
  for (const [place, { name, chosen, values }] of heads.entries()) {
    const box = at.heads[place];
    if (!box) continue;
    if (keys.at.some((one) => one >= 0)) pen.image(attention(grid, keys.at, values, { ramp, signed: scene.quantity.signed, picture }), box.x, box.y, box.width, box.height);
    if (chosen) pen.frame(box.x - 1.5, box.y - 1.5, box.width + 3, box.height + 3, ramp.accent, 2.5);
    pen.text(name, box.x + box.width / 2, box.y + box.height + CAPTION / 2 + 2, { size: 11.5, colour: chosen ? ramp.accent : ramp.quiet, align: "center", weight: chosen ? 600 : 400 });
  }
}
