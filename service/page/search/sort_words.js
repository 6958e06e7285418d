/** An order as the API writes it, `date:down`, and as people choose it: by what, and in which direction. */

/** What a name means that is not in double quotes. */
const WORDS = ["match", "date", "path", "random"];
/** @type {Record<string, string>} */
const USUAL = { match: "down", date: "down" }; // the direction one expects first: the best, the newest
const SEEDS = 1_000_000;

/**
 * @param {string} sort
 * @param {boolean} isQuery
 * @returns {{key: string, isDown: boolean}} key: as `parse` of the API takes it, without seed and direction
 */
export function partsOf(sort, isQuery) {
  if (!sort) return isQuery ? { key: "match", isDown: true } : { key: "row_id", isDown: false };
  if (/^random(:\d+)?$/.test(sort)) return { key: "random", isDown: false };
  const found = /^(.+):(up|down)$/.exec(sort);
  const key = found ? found[1] : sort;
  return { key, isDown: found ? found[2] === "down" : key === "match" };
}

/**
 * The order as the address has it; "" for the usual one.
 * @param {string} key
 * @param {boolean} isDown
 * @param {boolean} isQuery
 */
export function sortOf(key, isDown, isQuery) {
  if (key === "random") return `random:${Math.floor(Math.random() * SEEDS)}`;
  if ((isQuery && key === "match" && isDown) || (!isQuery && key === "row_id" && !isDown)) return "";
  return `${key}:${isDown ? "down" : "up"}`;
}

/** @param {string} key */
export const isUsuallyDown = (key) => USUAL[key] === "down";

/** @param {string} sort */
export const isByMatch = (sort) => /^match(:|$)/.test(sort);

/**
 * A column's name, in double quotes where it would mean something else.
 * @param {string} column
 */
export const keyOf = (column) =>
  WORDS.includes(column) || /[":]/.test(column) ? `"${column.replaceAll('"', '""')}"` : column;

/**
 * What the direction is called.
 * @param {string} key
 * @param {boolean} isDown
 */
export function directionOf(key, isDown) {
  if (key === "random") return "Shuffle again";
  if (key === "match") return isDown ? "Best first" : "Weakest first";
  if (key === "date") return isDown ? "Newest first" : "Oldest first";
  if (key === "row_id") return isDown ? "Last added first" : "First added first";
  return isDown ? "Falling, from the largest" : "Rising, from the smallest";
}
