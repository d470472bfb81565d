/**
 * The page: opens traces, keeps what is looked at in the address, and hands each view what it draws.
 * @module
 */

import { headColours, ramp as rampOf } from "vitrail/colour.js";
import { el, fill } from "vitrail/dom.js";
import { render as arithmetic } from "vitrail/drawings/arithmetic.js";
import { render as atlas } from "vitrail/drawings/atlas.js";
import { render as image } from "vitrail/drawings/image.js";
import { render as lines } from "vitrail/drawings/lines.js";
import { render as matrix } from "vitrail/drawings/matrix.js";
import { render as model } from "vitrail/drawings/model.js";
import { render as text } from "vitrail/drawings/text.js";
import { exportCsv, exportPng, exportSvg } from "vitrail/exporting.js";
import { header } from "vitrail/header.js";
import { inspector } from "vitrail/inspector.js";
import { help, keyboard } from "vitrail/keys.js";
import { live } from "vitrail/live.js";
import { lookOf, QUANTITIES, quantities } from "vitrail/looks.js";
import { headMap } from "vitrail/map.js";
import { byNumber, byRole, changeOf, linkOf, mapChoices, scoreOf } from "vitrail/mapping.js";
import { rolesOf } from "vitrail/roles.js";
import { comparable, drawingsOf, fitting, makeScene } from "vitrail/scene.js";
import { scoreLabel } from "vitrail/sentences.js";
import { fileSource, sourceOf } from "vitrail/source.js";
import { createStore, fromAddress, toAddress } from "vitrail/store.js";
import { toolbar } from "vitrail/toolbar.js";
import { startTour } from "vitrail/tour.js";
import { openTrace } from "vitrail/trace.js";
import { crew as makeCrew } from "vitrail/worker.js";

/** @typedef {import("vitrail/types.js").State} State */
/** @typedef {import("vitrail/trace.js").OpenTrace} OpenTrace */
/** @typedef {import("vitrail/types.js").Drawn} Drawn */

const SCENES = { lines, matrix, text, image, arithmetic };
const OVERVIEWS = { model, atlas };
const VISITED = "vitrail-visited";

/**
 * Start the page.
 * @param {import("vitrail/types.js").Config} config
 */
export function boot(config) {
  /** @type {Map<string, import("vitrail/types.js").Source>} */
  const sources = new Map(config.sources.map((one) => [one.id, sourceOf(one)]));
  /** @type {Map<string, Promise<OpenTrace>>} */
  const opened = new Map();
  const crew = makeCrew();
  const store = createStore({ trace: config.sources[0]?.id ?? "", theme: preferred(), ...fromAddress(location.hash) });
  if (!sources.has(store.get().trace)) store.set({ trace: config.sources[0]?.id ?? "" });

  const parts = layout();
  const tools = [
    { label: "Open", title: "Open a trace file (or drop one anywhere)", run: () => parts.file.click() },
    { label: "Tour", title: "A short tour", run: () => startTour(store, about) },
    { label: "◐", title: "Light or dark", run: () => store.set({ theme: themeOf(store.get()) === "dark" ? "light" : "dark" }) },
    { label: "?", title: "Keys", run: () => help(store) },
  ];
  const top = header(parts.header, { store, listed: () => [...sources].map(([id, { name }]) => ({ id, name })), tools });
  const map = headMap(parts.map, store);
  const side = inspector(parts.inspector, store);
  const bar = toolbar(parts.toolbar, store, [
    { label: "SVG", title: "Save what is seen as SVG", run: () => drawn && exportSvg(drawn, fileName(), paper()) },
    { label: "PNG", title: "Save what is seen as PNG", run: () => drawn && exportPng(drawn, fileName(), paper()) },
    { label: "CSV", title: "Save the numbers as CSV", run: () => drawn && exportCsv(drawn.table(), fileName()) },
  ]);

  /** @type {Drawn | null} */
  let drawn = null;
  /** @type {{trace: OpenTrace, other: OpenTrace | null} | null} */
  let current = null;
  let turn = 0;

  const fileName = () => `${store.get().drawing} ${store.get().stream} ${store.get().layer}.${store.get().head}`;
  const paper = () => rampOf(themeOf(store.get())).paper;

  /** @param {string} id @returns {Promise<OpenTrace | null>} */
  async function open(id) {
    const source = sources.get(id);
    if (!source) return null;
    let found = opened.get(id);
    if (!found) opened.set(id, (found = openTrace(source)));
    try {
      return await found;
    } catch (error) {
      opened.delete(id);
      throw error;
    }
  }

  /** @param {import("vitrail/types.js").Source} source @param {string} id */
  function add(source, id) {
    sources.set(id, source);
    opened.delete(id);
    store.set({ trace: id, other: store.get().other === id ? "" : store.get().other, pin: null, query: -1, key: -1, hover: null });
    show();
  }

  /** Draw everything anew; a later call overtakes an earlier one that still waits for numbers. */
  async function show() {
    turn += 1;
    const mine = turn;
    try {
      const state = store.get();
      const [first, second] = await Promise.all([open(state.trace), open(state.other)]);
      if (mine !== turn) return;
      if (!first) {
        nothing();
        return;
      }
      const swap = state.swapped && second !== null;
      const [trace, other] = swap ? [second, first] : [first, second];
      current = { trace, other };
      const patch = fitting(state, trace, other);
      if (Object.keys(patch).length) {
        store.set(patch);
        return;
      }
      top.update(first, second);
      await paint(trace, other, mine);
      parts.notice.hidden = true;
    } catch (error) {
      if (mine === turn) notice(error);
    }
  }

  /** @param {OpenTrace} trace @param {OpenTrace | null} other @param {number} mine */
  async function paint(trace, other, mine) {
    const state = store.get();
    const theme = themeOf(state);
    const inks = rampOf(theme);
    const stream = trace.stream(state.stream);
    const layer = stream.layers[state.layer];
    const there = other?.streams.find(({ name, layers }) => name === stream.name && layers.length === stream.layers.length) ?? null;
    const roles = rolesOf(stream, theme);
    const colours = headColours(layer.heads, theme);
    const scene = await makeScene(store, trace, other, { crew, ramp: inks, colours });
    const mapped = await mapOf(trace, stream, there, roles, inks);
    if (mine !== turn) return;
    bar.update({
      drawings: drawingsOf(trace, stream.name, state.layer),
      quantities: quantities(layer, comparable(other, stream.name, state.layer, state.head)).map((quantity) => ({ quantity, label: QUANTITIES[quantity].label })),
      heads: layer.heads,
      colours,
      pairs: scene.queries.segments?.some((one) => one === 1) ?? false,
      words: scene.queries.words !== null || scene.keys.words !== null || state.words,
      special: trace.axis(layer.queryAxis).special?.some(Boolean) ?? false,
    });
    map.update(mapped, inks, { streams: trace.streams.map(({ name }) => name), scores: mapChoices(stream, there) });
    side.update({ scene, layer, keys: trace.axis(layer.keyAxis), role: roles(state.layer, state.head), provenance: trace.provenance, actions: actions() });
    drawn?.cleanup();
    const place = el("div", { class: "drawing" });
    fill(parts.stage, place);
    const overview = state.drawing === "model" || state.drawing === "atlas";
    drawn = overview
      ? OVERVIEWS[/** @type {"model" | "atlas"} */ (state.drawing)](place, { store, stream, ramp: inks, roles })
      : SCENES[/** @type {keyof typeof SCENES} */ (state.drawing)](place, scene);
    parts.stage.setAttribute("aria-labelledby", `tab-${state.drawing}`);
    describe();
    document.dispatchEvent(new CustomEvent("vitrail-drawn", { detail: { drawing: state.drawing } }));
  }

  /**
   * @param {OpenTrace} trace @param {import("vitrail/types.js").Stream} stream @param {import("vitrail/types.js").Stream | null} there
   * @param {ReturnType<typeof rolesOf>} roles @param {import("vitrail/types.js").Ramp} inks
   */
  async function mapOf(trace, stream, there, roles, inks) {
    const { pin, score, quantity, words } = store.get();
    if (pin && !words) {
      const shown = quantity === "difference" ? "weight" : quantity;
      const values = await linkOf(trace, stream, (head, layer, index) => lookOf(head, shown, crew, `${layer}.${index}`, index).entry(pin[0], pin[1]));
      return byNumber(stream, `${QUANTITIES[shown].label} of the pinned link`, values, inks, { signed: values.some((row) => row.some((value) => value < 0)), unpin: () => store.set({ pin: null }) });
    }
    if (score === "change" && there) return byNumber(stream, "share that went elsewhere", changeOf(stream, there), inks);
    const known = mapChoices(stream, there).some(({ name }) => name === score);
    return score === "role" || !known || score === "change" ? byRole(stream, roles) : byNumber(stream, scoreLabel(score), scoreOf(stream, score), inks);
  }

  /** What a live model can be asked about the chosen head. */
  function actions() {
    const ablate = config.live?.ablate;
    if (!ablate || !store.get().trace.startsWith("live-")) return [];
    return /** @type {const} */ (["zero", "mean"]).map((kind) => ({
      label: kind === "zero" ? "Without this head" : "With its mean only",
      title: "Run the model again with this head switched off, and say what changes",
      run: () => live.ablate(config, { trace: store.get().trace, stream: store.get().stream, layer: store.get().layer, head: store.get().head, kind }),
    }));
  }

  /** The table behind the picture, for those who don't see it; made when nothing else is to do. */
  function describe() {
    const asked = drawn;
    const later = window.requestIdleCallback ?? ((/** @type {() => void} */ run) => setTimeout(run, 200));
    later(() => {
      if (asked !== drawn || !asked) return;
      const { caption, columns, rows } = asked.table();
      const some = rows.slice(0, 200);
      fill(
        parts.behind,
        el(
          "table",
          {},
          el("caption", {}, rows.length > some.length ? `${caption} (the first ${some.length} of ${rows.length} rows; CSV has all)` : caption),
          el("thead", {}, el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column)))),
          el("tbody", {}, ...some.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, String(cell)))))),
        ),
      );
    });
  }

  /** @returns {import("vitrail/tour.js").About | null} */
  function about() {
    if (!current) return null;
    const { trace } = current;
    const stream = trace.stream(store.get().stream);
    const layer = stream.layers[0];
    const twin = [...sources].find(([id, { name }]) => id !== store.get().trace && /untrained|twin/.test(name))?.[0] ?? store.get().other;
    return { stream, queries: trace.axis(layer.queryAxis), twin, best: (score) => bestHead(stream, score) };
  }

  function nothing() {
    top.update(null, null);
    fill(
      parts.stage,
      el("div", { class: "empty" }, el("p", {}, "No trace is open."), el("p", {}, "Drop a .safetensors file that vitrail attend wrote, or choose one with Open.")),
    );
  }

  /** @param {unknown} error */
  function notice(error) {
    parts.notice.hidden = false;
    fill(parts.notice, error instanceof Error ? error.message : String(error));
  }

  /** @param {File} file */
  function take(file) {
    add(fileSource(file), `file-${file.name}-${file.size}-${file.lastModified}`);
  }

  let frame = 0;
  store.subscribe((state, changed) => {
    if ([...changed].every((name) => name === "hover")) return;
    // Within a sandboxed frame there is no address to write.
    try {
      history.replaceState(null, "", `#${toAddress(state)}`);
    } catch {
      // The state is then kept by the page alone.
    }
    if (changed.has("theme")) remember(state.theme);
    document.documentElement.dataset.theme = themeOf(state);
    config.selected?.(state);
    if ([...changed].every((name) => name === "hover" || name === "query" || name === "key")) return;
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => void show());
  });
  window.addEventListener("hashchange", () => store.set({ ...fromAddress(location.hash) }));
  keyboard(store, () => current);
  parts.file.addEventListener("change", () => parts.file.files?.[0] && take(parts.file.files[0]));
  dropping(take);
  if (config.live) live.render(parts.live, { config, store, open: add });
  document.documentElement.dataset.theme = themeOf(store.get());
  void show().then(() => {
    if (config.tour && !location.hash && !visited()) startTour(store, about);
  });
  return { store, open: add, show };
}

/** The rooms of the page. */
function layout() {
  const file = el("input", { type: "file", accept: ".safetensors", class: "unseen", tabindex: -1, "aria-label": "a trace file" });
  const parts = {
    header: el("header"),
    map: el("nav", { class: "map", "aria-label": "all heads" }),
    live: el("div", { class: "live" }),
    toolbar: el("div", { class: "toolbar" }),
    stage: el("div", { class: "stage", id: "stage", role: "tabpanel" }),
    behind: el("div", { class: "unseen", "aria-label": "the picture as numbers", role: "region" }),
    notice: el("div", { class: "notice", role: "alert", hidden: true }),
    inspector: el("aside", { "aria-label": "inspector" }),
    file,
  };
  const main = el("main", {}, parts.live, parts.toolbar, parts.stage, parts.behind, parts.notice, file);
  document.body.replaceChildren(parts.header, parts.map, main, parts.inspector);
  return parts;
}

/** @param {(file: File) => void} take */
function dropping(take) {
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const file = [...(event.dataTransfer?.files ?? [])].find(({ name }) => name.endsWith(".safetensors"));
    if (file) take(file);
  });
}

/**
 * The head with the most of a score, over what uniform attention has.
 * @param {import("vitrail/types.js").Stream} stream @param {string} score
 */
function bestHead(stream, score) {
  /** @type {{layer: number, head: number, value: number} | null} */
  let best = null;
  for (const [layer, values] of scoreOf(stream, score).entries()) {
    for (const [head, value] of values.entries()) {
      if (Number.isFinite(value) && (best === null || value > best.value)) best = { layer, head, value };
    }
  }
  return best;
}

/** @param {State} state @returns {"light" | "dark"} */
function themeOf(state) {
  if (state.theme === "light" || state.theme === "dark") return state.theme;
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// What a person chose before; a sandboxed frame has no such memory.

function preferred() {
  try {
    return localStorage.getItem("vitrail-theme") ?? "";
  } catch {
    return "";
  }
}

/** @param {string} theme */
function remember(theme) {
  try {
    localStorage.setItem("vitrail-theme", theme);
  } catch {
    // Then it lasts as long as the page.
  }
}

function visited() {
  try {
    const before = localStorage.getItem(VISITED) !== null;
    localStorage.setItem(VISITED, "1");
    return before;
  } catch {
    return true;
  }
}
