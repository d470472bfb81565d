/**
 * The table of all heads: a row a head, a column a score, each with a bar beside what uniform attention would give.
 *
 * A real table for keyboards and screen readers. Of a long one only the rows near the screen are made; each says which row
 * of how many it is.
 * @module
 */

import { el, fill, number } from "vitrail/dom.js";
import { scoreAt, scoreOfRole, topOf, uniformAt } from "vitrail/drawings/heads.js";
import { scoreLabel } from "vitrail/sentences.js";

/** @typedef {import("vitrail/drawings/heads.js").Place} Place */

/** More rows than these are made as they come into view. */
const LONG = 400;
export const ROW = 27;
const SPARE = 12;

/**
 * Which rows are made: those on the screen and some around them.
 * @param {number} top how far it is scrolled
 * @param {number} height of what is seen
 * @param {number} count
 * @returns {[number, number]}
 */
export function rowsSeen(top, height, count) {
  if (count <= LONG) return [0, count];
  const from = Math.min(Math.max(0, Math.floor(top / ROW) - SPARE), Math.max(0, count - 1));
  return [from, Math.min(count, Math.ceil((top + height) / ROW) + SPARE)];
}

/**
 * @param {HTMLElement} scroller
 * @param {import("vitrail/types.js").Overview} overview
 * @param {{names: string[], asked: {sort: string, down: boolean, top: number, focused: boolean}, show: (place: Place, score: string) => void,
 *   hover: (place: Place | null) => void, sort: (name: string) => void}} parts
 */
export function headRows(scroller, { store, stream, roles }, { names, asked, show, hover, sort }) {
  const tops = new Map(names.map((name) => [name, topOf(stream, name)]));
  /** @type {Place[]} */
  let order = [];
  let active = 0;
  let [from, to] = [-1, -1];
  const head = el("tr");
  const body = el("tbody");
  const table = el("table", { class: "atlas-table" }, el("caption", { class: "unseen" }, `Heads of ${stream.name}, their roles and scores; Enter shows the evidence`), el("thead", {}, head), body);
  scroller.append(table);

  function heading() {
    // A header that is focused keeps the focus when the order changes.
    const focused = [...head.children].findIndex((cell) => cell.contains(document.activeElement));
    fill(
      head,
      ...[["layer", "head"], ["role", "role"], ...names.map((name) => [name, scoreLabel(name)])].map(([name, label]) =>
        el(
          "th",
          { scope: "col", "aria-sort": asked.sort === name ? (ascending(name) ? "ascending" : "descending") : "none" },
          el("button", { class: "plain", title: `Sort by ${label}`, onclick: () => sort(name) }, label, el("span", { "aria-hidden": true }, asked.sort === name ? (ascending(name) ? " ↑" : " ↓") : "")),
        ),
      ),
    );
    if (focused >= 0) head.children[focused].querySelector("button")?.focus();
  }

  // Scores begin with the largest, layers and roles with the first.
  const ascending = (/** @type {string} */ name) => (name === "layer" || name === "role" ? asked.down : !asked.down);

  /** @param {number} at */
  function row(at) {
    const place = order[at];
    const { role, colour, score, evidence } = roles[place.layer][place.head];
    const now = store.get();
    const name = `${place.layer}.${place.head}`;
    return el(
      "tr",
      {
        "aria-rowindex": at + 2,
        "aria-current": place.layer === now.layer && place.head === now.head ? "true" : null,
        onpointerenter: () => hover(place),
        onpointerleave: () => hover(null),
      },
      el("th", { scope: "row" }, el("button", { class: "plain", tabindex: at === active ? 0 : -1, title: `${evidence}. Show it`, onclick: () => show(place, names.includes(asked.sort) ? asked.sort : scoreOfRole(role)) }, name)),
      el("td", { class: "atlas-role", title: evidence }, el("i", { style: { background: colour } }), Number.isFinite(score) && role !== "unclear" ? `${role} ${score.toFixed(2)}` : role),
      ...names.map((one) => cell(place, one)),
    );
  }

  /** @param {Place} place @param {string} name */
  function cell(place, name) {
    const value = scoreAt(stream, name, place);
    if (!Number.isFinite(value)) return el("td", { class: "atlas-none" }, "–");
    const [share, uniform] = [value, uniformAt(stream, name, place.layer)].map((one) => Math.min(100, (100 * one) / (tops.get(name) || 1)));
    const style = { backgroundSize: `${share.toFixed(1)}% 3px, ${Number.isFinite(uniform) ? 2 : 0}px 8px`, backgroundPosition: `0 100%, ${Number.isFinite(uniform) ? uniform.toFixed(1) : 0}% 100%` };
    return el("td", { style, title: `${place.layer}.${place.head} ${scoreLabel(name)}: show it`, onclick: () => show(place, name) }, number(value, 4));
  }

  /** @param {boolean} [anew] */
  function make(anew = false) {
    const [first, last] = rowsSeen(scroller.scrollTop, scroller.clientHeight, order.length);
    if (!anew && first === from && last === to) return;
    const focused = body.contains(document.activeElement);
    [from, to] = [first, last];
    /** @param {number} rows */
    const space = (rows) => (rows > 0 ? [el("tr", { "aria-hidden": true, style: { height: `${rows * ROW}px` } })] : []);
    fill(body, ...space(first), ...Array.from({ length: last - first }, (_, at) => row(first + at)), ...space(order.length - last));
    if (focused) focus(active);
  }

  /** @param {number} at */
  function focus(at) {
    /** @type {HTMLElement | null} */ (body.querySelector(`tr[aria-rowindex="${at + 2}"] button`))?.focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  function keys(event) {
    if (!body.contains(/** @type {Node} */ (event.target)) || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(scroller.clientHeight / ROW) - 2);
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -order.length, End: order.length }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const before = active;
    active = Math.min(order.length - 1, Math.max(0, active + step));
    const y = active * ROW;
    // The header lies over the first row that is seen.
    if (y < scroller.scrollTop) scroller.scrollTop = y;
    else if (y + 3 * ROW > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = y + 3 * ROW - scroller.clientHeight;
    make();
    for (const [at, index] of [[before, -1], [active, 0]]) body.querySelector(`tr[aria-rowindex="${at + 2}"] button`)?.setAttribute("tabindex", String(index));
    focus(active);
    hover(order[active]);
  }

  const scrolled = () => {
    asked.top = scroller.scrollTop;
    make();
  };
  scroller.addEventListener("scroll", scrolled, { passive: true });
  scroller.addEventListener("keydown", keys);
  // The focus goes to the table as a whole when a page is drawn anew: then to the row where it was.
  const entered = (/** @type {FocusEvent} */ event) => {
    if (event.target === scroller) focus(active);
  };
  scroller.addEventListener("focus", entered);

  return {
    /** @param {Place[]} places @param {boolean} begin from the top */
    update(places, begin) {
      order = places;
      table.setAttribute("aria-rowcount", String(order.length + 1));
      const { layer, head: chosen } = store.get();
      active = begin ? 0 : Math.max(0, order.findIndex((place) => place.layer === layer && place.head === chosen));
      heading();
      make(true);
      scroller.scrollTop = begin ? 0 : asked.top;
      make();
    },
    scrolled: () => make(),
    cleanup() {
      scroller.removeEventListener("scroll", scrolled);
      scroller.removeEventListener("keydown", keys);
      scroller.removeEventListener("focus", entered);
    },
  };
}
