// What the import map of the page does, for node: `node --import ./bare.mjs` finds "vitrail/…" among the modules of the page.
import { register } from "node:module";
import { isMainThread } from "node:worker_threads";

const MODULES = new URL("../../../src/vitrail/viewer/static/", import.meta.url);

if (isMainThread) register(import.meta.url);

export function resolve(name, context, next) {
  return next(name.startsWith("vitrail/") ? new URL(name.slice("vitrail/".length), MODULES).href : name, context);
}
