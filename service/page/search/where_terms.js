/**
 * A `where` as the conditions that its outermost ANDs join, and those of them that the metadata panel wrote for a column.
 * Values in, values out: knows neither the document nor the server.
 */

import { columnName, literal } from "../common/sql.js";

/**
 * @typedef {string|boolean} Value
 * @typedef {{name: string, kind: Answers.Facet["kind"]}} Column
 */

const WORD = /[A-Za-z_]/;

/**
 * @param {string} where
 * @returns {string[]} a row passes the whole if it passes each; the whole alone where an OR joins its outermost parts
 */
export function termsOf(where) {
  /** @type {string[]} */
  const terms = [];
  let [depth, start, isBetween, isOr] = [0, 0, false, false];
  for (let at = 0; at < where.length; at += 1) {
    const sign = where[at];
    if (sign === "'" || sign === '"') {
      at = endOfQuoted(where, at);
    } else if (sign === "(" || sign === ")") {
      depth += sign === "(" ? 1 : -1;
    } else if (WORD.test(sign)) {
      const word = (/^\w+/.exec(where.slice(at))?.[0] ?? sign).toUpperCase();
      if (depth === 0 && word === "BETWEEN") isBetween = true;
      else if (depth === 0 && word === "OR") isOr = true;
      else if (depth === 0 && word === "AND" && isBetween) isBetween = false;
      else if (depth === 0 && word === "AND") {
        terms.push(where.slice(start, at).trim());
        start = at + word.length;
      }
      at += word.length - 1;
    }
  }
  const whole = where.trim();
  if (!whole) return [];
  return isOr ? [`(${whole})`] : [...terms, where.slice(start).trim()].filter(Boolean);
}

/**
 * @param {string} text
 * @param {number} start
 */
function endOfQuoted(text, start) {
  const end = text.indexOf(text[start], start + 1);
  return end < 0 ? text.length : end; // a quote in it is written twice: two texts side by side
}

/** @param {number|string} value */
const limit = (value) => {
  if (typeof value === "number") return String(value);
  return `${/(Z|[+-]\d\d:\d\d)$/.test(value) ? "TIMESTAMPTZ" : "TIMESTAMP"} '${value}'`;
};

/**
 * What chooses these values of a column; none: nothing does.
 * @param {Column} facet
 * @param {Value[]} values
 */
function termOfValues({ name, kind }, values) {
  const column = columnName(name);
  if (!values.length) return null;
  if (kind === "values") return `${column} IN (${values.map(literal).join(", ")})`;
  const some = values.map((value) => `${literal(value)} IN ${column}`);
  return some.length === 1 ? some[0] : `(${some.join(" OR ")})`;
}

/**
 * The values of a facet that a `where` chooses, as this panel wrote it.
 * @param {string} where
 * @param {Column} facet
 */
export function chosenValues(where, facet) {
  const own = termsOf(where).find((term) => isOfValues(term, facet));
  return own ? literalsOf(own) : [];
}

/**
 * @param {string} term
 * @returns {Value[]}
 */
function literalsOf(term) {
  const inside = term.replace(/^\(|\)$/g, "");
  const found = [...inside.matchAll(/"(?:[^"]|"")*"|'((?:[^']|'')*)'|\b(TRUE|FALSE)\b/g)];
  return found
    .filter(([, text, truth]) => text !== undefined || truth) // the others name the column
    .map(([, text, truth]) => (truth ? truth === "TRUE" : text.replaceAll("''", "'")));
}

/**
 * @param {string} term
 * @param {Column} facet
 */
const isOfValues = (term, facet) => termOfValues(facet, literalsOf(term)) === term;

/**
 * @param {string} where
 * @param {Column} facet
 * @param {Value[]} values
 * @returns {string} the `where` with these values of a facet chosen, and no others
 */
export function withValues(where, facet, values) {
  const others = termsOf(where).filter((term) => !isOfValues(term, facet));
  const own = termOfValues(facet, values);
  return [...others, ...(own ? [own] : [])].join(" AND ");
}

/** @typedef {{low: ?(number|string), high: ?(number|string), isClosed: boolean}} Range null: no end; isClosed: high is in it */

/**
 * @param {string} where
 * @param {{name: string}} facet
 * @returns {Range} of a facet, as this panel wrote it
 */
export function chosenRange(where, { name }) {
  /** @type {Range} */
  const range = { low: null, high: null, isClosed: false };
  for (const term of termsOf(where)) {
    const found = limitOf(term, name);
    if (found?.sign === ">=") range.low = found.value;
    else if (found) Object.assign(range, { high: found.value, isClosed: found.sign === "<=" });
  }
  return range;
}

/**
 * @param {string} term
 * @param {string} name
 */
function limitOf(term, name) {
  const column = `${columnName(name)} `;
  if (!term.startsWith(column)) return null;
  const found = /^(>=|<=|<) (?:(-?[\d.]+(?:e[+-]?\d+)?)|TIMESTAMP(?:TZ)? '([^']*)')$/.exec(term.slice(column.length));
  return found && { sign: found[1], value: found[2] === undefined ? found[3] : Number(found[2]) };
}

const DEGREES = String.raw`-?[\d.]+(?:e[+-]?\d+)?`;

/**
 * The longitudes that a `where` asks for, as this panel wrote it: from west to east, across the antimeridian where west is above east.
 * @param {string} where
 * @param {{name: string}} column
 * @returns {{west: ?number, east: ?number}} null: no end
 */
export function chosenLongitudes(where, column) {
  const across = termsOf(where).map((term) => acrossOf(term, column.name)).find(Boolean);
  if (across) return across;
  const { low, high } = chosenRange(where, column);
  return { west: typeof low === "number" ? low : null, east: typeof high === "number" ? high : null };
}

/**
 * @param {string} where
 * @param {{name: string}} column
 * @param {{west: ?number, east: ?number}} ends null: none
 */
export function withLongitudes(where, column, { west, east }) {
  const others = termsOf(where).filter((term) => acrossOf(term, column.name) === null).join(" AND ");
  if (west === null || east === null || west <= east) return withRange(others, column, { low: west, high: east, isClosed: true });
  const name = columnName(column.name);
  const rest = termsOf(withRange(others, column, { low: null, high: null, isClosed: true }));
  return [...rest, `(${name} BETWEEN ${west} AND 180 OR ${name} BETWEEN -180 AND ${east})`].join(" AND ");
}

/**
 * @param {string} term
 * @param {string} name
 */
function acrossOf(term, name) {
  const [first, second] = [` BETWEEN `, ` AND 180 OR ${columnName(name)} BETWEEN -180 AND `];
  const begin = `(${columnName(name)}${first}`;
  if (!term.startsWith(begin) || !term.endsWith(")")) return null;
  const [west, east, ...more] = term.slice(begin.length, -1).split(second);
  const isNumber = (/** @type {string|undefined} */ text) => new RegExp(`^${DEGREES}$`).test(text ?? "");
  return !more.length && isNumber(west) && isNumber(east) ? { west: Number(west), east: Number(east) } : null;
}

/**
 * @param {string} where
 * @param {{name: string}} facet
 * @param {Range} range
 */
export function withRange(where, { name }, { low, high, isClosed }) {
  const column = columnName(name);
  const others = termsOf(where).filter((term) => limitOf(term, name) === null);
  const from = low === null ? [] : [`${column} >= ${limit(low)}`];
  const to = high === null ? [] : [`${column} ${isClosed ? "<=" : "<"} ${limit(high)}`];
  return [...others, ...from, ...to].join(" AND ");
}
