/**
 * All values of one head's matrix, filled in by bands of rows: first a glance, then exactly, what is on the screen first.
 *
 * Beside the values stand poolings of them, each half as large as the one before: the value of largest magnitude of four.
 * So the matrix of 4,096 tokens is computed once, in a worker, and every zoom after that only reads.
 * @module
 */

/** @typedef {import("vitrail/types.js").Look} Look */
/** @typedef {{rows: number, columns: number, values: Float32Array}} Level */

/** A band is so many rows, or a multiple: the coarsest level has one row of each. */
const BAND = 64;
const LEVELS = 7;
/** A band has about so many values: a few frames of a worker's time. */
const WORTH = 2 ** 19;

/**
 * @typedef {Object} Values
 * @property {number} rows
 * @property {number} columns
 * @property {Level[]} levels finest first
 * @property {Float64Array} rowSums
 * @property {Float64Array} columnSums
 * @property {() => number} largest magnitude so far
 * @property {() => boolean} masked some place may not be looked at
 * @property {() => number} done share that is exact, 0 to 1
 * @property {(row: number) => boolean} exact this row is
 * @property {(from: number, to: number) => void} want these rows are on the screen
 * @property {() => void} stop
 */

/**
 * @param {Look} look
 * @param {Int32Array} queries that are shown
 * @param {Int32Array} keys that are shown
 * @param {() => void} changed
 * @returns {Values}
 */
export function valuesOf(look, queries, keys, changed) {
  const [rows, columns] = [queries.length, keys.length];
  const levels = [level(rows, columns)];
  while (levels.length < LEVELS && Math.max(levels[levels.length - 1].rows, levels[levels.length - 1].columns) > 1) {
    levels.push(level(Math.ceil(rows / 2 ** levels.length), Math.ceil(columns / 2 ** levels.length)));
  }
  const height = Math.max(BAND, BAND * Math.floor(WORTH / Math.max(1, columns) / BAND));
  const bands = Math.ceil(rows / height);
  const known = new Uint8Array(bands);
  const [rowSums, columnSums] = [new Float64Array(rows), new Float64Array(columns)];
  let [largest, masked, count, stopped] = [0, false, 0, false];
  /** @type {[number, number]} */
  let wanted = [0, rows];

  /** @param {number} row of the first @param {number} to @param {Float32Array} found whole rows from that query on */
  function keep(row, to, found) {
    const { values } = levels[0];
    for (let at = row; at < to; at += 1) {
      const from = (queries[at] - queries[row]) * look.keys;
      let sum = 0;
      for (let column = 0, place = at * columns; column < columns; column += 1, place += 1) {
        const value = found[from + keys[column]];
        values[place] = value;
        if (Number.isNaN(value)) masked = true;
        else if (Number.isFinite(value)) {
          sum += value;
          columnSums[column] += value;
          const size = Math.abs(value);
          if (size > largest) largest = size;
        }
      }
      rowSums[at] = sum;
    }
    pool(levels, row, to);
  }

  async function glance() {
    // One row stands for a band's 64 until they are there: streaks, but at once.
    const samples = Array.from({ length: Math.ceil(rows / BAND) }, (_, at) => Math.min(rows - 1, at * BAND + BAND / 2));
    await Promise.all(
      samples.map(async (row) => {
        const found = await look.pooled([queries[row], queries[row] + 1], [0, look.keys], [1, look.keys]);
        const begin = Math.floor(row / BAND) * BAND;
        if (stopped || known[Math.floor(begin / height)]) return;
        const to = Math.min(rows, begin + BAND);
        const { values } = levels[0];
        for (let column = 0; column < columns; column += 1) {
          const value = found[keys[column]];
          values[begin * columns + column] = value;
          if (Math.abs(value) > largest && Number.isFinite(value)) largest = Math.abs(value);
        }
        for (let at = begin + 1; at < to; at += 1) values.copyWithin(at * columns, begin * columns, (begin + 1) * columns);
        pool(levels, begin, to);
      }),
    );
    if (!stopped) changed();
  }

  async function fill() {
    if (bands > 4) await glance();
    while (count < bands && !stopped) {
      const band = next(known, Math.floor(wanted[0] / height), Math.ceil(wanted[1] / height));
      const [from, to] = [band * height, Math.min(rows, (band + 1) * height)];
      const [first, last] = [queries[from], queries[to - 1] + 1];
      const found = await look.pooled([first, last], [0, look.keys], [last - first, look.keys]);
      if (stopped) return;
      keep(from, to, found);
      known[band] = 1;
      count += 1;
      changed();
    }
  }
  if (rows && columns) {
    // A worker that was sent away refuses what it was asked; whoever sent it away doesn't want the answer.
    fill().catch((error) => {
      if (!stopped) throw error;
    });
  }

  return {
    rows,
    columns,
    levels,
    rowSums,
    columnSums,
    largest: () => largest,
    masked: () => masked,
    done: () => (bands ? count / bands : 1),
    exact: (row) => known[Math.floor(row / height)] === 1,
    want: (from, to) => {
      wanted = [from, to];
    },
    stop: () => {
      stopped = true;
    },
  };
}

/** @param {number} rows @param {number} columns @returns {Level} */
function level(rows, columns) {
  return { rows, columns, values: new Float32Array(rows * columns).fill(Number.NaN) };
}

/**
 * The first unknown band that is wanted, else the first unknown one.
 * @param {Uint8Array} known
 * @param {number} from
 * @param {number} to
 */
export function next(known, from, to) {
  for (let band = Math.max(0, from); band < Math.min(to, known.length); band += 1) if (!known[band]) return band;
  return known.indexOf(0);
}

/**
 * Make some rows of all coarser levels anew: of each four values, the one of largest magnitude; NaN where all are.
 * @param {Level[]} levels
 * @param {number} from a row of the finest, where a band begins
 * @param {number} to
 */
export function pool(levels, from, to) {
  for (let at = 1; at < levels.length; at += 1) {
    const [fine, coarse] = [levels[at - 1], levels[at]];
    const [begin, end] = [from >> at, Math.min(coarse.rows, Math.ceil(to / 2 ** at))];
    const { values, columns } = fine;
    for (let row = begin; row < end; row += 1) {
      const upper = 2 * row * columns;
      const lower = Math.min(2 * row + 1, fine.rows - 1) * columns;
      const out = row * coarse.columns;
      for (let column = 0; column < coarse.columns; column += 1) {
        const left = 2 * column;
        const right = Math.min(left + 1, columns - 1);
        const a = values[upper + left];
        const b = values[upper + right];
        const c = values[lower + left];
        const d = values[lower + right];
        // Of two values the one of larger magnitude, of a value and nothing (NaN, no comparison is true) the value.
        const top = b !== b || Math.abs(a) >= Math.abs(b) ? a : b;
        const below = d !== d || Math.abs(c) >= Math.abs(d) ? c : d;
        coarse.values[out + column] = below !== below || Math.abs(top) >= Math.abs(below) ? top : below;
      }
    }
  }
}
