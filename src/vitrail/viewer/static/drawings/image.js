/**
 * Image: what a patch looks at, over the picture itself: attended patches keep their own light, the others darken.
 *
 * Head by head, the mean of all heads, or rollout through the layers; of a masked autoencoder also what its encoder saw and
 * what its decoder made of it.
 * @module
 */

import { el, label } from "vitrail/dom.js";
import { widthAt } from "vitrail/drawings/fitting.js";
import { boxAt, layout, sorted, step } from "vitrail/drawings/image-layout.js";
import { scaled } from "vitrail/drawings/image-light.js";
import { chipsOf, picturesOf } from "vitrail/drawings/image-parts.js";
import { paintChips, paintHeads, paintMain } from "vitrail/drawings/image-paint.js";
import { views } from "vitrail/drawings/image-views.js";
import { lowered } from "vitrail/drawings/lowered.js";
import { listen } from "vitrail/drawings/pointing.js";
import { openStage } from "vitrail/drawings/stage.js";

/** @typedef {import("vitrail/types.js").Pen} Pen */
/** @typedef {import("vitrail/types.js").Store} Store */
/** @typedef {import("vitrail/types.js").Look} Look */
/** @typedef {import("vitrail/drawings/image-views.js").Mode} Mode */
/** @typedef {import("vitrail/drawings/image-paint.js").Shown} Shown */

/** What lies below the film, and whose attention it is: kept while heads are stepped through. @type {WeakMap<Store, {mode: Mode, under: string}>} */
const remembered = new WeakMap();
const MODES = /** @type {Record<Mode, string>} */ ({ head: "this head", mean: "all heads", rollout: "rollout" });

/**
 * @param {HTMLElement} element
 * @param {import("vitrail/types.js").Scene} scene
 * @returns {import("vitrail/types.js").Drawn}
 */
export function render(element, scene) {
  const { store, ramp } = scene;
  const found = scene.keys.grid ?? scene.queries.grid;
  if (!found) return nothing(element);
  const grid = found;
  const axis = scene.keys.grid ? scene.keys : scene.queries;
  const asked = remembered.get(store) ?? { mode: /** @type {Mode} */ ("head"), under: "" };
  remembered.set(store, asked);
  const pictures = picturesOf(scene, grid);
  if (!(asked.under in pictures)) asked.under = "";
  // What the encoder saw is what its attention is about.
  const under = () => asked.under || (encoder && "masked" in pictures ? "masked" : (Object.keys(pictures)[0] ?? ""));
  const [queries, keys] = [sorted(scene.queries, grid, scene.shownQueries), sorted(scene.keys, grid, scene.shownKeys)];
  const encoder = axis.hidden?.some((flag, place) => flag !== 0 && queries.at[place] < 0) ?? false;
  const chips = chipsOf(scene, queries, keys);
  /** @type {Look[]} */
  let every = [];
  /** @type {Look | null} */
  let rollout = null;
  /** @type {Map<string, HTMLCanvasElement>} pictures as large as they are drawn */
  const sized = new Map();
  const positions = Array.from(scene.shownQueries.keys()).filter((at) => scene.shownQueries[at]);
  const cls = queries.outside.length && scene.queries.grid ? queries.outside[0] : -1;
  const seen = views({ shown: positions, cls }, () => stage.ask("light"));
  const aspect = axis.patch ? (grid[0] * axis.patch[0]) / (grid[1] * axis.patch[1]) : grid[0] / grid[1];
  /** @type {Shown} */
  const shown = { scene, grid, queries, keys, chips, picture: Object.keys(pictures).length > 0, at: layout({ width: 600, height: 400, grid, aspect, chips: [], pictures: 0, heads: 0 }) };

  let over = false;
  const looked = () => {
    const { hover, query, key } = store.get();
    return hover ? { query: hover.query >= 0 ? hover.query : query, key: hover.key } : { query, key };
  };
  const controls = el("div", { class: "image-controls" });
  element.classList.add("image-root");
  element.append(controls);
  const stage = openStage(element, {
    name: "image",
    label: `${scene.quantity.label} of head ${scene.looks[0].name} over ${scene.picture ? "the picture" : "a grid"} of ${grid[0]} by ${grid[1]} patches. Arrow keys move the patch, Enter keeps it.`,
    layers: { still: paintStill, light: paintLight },
    arrange(width, height) {
      shown.at = layout({
        width,
        height,
        grid,
        aspect,
        chips: chips.map(({ text }) => Math.ceil(widthAt(text, 12)) + 18),
        pictures: Object.keys(pictures).length,
        heads: every.length > 1 ? every.length : 0,
      });
      return shown.at.height;
    },
  });

  /** @param {string} name @param {number} width @param {number} height */
  function picture(name, width, height) {
    const id = `${name} ${Math.round(width)} ${window.devicePixelRatio}`;
    let found = sized.get(id);
    if (!found) sized.set(id, (found = scaled(pictures[name], { grid, patch: name === "masked" ? null : axis.patch }, width, height)));
    return found;
  }

  /** @param {Pen} pen @param {{top: number} | null} view null: all of it, for a file */
  function paintStill(pen, view) {
    const moved = lowered(pen, -(view?.top ?? 0));
    const { main, heads, titles } = shown.at;
    const name = under();
    if (name) {
      moved.image(picture(name, main.width, main.height), main.x, main.y, main.width, main.height);
      for (const box of heads) moved.image(picture(name, box.width, box.height), box.x, box.y, box.width, box.height);
    }
    for (const [place, box] of shown.at.pictures.entries()) {
      const one = Object.keys(pictures)[place];
      const chosen = one === name;
      moved.image(picture(one, box.width, box.height), box.x, box.y, box.width, box.height);
      if (chosen) moved.frame(box.x - 1.5, box.y - 1.5, box.width + 3, box.height + 3, ramp.accent, 2.5);
      moved.text(one, box.x + box.width / 2, box.y + box.height + 10, { size: 11.5, colour: chosen ? ramp.accent : ramp.quiet, align: "center", weight: chosen ? 600 : 400 });
    }
    if (shown.at.pictures.length) moved.text("over which picture", titles.x, titles.pictures + 6, { size: 12, colour: ramp.quiet });
    if (heads.length) moved.text(`heads of layer ${scene.looks[0].name.split(".")[0]}`, titles.x, titles.heads + 6, { size: 12, colour: ramp.quiet });
  }

  /** @param {number} query */
  function current(query) {
    if (asked.mode === "mean" && every.length > 1) return seen.mean(every, query);
    return seen.values(asked.mode === "rollout" && rollout ? rollout : scene.looks[0], query);
  }

  /** @param {Pen} pen @param {{top: number} | null} view null: all of it, for a file */
  function paintLight(pen, view) {
    const moved = lowered(pen, -(view?.top ?? 0));
    const { query, key } = looked();
    const resting = cls >= 0 ? label(scene.queries, cls) : `mean of ${positions.length} ${scene.queries.kind === "patches" ? "patches" : "queries"}`;
    const values = positions.length ? current(query) : null;
    paintMain(moved, shown, { values, query, key, resting, hint: view !== null });
    paintChips(moved, shown, { values, query: query >= 0 ? query : cls, key });
    paintHeads(moved, shown, every.length > 1 ? every.map((look) => ({ name: String(look.head), chosen: asked.mode === "head" && look.head === scene.looks[0].head, values: seen.values(look, query) })) : []);
  }

  /** @param {number} x @param {number} y */
  function pick(x, y) {
    const down = y + stage.view.top;
    const { main, cellX, cellY } = shown.at;
    const chip = chips[boxAt(shown.at.chips, x, down)];
    const inside = boxAt([main], x, down) === 0;
    const place = inside ? Math.floor((down - main.y) / cellY) * grid[1] + Math.floor((x - main.x) / cellX) : -1;
    stage.pane.style.cursor = inside || chip || boxAt([...shown.at.heads, ...shown.at.pictures], x, down) >= 0 ? "pointer" : "";
    const [asks, answers] = chip ? [chip.query, chip.key] : inside ? [queries.at[place], keys.at[place]] : [-1, -1];
    if (asks < 0 && answers < 0) return null;
    const kept = store.get().query;
    if (asks < 0) return { query: kept, key: answers, lock: { key: answers } };
    // While a query is kept, pointing asks what it gives to others.
    return { query: kept >= 0 ? kept : asks, key: kept >= 0 ? answers : -1, lock: { query: asks } };
  }

  /** @param {Partial<{mode: Mode, under: string}>} patch */
  function change(patch) {
    Object.assign(asked, patch);
    showControls();
    stage.ask("still", "light");
  }

  function showControls() {
    const modes = /** @type {Mode[]} */ (["head", ...(every.length > 1 ? ["mean"] : []), ...(scene.rollout ? ["rollout"] : [])]);
    controls.replaceChildren(
      ...(modes.length > 1 ? modes.map((mode) => el("button", { "aria-pressed": String(asked.mode === mode), title: TOLD[mode], onclick: () => choose(mode) }, MODES[mode])) : []),
      ...(Object.keys(pictures).length > 1 ? [el("span", { class: "image-over" }, "over the"), ...Object.keys(pictures).map((name) => el("button", { "aria-pressed": String(under() === name), onclick: () => change({ under: name }) }, name))] : []),
    );
    controls.hidden = !controls.children.length;
  }

  /** @param {Mode} mode */
  function choose(mode) {
    change({ mode });
    if (mode === "rollout" && !rollout && scene.rollout) {
      scene.rollout().then(
        (look) => {
          rollout = look;
          if (!over) stage.ask("light");
        },
        () => change({ mode: "head" }),
      );
    }
  }

  showControls();
  const unlisten = listen(stage, {
    store,
    pick,
    press(x, y) {
      const down = y + stage.view.top;
      const head = boxAt(shown.at.heads, x, down);
      const below = boxAt(shown.at.pictures, x, down);
      if (below >= 0) change({ under: Object.keys(pictures)[below] });
      else if (head >= 0) {
        asked.mode = "head";
        store.set({ head: every[head].head, heads: [every[head].head] });
        change({});
      }
      return head >= 0 || below >= 0;
    },
    move(now, arrow) {
      const kept = store.get().query;
      const side = kept >= 0 ? "key" : "query";
      // The first step to a key begins at the query's own place.
      const own = kept >= 0 && queries.places[kept] >= 0 ? keys.at[queries.places[kept]] : -1;
      const found = side === "key" ? step(keys, now.key >= 0 ? now.key : own, arrow, grid) : step(queries, now.query, arrow, grid);
      return side === "key" ? { query: kept, key: found } : { query: found, key: -1 };
    },
  });
  const unsubscribe = store.subscribe((_, changed) => {
    if (["hover", "query", "key", "pin"].some((one) => changed.has(/** @type {keyof import("vitrail/types.js").State} */ (one)))) stage.ask("light");
  });
  scene.every?.().then((looks) => {
    if (over) return;
    every = looks;
    showControls();
    stage.arrange();
  }, () => undefined);
  if (asked.mode === "rollout") choose("rollout");

  return {
    cleanup() {
      over = true;
      seen.stop();
      unsubscribe();
      unlisten();
      stage.cleanup();
      controls.remove();
      element.classList.remove("image-root");
    },
    paint(pen) {
      paintStill(pen, null);
      paintLight(pen, null);
      const boxes = [shown.at.main, ...shown.at.chips, ...shown.at.heads, ...shown.at.pictures];
      return { width: Math.max(...boxes.map(({ x, width }) => x + width), 240) + 16, height: shown.at.height };
    },
    table() {
      const { query } = looked();
      const values = current(query);
      const who = query >= 0 ? label(scene.queries, query) : cls >= 0 ? label(scene.queries, cls) : "all queries, on average";
      return {
        caption: `${scene.quantity.label}, ${MODES[asked.mode]} (${scene.looks[0].name}): what ${who} looks at`,
        columns: ["key", "row", "column", "value"],
        rows: Array.from({ length: scene.keys.length }, (_, key) => key)
          .filter((key) => scene.shownKeys[key])
          .map((key) => {
            const place = keys.places[key];
            return [label(scene.keys, key), place < 0 ? "" : Math.floor(place / grid[1]), place < 0 ? "" : place % grid[1], values ? values[key] : Number.NaN];
          }),
      };
    },
  };
}

const TOLD = /** @type {Record<Mode, string>} */ ({
  head: "What this head looks at",
  mean: "The mean over all heads of this layer",
  rollout: "What has reached this place through all layers up to this one, the residual connection as half of each",
});

/** @param {HTMLElement} element @returns {import("vitrail/types.js").Drawn} */
function nothing(element) {
  const said = el("div", { class: "image-empty" }, "Nothing in this stream is a patch of a picture: choose another drawing, or another stream.");
  element.append(said);
  return { cleanup: () => said.remove(), paint: () => ({ width: 1, height: 1 }), table: () => ({ caption: "no picture", columns: [], rows: [] }) };
}
