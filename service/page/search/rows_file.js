/** Selected rows as a file to keep: a table, or a line of JSON each. Values in, text out. */

import { placeOf } from "../common/words.js";

/** @import { Row } from "../common/api.js" */

const RISKY = /^['=+\-@\t\r]/; // a spreadsheet would run it as a formula: a ' goes before it, as in the exports of filters
const FIRST = /** @type {const} */ (["row_id", "uri", "z", "score", "width_px", "height_px"]);

/**
 * One object a line, as a search's stream has them.
 * @param {Row[]} rows
 */
export const asLines = (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/** @param {Row[]} rows */
export function asTable(rows) {
  const names = [...new Set(rows.flatMap(({ columns = {} }) => Object.keys(columns)))].filter((name) => !FIRST.some((each) => each === name));
  const first = FIRST.filter((name) => rows.some((row) => row[name] !== undefined));
  const lines = rows.map((row) => {
    const own = first.map((name) => (name === "uri" ? placeOf(row) : row[name]));
    return [...own, ...names.map((name) => row.columns?.[name])].map(cell).join(",");
  });
  return [[...first, ...names].map(cell).join(","), ...lines, ""].join("\n");
}

/** @param {unknown} value */
function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const safe = RISKY.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
