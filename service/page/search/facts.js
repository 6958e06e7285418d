/** All that is known of a row, as a table. */

import { button, make } from "../common/dom.js";
import { count, placeOf, size, time } from "../common/words.js";

const PART = ["member", "row_group", "row_index", "stream_id", "time_us", "region_px"]; // of the file that uri names
const FIRST = ["caption", "captured_at", "camera", "place", "format", "size_bytes", "modified"];
const QUALITY = ["sharpness", "brightness", "contrast", "entropy", "aspect"].map((name) => `quality_${name}`);
const LAST = [...QUALITY, "source", "sha256"];
const TIMES = new Set(["captured_at", "modified"]);

/** @param {Object} row a hit or a row */
export function facts(row) {
  const { columns = {} } = row;
  const own = Object.keys(columns).filter((name) => ![PART, FIRST, LAST].some((names) => names.includes(name)));
  const known = (names) => names.filter((name) => name in columns);
  const named = (names) => known(names).map((name) => line(name, shown(name, columns[name])));
  return make(
    "table",
    { class: "facts" },
    make("caption", { class: "unseen" }, "What is known of this image"),
    make(
      "tbody",
      {},
      line("uri", uri(row)),
      ...named(PART),
      ...named(["caption"]),
      Boolean(row.width_px) && line("size", `${count(row.width_px)} × ${count(row.height_px)} px`),
      ...named(FIRST.slice(1)),
      ...named(own),
      typeof row.score === "number" && line("score", row.score.toFixed(4)),
      typeof row.z === "number" && line("match strength", row.z.toFixed(2)),
      line("row_id", String(row.row_id)),
      ...named(LAST),
    ),
  );
}

const line = (name, value) =>
  make("tr", {}, make("th", { scope: "row" }, name), make("td", { dir: typeof value === "string" && "auto" }, value));

function shown(name, value) {
  if (name === "size_bytes") return size(value);
  if (TIMES.has(name)) return make("time", { datetime: String(value), title: String(value) }, time(value));
  if (name === "place" && typeof value === "object") return `${value.latitude}, ${value.longitude}`;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

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

/** Also where the browser has no clipboard for scripts, which is anywhere but https and loopback. */
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
