/**
 * Text that has to fit: how wide a monospaced text is, and the same cut to a width; other letters as the page measures them.
 * @module
 */

import { SANS } from "vitrail/pens.js";

/** Width of a monospaced character for each pixel of its size, in all fonts of the page. */
const CHARACTER = 0.602;
/** Characters that are measured at most: more are wider than any screen. */
const MEASURED = 2000;

/**
 * How many columns a text takes: two for what is drawn wide, none for what combines with the character before.
 * @param {string} text
 */
export function columnsOf(text) {
  let columns = 0;
  for (const character of text) columns += widthOf(character);
  return columns;
}

/** @param {string} character */
function widthOf(character) {
  if (character < "\u0300") return 1;
  if (/\p{M}|\p{Emoji_Modifier}|\ufe0f/u.test(character)) return 0;
  return /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u.test(character) ? 2 : 1;
}

/**
 * @param {string} text
 * @param {number} size of its font, in pixels
 */
export function widthAt(text, size) {
  return columnsOf(text) * CHARACTER * size;
}

/**
 * The text, or as much of its beginning as fits, and "…".
 * @param {string} text
 * @param {number} width in pixels
 * @param {number} size of its font
 */
export function clipped(text, width, size) {
  const most = Math.floor(width / (CHARACTER * size));
  // A token may be a thousand characters: no more of it is looked at than could be drawn.
  const short = text.length > 4 * most + 8 ? text.slice(0, 4 * most + 8) : text;
  if (short === text && columnsOf(text) <= most) return text;
  let kept = "";
  let columns = 1;
  for (const character of short) {
    columns += widthOf(character);
    if (columns > most) break;
    kept += character;
  }
  return most < 1 ? "" : `${kept}…`;
}

/** @type {CanvasRenderingContext2D | null} */
let ruler = null;

/**
 * How wide a text in the page's own letters is; of a text of thousands of characters, its beginning.
 * @param {string} text
 * @param {{size: number, weight: number}} style
 */
export function measured(text, { size, weight }) {
  ruler ??= document.createElement("canvas").getContext("2d");
  if (!ruler) return widthAt(text, size);
  ruler.font = `${weight} ${size}px ${SANS}`;
  return ruler.measureText(text.slice(0, MEASURED)).width;
}

/**
 * Words around tokens that have to share what room the words leave: each in full where all fit, else their beginnings
 * and "…".
 * @param {string[]} words before, between and after the tokens: one more than there are of these
 * @param {string[]} tokens
 * @param {number} room in pixels
 * @param {{size: number, weight: number}} style
 */
export function sharing(words, tokens, room, style) {
  /** @param {number} length */
  const put = (length) =>
    words.map((word, at) => {
      const characters = at < tokens.length ? [...tokens[at].slice(0, MEASURED)] : [];
      return word + (characters.length > length ? `${characters.slice(0, length).join("")}…` : characters.join(""));
    }).join("");
  let [short, long] = [0, Math.max(1, ...tokens.map((token) => token.length))];
  if (measured(put(long), style) <= room) return put(long);
  while (long - short > 1) {
    const middle = (short + long) >> 1;
    if (measured(put(middle), style) <= room) short = middle;
    else long = middle;
  }
  return put(Math.max(1, short));
}
