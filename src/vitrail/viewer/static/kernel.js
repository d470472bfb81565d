/**
 * The arithmetic of one head, as trace/recompute.py does it: float64 inside, from queries and keys to weights.
 *
 * `kernel()` closes over nothing: its text is sent to a worker (worker.js). A matrix is never held to be computed; any
 * entry, row or column of weights is exp(score - lse).
 * @module
 */

/** @typedef {import("vitrail/types.js").Head} Head */
/** @typedef {import("vitrail/types.js").Matrix} Matrix */

/**
 * @typedef {Object} Kernel
 * @property {(head: Head, query: number, from?: number, to?: number, out?: Float64Array) => Float64Array} scoreRow logits that
 *   the softmax sees; -Infinity where a query may not look. Key j is at out[j]
 * @property {(head: Head, query: number) => number} lse log-sum-exp of a row of scores, a sink included
 * @property {(matrix: Matrix) => [number, number]} size queries and keys
 * @property {(matrix: Matrix, query: number, from: number, to: number, out: Float64Array) => void} fill values of some keys;
 *   NaN where nobody may look, whatever the quantity. Key j is at out[j]
 * @property {(matrix: Matrix, query: number) => Float32Array} row
 * @property {(matrix: Matrix, query: number, key: number) => number} entry
 * @property {(matrix: Matrix, key: number) => Float32Array} column
 */

/**
 * @param {number} [room] bytes for rows that were computed; 0: none are kept
 * @returns {Kernel}
 */
export function kernel(room = 0) {
  /** @type {Map<Head, Map<string, {values: Float32Array, known: Uint8Array}>>} the one that was used last at the end */
  const kept = new Map();
  let held = 0;
  /** @type {Float64Array[]} */
  const free = [];

  /** Numbers to work in, given back by `free.push`. @param {number} length */
  function scratch(length) {
    const found = free.pop();
    return found && found.length >= length ? found : new Float64Array(length);
  }

  /**
   * Products of one row with some rows of many.
   * @param {Float32Array} ones @param {number} one @param {number} factor @param {Float32Array} many @param {number} width
   * @param {number} from @param {number} to @param {Float64Array} out
   */
  function products(ones, one, factor, many, width, from, to, out) {
    const x = scratch(width);
    for (let n = 0; n < width; n++) x[n] = factor * ones[one * width + n];
    let key = from;
    let at = from * width;
    // Four keys at a time: each number of the query is loaded once for them, and no sum waits for another.
    for (; key + 4 <= to; key += 4, at += 4 * width) {
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      for (let n = 0, p = at; n < width; n++, p++) {
        const here = x[n];
        a += here * many[p];
        b += here * many[p + width];
        c += here * many[p + 2 * width];
        d += here * many[p + 3 * width];
      }
      out[key] = a;
      out[key + 1] = b;
      out[key + 2] = c;
      out[key + 3] = d;
    }
    for (; key < to; key++, at += width) {
      let sum = 0;
      for (let n = 0; n < width; n++) sum += x[n] * many[at + n];
      out[key] = sum;
    }
    free.push(x);
  }

  /** @param {Head} head @param {number} query @param {number} from @param {number} to @param {Float64Array} out */
  function addBias(head, query, from, to, out) {
    const { kind, values } = head.bias;
    if (kind === "none") return;
    const { queries, keys } = head;
    const shift = { toeplitz: queries - 1 - query, keys: 0, dense: query * keys, slopes: 0 }[kind];
    if (kind === "slopes") for (let key = from; key < to; key++) out[key] -= values[0] * Math.abs(query + keys - queries - key);
    else for (let key = from; key < to; key++) out[key] += values[shift + key];
  }

  /**
   * Write `sign` where the mask doesn't let a query look.
   * @param {Head} head @param {number} query @param {number} from @param {number} to @param {Float64Array} out @param {number} sign
   */
  function hide(head, query, from, to, out, sign) {
    const { rule, offset, before, after, length, queryBlocks, keyBlocks, bits } = head.mask;
    const place = query + offset;
    if (rule === "blocks" && queryBlocks && keyBlocks) {
      for (let key = from; key < to; key++) if (keyBlocks[key] !== queryBlocks[query]) out[key] = sign;
    } else if (rule === "bits" && bits) {
      const start = query * Math.ceil(head.keys / 8);
      for (let key = from; key < to; key++) if (!((bits[start + (key >> 3)] >> (7 - (key & 7))) & 1)) out[key] = sign;
    } else if (rule !== "all") {
      const first = rule === "window" && before !== null ? place - before : 0;
      const last = rule === "window" ? (after === null ? Infinity : place + after) : rule === "prefix" ? Math.max(place, length - 1) : place;
      for (let key = from; key < Math.min(to, first); key++) out[key] = sign;
      for (let key = Math.max(from, last + 1); key < to; key++) out[key] = sign;
    }
  }

  /** @type {Kernel["scoreRow"]} */
  function scoreRow(head, query, from = 0, to = head.keys, out = new Float64Array(head.keys)) {
    const { softcap, softcapOrder } = head;
    products(head.q, query, head.scale, head.k, head.width, from, to, out);
    if (softcap !== null && softcapOrder === "before mask") cap(softcap, from, to, out);
    addBias(head, query, from, to, out);
    hide(head, query, from, to, out, -Infinity);
    if (softcap !== null && softcapOrder === "after mask") cap(softcap, from, to, out);
    return out;
  }

  /** @param {number} most @param {number} from @param {number} to @param {Float64Array} out */
  function cap(most, from, to, out) {
    for (let key = from; key < to; key++) out[key] = most * Math.tanh(out[key] / most);
  }

  /** @type {Kernel["lse"]} */
  function lse(head, query) {
    if (!Number.isNaN(head.lse[query])) return head.lse[query];
    const scores = scoreRow(head, query);
    let highest = head.sink ?? -Infinity;
    for (const score of scores) if (score > highest) highest = score;
    let total = head.sink === null ? 0 : Math.exp(head.sink - highest);
    for (const score of scores) total += Math.exp(score - highest);
    return (head.lse[query] = highest === -Infinity ? -Infinity : highest + Math.log(total));
  }

  /** @param {Head} head @param {number} query @param {number} from @param {number} to @param {Float64Array} out */
  function weights(head, query, from, to, out) {
    if (head.weights) {
      for (let key = from, at = query * head.keys + from; key < to; key++, at++) out[key] = head.weights[at];
      hide(head, query, from, to, out, NaN);
      return;
    }
    const whole = lse(head, query);
    scoreRow(head, query, from, to, out);
    for (let key = from; key < to; key++) out[key] = out[key] === -Infinity ? NaN : Math.exp(out[key] - whole);
  }

  /** @param {Head} head @param {number} query @param {number} from @param {number} to @param {Float64Array} out */
  function gradients(head, query, from, to, out) {
    if (!head.g || !head.v) throw new Error("this head has no gradients: capture it again with a target.");
    products(head.g, query, 1, head.v, head.valueWidth, from, to, out);
    if (head.softcap === null || head.softcapOrder === "before mask") hide(head, query, from, to, out, NaN);
  }

  /** @param {Head} head @param {string} quantity @param {number} query @param {number} from @param {number} to @param {Float64Array} out */
  function compute(head, quantity, query, from, to, out) {
    if (quantity === "gradient") return gradients(head, query, from, to, out);
    if (quantity === "score") {
      scoreRow(head, query, from, to, out);
      for (let key = from; key < to; key++) if (out[key] === -Infinity) out[key] = NaN;
      return;
    }
    weights(head, query, from, to, out);
    if (quantity === "weight-value") {
      if (!head.vo) throw new Error("this head has no norms of values: capture it again with values.");
      for (let key = from; key < to; key++) out[key] *= head.vo[key];
    } else if (quantity === "weight-gradient") {
      const other = scratch(to);
      gradients(head, query, from, to, other);
      for (let key = from; key < to; key++) out[key] *= other[key];
      free.push(other);
    }
  }

  /** Rows of a head that are kept. @param {Head} head @param {string} quantity */
  function rowsOf(head, quantity) {
    const bytes = 4 * head.queries * head.keys;
    if (bytes > room) return null;
    const known = kept.get(head) ?? new Map();
    kept.delete(head);
    kept.set(head, known);
    let found = known.get(quantity);
    if (found) return found;
    held += bytes;
    for (const [old, rows] of kept) {
      for (const name of held > room ? [...rows.keys()] : []) {
        rows.delete(name);
        held -= 4 * old.queries * old.keys;
      }
      if (old !== head && !rows.size) kept.delete(old);
    }
    found = { values: new Float32Array(head.queries * head.keys), known: new Uint8Array(head.queries) };
    known.set(quantity, found);
    return found;
  }

  /** @type {Kernel["size"]} */
  function size(matrix) {
    if (matrix.of === "head") return [matrix.head.queries, matrix.head.keys];
    if (matrix.of === "words") return [matrix.queryStarts.length - 1, matrix.keyStarts.length - 1];
    return size(matrix.first);
  }

  /** @type {Kernel["fill"]} */
  function fill(matrix, query, from, to, out) {
    if (matrix.of === "words") return fillWords(matrix, query, from, to, out);
    if (matrix.of === "difference") return fillDifference(matrix, query, from, to, out);
    const { head, quantity } = matrix;
    const rows = room ? rowsOf(head, quantity) : null;
    if (!rows) return compute(head, quantity, query, from, to, out);
    const start = query * head.keys;
    if (!rows.known[query]) {
      compute(head, quantity, query, from, to, out);
      if (to - from < head.keys) return;
      for (let key = 0; key < to; key++) rows.values[start + key] = out[key];
      rows.known[query] = 1;
    }
    for (let key = from; key < to; key++) out[key] = rows.values[start + key];
  }

  /** @param {Extract<Matrix, {of: "words"}>} matrix @param {number} query @param {number} from @param {number} to @param {Float64Array} out */
  function fillWords(matrix, query, from, to, out) {
    const { queryStarts, keyStarts, summed, base } = matrix;
    const pieces = scratch(keyStarts[to]);
    const counts = scratch(to);
    for (let word = from; word < to; word++) out[word] = counts[word] = 0;
    const rows = queryStarts[query + 1] - queryStarts[query];
    for (let row = queryStarts[query]; row < queryStarts[query + 1]; row++) {
      fill(base, row, keyStarts[from], keyStarts[to], pieces);
      for (let word = from; word < to; word++) {
        for (let piece = keyStarts[word]; piece < keyStarts[word + 1]; piece++) {
          if (Number.isNaN(pieces[piece])) continue;
          out[word] += pieces[piece];
          counts[word]++;
        }
      }
    }
    // Of what isn't a share of something, the mean over the pairs of pieces that there are.
    for (let word = from; word < to; word++) out[word] = counts[word] ? out[word] / (summed ? rows : counts[word]) : NaN;
    free.push(pieces, counts);
  }

  /** @param {Extract<Matrix, {of: "difference"}>} matrix @param {number} query @param {number} from @param {number} to @param {Float64Array} out */
  function fillDifference(matrix, query, from, to, out) {
    const { first, second, queries, keys } = matrix;
    const row = queries[query];
    if (row < 0) {
      out.fill(NaN, from, to);
      return;
    }
    const [, width] = size(second);
    const other = scratch(width);
    let [low, high] = [width, 0];
    for (let key = from; key < to; key++) {
      if (keys[key] < 0) continue;
      low = Math.min(low, keys[key]);
      high = Math.max(high, keys[key] + 1);
    }
    fill(first, query, from, to, out);
    if (low < high) fill(second, row, low, high, other);
    for (let key = from; key < to; key++) {
      const [mine, theirs] = [out[key], keys[key] < 0 ? NaN : other[keys[key]]];
      // Where one of two may look, the other's weight is 0; what has no counterpart has no difference.
      out[key] = keys[key] < 0 || (Number.isNaN(mine) && Number.isNaN(theirs)) ? NaN : (mine || 0) - (theirs || 0);
    }
    free.push(other);
  }

  /** Whether what nobody may look at is 0 rather than nothing. @param {Matrix} matrix @returns {boolean} */
  function isMass(matrix) {
    if (matrix.of === "words") return isMass(matrix.base);
    return matrix.of === "head" && matrix.quantity !== "score" && matrix.quantity !== "gradient";
  }

  return {
    scoreRow,
    lse,
    size,
    fill,
    row(matrix, query) {
      const keys = size(matrix)[1];
      const found = scratch(keys);
      fill(matrix, query, 0, keys, found);
      const row = Float32Array.from(found.subarray(0, keys));
      free.push(found);
      if (isMass(matrix)) for (let key = 0; key < keys; key++) if (Number.isNaN(row[key])) row[key] = 0;
      return row;
    },
    entry(matrix, query, key) {
      const found = scratch(key + 1);
      fill(matrix, query, key, key + 1, found);
      const value = found[key];
      free.push(found);
      return Number.isNaN(value) && isMass(matrix) ? 0 : value;
    },
    column(matrix, key) {
      return Float32Array.from({ length: size(matrix)[0] }, (_, query) => this.entry(matrix, query, key));
    },
  };
}
