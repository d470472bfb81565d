/**
 * Live: what is typed or dropped goes through a model on the server, and its trace is opened.
 * @module
 */

import { el, fill } from "vitrail/dom.js";
import { httpSource } from "vitrail/source.js";

/** @typedef {import("vitrail/hosts.js").Config} Config */
/** @typedef {import("vitrail/hosts.js").LiveModel} LiveModel */
/** @typedef {import("vitrail/types.js").Source} Source */

/**
 * @typedef {Object} Setting what the form works with
 * @property {Config} config
 * @property {import("vitrail/types.js").Store} store
 * @property {(source: Source, id: string) => unknown} open shows a new trace
 */

export const live = { render, ablate };

/** What gradients can be of, for people. */
const SAID = /** @type {Record<string, string>} */ ({ next: "next token", masked: "hidden token", class: "class", loss: "error" });

/** Bytes of an image that the server reads. */
const LARGEST = 20 * 2 ** 20;

/**
 * The form; returns how to take it away.
 * @param {HTMLElement} element
 * @param {Setting} setting
 */
function render(element, { config, store, open }) {
  const models = config.live?.models ?? [];
  /** @type {File | null} */
  let picture = null;
  /** @type {AbortController | null} */
  let asking = null;
  /** The last trace that was asked for here. */
  let latest = "";
  const chooser = el("select", { "aria-label": "model", onchange: () => fit() }, ...models.map(({ id, name }) => el("option", { value: id }, name)));
  const first = field("A sentence", "text");
  const second = field("A second one", "second text");
  const target = field("What it is to write (or its own words)", "target");
  const twin = toggle("untrained", "The same model with random weights");
  const causal = el(
    "select",
    { "aria-label": "who sees what", title: "Who sees what" },
    ...[["", "as built"], ["on", "only what came before"], ["off", "everything"]].map(([value, text]) => el("option", { value }, text)),
  );
  const gradient = el("select", { "aria-label": "gradients", title: "Which number's gradients are kept" });
  const file = el("input", { type: "file", accept: "image/*", class: "unseen", tabindex: -1, "aria-label": "an image file" });
  const zone = el("button", { type: "button", class: "drop", onclick: () => file.click() }, "Choose or drop an image");
  const send = el("button", { type: "submit", title: "Enter" }, "Attend");
  const said = el("output", { class: "said", "aria-live": "polite" });
  const form = el("form", { class: "ask", "aria-label": "live" }, chooser, first, second, target, zone, file, causal, gradient, twin.label, send, said);

  const model = () => models.find(({ id }) => id === chooser.value) ?? models[0];

  /** Only what the chosen model can use is shown. */
  function fit() {
    const { kind, pair, causal: switchable, gradients } = model();
    first.hidden = kind === "image";
    second.hidden = !pair;
    target.hidden = kind !== "seq2seq";
    zone.hidden = kind !== "image";
    causal.hidden = !switchable;
    gradient.hidden = !gradients.length;
    const choices = gradients.map((word) => el("option", { value: word }, `gradients: ${SAID[word] ?? word}`));
    fill(gradient, el("option", { value: "" }, "no gradients"), ...choices);
  }

  /** @param {File} chosen */
  function take(chosen) {
    if (chosen.size > LARGEST) {
      fill(said, `${chosen.name} is larger than the 20 MB that are read: choose a smaller one.`);
      return;
    }
    picture = chosen;
    fill(zone, chosen.name);
    void ask();
  }

  /** @param {boolean} [beside] the last answer is put beside the new one: hold Space to swap */
  async function ask(beside = false) {
    const { id, kind } = model();
    if (kind === "image" ? !picture : !first.value.trim()) {
      fill(said, kind === "image" ? "Choose an image first." : "Type a sentence first.");
      return;
    }
    asking?.abort();
    const mine = (asking = new AbortController());
    const working = setTimeout(() => fill(said, "Attending …"), 150);
    form.setAttribute("aria-busy", "true");
    try {
      const shared = { model: id, untrained: twin.box.checked, gradient: gradient.value || null };
      const found = /** @type {import("vitrail/hosts.js").Entry} */ (
        kind === "image" && picture
          ? await post(`/api/attend?${new URLSearchParams({ model: id, untrained: String(shared.untrained), gradient: gradient.value })}`, picture, mine.signal)
          : await post(
              "/api/attend",
              {
                ...shared,
                text: first.value,
                pair: second.hidden || !second.value.trim() ? null : second.value,
                target: target.hidden || !target.value.trim() ? null : target.value,
                causal: causal.hidden || !causal.value ? null : causal.value === "on",
              },
              mine.signal,
            )
      );
      await open(httpSource(found.url ?? "", found.name), found.id);
      if (beside && latest) store.set({ other: latest });
      latest = found.id;
      fill(said);
    } catch (error) {
      if (!mine.signal.aborted) fill(said, error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(working);
      if (asking === mine) form.removeAttribute("aria-busy");
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void ask();
  });
  twin.box.addEventListener("change", () => void ask(true));
  causal.addEventListener("change", () => void ask());
  gradient.addEventListener("change", () => void ask());
  file.addEventListener("change", () => file.files?.[0] && take(file.files[0]));
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", (event) => {
    const dropped = event.dataTransfer?.files[0];
    if (!dropped) return;
    event.preventDefault();
    event.stopPropagation(); // a file dropped elsewhere is a trace
    document.body.classList.remove("dropping");
    take(dropped);
  });
  const [text = "", pair = ""] = config.sources[0]?.texts ?? [];
  first.value = text;
  second.value = pair;
  fit();
  fill(element, form);
  return () => {
    asking?.abort();
    fill(element);
  };
}

/**
 * What taking a head away does to the output of the model that a trace was captured from, as one sentence.
 * @param {Config} config
 * @param {{trace: string, stream: string, layer: number, head: number, kind: "zero" | "mean"}} which
 * @returns {Promise<string>}
 */
async function ablate(config, which) {
  if (!config.live?.ablate) throw new Error("No live model runs here: start the page with vitrail view MODEL.");
  const found = /** @type {{sentence: string}} */ (await post("/api/ablate", which));
  return found.sentence;
}

/**
 * @param {string} address
 * @param {Blob | Record<string, unknown>} content
 * @param {AbortSignal} [signal]
 * @returns {Promise<unknown>}
 */
async function post(address, content, signal) {
  const body = content instanceof Blob ? content : JSON.stringify(content);
  const type = content instanceof Blob ? content.type || "application/octet-stream" : "application/json";
  const response = await fetch(address, { method: "POST", headers: { "Content-Type": type }, body, signal }).catch((error) => {
    if (signal?.aborted) throw error;
    throw new Error("The server doesn't answer: start it again with vitrail view.");
  });
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(told.error ?? `The server answers ${response.status}: load the page again.`);
  return told;
}

/** @param {string} placeholder @param {string} label */
function field(placeholder, label) {
  return el("input", { type: "text", placeholder, "aria-label": label, autocomplete: "off", spellcheck: "false" });
}

/** @param {string} text @param {string} title */
function toggle(text, title) {
  const box = el("input", { type: "checkbox" });
  return { box, label: el("label", { title }, box, text) };
}
