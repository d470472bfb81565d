/*
 * Of pages that carry their modules with them: makes an address for each, so that they find each other by name.
 *
 * The one script here that is no module: the map of names has to stand before the first module is loaded.
 */
{
  const nonce = /** @type {HTMLScriptElement} */ (document.currentScript).nonce;
  /** @type {Record<string, string>} */
  const texts = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("vitrail-modules")).textContent ?? "");
  const imports = Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, URL.createObjectURL(new Blob([text], { type: "text/javascript" }))]),
  );
  const map = document.createElement("script");
  map.type = "importmap";
  map.nonce = nonce;
  map.textContent = JSON.stringify({ imports });
  document.head.append(map);
  import("vitrail/start.js");
}
