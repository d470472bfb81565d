/**
 * The page: opens traces, keeps what is looked at in the address, and draws anew when that changes.
 * @module
 */

import { keepAddress } from "vitrail/address.js";
import { el, fill, shown } from "vitrail/dom.js";
import { exportCsv, exportPng, exportSvg } from "vitrail/exporting.js";
import { chosenTheme, firstVisit, keepTheme, themeOf } from "vitrail/habits.js";
import { header } from "vitrail/header.js";
import { grow } from "vitrail/hosts.js";
import { inspector } from "vitrail/inspector.js";
import { help, keyboard } from "vitrail/keys.js";
import { dropping, layout } from "vitrail/layout.js";
import { live } from "vitrail/live.js";
import { headMap } from "vitrail/map.js";
import { scoreOf } from "vitrail/mapping.js";
import { painter } from "vitrail/painter.js";
import { readiness } from "vitrail/readiness.js";
import { fitting } from "vitrail/scene.js";
import { scrubber } from "vitrail/scrubber.js";
import { before, seriesOf } from "vitrail/series.js";
import { fileSource } from "vitrail/source.js";
import { createStore, restored } from "vitrail/store.js";
import { toolbar } from "vitrail/toolbar.js";
import { startTour } from "vitrail/tour.js";
import { openTrace } from "vitrail/trace.js";
import { crew as makeCrew } from "vitrail/worker.js";

/** @typedef {import("vitrail/types.js").OpenTrace} OpenTrace */
/** @typedef {import("vitrail/types.js").Source} Source */

const NOWHERE = { pin: null, query: -1, key: -1, hover: null };
/** Traces that stay open: each keeps its beginning and the heads that were looked at. */
const MOST_OPEN = 6;

/**
 * Start the page.
 * @param {import("vitrail/hosts.js").Config} config
 */
export function boot(config) {
  /** @type {Map<string, {name: string, source: Source} & import("vitrail/series.js").Known>} */
  const offered = new Map(config.sources.map((entry) => [entry.id, entry]));
  /** @type {Map<string, Promise<OpenTrace>>} the one that was used last at the end */
  const opened = new Map();
  const listed = config.sources.find(({ error }) => !error)?.id ?? config.sources[0]?.id ?? "";
  const first = seriesOf(offered, listed).at(-1)?.id ?? listed; // of a run, how far it has come
  const asked = location.hash.length > 1;
  const store = createStore({ theme: chosenTheme(), ...addressed(location.hash) });
  /** @type {{trace: OpenTrace, other: OpenTrace | null} | null} */
  let current = null;
  let turn = 0;

  const parts = layout();
  const stage = readiness(parts.stage);
  const top = header(parts.header, {
    store,
    listed: () => [...offered].map(([id, { name }]) => ({ id, name })),
    tools: [
      { label: "Open", title: "Open a trace file (or drop one anywhere)", run: () => parts.file.click() },
      { label: "Tour", title: "A short tour of the questions that this trace can answer", run: () => startTour(store, about) },
      { label: "◐", title: "Light or dark", run: () => store.set({ theme: themeOf(store.get()) === "dark" ? "light" : "dark" }) },
      { label: "?", title: "Keys", run: () => help(store) },
    ],
  });
  const map = headMap(parts.map, store);
  const side = inspector(parts.inspector, store);
  const scrub = scrubber(parts.scrubber, store);
  const bar = toolbar(parts.toolbar, store, [
    { label: "SVG", title: "Save what is seen as SVG", run: () => saving((drawn) => exportSvg(drawn, fileName(), paint.paper())) },
    { label: "PNG", title: "Save what is seen as PNG", run: () => saving((drawn) => exportPng(drawn, fileName(), paint.paper())) },
    { label: "CSV", title: "Save the numbers as CSV", run: () => saving((drawn) => exportCsv(drawn.table(), fileName())) },
  ]);
  const paint = painter(store, { parts, map, bar, side, actions }, makeCrew());

  /** What an address says, of the traces that there are. @param {string} hash */
  function addressed(hash) {
    const { trace, other, ...state } = restored(hash);
    return { ...state, trace: offered.has(trace) ? trace : first, other: offered.has(other) ? other : "" };
  }

  function fileName() {
    const { drawing, stream, layer, head } = store.get();
    return `${drawing} ${stream} ${layer}.${head}`;
  }

  /**
   * What is asked for while something else is still drawn is what will be seen then: no click is lost.
   * @param {(drawn: import("vitrail/types.js").Drawn) => unknown} save
   */
  async function saving(save) {
    try {
      await stage.wait();
      const drawn = paint.drawn();
      if (!drawn) throw new Error("Nothing is drawn that could be saved: open a trace first.");
      await save(drawn);
    } catch (error) {
      say(error);
    }
  }

  /** One sentence over the drawing; the next drawing takes it away. @param {unknown} error */
  function say(error) {
    parts.notice.hidden = false;
    fill(parts.notice, shown(error instanceof Error ? error.message : String(error)), el("button", { title: "Take this notice away", onclick: () => (parts.notice.hidden = true) }, "Close"));
  }

  /** @param {string} id @returns {Promise<OpenTrace | null>} */
  async function open(id) {
    const entry = offered.get(id);
    if (!entry) return null;
    if (entry.error) throw new Error(entry.error);
    const found = opened.get(id) ?? openTrace(entry.source);
    opened.delete(id);
    opened.set(id, found);
    for (const old of [...opened.keys()].slice(0, -MOST_OPEN)) opened.delete(old);
    try {
      const trace = await found;
      const { model, texts, step } = trace.provenance;
      if (step !== null) Object.assign(entry, { model, texts: texts.map((text) => text.slice(0, 200)), step });
      return trace;
    } catch (error) {
      opened.delete(id);
      throw error;
    }
  }

  /**
   * Offer a trace and look at it; what can't be read is said, and what is looked at stays.
   * @param {Source} source @param {string} id
   */
  async function add(source, id) {
    const before = offered.get(id);
    offered.set(id, { name: source.name, source });
    opened.delete(id);
    try {
      await open(id);
    } catch (error) {
      if (before) offered.set(id, before);
      else offered.delete(id);
      say(error);
      return;
    }
    store.set({ trace: id, other: store.get().other === id ? "" : store.get().other, ...NOWHERE });
    soon();
  }

  let frame = 0;
  /** Draw everything anew in the next frame. */
  function soon() {
    stage.busy();
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      frame = 0;
      void show();
    });
  }

  /** Draw everything anew; a later call overtakes one that still waits for numbers. */
  async function show() {
    turn += 1;
    const mine = turn;
    // What waits for its frame will be drawn anew: until then nothing is said to be ready.
    const stale = () => mine !== turn || frame !== 0;
    try {
      const state = store.get();
      // Where nothing stands beside a checkpoint, the one before it does.
      const earlier = state.swapped && !state.other ? before(offered, state.trace) : "";
      const [one, two] = await Promise.all([open(state.trace), open(state.other || earlier)]);
      if (stale()) return;
      if (!one) {
        nothing();
        stage.ready();
        return;
      }
      const [trace, other] = state.swapped && two ? [two, one] : [one, two];
      current = { trace, other };
      const patch = fitting(state, trace, other);
      if (Object.keys(patch).length) {
        store.set(patch);
        soon();
        return;
      }
      top.update(one, two);
      scrub.update(seriesOf(offered, state.trace), state.trace, two ? earlier : "");
      document.title = [shown(trace.name), config.title].filter((part, at, all) => part && all.indexOf(part) === at).join(" · ");
      await paint.paint(trace, other, stale);
      if (stale()) return;
      parts.notice.hidden = true;
    } catch (error) {
      if (stale()) return;
      say(error);
      top.update(null, null);
    }
    stage.ready();
  }

  function nothing() {
    top.update(null, null);
    fill(
      parts.stage,
      el("div", { class: "empty" }, el("p", {}, "No trace is open."), el("p", {}, "Drop a .safetensors file that vitrail attend wrote, or choose one with Open.")),
    );
  }

  /** What a live model can be asked about the chosen head. */
  function actions() {
    const { trace, stream, layer, head } = store.get();
    if (!config.live?.ablate) return [];
    return /** @type {const} */ (["zero", "mean"]).map((kind) => ({
      label: kind === "zero" ? "Without this head" : "With its mean only",
      title: "Run the model again with this head switched off, and say what changes",
      run: () => live.ablate(config, { trace, stream, layer, head, kind }),
    }));
  }

  /** What the tour may look for. @returns {import("vitrail/tour.js").About | null} */
  function about() {
    if (!current) return null;
    const stream = current.trace.stream(store.get().stream);
    const twin = [...offered].find(([id, { name }]) => id !== store.get().trace && /untrained|twin/.test(name))?.[0];
    return { stream, queries: current.trace.axis(stream.layers[0].queryAxis), twin: twin ?? store.get().other, best: (score) => bestHead(stream, score) };
  }

  /** @param {File} file */
  function take(file) {
    void add(fileSource(file), `file-${file.name}-${file.size}-${file.lastModified}`);
  }

  const changedAddress = keepAddress(store);
  store.subscribe((state, changed) => {
    const only = (/** @type {string[]} */ ...names) => [...changed].every((name) => names.includes(name));
    if (only("hover")) return;
    changedAddress();
    if (changed.has("theme")) keepTheme(state.theme);
    document.documentElement.dataset.theme = themeOf(state);
    const { stream, layer, head, query, key } = state;
    config.tell?.({ stream, layer, head, query, key });
    if (only("hover", "query", "key")) return;
    soon();
  });
  // By now the address may have been written over, by what was looked at before: the event still has what was asked for.
  window.addEventListener("hashchange", ({ newURL }) => store.set({ ...addressed(new URL(newURL).hash), hover: null }));
  keyboard(store, () => current, () => Boolean(store.get().other || before(offered, store.get().trace)));
  parts.file.addEventListener("change", () => {
    for (const file of parts.file.files ?? []) take(file);
    parts.file.value = ""; // so that the same file can be chosen again
  });
  dropping(take);
  if (config.live?.models.length) {
    parts.live.hidden = false;
    live.render(parts.live, { config, store, open: add });
  }
  grow(config, (entry) => {
    offered.set(entry.id, entry);
    if (store.get().trace === "") store.set({ trace: entry.id });
    else soon();
  });
  document.documentElement.dataset.theme = themeOf(store.get());
  void show().then(() => {
    if (config.tour && !asked && firstVisit()) startTour(store, about);
  });
  return { store, open: add };
}

/**
 * The head with the most of a score.
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
