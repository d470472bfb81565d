/**
 * At the right: the numbers of the selection, and one plain sentence that says what they mean.
 * @module
 */

import { el, fill, label, number, renew, shown } from "vitrail/dom.js";
import { caution, exactness, headSentence, SCORES, scoreLabel } from "vitrail/sentences.js";
import { lookedAt } from "vitrail/store.js";

/** @typedef {import("vitrail/types.js").Scene} Scene */

/** Digits of numbers that are read one by one. */
const EXACT = 4;

/**
 * @typedef {Object} Inspected
 * @property {Scene} scene
 * @property {import("vitrail/types.js").Layer} layer
 * @property {import("vitrail/types.js").Axis} keys of tokens, also where words are drawn
 * @property {import("vitrail/types.js").Named} role
 * @property {import("vitrail/types.js").Provenance} provenance
 * @property {import("vitrail/types.js").Predictions | null} predictions
 * @property {{label: string, title: string, run: () => Promise<string>}[]} actions what a live model can be asked
 */

/**
 * @param {HTMLElement} element
 * @param {import("vitrail/types.js").Store} store
 * @returns {{update: (inspected: Inspected | null) => void}}
 */
export function inspector(element, store) {
  const head = el("div", { class: "part" });
  const pair = el("section", { "aria-label": "selection" });
  const rest = el("div", { class: "part" });
  element.append(head, pair, rest);
  /** @type {Inspected | null} */
  let inspected = null;
  let waiting = false;
  store.subscribe((_, changed) => {
    const moved = ["hover", "query", "key", "pin"].some((name) => changed.has(/** @type {keyof import("vitrail/types.js").State} */ (name)));
    if (!moved || waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (inspected) renew(pair, ...selection(inspected, store));
    });
  });
  return {
    update(now) {
      inspected = now;
      renew(head, ...(inspected ? aboutHead(inspected) : []));
      renew(pair, ...(inspected ? selection(inspected, store) : []));
      fill(rest, ...(inspected ? figures(inspected) : []));
    },
  };
}

/** What the chosen head does. @param {Inspected} inspected */
function aboutHead({ scene, layer, keys, role, actions }) {
  const head = scene.looks[0].head;
  const warning = caution(layer, head, scene.numbers, keys);
  const said = el("p", { class: "small", "aria-live": "polite" });
  const buttons = actions.map(({ label: name, title, run }) => el("button", { title, onclick: () => ask(said, run) }, name));
  return [
    el(
      "section",
      { "aria-label": "head" },
      el("h2", {}, `Layer ${layer.index}, head ${head}`),
      el("span", { class: "role" }, el("i", { style: { background: role.colour } }), role.role),
    ),
    el("p", { class: "sentence" }, headSentence(layer, head, role)),
    warning ? el("p", { class: "caution" }, warning) : "",
    buttons.length ? el("section", { "aria-label": "ask the model" }, el("div", { class: "row" }, ...buttons), said) : "",
  ];
}

/** All numbers of the chosen head, and where they come from. @param {Inspected} inspected */
function figures({ scene, layer, provenance }) {
  const { model, revision, weights, precision, versions } = provenance;
  return [
    el("section", {}, el("h3", {}, "Scores of this head"), scoreTable(layer, scene.looks[0].head, scene.ramp)),
    el(
      "section",
      { class: "small" },
      el("p", {}, exactness(layer)),
      el("p", { class: "few", title: model }, shown([lastParts(model), revision, weights, precision].filter(Boolean).join(" · "))),
      el("p", {}, Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")),
    ),
  ];
}

/** The end of a path, which tells models apart. @param {string} model */
export function lastParts(model) {
  return model.split(/[\\/]/).filter(Boolean).slice(-2).join("/");
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
        el("td", { class: "value" }, number(value, EXACT)),
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

/** @param {Inspected} inspected @param {import("vitrail/types.js").Store} store @returns {(HTMLElement | string)[]} */
function selection({ scene, predictions }, store) {
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
        el("tbody", {}, ...scene.looks.map((one) => el("tr", {}, el("th", { scope: "row" }, `${scene.quantity.label}, head ${one.name}`), el("td", { class: "value" }, number(one.entry(query, key), EXACT))))),
      ),
      el(
        "div",
        { class: "row" },
        el("button", { "aria-pressed": String(pinned), title: "Colour the map by which heads make this link (P)", onclick: () => store.set({ pin: pinned ? null : [query, key] }) }, pinned ? "unpin this link" : "which heads make this link?"),
      ),
    ];
  }
  if (!here(query, look.queries)) return [el("h3", {}, "Looked at"), el("p", { class: "pair" }, token(scene.keys, key))];
  return [
    el("h3", {}, `${scene.quantity.label} from`),
    el("p", { class: "pair" }, token(scene.queries, query)),
    strongest(scene, query),
    ...(predictions && !store.get().words ? says(predictions, query, store.get().layer) : []),
  ];
}

/**
 * What the model says at a position, and would after this layer already (the logit lens).
 * @param {import("vitrail/types.js").Predictions} predictions @param {number} query @param {number} layer
 */
function says(predictions, query, layer) {
  const position = predictions.positions === 1 ? 0 : query;
  if (position >= predictions.positions) return [];
  const last = list("The model says here", predictions.likeliest(position));
  return layer < predictions.layers ? [...last, ...list(`After layer ${layer} it would say`, predictions.likeliest(position, layer))] : last;
}

/** @param {string} title @param {{text: string, probability: number}[]} likeliest */
function list(title, likeliest) {
  const rows = likeliest.map(({ text, probability }) =>
    el("tr", {}, el("th", { scope: "row" }, el("span", { class: "token" }, shown(text))), el("td", { class: "value" }, number(probability, EXACT))),
  );
  return rows.length ? [el("h3", { class: "next" }, title), el("table", {}, el("tbody", {}, ...rows))] : [];
}

/** @param {Scene} scene @param {number} query */
function strongest(scene, query) {
  const look = scene.looks[0];
  const row = look.row(query);
  const order = Array.from(row.keys())
    .filter((key) => scene.shownKeys[key] && Number.isFinite(row[key]))
    .sort((one, two) => Math.abs(row[two]) - Math.abs(row[one]))
    .slice(0, 6);
  return el("table", {}, el("tbody", {}, ...order.map((key) => el("tr", {}, el("th", { scope: "row" }, token(scene.keys, key)), el("td", { class: "value" }, number(row[key], EXACT))))));
}

/** @param {import("vitrail/types.js").Axis} axis @param {number} at */
function token(axis, at) {
  return el("span", { class: "token" }, label(axis, at).slice(0, 80), el("span", { class: "small" }, ` ${at}`));
}
