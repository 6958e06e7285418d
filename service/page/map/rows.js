/** Rows by their numbers, as many as one selects at most. */

import { ask, lakePath } from "../common/api.js";

/** @import { Row } from "../common/api.js" */

const MOST_CHARS = 3_600; // of a where; the server takes 4,096 bytes
const AT_ONCE = 4; // questions under way

/**
 * @param {string} lake
 * @param {number[]} rowIds
 * @param {AbortSignal} [signal]
 * @returns {Promise<Row[]>} those that are there, in that order
 */
export async function rowsOf(lake, rowIds, signal) {
  /** @type {string[]} */
  const lists = [];
  for (const rowId of rowIds) {
    const last = lists.at(-1);
    if (last && last.length + String(rowId).length < MOST_CHARS) lists[lists.length - 1] = `${last},${rowId}`;
    else lists.push(String(rowId));
  }
  /** @type {Row[][]} */
  const found = Array(lists.length);
  const waiting = [...lists.entries()];
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [number, list] = next;
      const params = new URLSearchParams({ where: `row_id IN (${list})`, k: "1000" });
      found[number] = (await ask("GET", `${lakePath(lake)}/rows?${params}`, { signal })).answer.rows;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return found.flat();
}
