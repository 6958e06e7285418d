/** The points of a lake's map and what they are coloured by, as the server's bytes say it; and which lies where. */

import { ApiError, ServerGone, asked, lakePath } from "../common/api.js";

export const HIDDEN = 254; // it does not pass; as service/map/colours.py has it
export const NO_VALUE = 255;
const SIDE = 256; // cells of the index, a side
const CELL = 65_536 / SIDE;

/** @import { Place } from "./camera.js" */

/** @import { Kind } from "./draw.js" */

/** @import { State } from "../search/state.js" */

/** @import { SignedRow, SignedText } from "../search/query.js" */

/**
 * @typedef {{count: number, places: Uint16Array<ArrayBuffer>, runs: Float64Array, since: number, snapshot: number,
 *   names: {x: number, y: number, text: string}[]}} Points places: x and y of each, 0 to 65,535, by rising row_id; runs: a
 *   row_id, and how many follow one another from it; since: images that are not on the map; names: at places from -1 to 1
 * @typedef {{by: string, column?: string, decided_by?: string}} By what colours are asked by
 * @typedef {{snapshot: number, kind: Kind, values?: {value: string, rows: number}[], low?: ?(number|string),
 *   high?: ?(number|string), numbers: Uint8Array<ArrayBuffer>}} Coloured numbers: one a point, of its value, or 0 to 250 from
 *   low to high
 */

/**
 * @param {string} lake
 * @param {AbortSignal} signal
 * @returns {Promise<Points>}
 */
export async function points(lake, signal) {
  const { head, bytes, begin } = await fetched("GET", `${lakePath(lake)}/map`, undefined, signal);
  const runs = new Float64Array(bytes, begin, head.runs * 2);
  const places = new Uint16Array(bytes, begin + runs.byteLength, head.points * 2);
  return { count: head.points, places, runs, since: head.since, snapshot: head.snapshot, names: head.names };
}

/**
 * @param {string} lake
 * @param {By} by
 * @param {Record<string, any>} fields of the question: texts, images, where, filter, decision, min_z
 * @param {AbortSignal} signal
 * @returns {Promise<Coloured>}
 */
export async function colours(lake, by, fields, signal) {
  const { head, bytes, begin } = await fetched("POST", `${lakePath(lake)}/map/colours`, { ...fields, ...by }, signal);
  return { ...head, numbers: new Uint8Array(bytes, begin, head.points) };
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Record<string, any>|undefined} body
 * @param {AbortSignal} signal
 * @returns {Promise<{head: any, bytes: ArrayBuffer, begin: number}>} the numbers begin at byte `begin`
 */
async function fetched(method, path, body, signal) {
  let response;
  try {
    const sent = body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    response = await fetch(path, { method, signal, ...sent });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerGone();
  }
  if (!response.ok) {
    const said = (await response.json().catch(() => null))?.error;
    throw new ApiError(response.status, said ?? { code: "internal", message: `the server answered ${response.status}` });
  }
  const bytes = await response.arrayBuffer();
  const begin = new Uint8Array(bytes).indexOf(10) + 1; // the line of JSON ends there, the numbers begin
  return { head: JSON.parse(new TextDecoder().decode(bytes.slice(0, begin))), bytes, begin };
}

/**
 * What narrows and asks, in the words of the API.
 * @param {State} state
 * @param {SignedText[]} texts
 * @param {SignedRow[]} images
 * @returns {Record<string, any>}
 */
export function fieldsOf(state, texts, images) {
  return {
    ...(texts.length && { texts }),
    ...(images.length && { images }),
    ...(state.where && { where: state.where }),
    ...asked(state.within),
    ...(state.minZ !== null && texts.length + images.length > 0 && { min_z: state.minZ }),
  };
}

/** Which points lie near a place: their numbers by the cells of a grid. */
export class PointIndex {
  /** @param {Points} points */
  constructor({ count, places, runs }) {
    this.places = places;
    this.runs = runs;
    this.starts = new Uint32Array(SIDE * SIDE + 1);
    const cells = new Uint16Array(count);
    for (let at = 0; at < count; at += 1) {
      cells[at] = (places[2 * at + 1] >> 8) * SIDE + (places[2 * at] >> 8);
      this.starts[cells[at] + 1] += 1;
    }
    for (let cell = 0; cell < SIDE * SIDE; cell += 1) this.starts[cell + 1] += this.starts[cell];
    const next = this.starts.slice(0, -1);
    this.order = new Uint32Array(count);
    for (let at = 0; at < count; at += 1) this.order[next[cells[at]]++] = at;
  }

  /**
   * The row_id of a point.
   * @param {number} at its number
   */
  rowId(at) {
    let before = at;
    for (let run = 0; run < this.runs.length; run += 2) {
      if (before < this.runs[run + 1]) return this.runs[run] + before;
      before -= this.runs[run + 1];
    }
    throw new RangeError(`the map has no point ${at}`);
  }

  /**
   * The number of a row's point, or null.
   * @param {number} rowId
   */
  numberOf(rowId) {
    let before = 0;
    for (let run = 0; run < this.runs.length; run += 2) {
      const at = rowId - this.runs[run];
      if (at >= 0 && at < this.runs[run + 1]) return before + at;
      before += this.runs[run + 1];
    }
    return null;
  }

  /**
   * The point nearest to a place, at most `reach` away, or null.
   * @param {number} x
   * @param {number} y
   * @param {number} reach
   * @param {(at: number) => boolean} counts whether a point may be it
   */
  nearest(x, y, reach, counts) {
    let best = /** @type {?number} */ (null);
    let least = reach * reach;
    this.#within(x - reach, y - reach, x + reach, y + reach, (at) => {
      const away = (this.places[2 * at] - x) ** 2 + (this.places[2 * at + 1] - y) ** 2;
      if (away <= least && counts(at)) [best, least] = [at, away];
    });
    return best;
  }

  /**
   * The points inside an outline, by rising row_id.
   * @param {Place[]} outline corners
   * @param {(at: number) => boolean} counts whether a point may be among them
   */
  inside(outline, counts) {
    const xs = outline.map(([x]) => x);
    const ys = outline.map(([, y]) => y);
    /** @type {number[]} */
    const found = [];
    this.#within(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys), (at) => {
      if (counts(at) && isInside(outline, this.places[2 * at], this.places[2 * at + 1])) found.push(at);
    });
    return found.sort((a, b) => a - b);
  }

  /**
   * @param {number} left
   * @param {number} top
   * @param {number} right
   * @param {number} bottom
   * @param {(at: number) => void} does
   */
  #within(left, top, right, bottom, does) {
    const cell = (/** @type {number} */ value) => Math.max(0, Math.min(SIDE - 1, Math.floor(value / CELL)));
    for (let row = cell(top); row <= cell(bottom); row += 1) {
      const from = this.starts[row * SIDE + cell(left)];
      const to = this.starts[row * SIDE + cell(right) + 1];
      for (let at = from; at < to; at += 1) does(this.order[at]);
    }
  }
}

/**
 * By how often a line to the right crosses the outline.
 * @param {Place[]} outline
 * @param {number} x
 * @param {number} y
 */
export function isInside(outline, x, y) {
  let inside = false;
  for (let at = 0, before = outline.length - 1; at < outline.length; before = at, at += 1) {
    const [ax, ay] = outline[at];
    const [bx, by] = outline[before];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}
