/**
 * The page: opens traces, keeps what is looked at in the address, and draws anew when that changes.
 * @module
 */

import { el, fill } from "vitrail/dom.js";
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
import { fitting } from "vitrail/scene.js";
import { fileSource } from "vitrail/source.js";
import { createStore, fromAddress, toAddress } from "vitrail/store.js";
import { toolbar } from "vitrail/toolbar.js";
import { startTour } from "vitrail/tour.js";
import { openTrace } from "vitrail/trace.js";
import { crew as makeCrew } from "vitrail/worker.js";

/** @typedef {import("vitrail/types.js").OpenTrace} OpenTrace */
/** @typedef {import("vitrail/types.js").Source} Source */

const NOWHERE = { pin: null, query: -1, key: -1, hover: null };

/**
 * Start the page.
 * @param {import("vitrail/hosts.js").Config} config
 */
export function boot(config) {
  /** @type {Map<string, {name: string, source: Source, error?: string}>} */
  const offered = new Map(config.sources.map((entry) => [entry.id, entry]));
  /** @type {Map<string, Promise<OpenTrace>>} */
  const opened = new Map();
  const first = config.sources.find(({ error }) => !error)?.id ?? config.sources[0]?.id ?? "";
  const store = createStore({ trace: first, theme: chosenTheme(), ...fromAddress(location.hash) });
  if (!offered.has(store.get().trace)) store.set({ trace: first });
  if (!offered.has(store.get().other)) store.set({ other: "" });
  /** @type {{trace: OpenTrace, other: OpenTrace | null} | null} */
  let current = null;
  let turn = 0;

  const parts = layout();
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
  const bar = toolbar(parts.toolbar, store, [
    { label: "SVG", title: "Save what is seen as SVG", run: () => saving((drawn) => exportSvg(drawn, fileName(), paint.paper())) },
    { label: "PNG", title: "Save what is seen as PNG", run: () => saving((drawn) => exportPng(drawn, fileName(), paint.paper())) },
    { label: "CSV", title: "Save the numbers as CSV", run: () => saving((drawn) => exportCsv(drawn.table(), fileName())) },
  ]);
  const paint = painter(store, { parts, map, bar, side, actions }, makeCrew());

  function fileName() {
    const { drawing, stream, layer, head } = store.get();
    return `${drawing} ${stream} ${layer}.${head}`;
  }

  /** @param {(drawn: import("vitrail/types.js").Drawn) => unknown} save */
  function saving(save) {
    const drawn = paint.drawn();
    if (drawn) save(drawn);
  }

  /** @param {string} id @returns {Promise<OpenTrace | null>} */
  async function open(id) {
    const entry = offered.get(id);
    if (!entry) return null;
    if (entry.error) throw new Error(entry.error);
    const found = opened.get(id) ?? openTrace(entry.source);
    opened.set(id, found);
    try {
      return await found;
    } catch (error) {
      opened.delete(id);
      throw error;
    }
  }

  /**
   * Offer a trace and look at it.
   * @param {Source} source @param {string} id
   */
  function add(source, id) {
    offered.set(id, { name: source.name, source });
    opened.delete(id);
    store.set({ trace: id, other: store.get().other === id ? "" : store.get().other, ...NOWHERE });
    void show();
  }

  /** Draw everything anew; a later call overtakes one that still waits for numbers. */
  async function show() {
    turn += 1;
    const mine = turn;
    const stale = () => mine !== turn;
    try {
      const state = store.get();
      const [one, two] = await Promise.all([open(state.trace), open(state.other)]);
      if (stale()) return;
      if (!one) {
        nothing();
        return;
      }
      const [trace, other] = state.swapped && two ? [two, one] : [one, two];
      current = { trace, other };
      const patch = fitting(state, trace, other);
      if (Object.keys(patch).length) {
        store.set(patch);
        return;
      }
      top.update(one, two);
      await paint.paint(trace, other, stale);
      if (!stale()) parts.notice.hidden = true;
    } catch (error) {
      if (stale()) return;
      parts.notice.hidden = false;
      fill(parts.notice, error instanceof Error ? error.message : String(error));
      top.update(null, null);
    }
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
    add(fileSource(file), `file-${file.name}-${file.size}-${file.lastModified}`);
  }

  let frame = 0;
  store.subscribe((state, changed) => {
    const only = (/** @type {string[]} */ ...names) => [...changed].every((name) => names.includes(name));
    if (only("hover")) return;
    // Within a sandboxed frame there is no address to write; the state is then kept by the page alone.
    if (location.protocol !== "about:") history.replaceState(null, "", `#${toAddress(state)}`);
    if (changed.has("theme")) keepTheme(state.theme);
    document.documentElement.dataset.theme = themeOf(state);
    const { stream, layer, head, query, key } = state;
    config.tell?.({ stream, layer, head, query, key });
    if (only("hover", "query", "key")) return;
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => void show());
  });
  window.addEventListener("hashchange", () => store.set(fromAddress(location.hash)));
  keyboard(store, () => current);
  parts.file.addEventListener("change", () => parts.file.files?.[0] && take(parts.file.files[0]));
  dropping(take);
  if (config.live?.models.length) {
    parts.live.hidden = false;
    live.render(parts.live, { config, store, open: add });
  }
  grow(config, (entry) => {
    offered.set(entry.id, entry);
    if (store.get().trace === "") store.set({ trace: entry.id });
    else void show();
  });
  document.documentElement.dataset.theme = themeOf(store.get());
  const asked = location.hash.length > 1;
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
