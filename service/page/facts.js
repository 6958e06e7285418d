/** All that is known of a row, as a table. */

import { button, make } from "./dom.js";
import { count, size, time } from "./words.js";

const FIRST = ["caption", "captured_at", "camera", "place", "format", "size_bytes", "modified"];
const LAST = ["source", "sha256"];
const TIMES = new Set(["captured_at", "modified"]);

/** @param {Object} row a hit or a row */
export function facts(row) {
  const { columns = {} } = row;
  const own = Object.keys(columns).filter((name) => !FIRST.includes(name) && !LAST.includes(name));
  const known = (names) => names.filter((name) => name in columns);
  const named = (names) => known(names).map((name) => line(name, shown(name, columns[name])));
  return make(
    "table",
    { class: "facts" },
    make("caption", { class: "unseen" }, "What is known of this image"),
    make(
      "tbody",
      {},
      line("uri", uri(row.uri)),
      ...named(["caption"]),
      line("size", `${count(row.width_px)} × ${count(row.height_px)} px`),
      ...named(FIRST.slice(1)),
      ...named(own),
      typeof row.score === "number" && line("score", row.score.toFixed(4)),
      typeof row.z === "number" && line("z", row.z.toFixed(2)),
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

function uri(text) {
  const said = make("span", { class: "said", role: "status" });
  const copied = async () => {
    said.textContent = (await copy(text)) ? "Copied" : "Select it and copy";
    setTimeout(() => (said.textContent = ""), 2000);
  };
  const copier = button({ class: "quiet copy", "aria-label": "Copy the uri" }, copied, "Copy");
  return make(
    "div",
    { class: "uri" },
    make("span", { dir: "ltr", class: "uri-text" }, text),
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
