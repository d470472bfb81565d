/**
 * Beside Arithmetic: all queries from top to bottom, to choose one.
 * @module
 */

import { label } from "vitrail/dom.js";
import { clipped } from "vitrail/drawings/fitting.js";
import { listen, stepped } from "vitrail/drawings/pointing.js";
import { openStage } from "vitrail/drawings/stage.js";

const ROW = 21;
const HEAD = 30;

/**
 * @param {HTMLElement} element
 * @param {import("vitrail/types.js").Scene} scene
 * @param {number[]} places queries that are shown
 * @returns {{choose: (query: number, locked: number) => void, cleanup: () => void}}
 */
export function queryList(element, { store, queries, ramp }, places) {
  let chosen = -1;
  let kept = -1;
  const stage = openStage(element, {
    name: "arithmetic-queries",
    label: "Queries: up and down choose one, Enter keeps it.",
    arrange: () => HEAD + places.length * ROW + 8,
    layers: {
      list(pen, { width, height, top }) {
        const first = Math.max(0, Math.floor((top - ROW) / ROW));
        const last = Math.min(places.length, Math.ceil((top + height) / ROW));
        for (let place = first; place < last; place++) {
          const y = HEAD + (place + 0.5) * ROW - top;
          const here = places[place] === chosen;
          if (here) pen.rect(0, y - ROW / 2, width, ROW, ramp.accent, 0.12);
          if (places[place] === kept) pen.rect(0, y - ROW / 2, 3, ROW, ramp.accent);
          pen.text(clipped(label(queries, places[place]), width - 22, 12), 14, y, { size: 12, colour: here ? ramp.accent : ramp.ink, mono: true, weight: here ? 600 : 400 });
        }
        pen.rect(0, 0, width, HEAD - 4, ramp.paper);
        pen.text("Queries", 14, 16, { size: 12, colour: ramp.ink, weight: 600 });
      },
    },
  });
  const deaf = listen(stage, {
    store,
    pick(_, y) {
      const query = y < HEAD ? undefined : places[Math.floor((y - HEAD + stage.view.top) / ROW)];
      return query === undefined ? null : { query, key: store.get().key, lock: { query } };
    },
    move: (now, arrow) => ({ ...now, query: stepped(places, now.query, arrow === "ArrowUp" || arrow === "ArrowLeft" ? -1 : 1) }),
  });
  return {
    choose(query, locked) {
      chosen = query;
      kept = locked;
      const y = places.indexOf(query) * ROW - stage.view.top;
      if (query >= 0 && (y < 0 || y > stage.view.height - HEAD - ROW)) stage.scroll(stage.view.top + y - stage.view.height / 2);
      stage.ask("list");
    },
    cleanup() {
      deaf();
      stage.cleanup();
    },
  };
}
