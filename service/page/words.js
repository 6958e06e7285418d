/** How names, numbers and times are written. */

const COUNT = new Intl.NumberFormat("en");
const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const count = (number) => COUNT.format(number);

export const images = (number) => (number === 1 ? "1 image" : `${count(number)} images`);

/** Bytes in units of a thousand. */
export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let step = 0;
  let value = bytes;
  while (value >= 1000 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

/** An ISO 8601 time as the reader's language writes it; other texts stay. */
export function time(text) {
  const parsed = new Date(text);
  return Number.isNaN(parsed.getTime()) ? String(text) : TIME.format(parsed);
}

/** The last part of a uri, readable. */
export function fileName(uri) {
  const last = uri.split(/[/\\]/).filter(Boolean).pop() ?? uri;
  try {
    return decodeURIComponent(last);
  } catch {
    return last; // a percent sign that is only a percent sign
  }
}

/** What a row shows, for those who do not see it: its caption, or its file's name. */
export function nameOf(row) {
  const caption = row.columns?.caption;
  return typeof caption === "string" && caption.trim() ? caption : fileName(row.uri);
}

/** One short number that says how well a hit fits, or null for a row without a query. */
export function fit(hit) {
  if (typeof hit.z === "number") return `z ${hit.z.toFixed(1)}`;
  return typeof hit.score === "number" ? hit.score.toFixed(2) : null;
}

/** A sentence of the server's as a sentence of the page's: a capital, no field in front, a full stop. */
export function sentence(message, field = null) {
  const bare = field && message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;
  const [first] = bare.split(" ", 1);
  const isName = /[./_\d]/.test(first.slice(0, -1)); // as my.lake or /photos/a.jpg, which stay as they are spelt
  const text = isName ? bare : bare.charAt(0).toUpperCase() + bare.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** A sentence after something else, as a name and a colon. */
export const lower = (text) => text.charAt(0).toLowerCase() + text.slice(1);
