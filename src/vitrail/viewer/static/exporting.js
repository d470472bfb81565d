/**
 * What is seen, as a file: SVG and PNG by the same painting as on the screen, CSV of the same numbers.
 * @module
 */

import { el } from "vitrail/dom.js";
import { canvasPen, svgPen } from "vitrail/pens.js";

/** @typedef {import("vitrail/types.js").Drawn} Drawn */
/** @typedef {import("vitrail/types.js").Table} Table */

/** No browser makes a canvas with a longer side. */
const LONGEST = 16384;

/**
 * @param {Pick<Drawn, "paint">} drawn
 * @param {string} paper the colour behind everything
 */
export function svgOf(drawn, paper) {
  const pen = svgPen();
  const { width, height } = drawn.paint(pen);
  return pen.svg(Math.ceil(width), Math.ceil(height), paper);
}

/**
 * A table as RFC 4180 writes it. A spreadsheet would compute a text that begins with one of four signs, and tokens come
 * from anywhere, so those get an apostrophe in front; numbers stay numbers.
 * @param {Pick<Table, "columns" | "rows">} table
 */
export function csvOf({ columns, rows }) {
  return [columns, ...rows].map((row) => `${row.map(field).join(",")}\r\n`).join("");
}

/** @param {string | number} value */
function field(value) {
  // Float32 has seven digits; nine read back as the same number.
  if (typeof value === "number") return Number.isNaN(value) ? "" : String(Number(value.toPrecision(9)));
  const safe = /^[\s\u0000-\u001f]*[=+\-@\uff0b\uff0d\uff1d\uff20]/.test(value) || /^[\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * A name that any file system takes, whatever a trace is called.
 * @param {string} name
 * @param {string} ending "svg"
 */
export function fileName(name, ending) {
  const clean = name
    .normalize("NFKC")
    .replace(/[^\p{L}\p{N}._-]+/gu, "-")
    .replace(/\.{2,}/g, ".")
    .replace(/-{2,}/g, "-")
    .replace(/^[-.]+/, "");
  const short = [...clean].slice(0, 80).join("").replace(/[-.]+$/, "");
  // Windows keeps a few names for devices.
  const free = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(short) ? `vitrail-${short}` : short;
  return `${free || "vitrail"}.${ending}`;
}

/**
 * @param {Drawn} drawn
 * @param {string} name
 * @param {string} paper
 */
export function exportSvg(drawn, name, paper) {
  return save(new Blob([svgOf(drawn, paper)], { type: "image/svg+xml" }), fileName(name, "svg"));
}

/**
 * @param {Drawn} drawn
 * @param {string} name
 * @param {string} paper
 * @param {number} [scale] pixels of the file for one on the screen
 */
export async function exportPng(drawn, name, paper, scale = 2) {
  await save(await pngOf(drawn, paper, scale), fileName(name, "png"));
}

/**
 * @param {Pick<Drawn, "paint">} drawn
 * @param {string} paper
 * @param {number} scale
 * @returns {Promise<Blob>}
 */
export function pngOf(drawn, paper, scale) {
  // Its size is known when it has been painted: once into nothing.
  const { width, height } = drawn.paint(NOTHING);
  const canvas = el("canvas");
  const fitting = Math.min(scale, LONGEST / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * fitting));
  canvas.height = Math.max(1, Math.round(height * fitting));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = paper;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(fitting, fitting);
  drawn.paint(canvasPen(context));
  return new Promise((give, refuse) => {
    canvas.toBlob((blob) => (blob ? give(blob) : refuse(new Error("This browser could not write the picture: try a smaller one."))), "image/png");
  });
}

/**
 * @param {Table} table
 * @param {string} name
 */
export function exportCsv(table, name) {
  // Excel takes a file without this mark for Latin-1.
  return save(new Blob(["\ufeff", csvOf(table)], { type: "text/csv;charset=utf-8" }), fileName(name, "csv"));
}

const nothing = () => {};
/** @type {import("vitrail/types.js").Pen} */
const NOTHING = { line: nothing, curve: nothing, rect: nothing, disc: nothing, frame: nothing, text: nothing, image: nothing };

/** Chromium drops, without a word, what is more than ten files in a second: one at a time, and this many milliseconds apart. */
const APART = 125;
/** Until the file before may have been taken. */
let before = Promise.resolve();

/**
 * Hand a file to the browser, after those that were handed over before.
 * @param {Blob} blob
 * @param {string} name
 */
function save(blob, name) {
  const handed = before.then(() => {
    const url = URL.createObjectURL(blob);
    const link = el("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    // At once would be too early: the browser reads the link after this task.
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  });
  before = handed.then(() => new Promise((go) => setTimeout(go, APART)));
  return handed;
}
