/**
 * What a person chose before. A sandboxed frame has no such memory: there, choices last as long as the page.
 * @module
 */

/** @param {import("vitrail/types.js").State} state @returns {"light" | "dark"} */
export function themeOf({ theme }) {
  if (theme === "light" || theme === "dark") return theme;
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** The theme that was chosen, or "" for the system's. */
export function chosenTheme() {
  return recalled("vitrail-theme") ?? "";
}

/** @param {string} theme */
export function keepTheme(theme) {
  kept("vitrail-theme", theme);
}

/** Whether this is a first visit; a second call says no. Without a memory every visit would be the first: then none is. */
export function firstVisit() {
  return recalled("vitrail-visited") === null && kept("vitrail-visited", "1");
}

/** @param {string} name */
function recalled(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} value */
function kept(name, value) {
  try {
    localStorage.setItem(name, value);
    return true;
  } catch {
    return false;
  }
}
