/**
 * The same pen further down: for what is scrolled, or stands below something else.
 * @module
 */

/** @typedef {import("vitrail/types.js").Pen} Pen */

/**
 * @param {Pen} pen
 * @param {number} by in pixels; less than 0 is higher up
 * @returns {Pen}
 */
export function lowered(pen, by) {
  if (!by) return pen;
  return {
    ...pen,
    line: (x1, y1, x2, y2, ...rest) => pen.line(x1, y1 + by, x2, y2 + by, ...rest),
    rect: (x, y, ...rest) => pen.rect(x, y + by, ...rest),
    frame: (x, y, ...rest) => pen.frame(x, y + by, ...rest),
    disc: (x, y, ...rest) => pen.disc(x, y + by, ...rest),
    text: (text, x, y, style) => pen.text(text, x, y + by, style),
    image: (image, x, y, ...rest) => pen.image(image, x, y + by, ...rest),
  };
}
