/**
 * One look: from the state to the drawing, the map, the toolbar and the inspector.
 * @module
 */

import { headColours, ramp as rampOf } from "vitrail/colour.js";
import { el, fill } from "vitrail/dom.js";
import { themeOf } from "vitrail/habits.js";
import { asTable } from "vitrail/layout.js";
import { lookOf, QUANTITIES, quantities } from "vitrail/looks.js";
import { byNumber, byRole, changeOf, linkOf, mapChoices, scoreOf } from "vitrail/mapping.js";
import { rolesOf } from "vitrail/roles.js";
import { comparable, drawingsOf, makeScene } from "vitrail/scene.js";
import { scoreLabel } from "vitrail/sentences.js";

/** @typedef {import("vitrail/types.js").OpenTrace} OpenTrace */
/** @typedef {import("vitrail/types.js").Stream} Stream */
/** @typedef {import("vitrail/types.js").Drawn} Drawn */
/** @typedef {import("vitrail/types.js").Ramp} Ramp */

/** Each comes when it is asked for: the first picture needn't wait for all seven. */
const SCENES = {
  lines: () => import("vitrail/drawings/lines.js"),
  matrix: () => import("vitrail/drawings/matrix.js"),
  text: () => import("vitrail/drawings/text.js"),
  image: () => import("vitrail/drawings/image.js"),
  arithmetic: () => import("vitrail/drawings/arithmetic.js"),
};
const OVERVIEWS = {
  model: () => import("vitrail/drawings/model.js"),
  atlas: () => import("vitrail/drawings/atlas.js"),
};
/** Milliseconds after which what is locked is taken as chosen, and the table behind the picture follows. */
const SETTLED = 250;
/** Milliseconds that it waits for a moment in which nothing else is to do. */
const LATEST = 1000;

/** @typedef {(place: HTMLElement, scene: import("vitrail/types.js").Scene, overview: import("vitrail/types.js").Overview) => Drawn} Drawer */

/** @param {import("vitrail/types.js").Drawing} drawing @returns {Promise<Drawer>} */
async function drawerOf(drawing) {
  if (drawing === "model" || drawing === "atlas") {
    const { render } = await OVERVIEWS[drawing]();
    return (place, _, overview) => render(place, overview);
  }
  const { render } = await SCENES[drawing]();
  return render;
}

/** @param {() => void} run */
function whenIdle(run) {
  if (window.requestIdleCallback) window.requestIdleCallback(run, { timeout: LATEST });
  else setTimeout(run, SETTLED);
}

/**
 * @typedef {Object} Rooms
 * @property {ReturnType<typeof import("vitrail/layout.js").layout>} parts
 * @property {ReturnType<typeof import("vitrail/map.js").headMap>} map
 * @property {ReturnType<typeof import("vitrail/toolbar.js").toolbar>} bar
 * @property {ReturnType<typeof import("vitrail/inspector.js").inspector>} side
 * @property {() => import("vitrail/inspector.js").Inspected["actions"]} actions
 */

/**
 * @param {import("vitrail/types.js").Store} store
 * @param {Rooms} rooms
 * @param {import("vitrail/types.js").Crew} crew
 */
export function painter(store, { parts, map, bar, side, actions }, crew) {
  /** @type {Drawn | null} */
  let drawn = null;
  let settling = 0;
  let fetched = false;
  store.subscribe((_, changed) => {
    if (!changed.has("query") && !changed.has("key")) return;
    clearTimeout(settling);
    settling = setTimeout(() => describe(drawn), SETTLED);
  });

  /**
   * Draw a trace, beside another; gives up where `stale` says that something else is asked for by now.
   * @param {OpenTrace} trace @param {OpenTrace | null} other @param {() => boolean} stale
   */
  async function paint(trace, other, stale) {
    const state = store.get();
    const coming = drawerOf(state.drawing);
    const theme = themeOf(state);
    const ramp = rampOf(theme);
    const stream = trace.stream(state.stream);
    const layer = stream.layers[state.layer];
    const there = other?.streams.find(({ name, layers }) => name === stream.name && layers.length === stream.layers.length) ?? null;
    const roles = rolesOf(stream, theme);
    const colours = headColours(layer.heads, theme);
    const scene = await makeScene(store, trace, other, { crew, ramp, colours });
    const mapped = await mapOf(trace, stream, there, roles, ramp);
    const predictions = await trace.predictions(stream.name);
    const drawer = await coming;
    if (stale()) return;
    crew.drop(); // what the last picture still waits for
    const keys = trace.axis(layer.keyAxis);
    bar.update({
      drawings: drawingsOf(trace, stream.name, state.layer),
      quantities: quantities(layer, comparable(other, stream.name, state.layer, state.head)).map((quantity) => ({ quantity, label: QUANTITIES[quantity].label })),
      heads: layer.heads,
      colours,
      pairs: [scene.queries, scene.keys].some(({ segments }) => segments?.includes(1)),
      words: state.words || [scene.queries, scene.keys].some(({ words }) => words !== null && new Set(words).size < words.length),
      special: [trace.axis(layer.queryAxis), keys].some(({ special }) => special?.some(Boolean)),
    });
    map.update(mapped, ramp, { streams: trace.streams.map(({ name }) => name), scores: mapChoices(stream, there) });
    side.update({ scene, layer, keys, role: roles[state.layer][state.head], provenance: trace.provenance, predictions, actions: actions() });
    draw(state.drawing, drawer, scene, { store, stream, ramp, roles });
  }

  /** @param {import("vitrail/types.js").Drawing} drawing @param {Drawer} drawer @param {import("vitrail/types.js").Scene} scene @param {import("vitrail/types.js").Overview} overview */
  function draw(drawing, drawer, scene, overview) {
    const focused = parts.stage.contains(document.activeElement);
    drawn?.cleanup();
    const place = el("div", { class: "drawing" });
    fill(parts.stage, place);
    drawn = drawer(place, scene, overview);
    parts.stage.setAttribute("aria-labelledby", `tab-${drawing}`);
    delete parts.stage.dataset.focused; // what the last drawing told this one
    // Who steps through layers with a drawing in focus goes on in the next one; some see to it themselves.
    if (focused && !place.contains(document.activeElement)) /** @type {HTMLElement | null} */ (place.querySelector("[tabindex]") ?? (place.tabIndex >= 0 ? place : null))?.focus({ preventScroll: true });
    describe(drawn);
    fetchOthers();
    document.dispatchEvent(new CustomEvent("vitrail-drawn", { detail: { drawing } }));
  }

  /** The drawings that weren't asked for yet, so that the next one is there at once, also if the server is gone by then. */
  function fetchOthers() {
    if (fetched) return;
    fetched = true;
    whenIdle(() => [...Object.values(SCENES), ...Object.values(OVERVIEWS)].forEach((fetch) => void fetch().catch(() => {}))); // one that fails is asked for when it is looked at
  }

  /** The table behind the picture, made when nothing else is to do. @param {Drawn | null} asked */
  function describe(asked) {
    whenIdle(() => {
      if (asked && asked === drawn) fill(parts.behind, asTable(asked.table()));
    });
  }

  /** @param {OpenTrace} trace @param {Stream} stream @param {Stream | null} there @param {import("vitrail/types.js").Named[][]} roles @param {Ramp} ramp */
  async function mapOf(trace, stream, there, roles, ramp) {
    const { pin, score, quantity, words } = store.get();
    if (pin && !words) {
      const shown = quantity === "difference" ? "weight" : quantity;
      const values = await linkOf(trace, stream, pin, (link, layer, index) => lookOf(link, shown, crew, `${layer}.${index}`, index).entry(0, 0));
      const label = `${QUANTITIES[shown].label} of the pinned link`;
      return byNumber(stream, label, values, ramp, { signed: QUANTITIES[shown].signed, unpin: () => store.set({ pin: null }) });
    }
    if (score === "change" && there) return byNumber(stream, "share that went elsewhere", changeOf(stream, there), ramp);
    const known = score !== "role" && score !== "change" && mapChoices(stream, there).some(({ name }) => name === score);
    return known ? byNumber(stream, scoreLabel(score), scoreOf(stream, score), ramp) : byRole(stream, roles);
  }

  return { paint, drawn: () => drawn, paper: () => rampOf(themeOf(store.get())).paper };
}
