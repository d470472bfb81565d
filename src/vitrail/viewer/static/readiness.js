/**
 * Whether all that was asked for is drawn: said on the stage, and waited for by whoever needs what is seen.
 * @module
 */

/**
 * @param {Element} stage
 * @returns {{busy: () => void, ready: () => void, wait: () => Promise<void>}} wait: until all is drawn, or it is said why not
 */
export function readiness(stage) {
  let working = true;
  /** @type {(() => void)[]} */
  let waiting = [];
  return {
    busy() {
      working = true;
      stage.setAttribute("aria-busy", "true");
    },
    ready() {
      working = false;
      stage.setAttribute("aria-busy", "false");
      const all = waiting;
      waiting = [];
      for (const go of all) go();
    },
    wait: () => (working ? new Promise((go) => waiting.push(go)) : Promise.resolve()),
  };
}
