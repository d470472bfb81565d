/**
 * The first module of every page: gives the app its traces, wherever this page is; a failure becomes one sentence.
 * @module
 */

import { boot } from "vitrail/app.js";
import { hosted } from "vitrail/hosts.js";

try {
  await boot(await hosted());
} catch (error) {
  const app = /** @type {HTMLElement} */ (document.getElementById("app"));
  const said = document.createElement("p");
  said.setAttribute("role", "alert");
  said.textContent = error instanceof Error ? error.message : String(error);
  app.append(said);
}
