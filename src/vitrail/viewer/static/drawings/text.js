/**
 * Text: the document itself, shaded by what the chosen token attends to, or by who attends to it.
 *
 * Two texts where queries and keys aren't the same: a document beside its summary, with a slider through the steps in which
 * the summary was written. Drawn on a canvas, line by line: what isn't on screen costs nothing.
 * @module
 */

import { el, fill, label } from "vitrail/dom.js";
import { FLOOR, settle } from "vitrail/drawings/lines-layout.js";
import { exactly } from "vitrail/drawings/lines-words.js";
import { listen, stepped } from "vitrail/drawings/pointing.js";
import { openStage } from "vitrail/drawings/stage.js";
import { blocksOf, measurer } from "vitrail/drawings/text-blocks.js";
import { meanOf, pieceAt, pieceBeside } from "vitrail/drawings/text-layout.js";
import { HEAD, paintPage, plain, shadedSide } from "vitrail/drawings/text-painting.js";
import { lookedAt } from "vitrail/store.js";

/** @typedef {import("vitrail/types.js").Scene} Scene */
/** @typedef {import("vitrail/drawings/text-painting.js").Block} Block */
/** @typedef {import("vitrail/drawings/text-painting.js").Choice} Choice */
/** @typedef {import("vitrail/drawings/text-painting.js").Page} Page */

/**
 * @param {HTMLElement} element
 * @param {Scene} scene
 * @returns {import("vitrail/types.js").Drawn}
 */
export function render(element, scene) {
  const { store, looks } = scene;
  const memory = (element.parentElement ?? element).dataset;
  const flags = { query: scene.shownQueries, key: scene.shownKeys };
  /** @param {"query" | "key"} role @param {number} position */
  const shownAt = (role, position) => (flags[role][position] ?? 0) !== 0;
  /** @type {Page} */
  const page = { scene, width: 0, room: 0, blocks: [], choice: { from: "none", position: -1, other: -1, values: null, largest: 0, later: -1 }, shownAt };
  /** @type {Choice | null} what each token receives, once it was counted */
  let received = null;
  let gone = false;
  // Attention that is spread evenly shall look so: a shade isn't full because nothing else is fuller.
  const floor = store.get().quantity === "weight" ? { row: FLOOR, received: Math.min(1, 8 / looks[0].keys) } : { row: 0, received: 0 };
  const measure = measurer();
  const control = controls(element, scene, memory, () => choose());
  element.classList.add("text-drawing");

  const stage = openStage(element, {
    name: "text",
    label: `The text, shaded by ${scene.quantity.label}. Arrows choose a token, Enter keeps it.`,
    arrange(width, height) {
      page.width = width;
      page.room = Math.max(40, height - HEAD);
      page.blocks = blocksOf(scene, width, page.room - 24, measure);
      return HEAD + 24 + Math.max(0, ...page.blocks.map(({ size }) => size));
    },
    layers: {
      text(pen, view) {
        placed(view.top);
        paintPage(pen, page);
      },
    },
  });

  /** @param {number} top */
  function placed(top) {
    settle(page.blocks.map(sideOf), page.room - 24, top);
    for (const block of page.blocks) block.begin = 6;
  }

  /** From the store to what is shaded. */
  function choose() {
    const state = store.get();
    const { query, key } = lookedAt(state);
    const here = { query: shownAt("query", query), key: shownAt("key", key) };
    const from = here.query && here.key ? (control.towards() ? "query" : "key") : here.query ? "query" : here.key ? "key" : "none";
    const position = from === "query" ? query : from === "key" ? key : -1;
    const other = from === "query" ? key : from === "key" ? query : -1;
    const later = scene.same || query < 0 ? -1 : query + 1;
    const before = page.choice;
    control.update();
    if (from === "none") page.choice = received ?? { from, position, other, values: null, largest: 0, later };
    else if (before.from === from && before.position === position) page.choice = { ...before, other, later };
    else if (from === "query") page.choice = { from, position, other, later, ...meanOf(looks.map((look) => look.row(position)), (at) => shownAt("key", at), floor.row) };
    else {
      page.choice = { from, position, other, later, values: null, largest: 0 };
      void column(position);
    }
    stage.ask("text");
  }

  /** @param {number} key */
  async function column(key) {
    const rows = await Promise.all(looks.map((look) => look.column(key)));
    if (gone || page.choice.from !== "key" || page.choice.position !== key) return;
    page.choice = { ...page.choice, ...meanOf(rows, (at) => shownAt("query", at), floor.row) };
    stage.ask("text");
  }

  /** What each token receives: shown while none is chosen. */
  async function count() {
    const sums = await Promise.all(looks.map((look) => look.sums()));
    if (gone) return;
    const means = sums.map(({ columns }) => columns.map((sum) => sum / looks[0].queries));
    received = { from: "none", position: -1, other: -1, later: -1, ...meanOf(means, (at) => shownAt("key", at), floor.received) };
    if (page.choice.from === "none") choose();
  }

  /** @param {number} x @param {number} y @returns {import("vitrail/drawings/pointing.js").Picked | null} */
  function pick(x, y) {
    placed(stage.view.top);
    const block = page.blocks.find(({ left, width }) => x >= left - 4 && x <= left + width + 4);
    if (!block || y < HEAD) return null;
    const at = pieceAt(block.flow, x - block.left, Math.floor((y - HEAD - block.begin + block.offset) / block.tall));
    return at < 0 ? null : meant(block, block.flow.pieces[at].position);
  }

  /**
   * What pointing at a token means. While none is kept, it chooses; afterwards it asks what the kept one has to do with it,
   * and a click moves on to it.
   * @param {Block} block @param {number} position
   */
  function meant({ role }, position) {
    const { query, key } = store.get();
    const can = { query: role !== "key" && shownAt("query", position), key: role !== "query" && shownAt("key", position) };
    const side = control.towards() ? (can.query ? "query" : "key") : can.key ? "key" : "query";
    if (!can[side]) return null;
    const lock = { [side]: position };
    if (control.towards() && query >= 0 && can.key) return { query, key: position, lock };
    if (!control.towards() && key >= 0 && can.query) return { query: position, key, lock };
    return side === "query" ? { query: position, key: -1, lock } : { query: -1, key: position, lock };
  }

  /** @param {{query: number, key: number}} now @param {string} arrow */
  function move(now, arrow) {
    const side = control.towards() ? "query" : "key";
    const block = page.blocks.find(({ role }) => role === side || role === "both");
    if (!block || !block.flow.pieces.length) return null;
    const by = arrow === "ArrowUp" || arrow === "ArrowLeft" ? -1 : 1;
    const at = block.flow.place[now[side]] ?? -1;
    const byLine = scene.same && at >= 0 && (arrow === "ArrowUp" || arrow === "ArrowDown");
    const places = block.flow.pieces.map(({ position }) => position).filter((position) => shownAt(side, position));
    const next = byLine ? block.flow.pieces[pieceBeside(block.flow, at, by)].position : stepped(places, now[side], by);
    if (!shownAt(side, next)) return null;
    const line = block.flow.line[block.flow.place[next]];
    const y = line * block.tall - block.offset;
    if (y < 0 || y > page.room - 2 * block.tall) stage.scroll(line * block.tall - page.room / 2);
    return side === "query" ? { query: next, key: -1 } : { query: -1, key: next };
  }

  const unsubscribe = store.subscribe((_, changed) => {
    if (changed.has("hover") || changed.has("query") || changed.has("key")) choose();
  });
  const deaf = listen(stage, { store, pick, move });
  choose();
  void count();

  return {
    cleanup() {
      gone = true;
      unsubscribe();
      deaf();
      stage.cleanup();
      control.bar.remove();
      element.classList.remove("text-drawing");
    },
    paint(pen) {
      placed(stage.view.top);
      paintPage(pen, page);
      return { width: stage.view.width, height: stage.view.height };
    },
    table: () => tableOf(page),
  };
}

/** A block as lines-layout places sides. @param {Block} block */
function sideOf(block) {
  return /** @type {import("vitrail/drawings/lines-layout.js").Side} */ (/** @type {unknown} */ (block));
}

/**
 * The drawing's own control: which way to look, and the step of a summary.
 * @param {HTMLElement} element @param {Scene} scene @param {DOMStringMap} memory @param {() => void} changed
 */
function controls(element, { store, same, queries, shownQueries }, memory, changed) {
  const towards = () => memory.textDirection !== "by";
  /** @param {string} text @param {"to" | "by"} direction */
  const button = (text, direction) =>
    el("button", { type: "button", onclick: () => turn(direction), title: `Shade the text by what the chosen token ${text}` }, text);
  /** @param {"to" | "by"} direction */
  const turn = (direction) => {
    memory.textDirection = direction;
    // What was chosen on one side of a text is now looked at from the other.
    const { query, key } = store.get();
    if (same && direction === "by" && key < 0 && query >= 0) store.set({ key: query, query: -1, hover: null });
    else if (same && direction === "to" && query < 0 && key >= 0) store.set({ query: key, key: -1, hover: null });
    else changed();
  };
  const [to, by] = [button("attends to", "to"), button("is attended by", "by")];
  const bar = el("div", { class: "text-control" }, el("div", { class: "text-ways", role: "group", "aria-label": "which way to look" }, to, by));
  const steps = Array.from(shownQueries.keys()).filter((at) => shownQueries[at]);
  const slider = el("input", { type: "range", min: 0, max: Math.max(0, steps.length - 1), step: 1, value: 0, "aria-label": "step of the generation", oninput: () => store.set({ query: steps[Number(slider.value)], key: -1, hover: null }) });
  const told = el("output", { class: "text-step" });
  if (!same && steps.length > 1) bar.append(el("label", { class: "text-slider" }, "step", slider, told));
  element.append(bar);
  return {
    bar,
    towards,
    update() {
      if (same && to.getAttribute("aria-pressed") === String(towards())) return;
      to.setAttribute("aria-pressed", String(towards()));
      by.setAttribute("aria-pressed", String(!towards()));
      const { query } = lookedAt(store.get());
      const step = steps.indexOf(query);
      if (step >= 0) slider.value = String(step);
      const next = step >= 0 && step + 1 < steps.length ? `, next comes “${plain(queries, steps[step + 1]).slice(0, 24)}”` : "";
      fill(told, step < 0 ? `none of ${steps.length}` : `${step + 1} of ${steps.length}: after “${plain(queries, query).slice(0, 24)}”${next}`);
    },
  };
}

/** @param {Page} page @returns {import("vitrail/types.js").Table} */
function tableOf({ scene, choice, shownAt }) {
  const side = shadedSide(choice);
  const axis = side === "key" ? scene.keys : scene.queries;
  const own = choice.from === "query" ? scene.queries : scene.keys;
  const heads = scene.looks.length > 1 ? ` (mean of ${scene.looks.map((look) => look.name).join(", ")})` : "";
  const caption = {
    none: `What each token receives, mean over all queries: ${scene.quantity.label}${heads}`,
    query: `What token ${choice.position} (${choice.position < 0 ? "" : label(own, choice.position)}) attends to: ${scene.quantity.label}${heads}`,
    key: `What token ${choice.position} (${choice.position < 0 ? "" : label(own, choice.position)}) is attended by: ${scene.quantity.label}${heads}`,
  }[choice.from];
  return {
    caption,
    columns: ["position", "token", scene.quantity.label],
    rows: Array.from({ length: axis.length }, (_, at) => at)
      .filter((at) => shownAt(side, at))
      .map((at) => [at, label(axis, at), choice.values ? exactly(choice.values[at]) : ""]),
  };
}
