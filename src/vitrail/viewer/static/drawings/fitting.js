/**
 * Text that has to fit: how wide a monospaced text is, and the same cut to a width.
 * @module
 */

/** Width of a monospaced character for each pixel of its size, in all fonts of the page. */
const CHARACTER = 0.602;

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
