/**
 * Reading JSON that somebody else wrote: every field is of its kind, or one sentence says which isn't; the twin of
 * trace/fields.py.
 * @module
 */

import { TraceError, isObject, quoted } from "vitrail/container.js";

/** @typedef {import("vitrail/container.js").Tensor} Tensor */

/** One JSON object, and the tensors that it names; a field that is missing is null. */
export class Fields {
  /** @param {unknown} value @param {string} where @param {Map<string, Tensor>} tensors */
  constructor(value, where, tensors) {
    if (!isObject(value)) throw new TraceError(`${where} is no JSON object`);
    /** @type {Map<string, unknown>} */
    this.value = new Map(Object.entries(value));
    this.where = where;
    this.tensors = tensors;
  }

  /** @param {string} name @returns {string | null} */
  text(name) {
    return /** @type {string | null} */ (this.kind(name, (one) => typeof one === "string", "a text"));
  }

  /** @param {string} name @returns {number | null} */
  whole(name) {
    return /** @type {number | null} */ (this.kind(name, Number.isSafeInteger, "a whole number of at most 53 bits"));
  }

  /** @param {string} name @returns {number | null} */
  number(name) {
    return /** @type {number | null} */ (this.kind(name, Number.isFinite, "a finite number"));
  }

  /** @param {string} name @returns {unknown[]} */
  items(name) {
    return /** @type {unknown[] | null} */ (this.kind(name, Array.isArray, "a list")) ?? [];
  }

  /** @param {string} name @returns {string[] | null} */
  texts(name) {
    if (!this.has(name)) return null;
    const found = this.items(name);
    if (!found.every((one) => typeof one === "string")) throw this.wrong(name, "a list of texts");
    return /** @type {string[]} */ (found);
  }

  /** @param {string} name @returns {Record<string, string>} */
  names(name) {
    const found = this.kind(name, isObject, "texts by name") ?? {};
    if (!Object.values(found).every((one) => typeof one === "string")) throw this.wrong(name, "texts by name");
    return /** @type {Record<string, string>} */ (found);
  }

  /** @param {string} name @returns {[number, number] | null} */
  pair(name) {
    if (!this.has(name)) return null;
    const found = this.items(name);
    const counts = found.every((one) => Number.isInteger(one) && Number(one) > 0 && Number(one) < 2 ** 31);
    if (found.length !== 2 || !counts) throw this.wrong(name, "two counts");
    return /** @type {[number, number]} */ (found);
  }

  /** @param {string} name @returns {Fields[]} */
  objects(name) {
    return this.items(name).map((one, place) => new Fields(one, `${name} ${place} of ${this.where}`, this.tensors));
  }

  /** @param {string} name @returns {Fields | null} */
  object(name) {
    return this.has(name) ? new Fields(this.value.get(name), `${name} of ${this.where}`, this.tensors) : null;
  }

  /**
   * A tensor that the field names, of this shape: null stands for any length.
   * @param {string} name
   * @param {"F" | "I" | "U"} kind broken or whole numbers, or bytes
   * @param {(number | null)[] | null} [shape]
   * @returns {Tensor | null}
   */
  tensor(name, kind, shape) {
    const label = this.text(name);
    if (label === null) return null;
    const found = this.tensors.get(label);
    if (!found) throw new TraceError(`${name} of ${this.where} is said to be the tensor ${quoted(label)}, which isn't in the file`);
    if (found.dtype[0] !== kind) throw this.wrong(name, `a tensor that can be meant: ${quoted(label)} is ${found.dtype}`);
    if (shape && !fits(found.shape, shape)) {
      const wanted = shape.map((count) => count ?? "any").join(", ");
      throw new TraceError(`${name} of ${this.where} is [${found.shape.join(", ")}], and [${wanted}] is needed`);
    }
    return found;
  }

  /** @template T @param {string} name @param {T | null} value @returns {T} */
  needed(name, value) {
    if (value === null) throw new TraceError(`${name} of ${this.where} is missing`);
    return value;
  }

  /** @param {string} name @param {string} wanted */
  wrong(name, wanted) {
    return new TraceError(`${name} of ${this.where} isn't ${wanted}`);
  }

  /** @param {string} name */
  has(name) {
    return (this.value.get(name) ?? null) !== null;
  }

  /** @param {string} name @param {(value: unknown) => boolean} is @param {string} wanted @returns {unknown} */
  kind(name, is, wanted) {
    const found = this.value.get(name) ?? null;
    if (found !== null && !is(found)) throw this.wrong(name, wanted);
    return found;
  }
}

/** Whether a shape is this one; null stands for any length. @param {number[]} found @param {(number | null)[]} wanted */
export function fits(found, wanted) {
  return found.length === wanted.length && wanted.every((count, at) => count === null || count === found[at]);
}
