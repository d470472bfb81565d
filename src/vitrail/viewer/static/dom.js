/**
 * Elements, made without a line of HTML: a token, a name or a label only ever becomes text.
 * @module
 */

/**
 * An element with its attributes, listeners (`on…`) and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string | null | false)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== false).map((child) => /** @type {Node} */ (child)));
  return element;
}

/**
 * Replace what is in an element.
 * @param {Element} element
 * @param {...(Node | string)} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...children);
}

/**
 * The same where somebody may be pressing what is replaced: the focus goes to what now stands in that place.
 * @param {HTMLElement} element
 * @param {...(Node | string)} children
 */
export function renew(element, ...children) {
  const path = [];
  let at = /** @type {Element | null} */ (document.activeElement);
  if (!at || at === element || !element.contains(at)) return fill(element, ...children);
  for (; at && at !== element; at = at.parentElement) path.unshift([...(at.parentElement?.children ?? [])].indexOf(at));
  fill(element, ...children);
  const there = path.reduce((/** @type {Element | undefined} */ one, place) => one?.children[place], element);
  const first = /** @type {HTMLElement | null} */ (there?.matches("button") ? there : element.querySelector("button"));
  first?.focus({ preventScroll: true });
  return undefined;
}

/**
 * A canvas as sharp as the screen, and its context in CSS pixels.
 * @param {number} width
 * @param {number} height
 */
export function sharpCanvas(width, height) {
  const canvas = el("canvas");
  return { canvas, context: resize(canvas, width, height) };
}

/**
 * Give a canvas a size in CSS pixels; what was drawn is lost.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 */
export function resize(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/**
 * How a token is written: a leading space as "·", what can't be seen as its sign.
 * @param {string} text
 */
export function shown(text) {
  // Control, zero-width and direction characters would vanish, or turn the tokens after them around.
  const visible = text.replace(/[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, sign);
  if (visible === "") return "∅";
  return visible.replace(/^ +/, (spaces) => "·".repeat(spaces.length)).replace(/ +$/, (spaces) => "·".repeat(spaces.length));
}

/** @param {string} character */
function sign(character) {
  if (character === "\n") return "⏎";
  if (character === "\t") return "⇥";
  return `‹${character.charCodeAt(0).toString(16)}›`;
}

/**
 * What stands at a position of an axis: its token, or its patch's row and column.
 * @param {import("vitrail/types.js").Axis} axis
 * @param {number} at
 */
export function label(axis, at) {
  if (axis.texts) return shown(axis.texts[at] ?? "");
  const place = axis.places ? axis.places[at] : at;
  if (axis.grid && place >= 0) return `${Math.floor(place / axis.grid[1])},${place % axis.grid[1]}`;
  return axis.kind === "patches" ? (at === 0 ? "CLS" : `register ${at}`) : String(at);
}

/**
 * @param {number} value
 * @param {number} [digits] after the point, of numbers that are neither small nor large
 */
export function number(value, digits = 3) {
  if (Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value < 0 ? "−∞" : "∞";
  const size = Math.abs(value);
  const text = size === 0 ? "0" : size >= 1000 || size < 0.001 ? value.toExponential(1) : value.toFixed(size >= 100 ? 1 : size >= 0.01 ? digits : 4);
  return text.replace("-", "−");
}
