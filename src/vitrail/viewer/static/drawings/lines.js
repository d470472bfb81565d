/**
 * Lines: tokens that ask at the left, tokens that are asked at the right, a curve from each to what it looks at.
 *
 * Three layers: curves, tokens, and whatever is pointed at. Pointing repaints the last alone. Of a long input the rows on
 * screen are computed at once, the others follow from the worker; nothing that isn't on screen is painted.
 * @module
 */

import { edgeAt, paintFocus } from "vitrail/drawings/lines-focus.js";
import { apart, columns, drawnIn, fallen, FLOOR, middle, onScreen, placeAt, settle, SHORT, sideOf } from "vitrail/drawings/lines-layout.js";
import { addLink, byStrength, noLinks, shortLinks, strongestOf } from "vitrail/drawings/lines-links.js";
import { FOOT, HEAD, paintLinks, paintTokens } from "vitrail/drawings/lines-painting.js";
import { tableOf, toldLong, toldShort, widestOf } from "vitrail/drawings/lines-words.js";
import { listen, stepped } from "vitrail/drawings/pointing.js";
import { openStage } from "vitrail/drawings/stage.js";
import { lookedAt } from "vitrail/store.js";

/** @typedef {import("vitrail/drawings/lines-focus.js").Focus} Focus */
/** @typedef {import("vitrail/drawings/lines-painting.js").Picture} Picture */
/** @typedef {{keys: ArrayLike<number>, values: ArrayLike<number>, rest: number}} Strongest of one query */

/** Of long inputs: this share of a query's mass, and no more keys than that. */
const SHARE = 0.8;
const MOST = 3;
/** Milliseconds that a frame, and the first picture, may spend on rows of a long input that the worker hasn't come to. */
const PATIENCE = 14;
const FIRST = 120;
const FADED = 0.1;

/**
 * @param {HTMLElement} element
 * @param {import("vitrail/types.js").Scene} scene
 * @returns {import("vitrail/types.js").Drawn}
 */
export function render(element, scene) {
  const { store, looks, ramp } = scene;
  const short = Math.max(count(scene.shownQueries), count(scene.shownKeys)) <= SHORT;
  /** @type {Picture | null} */
  let picture = null;
  /** @type {Focus | null} */
  let focus = null;
  let gone = false;
  /** @type {Map<number, Strongest>[]} by look: what is known of each query of a long input */
  const known = looks.map(() => new Map());
  const whole = short ? shortLinks(looks.map((look) => look.row), sideOf(scene.shownQueries, 0), sideOf(scene.shownKeys, 0)) : null;
  // A head that looks everywhere alike shall look like that: nothing is drawn as strong because it is the strongest.
  let largest = Math.max(whole ? whole.largest : 0, store.get().quantity === "weight" ? FLOOR : 0);
  let collected = -1;

  const stage = openStage(element, {
    name: "lines",
    label: `Lines from queries to keys: ${scene.quantity.label}. Up and down choose the query, left and right the key, Enter keeps them.`,
    arrange(width, height) {
      const room = Math.max(60, height - HEAD - FOOT);
      const [queries, keys] = [sideOf(scene.shownQueries, room), sideOf(scene.shownKeys, room)];
      const size = Math.min(15, Math.max(11, 0.6 * Math.min(queries.row, keys.row)));
      const widest = { query: widestOf(scene.queries, queries, size), key: widestOf(scene.keys, keys, size) };
      const long = Math.max(queries.size, keys.size) > room && !short;
      picture = {
        scene,
        width,
        height,
        room,
        at: columns(width, widest, looks.length, long),
        queries,
        keys,
        links: whole ? byStrength(whole.links, largest) : noLinks(0),
        rest: whole ? whole.rest : new Float32Array(looks[0].queries).fill(NaN),
        largest,
        long,
        told: "",
      };
      if (whole) picture.told = toldShort(scene, whole.least);
      settle([queries, keys], room, 0);
      if (!whole) gather(performance.now() + FIRST);
      return HEAD + FOOT + Math.max(queries.size, keys.size);
    },
    layers: {
      links(pen, view) {
        if (!placed(view.top)) return false;
        const missing = !whole && gather(performance.now() + PATIENCE);
        paintLinks(pen, /** @type {Picture} */ (picture), 1);
        return missing;
      },
      tokens(pen, view) {
        if (placed(view.top)) paintTokens(pen, /** @type {Picture} */ (picture), store.get().pin);
        else nothing(pen, view.width, view.height);
      },
      focus(pen, view) {
        if (focus && placed(view.top)) paintFocus(pen, /** @type {Picture} */ (picture), focus);
      },
    },
  });

  /** @param {import("vitrail/types.js").Pen} pen @param {number} width @param {number} height */
  function nothing(pen, width, height) {
    pen.text("No token is shown: all were left out.", width / 2, height / 2, { size: 14, colour: ramp.quiet, align: "center" });
  }

  /** Both sides where this scroll has them. @param {number} top */
  function placed(top) {
    if (!picture || !picture.queries.places.length || !picture.keys.places.length) return false;
    settle([picture.queries, picture.keys], picture.room, top);
    return true;
  }

  /**
   * The strongest keys of the queries on screen, and of all that are known, as links.
   * @param {number} until when to stop
   * @returns {boolean} whether rows on screen are still missing
   */
  function gather(until) {
    if (!picture) return false;
    const { queries } = picture;
    const [first, last] = onScreen(queries, picture.room);
    let missing = false;
    for (let place = first; place < last && !missing; place++) {
      const query = queries.places[place];
      looks.forEach((look, at) => {
        if (known[at].has(query)) return;
        missing ||= performance.now() > until;
        if (!missing) known[at].set(query, strongestOf(look.row(query), SHARE, MOST));
      });
    }
    collect(picture);
    return missing;
  }

  /** @param {Picture} seen */
  function collect(seen) {
    const total = known.reduce((sum, rows) => sum + rows.size, 0);
    if (total === collected && seen.links.count) return;
    collected = total;
    const links = noLinks(MOST * total);
    const hidden = scene.shownKeys;
    seen.rest.fill(NaN);
    known.forEach((rows, look) => {
      for (const [query, { keys, values, rest }] of rows) {
        let left = rest;
        for (let at = 0; at < keys.length; at++) {
          largest = Math.max(largest, Math.abs(values[at]));
          if (hidden[keys[at]]) addLink(links, look, query, keys[at], values[at]);
          else left += Math.abs(values[at]);
        }
        seen.rest[query] = (Number.isNaN(seen.rest[query]) ? 0 : seen.rest[query]) + left / looks.length;
      }
    });
    seen.largest = largest;
    seen.links = byStrength(links, largest);
    seen.told = toldLong(scene, total < looks.length * seen.queries.places.length);
  }

  /** What the worker finds of all queries that are shown, head by head. */
  async function complete() {
    const { places } = sideOf(scene.shownQueries, 0);
    const [first, last] = [places[0], places[places.length - 1]];
    for (const [at, look] of looks.entries()) {
      const { start, keys, values, rest } = await look.strongest(SHARE, MOST, [first, last + 1]);
      if (gone) return;
      for (const query of places) {
        const [row, from, to] = [query - first, start[query - first], start[query - first + 1]];
        known[at].set(query, { keys: keys.subarray(from, to), values: values.subarray(from, to), rest: rest[row] });
      }
      collected = -1;
      if (picture) collect(picture);
      stage.ask("links", "tokens", "focus");
    }
  }

  /** Look at what the store says. */
  function refocus() {
    const state = store.get();
    const { query, key } = lookedAt(state);
    const before = focus;
    if (query >= 0 && scene.shownQueries[query]) {
      focus = { from: "query", position: query, other: key, locked: state.query === query, rows: before?.from === "query" && before.position === query ? before.rows : looks.map((look) => look.row(query)) };
    } else if (key >= 0 && scene.shownKeys[key]) {
      const same = before?.from === "key" && before.position === key;
      focus = { from: "key", position: key, other: -1, locked: state.key === key, rows: same ? before.rows : null };
      if (!same) void column(key);
    } else focus = null;
    stage.fade("links", focus ? FADED : 1);
    stage.ask("focus");
  }

  /** @param {number} key */
  async function column(key) {
    const rows = await Promise.all(looks.map((look) => look.column(key)));
    if (gone || focus?.from !== "key" || focus.position !== key) return;
    focus = { ...focus, rows };
    stage.ask("focus");
  }

  /** @param {number} x @param {number} y @returns {import("vitrail/drawings/pointing.js").Picked | null} */
  function pick(x, y) {
    if (!placed(stage.view.top) || !picture || y < HEAD || y > HEAD + picture.room) return null;
    const { at, queries, keys } = picture;
    const locked = store.get();
    if (x < at.from + 6) {
      const edge = focus?.from === "key" ? edgeAt(picture, focus, y) : -1;
      const place = placeAt(queries, y - HEAD);
      const query = edge >= 0 ? edge : place < 0 ? -1 : queries.places[place];
      return query < 0 ? null : { query, key: locked.key, lock: { query } };
    }
    if (x > at.to - 6) {
      if (at.stripWidth && x >= at.strip - 4) return null;
      const edge = focus?.from === "query" ? edgeAt(picture, focus, y) : -1;
      const place = placeAt(keys, y - HEAD);
      const key = edge >= 0 ? edge : place < 0 ? -1 : keys.places[place];
      return key < 0 ? null : { query: locked.query, key, lock: { key } };
    }
    return linkAt(x, y);
  }

  /** The link nearest to a point, the stronger of two that are as near. @param {number} x @param {number} y */
  function linkAt(x, y) {
    const { at, queries, keys, links, room } = /** @type {Picture} */ (picture);
    const down = fallen((x - at.from) / (at.to - at.from));
    const only = store.get().query;
    let best = -1;
    let nearest = 5;
    for (let link = 0; link < links.count; link++) {
      const [from, to] = [queries.at[links.query[link]], keys.at[links.key[link]]];
      if (from < 0 || to < 0 || (only >= 0 && links.query[link] !== only)) continue;
      const begin = HEAD + drawnIn(middle(queries, from), room);
      const apartBy = apart(links.look[link], looks.length, Math.min(queries.row, keys.row));
      const away = Math.abs(begin + down * (HEAD + drawnIn(middle(keys, to), room) - begin) + apartBy - y);
      if (away <= nearest) [best, nearest] = [link, Math.max(away, 1)];
    }
    if (best < 0) return null;
    const link = { query: links.query[best], key: links.key[best] };
    return { ...link, lock: link };
  }

  /** @param {{query: number, key: number}} now @param {string} arrow */
  function move(now, arrow) {
    if (!picture) return null;
    const by = arrow === "ArrowUp" || arrow === "ArrowLeft" ? -1 : 1;
    const vertical = arrow === "ArrowUp" || arrow === "ArrowDown";
    const next = vertical ? { ...now, query: stepped(picture.queries.places, now.query, by) } : { ...now, key: stepped(picture.keys.places, now.key, by) };
    reveal(vertical ? picture.queries : picture.keys, vertical ? next.query : next.key);
    return next;
  }

  /** @param {import("vitrail/drawings/lines-layout.js").Side} side @param {number} position */
  function reveal(side, position) {
    const room = picture?.room ?? 0;
    const y = middle(side, side.at[position]);
    const speed = (Math.max(picture?.queries.size ?? 0, picture?.keys.size ?? 0) - room) / Math.max(1, side.size - room);
    if (side.size > room && (y < side.row || y > room - side.row)) stage.scroll(stage.view.top + (y - room / 2) * speed);
  }

  /** A press on the strip goes there. @param {number} x @param {number} y */
  function press(x, y) {
    if (!picture?.at.stripWidth || x < picture.at.strip - 4) return false;
    const whole = Math.max(picture.queries.size, picture.keys.size);
    stage.scroll(((y - HEAD) / picture.room) * whole - picture.room / 2);
    return true;
  }

  const unsubscribe = store.subscribe((_, changed) => {
    if (changed.has("hover") || changed.has("query") || changed.has("key")) refocus();
  });
  const deaf = listen(stage, { store, pick, move, press });
  if (!whole && count(scene.shownQueries)) void complete();
  refocus();

  return {
    cleanup() {
      gone = true;
      unsubscribe();
      deaf();
      stage.cleanup();
    },
    paint(pen) {
      const { width, height, top } = stage.view;
      if (!placed(top) || !picture) nothing(pen, width, height);
      else {
        paintLinks(pen, picture, focus ? FADED : 1);
        paintTokens(pen, picture, store.get().pin);
        if (focus) paintFocus(pen, picture, focus);
      }
      return { width, height };
    },
    table: () => tableOf(scene, focus, whole ? null : known),
  };
}

/** @param {Uint8Array} flags */
function count(flags) {
  return flags.reduce((sum, flag) => sum + Number(flag !== 0), 0);
}
