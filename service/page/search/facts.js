/** All that is known of a row, as a table. */

import { button, make } from "../common/dom.js";
import { columnTitle, count, placeOf, size, time } from "../common/words.js";

/** @import { Row } from "../common/api.js" */

const PART = ["member", "row_group", "row_index", "stream_id", "time_us", "region_px"]; // of the file that uri names
const FIRST = ["caption", "captured_at", "camera", "place", "format", "size_bytes", "modified"];
const QUALITY = ["sharpness", "brightness", "contrast", "entropy", "aspect"].map((name) => `quality_${name}`);
const LAST = [...QUALITY, "source", "sha256"];
const TIMES = new Set(["captured_at", "modified"]);

/**
 * What is known of a row, but its uri, in the order in which it is told; `of` gives null where a row has none.
 * @typedef {{name: string, of: (row: Row) => string|Node|null}} Fact
 * @param {Row[]} rows hits or rows
 * @returns {Fact[]} each that one of them has
 */
export function known(rows) {
  const there = new Set(rows.flatMap(({ columns }) => Object.keys(columns ?? {})));
  const own = [...there].filter((name) => ![PART, FIRST, LAST].some((names) => names.includes(name)));
  /** @param {string} name */
  const column = (name) => ({ name, of: (/** @type {Row} */ { columns = {} }) => (name in columns ? shown(name, columns[name]) : null) });
  const named = (/** @type {string[]} */ names) => names.filter((name) => there.has(name)).map(column);
  /** @type {Fact[]} */
  const facts = [
    ...named(PART),
    ...named(["caption"]),
    { name: "size", of: (row) => (row.width_px ? `${count(row.width_px)} × ${count(row.height_px ?? 0)} px` : null) },
    ...named(FIRST.slice(1)),
    ...named(own),
    { name: "score", of: (row) => (typeof row.score === "number" ? row.score.toFixed(4) : null) },
    { name: "match strength", of: (row) => (typeof row.z === "number" ? row.z.toFixed(2) : null) },
    { name: "row_id", of: (row) => String(row.row_id) },
    ...named(LAST),
  ];
  return facts.filter(({ of }) => rows.some((row) => of(row) !== null));
}

/** @param {Row} row a hit or a row */
export const facts = (row) =>
  make(
    "table",
    { class: "facts" },
    make("caption", { class: "unseen" }, "What is known of this image"),
    make("tbody", {}, line("uri", uri(row)), ...known([row]).map(({ name, of }) => line(name, of(row) ?? ""))),
  );

/**
 * @param {string} name
 * @param {string|Node} value
 */
const line = (name, value) =>
  make("tr", {}, make("th", { scope: "row" }, columnTitle(name)), make("td", { dir: typeof value === "string" && "auto" }, value));

/**
 * @param {string} name
 * @param {any} value
 */
function shown(name, value) {
  if (name === "size_bytes") return size(value);
  if (TIMES.has(name)) return make("time", { datetime: String(value), title: String(value) }, time(value));
  if (name === "place" && typeof value === "object") return `${value.latitude}, ${value.longitude}`;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** @param {Row} row */
function uri(row) {
  const said = make("span", { class: "said", role: "status" });
  const copied = async () => {
    said.textContent = (await copy(placeOf(row))) ? "Copied" : "Select it and copy";
    setTimeout(() => (said.textContent = ""), 2000);
  };
  const copier = button({ class: "quiet copy", "aria-label": "Copy the uri" }, copied, "Copy");
  return make(
    "div",
    { class: "uri" },
    make("span", { dir: "ltr", class: "uri-text" }, row.uri),
    make("span", { class: "uri-end" }, copier, said),
  );
}

/**
 * Also where the browser has no clipboard for scripts, which is anywhere but https and loopback.
 * @param {string} text
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", { class: "unseen", readonly: true });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    return isCopied;
  }
}
