/**
 * Where bytes of a trace come from: a server that knows ranges, a file that was dropped, bytes at hand, or a notebook.
 * Hosts differ in this and in nothing else.
 * @module
 */

import { TraceError } from "vitrail/container.js";

/** @typedef {import("vitrail/types.js").Source} Source */

/**
 * A file behind an address, read by ranges.
 * @param {string} url
 * @param {string} name
 * @returns {Source}
 */
export function httpSource(url, name) {
  /** @type {Promise<ArrayBuffer> | null} */
  let whole = null;
  return {
    name,
    async read(start, end) {
      if (whole) return (await whole).slice(start, end);
      // Without "no-store", ranges of one address wait for each other at the lock of the browser's cache.
      const answer = await fetch(url, { headers: { Range: `bytes=${start}-${end - 1}` }, cache: "no-store" }).catch(() => {
        throw new TraceError(`${name} can't be fetched: the server doesn't answer; start it again with "vitrail view".`);
      });
      if (answer.status === 416) return new ArrayBuffer(0);
      if (answer.status === 206) return answer.arrayBuffer();
      if (answer.status !== 200) {
        throw new TraceError(`${name} can't be fetched: the server answers ${answer.status}; is it still there?`);
      }
      // A server without ranges sends everything: once is enough.
      whole ??= answer.arrayBuffer();
      return (await whole).slice(start, end);
    },
  };
}

/**
 * A file that was chosen or dropped.
 * @param {File} file
 * @returns {Source}
 */
export function fileSource(file) {
  return {
    name: file.name,
    read: (start, end) =>
      file.slice(start, end).arrayBuffer().catch(() => {
        throw new TraceError(`${file.name} can't be read: it was changed or moved since; choose it again.`);
      }),
  };
}

/**
 * Bytes at hand.
 * @param {ArrayBuffer | Uint8Array} bytes
 * @param {string} name
 * @returns {Source}
 */
export function bytesSource(bytes, name) {
  const all = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  return { name, read: async (start, end) => all.slice(start, end).buffer };
}

/**
 * Bytes that stand in the page as base64, without spaces; only what is read is decoded.
 * @param {string} text
 * @param {string} name
 * @returns {Source}
 */
export function base64Source(text, name) {
  return {
    name,
    async read(start, end) {
      // Four characters are three bytes, so a range begins and ends inside of such a group.
      const first = Math.floor(start / 3);
      const decoded = atob(text.slice(4 * first, 4 * Math.ceil(end / 3)));
      const bytes = Uint8Array.from(decoded, (character) => character.charCodeAt(0));
      return bytes.slice(start - 3 * first, end - 3 * first).buffer;
    },
  };
}

/**
 * Bytes that somebody else fetches: the Python side of a notebook.
 * @param {(start: number, end: number) => Promise<ArrayBuffer>} ask
 * @param {string} name
 * @returns {Source}
 */
export function portSource(ask, name) {
  return {
    name,
    read: (start, end) =>
      ask(start, end).catch(() => {
        throw new TraceError(`${name} can't be read: the notebook doesn't answer; run its cell again.`);
      }),
  };
}
