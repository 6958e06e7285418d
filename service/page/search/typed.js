/**
 * What a person typed, as wanted and unwanted texts: the rules of service/search/typed.py, whose cases are the same file.
 * Values in, values out.
 */

const BLANK = "\\t-\\r \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const QUOTES = '"“”„';
const BLANKS = new RegExp(`[${BLANK}]+`, "gy");
const RUNS = new RegExp(`[${BLANK}]+`, "g");
const WORD = new RegExp(`[^${BLANK}]+`, "y");
// In quotes: without the first quote, up to the last one or to the end.
const QUOTED = new RegExp(`((?:\\\\[^]|[^${QUOTES}])*)[${QUOTES}]?`, "y");
const ESCAPED = new RegExp(`\\\\([${QUOTES}\\\\-])`, "g");
const BELOW_ZERO = new RegExp(`-[0-9]+(?:[.,][0-9]+)*(?:%|°[CF]?)?[,;.]?(?=[${BLANK}]|$)`, "y");
const BEGINS = new RegExp(`^(?:[${QUOTES}]|\\p{L}|\\p{N})`, "u");

/**
 * @param {string} typed
 * @returns {{wanted: string[], unwanted: string[]}} in the order in which each begins; none is empty
 */
export function understand(typed) {
  /** @type {string[]} */
  const wanted = [];
  /** @type {string[]} */
  const unwanted = [];
  /** @type {string[]} */
  const loose = []; // wanted words outside quotes: one text
  let atLoose = 0; // where in `wanted` it belongs
  let at = skipBlanks(typed, 0);
  while (at < typed.length) {
    const isUnwanted = hasMinus(typed, at);
    if (isUnwanted) at += 1;
    const isQuoted = QUOTES.includes(typed[at]);
    const found = (isQuoted ? match(QUOTED, typed, at + 1) : match(WORD, typed, at)) ?? ["", ""];
    if (isQuoted) {
      const text = plain(found[1]);
      if (text) (isUnwanted ? unwanted : wanted).push(text);
      at += 1;
    } else if (isUnwanted) unwanted.push(plain(found[0]).replace(/[,;.]+$/, ""));
    else {
      if (!loose.length) atLoose = wanted.length;
      loose.push(plain(found[0]));
    }
    at = skipBlanks(typed, at + found[0].length);
  }
  if (loose.length) wanted.splice(atLoose, 0, loose.join(" "));
  return { wanted, unwanted };
}

/**
 * A text so that `understand` takes it as this one: in quotes where that is needed.
 * @param {string} text
 */
export function written(text) {
  const { wanted, unwanted } = understand(text);
  const isPlain = !text || (unwanted.length === 0 && wanted.length === 1 && wanted[0] === plain(text) && !text.includes("\\"));
  return isPlain ? text : quoted(text);
}

/** @param {string} text */
export const quoted = (text) => `"${text.replace(/[\\"“”„]/g, "\\$&")}"`;

/**
 * @param {string} typed
 * @param {number} at
 */
function hasMinus(typed, at) {
  if (typed[at] !== "-" || match(BELOW_ZERO, typed, at)) return false;
  const isBegun = at === 0 || match(BLANKS, typed, at - 1) !== null;
  return isBegun && BEGINS.test(typed.slice(at + 1, at + 3));
}

/**
 * @param {RegExp} pattern
 * @param {string} typed
 * @param {number} at
 */
function match(pattern, typed, at) {
  pattern.lastIndex = at;
  return pattern.exec(typed);
}

/**
 * @param {string} typed
 * @param {number} at
 */
const skipBlanks = (typed, at) => at + (match(BLANKS, typed, at)?.[0].length ?? 0);

/**
 * Without backslashes that escape, and with single blanks between words.
 * @param {string} text
 */
const plain = (text) => text.replace(ESCAPED, "$1").replace(RUNS, " ").replace(/^ | $/g, "");
