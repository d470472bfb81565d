/**
 * Who computes: one worker beside the page, or the page itself between two frames where workers are not allowed.
 *
 * The worker is made of the texts of three functions that close over nothing: module workers can't be made of blobs, and a
 * page that is one file has nothing else. A head is sent once. What was asked last comes first, for it is what is looked at.
 * @module
 */

import { jobs } from "vitrail/jobs.js";
import { kernel } from "vitrail/kernel.js";

/** @typedef {import("vitrail/types.js").Head} Head */
/** @typedef {import("vitrail/types.js").Matrix} Matrix */
/** @typedef {import("vitrail/types.js").Crew} Crew */
/** @typedef {import("vitrail/jobs.js").Asked} Asked */

/**
 * Asked of the worker: heads come once, as `head`, and are meant by their numbers afterwards.
 * @typedef {{head: number, numbers: Head} | {forget: number} | {drop: true}
 *   | {ask: number, turn: number, matrix: unknown, asked: Asked}} Message
 */

/** Bytes of heads that the worker keeps, and of rows that it has computed. */
const HEADS = 96 * 2 ** 20;
const ROWS = 72 * 2 ** 20;

/**
 * The worker; also used on the page itself, with other ways to hear and to answer.
 * @param {() => import("vitrail/kernel.js").Kernel} makeKernel
 * @param {typeof jobs} makeJobs
 * @param {number} slice milliseconds between two looks at what has come
 * @param {(answer: {ask: number, result?: unknown, error?: string}) => void} answer
 * @param {(next: () => void) => void} later
 * @returns {(message: Message) => void}
 */
function working(makeKernel, makeJobs, slice, answer, later) {
  const begin = makeJobs(makeKernel());
  /** @type {Map<number, Head>} */
  const heads = new Map();
  /** @type {{ask: number, turn: number, job: import("vitrail/jobs.js").Job}[]} */
  let waiting = [];
  let awake = false;

  /** A matrix with its heads in the places of their numbers. @param {any} sent @returns {Matrix} */
  function whole(sent) {
    if (sent.of === "head") return typeof sent.head === "number" ? { ...sent, head: heads.get(sent.head) } : sent;
    if (sent.of === "words") return { ...sent, base: whole(sent.base) };
    return { ...sent, first: whole(sent.first), second: whole(sent.second) };
  }

  function work() {
    awake = false;
    // The newest turn first; in one turn, what was asked first.
    const next = waiting.reduce((best, one) => (one.turn > best.turn ? one : best), waiting[0]);
    if (!next) return;
    const { ask, job } = next;
    const until = performance.now() + slice;
    let [result, error] = [/** @type {unknown} */ (undefined), ""];
    try {
      while (job.at < job.to && performance.now() < until) job.step();
      if (job.at >= job.to) result = job.result();
    } catch (problem) {
      error = problem instanceof Error ? problem.message : String(problem);
    }
    if (error || job.at >= job.to) {
      waiting = waiting.filter((one) => one !== next);
      answer(error ? { ask, error } : { ask, result });
    }
    wake();
  }

  function wake() {
    if (awake || !waiting.length) return;
    awake = true;
    later(work);
  }

  return (message) => {
    if ("numbers" in message) heads.set(message.head, message.numbers);
    else if ("forget" in message) heads.delete(message.forget);
    else if ("drop" in message) waiting = [];
    else {
      const { ask, turn, asked } = message;
      const matrix = whole(message.matrix);
      const all = "others" in asked ? { ...asked, others: asked.others.map((some) => some.map(whole)) } : asked;
      waiting.push({ ask, turn, job: begin(matrix, /** @type {Asked} */ (all)) });
      wake();
    }
  };
}

/**
 * What stands in the worker's text: it hears messages, and looks for new ones between two slices.
 * @param {typeof working} make @param {typeof kernel} makeKernel @param {typeof jobs} makeJobs @param {number} room
 */
function main(make, makeKernel, makeJobs, room) {
  const channel = new MessageChannel();
  /** @type {() => void} */
  let next = () => undefined;
  channel.port1.onmessage = () => next();
  const take = make(() => makeKernel(room), makeJobs, 12, (answer) => self.postMessage(answer), (work) => {
    next = work;
    channel.port2.postMessage(0);
  });
  self.onmessage = (event) => take(event.data);
  self.postMessage({ ready: true });
}

/**
 * @param {{workers?: boolean}} [options] workers: false keeps everything on the page
 * @returns {Crew}
 */
export function crew({ workers = true } = {}) {
  /** @type {Map<number, {give: (result: any) => void, fail: (error: Error) => void, message: Message}>} */
  const asked = new Map();
  /** @type {WeakMap<Head, number>} */
  const numbered = new WeakMap();
  /** @type {Map<number, number>} bytes of the heads that the worker has; the one that was used last at the end */
  const sent = new Map();
  let [heads, asks, turn, turning, held] = [0, 0, 0, false, 0];
  /** @type {Worker | null} */
  let worker = workers ? start() : null;
  /** @type {ReturnType<typeof working> | null} */
  let here = null;

  /** @param {{ask: number, result?: unknown, error?: string}} answer */
  function hear({ ask, result, error }) {
    const one = asked.get(ask);
    asked.delete(ask);
    if (error !== undefined) one?.fail(new Error(error));
    else one?.give(result);
  }

  /** @returns {Worker | null} */
  function start() {
    if (typeof Worker === "undefined" || typeof Blob === "undefined") return null;
    const text = `"use strict";(${main})(${working},${kernel},${jobs},${ROWS});`;
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    try {
      const made = new Worker(url);
      made.onmessage = ({ data }) => (data.ready ? URL.revokeObjectURL(url) : hear(data));
      // Not allowed, or out of memory: what waits is done here.
      made.onerror = (event) => {
        event.preventDefault();
        made.terminate();
        worker = null;
        for (const { message } of [...asked.values()]) onPage(message);
      };
      return made;
    } catch {
      return null;
    }
  }

  /** @param {Message} message */
  function onPage(message) {
    // Rows aren't kept here: the page has memory for other things.
    here ??= working(() => kernel(), jobs, 8, hear, (next) => setTimeout(next, 0));
    here(message);
  }

  /** A matrix with heads as their numbers; those that the worker doesn't have are sent. @param {Matrix} matrix @returns {unknown} */
  function numberedMatrix(matrix) {
    if (matrix.of === "words") return { ...matrix, base: numberedMatrix(matrix.base) };
    if (matrix.of === "difference") {
      return { ...matrix, first: numberedMatrix(matrix.first), second: numberedMatrix(matrix.second) };
    }
    const { head } = matrix;
    const number = numbered.get(head) ?? heads++;
    numbered.set(head, number);
    const bytes = sent.get(number) ?? bytesOf(head);
    if (!sent.delete(number)) {
      held += bytes;
      worker?.postMessage({ head: number, numbers: head });
    }
    sent.set(number, bytes);
    return { ...matrix, head: number };
  }

  /** The worker forgets heads that were not used for long; jobs that it has begun keep theirs. */
  function makeRoom() {
    for (const [old, size] of sent) {
      if (held <= HEADS) break;
      sent.delete(old);
      held -= size;
      worker?.postMessage({ forget: old });
    }
  }

  return {
    run(matrix, what) {
      if (!turning) {
        turning = true;
        turn++;
        queueMicrotask(() => (turning = false));
      }
      const ask = asks++;
      const message = /** @type {Message} */ ({ ask, turn, matrix, asked: what });
      return new Promise((give, fail) => {
        asked.set(ask, { give, fail, message });
        if (!worker) return onPage(message);
        const sentAlong = "others" in what ? { ...what, others: what.others.map((some) => some.map(numberedMatrix)) } : what;
        worker.postMessage({ ask, turn, matrix: numberedMatrix(matrix), asked: sentAlong });
        makeRoom();
      });
    },
    drop() {
      asked.clear();
      worker?.postMessage({ drop: true });
      here?.({ drop: true });
    },
    close() {
      this.drop();
      worker?.terminate();
      worker = null;
    },
  };
}

/** @param {Head} head */
function bytesOf(head) {
  const { q, k, v, g, vo, lse, weights, bias, mask } = head;
  return [q, k, v, g, vo, lse, weights, bias.values, mask.bits].reduce((sum, array) => sum + (array?.byteLength ?? 0), 0);
}
