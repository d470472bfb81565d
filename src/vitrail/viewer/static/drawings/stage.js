/**
 * Where a drawing stands: layers of canvas as large as the screen shows, over a height that the browser scrolls.
 *
 * Only what is on screen is ever painted, however long the input; a layer is painted anew only when it is asked for, at most
 * once a frame. So a hover costs its own layer and nothing else.
 * @module
 */

import { el, resize } from "vitrail/dom.js";
import { canvasPen } from "vitrail/pens.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */

/**
 * @typedef {Object} View
 * @property {number} width of what is seen, in CSS pixels
 * @property {number} height
 * @property {number} top how far it is scrolled
 */

/**
 * @typedef {Object} Stage
 * @property {HTMLElement} element that has the focus and is scrolled
 * @property {HTMLElement} pane that holds the canvases: pointers are measured from its corner
 * @property {View} view
 * @property {(...layers: string[]) => void} ask paint these layers in the next frame
 * @property {(layer: string, opacity: number) => void} fade
 * @property {(top: number) => void} scroll
 * @property {() => void} arrange lay out again, and paint everything
 * @property {() => void} cleanup
 */

/**
 * @param {HTMLElement} element
 * @param {Object} drawing
 * @param {string} drawing.name classes are called `${name}-…`
 * @param {string} drawing.label what people who don't see it are told
 * @param {Record<string, (pen: Pen, view: View) => boolean | void>} drawing.layers from the lowest to the highest;
 *   true: it isn't complete, and is painted again in the next frame
 * @param {(width: number, height: number) => number} drawing.arrange lays out; gives back how tall all of it is
 * @returns {Stage}
 */
export function openStage(element, { name, label, layers, arrange }) {
  const canvases = Object.fromEntries(Object.keys(layers).map((layer) => [layer, el("canvas", { "aria-hidden": "true", class: `${name}-canvas` })]));
  const pane = el("div", { class: `${name}-pane` }, ...Object.values(canvases));
  const tall = el("div", { class: `${name}-tall` }, pane);
  const scroller = el("div", { class: `${name}-stage`, tabindex: 0, role: "application", "aria-label": label }, tall);
  element.append(scroller);
  // The page makes a new element for each scene; what holds it stays, and remembers where the last one was left.
  const memory = (element.parentElement ?? element).dataset;
  /** @type {View} */
  const view = { width: 0, height: 0, top: 0 };
  /** @type {Record<string, CanvasRenderingContext2D>} */
  const contexts = {};
  /** @type {Set<string>} */
  const asked = new Set();
  let frame = 0;

  function paint() {
    frame = 0;
    const now = [...asked];
    asked.clear();
    for (const layer of now) {
      if (!contexts[layer]) continue;
      contexts[layer].clearRect(0, 0, view.width, view.height);
      if (layers[layer](canvasPen(contexts[layer]), view)) ask(layer);
    }
  }
  /** @param {string[]} wanted */
  function ask(...wanted) {
    for (const layer of wanted) asked.add(layer);
    frame ||= requestAnimationFrame(paint);
  }
  const everything = () => ask(...Object.keys(layers));
  const measure = () => {
    // Fixed sizes on the pane keep the canvases from stretching the scroller that they are measured by.
    const [width, height] = [scroller.clientWidth, scroller.clientHeight];
    if (!width || !height) return;
    const whole = Math.max(height, Math.ceil(arrange(width, height)));
    tall.style.height = `${whole}px`;
    // A bar for scrolling that came or went has changed the width.
    const left = scroller.clientWidth;
    if (left !== width) tall.style.height = `${Math.max(height, Math.ceil(arrange(left, height)))}px`;
    Object.assign(view, { width: left, height, top: scroller.scrollTop });
    Object.assign(pane.style, { width: `${left}px`, height: `${height}px` });
    for (const [layer, canvas] of Object.entries(canvases)) contexts[layer] = resize(canvas, left, height);
    for (const layer of Object.keys(layers)) asked.add(layer);
    paint();
  };
  const scrolled = () => {
    if (view.top === scroller.scrollTop) return;
    view.top = scroller.scrollTop;
    memory[`${name}Top`] = `${tall.style.height} ${view.top}`;
    everything();
  };
  const observer = new ResizeObserver(() => {
    if (scroller.clientWidth !== view.width || scroller.clientHeight !== view.height) measure();
  });
  scroller.addEventListener("scroll", scrolled, { passive: true });
  measure();
  const [height, top] = (memory[`${name}Top`] ?? "").split(" ");
  // Another head of the same text, not another text.
  if (height === tall.style.height) scroller.scrollTop = Number(top);
  scrolled();
  if (memory.focused === name) scroller.focus({ preventScroll: true });
  observer.observe(scroller);
  return {
    element: scroller,
    pane,
    view,
    ask,
    fade: (layer, opacity) => {
      canvases[layer].style.opacity = String(opacity);
    },
    scroll: (top) => {
      scroller.scrollTop = top;
      scrolled();
    },
    arrange: measure,
    cleanup: () => {
      if (document.activeElement === scroller) memory.focused = name;
      observer.disconnect();
      scroller.removeEventListener("scroll", scrolled);
      cancelAnimationFrame(frame);
      scroller.remove();
    },
  };
}
