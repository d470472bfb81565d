/**
 * What needs many rows of a matrix: row by row, so that it can be put aside for something newer, and never n² numbers at
 * once. Closes over nothing, as the kernel that it is given.
 * @module
 */

/** @typedef {import("vitrail/types.js").Matrix} Matrix */

/**
 * Rows to take, and what comes of them.
 * @typedef {Object} Job
 * @property {number} at the next row
 * @property {number} to after the last
 * @property {() => void} step take the next row
 * @property {() => any} result
 */

/**
 * What can be asked: a job's name and what it needs beside a matrix.
 * @typedef {{name: "column", key: number} | {name: "largest"} | {name: "sums"}
 *   | {name: "strongest", share: number, most: number, rows: [number, number]}
 *   | {name: "pooled", rows: [number, number], columns: [number, number], cells: [number, number]}
 *   | {name: "change", others: Matrix[][], queries: [Int32Array, Int32Array], keys: [Int32Array, Int32Array]}
 *   | {name: "rollout", others: Matrix[][]}} Asked
 */

/**
 * @param {import("vitrail/kernel.js").Kernel} kernel
 * @returns {(matrix: Matrix, asked: Asked) => Job}
 */
export function jobs(kernel) {
  /** @param {number} from @param {number} to @param {(row: number) => void} take @param {() => any} result @returns {Job} */
  function job(from, to, take, result) {
    return {
      at: from,
      to,
      step() {
        take(this.at++);
      },
      result,
    };
  }

  /** @param {Matrix} matrix @param {number} key */
  function column(matrix, key) {
    const queries = kernel.size(matrix)[0];
    const found = new Float32Array(queries);
    return job(0, queries, (row) => (found[row] = kernel.entry(matrix, row, key)), () => found);
  }

  /** @param {Matrix} matrix */
  function largest(matrix) {
    const [queries, keys] = kernel.size(matrix);
    const row = new Float64Array(keys);
    let found = 0;
    const take = (/** @type {number} */ query) => {
      kernel.fill(matrix, query, 0, keys, row);
      for (let key = 0; key < keys; key++) {
        const magnitude = Math.abs(row[key]);
        if (magnitude > found && magnitude < Infinity) found = magnitude;
      }
    };
    return job(0, queries, take, () => found);
  }

  /** @param {Matrix} matrix */
  function sums(matrix) {
    const [queries, keys] = kernel.size(matrix);
    const [row, columns, rows] = [new Float64Array(keys), new Float64Array(keys), new Float64Array(queries)];
    const take = (/** @type {number} */ query) => {
      kernel.fill(matrix, query, 0, keys, row);
      for (let key = 0; key < keys; key++) {
        if (Number.isNaN(row[key])) continue;
        rows[query] += row[key];
        columns[key] += row[key];
      }
    };
    return job(0, queries, take, () => ({ rows: Float32Array.from(rows), columns: Float32Array.from(columns) }));
  }

  /** @param {Matrix} matrix @param {number} share @param {number} most @param {[number, number]} rows */
  function strongest(matrix, share, most, [from, to]) {
    const keys = kernel.size(matrix)[1];
    const room = Math.min(most, keys);
    const row = new Float64Array(keys);
    const start = new Int32Array(to - from + 1);
    const rest = new Float32Array(to - from);
    /** @type {number[][]} */
    const [chosen, values, best] = [[], [], []];
    const take = (/** @type {number} */ query) => {
      kernel.fill(matrix, query, 0, keys, row);
      let total = 0;
      best.length = 0;
      for (let key = 0; key < keys; key++) {
        const magnitude = Math.abs(row[key]);
        if (!(magnitude > 0)) continue;
        total += magnitude;
        if (best.length === room && magnitude <= Math.abs(row[best[room - 1]])) continue;
        // The few best so far, in order: no row is sorted.
        let place = best.length < room ? best.length : room - 1;
        for (; place > 0 && Math.abs(row[best[place - 1]]) < magnitude; place--) best[place] = best[place - 1];
        best[place] = key;
      }
      let left = total;
      for (const key of best) {
        if (left <= (1 - share) * total) break;
        chosen.push(key);
        values.push(row[key]);
        left -= Math.abs(row[key]);
      }
      start[query - from + 1] = chosen.length;
      rest[query - from] = Math.max(0, left);
    };
    return job(from, to, take, () => ({ start, keys: Int32Array.from(chosen), values: Float32Array.from(values), rest }));
  }

  /** @param {Matrix} matrix @param {[number, number]} rows @param {[number, number]} columns @param {[number, number]} cells */
  function pooled(matrix, rows, columns, cells) {
    const [height, width] = [rows[1] - rows[0], columns[1] - columns[0]];
    // More cells than there are positions show each of these more than once.
    const [down, across] = [Math.min(cells[0], height), Math.min(cells[1], width)];
    const found = new Float32Array(down * across).fill(NaN);
    const row = new Float64Array(columns[1]);
    const cellOf = Int32Array.from({ length: width }, (_, at) => Math.floor((at * across) / width));
    const take = (/** @type {number} */ query) => {
      kernel.fill(matrix, query, columns[0], columns[1], row);
      const start = Math.floor(((query - rows[0]) * down) / height) * across;
      for (let at = 0; at < width; at++) {
        const value = row[columns[0] + at];
        const cell = start + cellOf[at];
        if (Math.abs(value) > Math.abs(found[cell]) || (Number.isNaN(found[cell]) && !Number.isNaN(value))) found[cell] = value;
      }
    };
    const result = () => {
      if (down === cells[0] && across === cells[1]) return found;
      return Float32Array.from({ length: cells[0] * cells[1] }, (_, at) => {
        const [r, c] = [Math.floor(at / cells[1]), at % cells[1]];
        return found[Math.floor((r * down) / cells[0]) * across + Math.floor((c * across) / cells[1])];
      });
    };
    return job(rows[0], rows[1], take, result);
  }

  /**
   * How far apart two maps are: Jensen-Shannon divergence of rows that correspond, in nats, the mean; what either gives
   * to keys that the other doesn't have counts in full (trace/comparing.py).
   * @param {Matrix} one @param {Matrix} two @param {[Int32Array, Int32Array]} queries @param {[Int32Array, Int32Array]} keys
   */
  function change(one, two, queries, keys) {
    const [p, q] = [new Float64Array(kernel.size(one)[1]), new Float64Array(kernel.size(two)[1])];
    let [sum, count] = [0, 0];
    const total = (/** @type {Float64Array} */ row) => {
      let mass = 0;
      for (let at = 0; at < row.length; at++) {
        if (Number.isNaN(row[at])) row[at] = 0;
        mass += row[at];
      }
      return mass;
    };
    const part = (/** @type {number} */ x) => (x > 0 ? -x * Math.log(x) : 0);
    const take = (/** @type {number} */ at) => {
      kernel.fill(one, queries[0][at], 0, p.length, p);
      kernel.fill(two, queries[1][at], 0, q.length, q);
      const [mine, theirs] = [total(p), total(q)];
      if (!(mine > 0 && theirs > 0)) return;
      let [apart, aloneP, aloneQ] = [0, 1, 1];
      for (let pair = 0; pair < keys[0].length; pair++) {
        const [x, y] = [p[keys[0][pair]] / mine, q[keys[1][pair]] / theirs];
        apart += part((x + y) / 2) - (part(x) + part(y)) / 2;
        aloneP -= x;
        aloneQ -= y;
      }
      for (const alone of [keys[0].length < p.length ? aloneP : 0, keys[1].length < q.length ? aloneQ : 0]) {
        if (alone > 0) apart += part(alone / 2) - part(alone) / 2;
      }
      sum += Math.min(Math.max(apart, 0), Math.LN2);
      count++;
    };
    return job(0, queries[0].length, take, () => (count ? sum / count : NaN));
  }

  /**
   * What of each position of the input is in each position after the last of some layers (Abnar and Zuidema 2020, section
   * 3.1; trace/flow.py): the product of ½ (mean over heads) + ½ I, its rows scaled to sum to 1.
   * @param {Matrix[][]} layers weights of all heads of each
   */
  function rollout(layers) {
    const size = kernel.size(layers[0][0])[0];
    const [row, mean] = [new Float64Array(size), new Float64Array(size)];
    let [before, after] = [new Float64Array(0), new Float64Array(size * size)];
    const take = (/** @type {number} */ at) => {
      const [layer, query] = [Math.floor(at / size), at % size];
      mean.fill(0);
      for (const head of layers[layer]) {
        kernel.fill(head, query, 0, size, row);
        for (let key = 0; key < size; key++) mean[key] += row[key] || 0;
      }
      let total = 0;
      for (let key = 0; key < size; key++) {
        mean[key] = mean[key] / layers[layer].length / 2 + (key === query ? 0.5 : 0);
        total += mean[key];
      }
      const start = query * size;
      if (layer === 0) for (let key = 0; key < size; key++) after[start + key] = mean[key] / total;
      else {
        after.fill(0, start, start + size);
        for (let via = 0; via < size; via++) {
          const share = mean[via] / total;
          if (share) for (let key = 0, from = via * size; key < size; key++, from++) after[start + key] += share * before[from];
        }
      }
      if (query === size - 1) [before, after] = [after, before.length ? before : new Float64Array(size * size)];
    };
    return job(0, size * layers.length, take, () => Float32Array.from(before));
  }

  return (matrix, asked) => {
    if (asked.name === "column") return column(matrix, asked.key);
    if (asked.name === "largest") return largest(matrix);
    if (asked.name === "sums") return sums(matrix);
    if (asked.name === "strongest") return strongest(matrix, asked.share, asked.most, asked.rows);
    if (asked.name === "pooled") return pooled(matrix, asked.rows, asked.columns, asked.cells);
    if (asked.name === "rollout") return rollout(asked.others);
    return change(matrix, asked.others[0][0], asked.queries, asked.keys);
  };
}
