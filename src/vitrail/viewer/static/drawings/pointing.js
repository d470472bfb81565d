/**
 * Pointer and keyboard, as every drawing understands them: point to look, click to keep, shift-click to pin.
 * @module
 */

import { lookedAt } from "vitrail/store.js";

/** @typedef {import("vitrail/types.js").Store} Store */
/** @typedef {{query: number, key: number}} Pair */
/** @typedef {Pair & {lock: Partial<Pair>}} Picked what stands at a point, and what of it a click keeps */

/**
 * Listen on a stage.
 * @param {{element: HTMLElement, pane: HTMLElement}} stage
 * @param {Object} drawing
 * @param {Store} drawing.store
 * @param {(x: number, y: number) => Picked | null} drawing.pick what stands at a point of the pane; -1: nothing on that side
 * @param {(now: Pair, key: string) => Pair | null} drawing.move where an arrow leads; null for nowhere
 * @param {(x: number, y: number) => boolean} [drawing.press] a control of the drawing's own was pressed: true
 * @returns {() => void} stops listening
 */
export function listen({ element, pane }, { store, pick, move, press }) {
  const stop = new AbortController();
  /** @param {MouseEvent} event @returns {[number, number]} */
  const place = (event) => {
    const box = pane.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  /** @param {Pair | null} found */
  const hover = (found) => {
    const now = store.get().hover;
    // Browsers send a pointer's moves once a frame; what hasn't changed goes no further.
    if (now?.query === found?.query && now?.key === found?.key) return;
    store.set({ hover: found && { query: found.query, key: found.key } });
  };
  /** @type {<K extends keyof HTMLElementEventMap>(target: HTMLElement, name: K, heard: (event: HTMLElementEventMap[K]) => void) => void} */
  const on = (target, name, heard) => target.addEventListener(name, heard, { signal: stop.signal });
  on(pane, "pointermove", (event) => hover(pick(...place(event))));
  on(pane, "pointerleave", () => hover(null));
  on(pane, "click", (event) => {
    const at = place(event);
    if (press?.(...at)) return;
    const found = pick(...at);
    if (!found) return;
    if (event.shiftKey) pin(store, found);
    else lock(store, found.lock);
  });
  on(element, "blur", () => hover(null));
  on(element, "keydown", (event) => {
    if (event.target !== element || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith("Arrow")) {
      const next = move(lookedAt(store.get()), event.key);
      if (next) hover(next);
    } else if (event.key === "Enter") lock(store, chosen(lookedAt(store.get())));
    else if (event.key === "p" || event.key === "P") pin(store, lookedAt(store.get()));
    else if (event.key === "Escape") store.set({ query: -1, key: -1, pin: null, hover: null });
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return () => stop.abort();
}

/**
 * Keep a query, a key or both; let go of what is kept already.
 * @param {Store} store
 * @param {Partial<Pair>} wanted
 */
export function lock(store, wanted) {
  const now = store.get();
  const sides = /** @type {("query" | "key")[]} */ (Object.keys(wanted));
  const again = sides.every((side) => wanted[side] === now[side]);
  store.set(again ? Object.fromEntries(sides.map((side) => [side, -1])) : wanted);
}

/** What of a pair is chosen at all. @param {Pair} pair @returns {Partial<Pair>} */
function chosen({ query, key }) {
  return { ...(query >= 0 ? { query } : {}), ...(key >= 0 ? { key } : {}) };
}

/**
 * Pin a pair, so that the map of heads shows which heads make it; unpin it where it is pinned already.
 * @param {Store} store
 * @param {Pair} found
 */
function pin(store, found) {
  const state = store.get();
  const query = found.query >= 0 ? found.query : state.query;
  const key = found.key >= 0 ? found.key : state.key;
  if (query < 0 || key < 0) return;
  const again = state.pin !== null && state.pin[0] === query && state.pin[1] === key;
  store.set({ pin: again ? null : [query, key] });
}

/**
 * The shown position that is some steps from this one; the first or the last where none is chosen.
 * @param {ArrayLike<number>} places shown positions, in order
 * @param {number} now
 * @param {number} by
 */
export function stepped(places, now, by) {
  if (!places.length) return -1;
  const all = Array.from(places);
  const at = all.indexOf(now);
  if (at < 0) return by > 0 ? all[0] : all[all.length - 1];
  return all[Math.min(all.length - 1, Math.max(0, at + by))];
}
