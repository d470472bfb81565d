/**
 * The address holds what is looked at: it can be sent, kept and gone back to.
 * @module
 */

import { toAddress } from "vitrail/store.js";

/** Milliseconds between two writings: browsers refuse an address that changes a hundred times in half a minute. */
const PAUSE = 350;

/**
 * Write what is looked at into the address, now or as soon as that is allowed.
 * @param {import("vitrail/types.js").Store} store
 * @returns {() => void} says that it has changed
 */
export function keepAddress(store) {
  // A sandboxed frame has no address to write: there the page alone keeps what is looked at.
  if (location.protocol === "about:") return () => {};
  let [timer, written] = [0, -PAUSE];
  const write = () => {
    clearTimeout(timer);
    timer = 0;
    written = performance.now();
    history.replaceState(null, "", `#${toAddress(store.get())}`);
  };
  window.addEventListener("pagehide", () => timer && write());
  return () => {
    timer ||= setTimeout(write, Math.max(0, written + PAUSE - performance.now()));
  };
}
