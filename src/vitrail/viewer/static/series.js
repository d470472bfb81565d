/**
 * Checkpoints of one run: traces of the same model on the same input that tell after how many steps of training.
 * @module
 */

/** @typedef {{id: string, step: number}} Checkpoint */
/** @typedef {{model?: string, texts?: string[], step?: number, error?: string}} Known what is known of a trace before it is opened */

/**
 * The checkpoints that a trace is one of, in the order of training; none where it is alone.
 * @param {Map<string, Known>} offered
 * @param {string} id
 * @returns {Checkpoint[]}
 */
export function seriesOf(offered, id) {
  const own = offered.get(id);
  if (own?.step === undefined) return [];
  const run = runOf(own);
  const found = [...offered].flatMap(([one, known]) => (known.step !== undefined && !known.error && runOf(known) === run ? [{ id: one, step: known.step }] : []));
  return found.length < 2 ? [] : found.sort((one, two) => one.step - two.step);
}

/**
 * The checkpoint before this one; "" where there is none.
 * @param {Map<string, Known>} offered
 * @param {string} id
 */
export function before(offered, id) {
  const series = seriesOf(offered, id);
  return series[series.findIndex((one) => one.id === id) - 1]?.id ?? "";
}

/** @param {Known} known */
function runOf({ model, texts }) {
  return JSON.stringify([model, texts]);
}
