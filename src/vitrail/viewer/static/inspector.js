/**
 * At the right: the numbers of the selection, and one plain sentence that says what they mean.
 * @module
 */

import { el, fill, label, number } from "vitrail/dom.js";
import { caution, exactness, headSentence, SCORES, scoreLabel } from "vitrail/sentences.js";
import { lookedAt } from "vitrail/store.js";

/** @typedef {import("vitrail/types.js").Scene} Scene */

/**
 * @typedef {Object} Inspected
 * @property {Scene} scene
 * @property {import("vitrail/types.js").Layer} layer
 * @property {import("vitrail/types.js").Axis} keys of tokens, also where words are drawn
 * @property {{role: string, colour: string, score: number} | null} role
 * @property {import("vitrail/types.js").Provenance} provenance
 * @property {{label: string, title: string, run: () => Promise<string>}[]} actions what a live model can be asked
 */

/**
 * @param {HTMLElement} element
 * @param {import("vitrail/types.js").Store} store
 * @returns {{update: (inspected: Inspected | null) => void}}
 */
export function inspector(element, store) {
  const pair = el("section", { "aria-label": "selection" });
  const head = el("div", { style: { display: "contents" } });
  element.append(head, pair);
  /** @type {Inspected | null} */
  let shown = null;
  let waiting = false;
  store.subscribe((_, changed) => {
    const moved = ["hover", "query", "key", "pin"].some((name) => changed.has(/** @type {keyof import("vitrail/types.js").State} */ (name)));
    if (!moved || waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (shown) fill(pair, ...selection(shown.scene, store));
    });
  });
  return {
    update(inspected) {
      shown = inspected;
      fill(head, ...(inspected ? aboutHead(inspected) : []));
      fill(pair, ...(inspected ? selection(inspected.scene, store) : []));
    },
  };
}

/** @param {Inspected} inspected */
function aboutHead({ scene, layer, keys, role, provenance, actions }) {
  const head = scene.looks[0].head;
  const warning = caution(layer, head, scene.numbers, keys);
  const said = el("p", { class: "small", "aria-live": "polite" });
  return [
    el(
      "section",
      { "aria-label": "head" },
      el("h2", {}, `Layer ${layer.index}, head ${head}`),
      role ? el("span", { class: "role" }, el("i", { style: { background: role.colour } }), role.role) : "",
    ),
    el("p", { class: "sentence" }, headSentence(layer, head, role)),
    warning ? el("p", { class: "caution" }, warning) : "",
    actions.length
      ? el(
          "section",
          {},
          el("div", { class: "row" }, ...actions.map(({ label: name, title, run }) => el("button", { title, onclick: () => ask(said, run) }, name))),
          said,
        )
      : "",
    el("section", {}, el("h3", {}, "Scores of this head"), scoreTable(layer, head, scene.ramp)),
    el(
      "section",
      { class: "small" },
      el("p", {}, exactness(layer)),
      el("p", {}, [provenance.model, provenance.revision, provenance.weights, provenance.precision].filter(Boolean).join(" · ")),
      el("p", {}, Object.entries(provenance.versions).map(([name, version]) => `${name} ${version}`).join(", ")),
    ),
  ];
}

/** @param {HTMLElement} said @param {() => Promise<string>} run */
async function ask(said, run) {
  fill(said, "…");
  fill(said, await run().catch((error) => String(error.message ?? error)));
}

/** @param {import("vitrail/types.js").Layer} layer @param {number} head @param {import("vitrail/types.js").Ramp} ramp */
function scoreTable(layer, head, ramp) {
  const digest = layer.digest;
  if (!digest) return el("p", { class: "small" }, "none in this trace");
  const rows = digest.names.flatMap((name, at) => {
    const value = digest.scores[at][head];
    if (!Number.isFinite(value)) return [];
    const uniform = digest.uniform[at];
    const most = SCORES[name]?.share ? 1 : Math.max(...Array.from(digest.scores[at]).filter(Number.isFinite), uniform ?? 0, 1e-12);
    return [
      el(
        "tr",
        { title: `${SCORES[name]?.says ?? name}${uniform === null ? "" : `; uniform attention: ${number(uniform)}`}` },
        el("th", { scope: "row" }, scoreLabel(name)),
        el("td", { class: "bar" }, bar(value / most, uniform === null ? null : uniform / most, ramp)),
        el("td", { class: "value" }, number(value)),
      ),
    ];
  });
  return el("table", {}, el("tbody", {}, ...rows));
}

/**
 * A bar, and a tick where uniform attention would be.
 * @param {number} share @param {number | null} uniform @param {import("vitrail/types.js").Ramp} ramp
 */
function bar(share, uniform, ramp) {
  const percent = (/** @type {number} */ value) => `${Math.min(100, Math.max(0, value * 100)).toFixed(1)}%`;
  return el(
    "div",
    { "aria-hidden": "true", style: { position: "relative", height: "9px", background: ramp.faint, borderRadius: "2px" } },
    el("div", { style: { width: percent(share), height: "100%", background: ramp.sequential(0.6, 1), borderRadius: "2px" } }),
    uniform === null ? "" : el("div", { style: { position: "absolute", left: percent(uniform), top: "-2px", width: "1.5px", height: "13px", background: ramp.ink } }),
  );
}

/** @param {Scene} scene @param {import("vitrail/types.js").Store} store @returns {(HTMLElement | string)[]} */
function selection(scene, store) {
  const state = store.get();
  const { query, key } = lookedAt(state);
  const here = (/** @type {number} */ at, /** @type {number} */ length) => at >= 0 && at < length;
  const look = scene.looks[0];
  if (!here(query, look.queries) && !here(key, look.keys)) {
    return [el("h3", {}, "Selection"), el("p", { class: "small" }, "Point at a token to see where it looks; click to keep it.")];
  }
  if (here(query, look.queries) && here(key, look.keys)) {
    const pinned = state.pin !== null && state.pin[0] === query && state.pin[1] === key;
    return [
      el("h3", {}, "This link"),
      el("p", { class: "pair" }, token(scene.queries, query), "→", token(scene.keys, key)),
      el(
        "table",
        {},
        el("tbody", {}, ...scene.looks.map((one) => el("tr", {}, el("th", { scope: "row" }, `${scene.quantity.label}, head ${one.name}`), el("td", { class: "value" }, number(one.entry(query, key)))))),
      ),
      el(
        "div",
        { class: "row" },
        el("button", { "aria-pressed": String(pinned), title: "Colour the map by which heads make this link (P)", onclick: () => store.set({ pin: pinned ? null : [query, key] }) }, pinned ? "unpin this link" : "which heads make this link?"),
      ),
    ];
  }
  if (!here(query, look.queries)) return [el("h3", {}, "Looked at"), el("p", { class: "pair" }, token(scene.keys, key))];
  return [el("h3", {}, `${scene.quantity.label} from`), el("p", { class: "pair" }, token(scene.queries, query)), strongest(scene, query)];
}

/** @param {Scene} scene @param {number} query */
function strongest(scene, query) {
  const look = scene.looks[0];
  const row = look.row(query);
  const order = Array.from(row.keys())
    .filter((key) => scene.shownKeys[key] && Number.isFinite(row[key]))
    .sort((one, two) => Math.abs(row[two]) - Math.abs(row[one]))
    .slice(0, 6);
  return el("table", {}, el("tbody", {}, ...order.map((key) => el("tr", {}, el("th", { scope: "row" }, token(scene.keys, key)), el("td", { class: "value" }, number(row[key]))))));
}

/** @param {import("vitrail/types.js").Axis} axis @param {number} at */
function token(axis, at) {
  return el("span", { class: "token" }, label(axis, at).slice(0, 80), el("span", { class: "small" }, ` ${at}`));
}
