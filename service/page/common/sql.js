/** Names and values as a `where` writes them. */

const PLAIN = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;
const KEYWORD = /(^|\.)(and|or|not|in|like|ilike|between|is|null|true|false)(\.|$)/i;

/**
 * A column as SQL names it.
 * @param {string} name
 */
export const columnName = (name) => (PLAIN.test(name) && !KEYWORD.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

/** @param {string|boolean} value */
export const literal = (value) => (typeof value === "boolean" ? String(value).toUpperCase() : `'${value.replaceAll("'", "''")}'`);
