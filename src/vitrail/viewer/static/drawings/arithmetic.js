/**
 * Arithmetic: how a query's weights come about, and what they pass on. q, k, q ∘ k, score, weight, v and weight · v for its
 * strongest keys; for one key that is kept, every step with its formula and numbers.
 * @module
 */

import { label } from "vitrail/dom.js";
import { HEAD, FOOT, keyAt, listed, paintPointed, paintRows, titleOf } from "vitrail/drawings/arithmetic-painting.js";
import { rowOf, stepsOf } from "vitrail/drawings/arithmetic-steps.js";
import { BACK, dimensionAt, heightOf, linesOf, pairTitleOf, paintBack, paintStrip } from "vitrail/drawings/arithmetic-strip.js";
import { queryList } from "vitrail/drawings/arithmetic-queries.js";
import { exactly } from "vitrail/drawings/lines-words.js";
import { listen, stepped } from "vitrail/drawings/pointing.js";
import { openStage } from "vitrail/drawings/stage.js";
import { largestOf } from "vitrail/drawings/text-layout.js";
import { lookedAt } from "vitrail/store.js";

/** @typedef {import("vitrail/types.js").Scene} Scene */
/** @typedef {import("vitrail/drawings/arithmetic-painting.js").Sheet} Sheet */

/** Keys that are listed at most. */
const LISTED = 32;
/** Below it, pointing at the title says it in full. */
const TITLED = 28;
const KEYS = "Up and down choose the query, left and right the key, Enter keeps them.";

/**
 * @param {HTMLElement} element
 * @param {Scene} scene
 * @returns {import("vitrail/types.js").Drawn}
 */
export function render(element, scene) {
  const { store, numbers, ramp } = scene;
  const [queries, keys] = [placesOf(scene.shownQueries), placesOf(scene.shownKeys)];
  const fits = numbers.queries === scene.queries.length && numbers.keys === scene.keys.length && queries.length > 0 && keys.length > 0;
  /** @type {Sheet | null} */
  let sheet = null;
  /** @type {import("vitrail/drawings/arithmetic-steps.js").Steps | null} the pair that is kept */
  let pair = null;
  let dimension = -1;
  let drawn = "";
  element.classList.add("arithmetic-drawing");
  const list = queryList(element, scene, queries);

  const stage = openStage(element, {
    name: "arithmetic",
    label: `Arithmetic of one query and its keys. ${KEYS}`,
    arrange(width, height) {
      if (!fits) return height;
      sheet = { ...(sheet ?? opened(store.get())), width, height };
      sheet.tall = Math.min(52, Math.max(30, (height - HEAD - FOOT) / sheet.keys.length));
      return pair ? heightOf(linesOf(sheet, pair), height) : HEAD + FOOT + sheet.keys.length * sheet.tall;
    },
    layers: {
      sheet(pen, view) {
        if (!sheet) pen.text("Arithmetic is of tokens, and none is shown.", view.width / 2, view.height / 2, { size: 14, colour: ramp.quiet, align: "center" });
        else if (pair) paintStrip(pen, sheet, pair, view.top, dimension);
        else paintRows(pen, sheet, view.top);
      },
      pointed(pen, view) {
        if (sheet && pair) paintBack(pen, ramp);
        else if (sheet) paintPointed(pen, sheet, view.top);
      },
    },
  });

  /** The query that the state is at, taken apart. @param {import("vitrail/types.js").State} state @returns {Sheet} */
  function opened(state) {
    const looked = lookedAt(state);
    const asked = looked.query >= 0 && scene.shownQueries[looked.query] !== 0;
    const query = asked ? looked.query : (queries.find((at) => !scene.queries.special?.[at]) ?? queries[0]);
    const key = looked.key >= 0 && scene.shownKeys[looked.key] ? looked.key : -1;
    const row = rowOf(numbers, query);
    const strongest = largestOf(row.weights, (at) => scene.shownKeys[at] !== 0, LISTED);
    // Keys without weight come last, in their order; a chosen one is never left out.
    const more = keys.filter((at) => !strongest.includes(at)).slice(0, Math.max(0, LISTED - strongest.length));
    const all = [...strongest, ...more];
    if (state.key >= 0 && scene.shownKeys[state.key] && !all.includes(state.key)) all.unshift(state.key);
    pair = asked && key >= 0 && state.query >= 0 && key === state.key ? stepsOf(numbers, query, key) : null;
    drawn = signature(state);
    return { scene, query, asked, key, row, ...listed(scene, row, query, all), width: 0, height: 0, tall: 30 };
  }

  /** What has to change for another sheet: pointing at a key only marks its row. @param {import("vitrail/types.js").State} state */
  function signature(state) {
    const { query, key } = lookedAt(state);
    return [query, state.key, state.query >= 0 && key === state.key].join();
  }

  /** The title with whole tokens, however little of them is drawn. */
  function title() {
    const [words, tokens] = sheet ? (pair ? pairTitleOf(sheet) : titleOf(sheet)) : [[""], []];
    return words.map((word, at) => word + (tokens[at] ?? "")).join("");
  }

  function describe() {
    stage.element.setAttribute("aria-label", `Arithmetic. ${title()}. ${KEYS}`);
  }

  function choose() {
    if (!sheet) return;
    const state = store.get();
    if (signature(state) === drawn) {
      sheet.key = lookedAt(state).key;
      stage.ask("pointed");
      return;
    }
    const before = { pair: pair !== null, query: sheet.query };
    const { width, height } = sheet;
    sheet = { ...opened(state), width, height };
    list.choose(sheet.asked ? sheet.query : -1, state.query);
    dimension = -1;
    stage.arrange();
    describe();
    if (before.pair !== (pair !== null) || before.query !== sheet.query) stage.scroll(0);
  }

  /** @param {number} x @param {number} y @returns {import("vitrail/drawings/pointing.js").Picked | null} */
  function pick(x, y) {
    if (!sheet) return null;
    stage.pane.title = y < TITLED ? title() : "";
    if (pair) {
      const at = dimensionAt(x, y, sheet.width, numbers.width);
      if (at !== dimension) {
        dimension = at;
        stage.ask("sheet");
      }
      return null;
    }
    const key = keyAt(sheet, y, stage.view.top);
    const { query } = sheet;
    return key < 0 ? null : { query, key, lock: { query, key } };
  }

  /** @param {{query: number, key: number}} now @param {string} arrow */
  function move(now, arrow) {
    if (!sheet) return null;
    const by = arrow === "ArrowUp" || arrow === "ArrowLeft" ? -1 : 1;
    const state = store.get();
    const vertical = arrow === "ArrowUp" || arrow === "ArrowDown";
    const next = vertical ? { query: stepped(queries, now.query, by), key: now.key } : { query: sheet.query, key: stepped(pair ? keys : sheet.keys, now.key, by) };
    // Where a pair is kept, arrows go on to the next pair.
    if (state.query >= 0 && state.key >= 0) store.set({ ...next, hover: null });
    const y = sheet.keys.indexOf(next.key) * sheet.tall - stage.view.top;
    if (!vertical && !pair && (y < 0 || y > sheet.height - HEAD - FOOT - sheet.tall)) stage.scroll(stage.view.top + y - (sheet.height - HEAD - FOOT) / 2);
    return state.query >= 0 && state.key >= 0 ? null : next;
  }

  /** @param {number} x @param {number} y */
  function press(x, y) {
    if (!pair) return false;
    if (x >= BACK.x && x <= BACK.x + BACK.width && y >= BACK.y && y <= BACK.y + BACK.height) store.set({ key: -1, hover: null });
    return true;
  }

  const unsubscribe = store.subscribe((_, changed) => {
    if (changed.has("hover") || changed.has("query") || changed.has("key")) choose();
  });
  const deaf = listen(stage, { store, pick, move, press });
  if (sheet) describe();
  if (sheet) list.choose(/** @type {Sheet} */ (sheet).asked ? /** @type {Sheet} */ (sheet).query : -1, store.get().query);

  return {
    cleanup() {
      unsubscribe();
      deaf();
      stage.cleanup();
      list.cleanup();
      element.classList.remove("arithmetic-drawing");
    },
    paint(pen) {
      const { width, height, top } = stage.view;
      if (sheet && pair) paintStrip(pen, sheet, pair, top, -1);
      else if (sheet) {
        paintRows(pen, sheet, top);
        paintPointed(pen, sheet, top);
      }
      return { width, height };
    },
    table: () => tableOf(scene, sheet, pair),
  };
}

/** @param {Uint8Array} flags */
function placesOf(flags) {
  return Array.from(flags.keys()).filter((at) => flags[at] !== 0);
}

/**
 * The steps of a pair, or of each listed key.
 * @param {Scene} scene @param {Sheet | null} sheet @param {import("vitrail/drawings/arithmetic-steps.js").Steps | null} pair
 * @returns {import("vitrail/types.js").Table}
 */
function tableOf(scene, sheet, pair) {
  if (!sheet) return { caption: "No token is shown", columns: ["key"], rows: [] };
  const { query, key, keys, steps, row } = sheet;
  const from = `query ${query} (${label(scene.queries, query)}), head ${scene.looks[0].name}`;
  if (pair) {
    const { q, k, products, sum, scaled, bias, score, lse, weight, v, passed } = pair;
    const dimensions = Array.from({ length: Math.max(q.length, v?.length ?? 0) }, (_, at) => [at, ...[q, k, products, v, passed, row.output].map((part) => (part && at < part.length ? exactly(part[at]) : ""))]);
    return {
      caption: `${from}, key ${key} (${label(scene.keys, key)}): sum ${exactly(sum)}, scaled ${exactly(scaled)}, bias ${exactly(bias)}, score ${exactly(score)}, lse ${exactly(lse)}, weight ${exactly(weight)}`,
      columns: ["dimension", "q", "k", "q ∘ k", "v", "weight · v", "output"],
      rows: dimensions,
    };
  }
  return {
    caption: `Strongest keys of ${from}; lse ${exactly(row.lse)}`,
    columns: ["position", "key", "sum of q ∘ k", "scaled", "bias", "score", "weight"],
    rows: steps.map((one, at) => [keys[at], label(scene.keys, keys[at]), exactly(one.sum), exactly(one.scaled), exactly(one.bias), exactly(one.score), exactly(one.weight)]),
  };
}
