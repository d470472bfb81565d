/**
 * The rooms of the page, and files that are dropped on it.
 * @module
 */

import { el } from "vitrail/dom.js";

/** The rooms, put into the page: header, map, drawing, inspector. */
export function layout() {
  const file = el("input", { type: "file", accept: ".safetensors", multiple: true, class: "unseen", tabindex: -1, "aria-label": "a trace file" });
  const parts = {
    header: el("header"),
    map: el("nav", { class: "map", "aria-label": "all heads" }),
    live: el("div", { class: "live", hidden: true }),
    toolbar: el("div", { class: "toolbar" }),
    scrubber: el("div", { class: "scrubber", hidden: true }),
    stage: el("div", { class: "stage", id: "stage", role: "tabpanel", "aria-busy": "true", tabindex: -1 }),
    behind: el("div", { class: "unseen", "aria-label": "the picture as numbers", role: "region" }),
    notice: el("div", { class: "notice", role: "alert", hidden: true }),
    inspector: el("aside", { "aria-label": "inspector", tabindex: 0 }),
    file,
  };
  const main = el("main", {}, parts.live, parts.toolbar, parts.scrubber, parts.stage, parts.behind, parts.notice, file);
  const app = /** @type {HTMLElement} */ (document.getElementById("app"));
  app.replaceChildren(parts.header, parts.map, main, parts.inspector);
  return parts;
}

/**
 * Take trace files from anywhere on the page.
 * @param {(file: File) => void} take
 */
export function dropping(take) {
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    for (const file of event.dataTransfer?.files ?? []) take(file);
  });
}

/**
 * The same as numbers, for those who don't see the picture; long tables are cut, and say so.
 * @param {import("vitrail/types.js").Table} table
 */
export function asTable({ caption, columns, rows }) {
  const some = rows.slice(0, 200);
  const said = rows.length > some.length ? `${caption} (the first ${some.length} of ${rows.length} rows; CSV has all)` : caption;
  return el(
    "table",
    {},
    el("caption", {}, said),
    el("thead", {}, el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column)))),
    el("tbody", {}, ...some.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, String(cell)))))),
  );
}
