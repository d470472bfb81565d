/**
 * Moving about in the matrix: wheel and pinch zoom around the pointer, dragging pans, a double click shows all.
 * @module
 */

import { el } from "vitrail/dom.js";
import { inside, zoomed } from "vitrail/drawings/matrix-geometry.js";

/** @typedef {import("vitrail/drawings/matrix-geometry.js").View} View */
/** @typedef {import("vitrail/drawings/matrix-geometry.js").Layout} Layout */

/** A click may tremble by so many pixels. */
const STILL = 4;

/**
 * @param {{element: HTMLElement, pane: HTMLElement}} stage
 * @param {{at: () => Layout, view: () => View, set: (view: View) => void}} place
 * @returns {{dragged: () => boolean, busy: () => boolean, cleanup: () => void}} dragged: whether the click that comes
 *   now ends a drag; asked once
 */
export function steer({ element, pane }, { at, view, set }) {
  const stop = new AbortController();
  const { signal } = stop;
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  let travelled = 0;

  /** @param {MouseEvent} event */
  const point = (event) => {
    const box = pane.getBoundingClientRect();
    const { plot } = at();
    return { x: event.clientX - box.left - plot.x, y: event.clientY - box.top - plot.y };
  };
  /** @param {number} factor @param {{x: number, y: number}} [around] */
  const zoom = (factor, around = { x: at().plot.width / 2, y: at().plot.height / 2 }) => {
    const { plot } = at();
    const x = Math.min(plot.width, Math.max(0, around.x));
    const y = Math.min(plot.height, Math.max(0, around.y));
    set(zoomed(view(), factor, x, y, at()));
  };
  const reset = () => set(at().fit);

  pane.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const step = event.deltaY * [1, 16, 300][event.deltaMode];
      // A pinch on a touchpad comes as a wheel with ctrl held, in small steps.
      zoom(Math.exp(-Math.max(-240, Math.min(240, step)) * (event.ctrlKey ? 0.012 : 0.0022)), point(event));
    },
    { passive: false, signal },
  );
  pane.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0) return;
      if (!fingers.size) travelled = 0;
      fingers.set(event.pointerId, point(event));
      pane.setPointerCapture(event.pointerId);
    },
    { signal },
  );
  pane.addEventListener(
    "pointermove",
    (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const now = point(event);
      const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, finger]) => finger);
      if (others.length) {
        const [other] = others;
        const apart = Math.hypot(before.x - other.x, before.y - other.y);
        travelled = Number.POSITIVE_INFINITY;
        zoom(Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, apart), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
      } else {
        const [dx, dy] = [now.x - before.x, now.y - before.y];
        if (travelled <= STILL && travelled + Math.hypot(dx, dy) <= STILL) return;
        travelled += Math.hypot(dx, dy);
        pane.classList.add("matrix-grabbed");
        const seen = view();
        set(inside({ ...seen, left: seen.left - dx / seen.cellX, top: seen.top - dy / seen.cellY }, at()));
      }
      fingers.set(event.pointerId, now);
    },
    { signal },
  );
  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
    pane.addEventListener(
      name,
      (event) => {
        fingers.delete(event.pointerId);
        if (!fingers.size) pane.classList.remove("matrix-grabbed");
      },
      { signal },
    );
  }
  pane.addEventListener("dblclick", reset, { signal });
  element.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "+" || event.key === "=") zoom(1.4);
      else if (event.key === "-") zoom(1 / 1.4);
      else if (event.key === "0") reset();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    { signal },
  );
  const buttons = el(
    "div",
    { class: "matrix-zoom", role: "group", "aria-label": "zoom" },
    el("button", { title: "Zoom in (+)", "aria-label": "zoom in", onclick: () => zoom(1.6) }, "+"),
    el("button", { title: "Zoom out (−)", "aria-label": "zoom out", onclick: () => zoom(1 / 1.6) }, "−"),
    el("button", { title: "Show all (0, or a double click)", onclick: reset }, "all"),
  );
  element.parentElement?.append(buttons);
  return {
    dragged() {
      const was = travelled > STILL;
      travelled = 0;
      return was;
    },
    busy: () => fingers.size > 0 && travelled > STILL,
    cleanup() {
      stop.abort();
      buttons.remove();
    },
  };
}
