/** The parts of the page of a lake: tables of its sources, what was skipped, formats, snapshots, and what made it. */

import { make } from "../common/dom.js";
import { command } from "../common/messages.js";
import { count, sentence, size, time } from "../common/words.js";
import { change, files, formatName, howRead } from "./lake_words.js";

/** @import { Child } from "../common/dom.js" */

/** @param {...Child} text */
const small = (...text) => make("p", { class: "small" }, ...text);

/** @param {Answers.AboutAnswer} told */
export function sources({ sources: all, other_rows: other, lake }) {
  if (!all.length && !other) return [small("None yet. ", command(`lakesift index PHOTOS --into ${lake}.lake`), " adds one.")];
  /** @type {Child[][]} */
  const rows = all.map((each) => [address(each), count(each.rows)]);
  if (other) rows.push(["of sources that the lake no longer names", count(other)]);
  return [table("Sources", ["where images come from", "images"], rows)];
}

/** @param {Answers.SourceFacts} source */
function address(source) {
  const how = howRead(source);
  return make("span", {}, make("span", { class: "address", dir: "auto" }, source.uri), how && make("span", { class: "small" }, how));
}

/**
 * Reasons with their numbers, the files behind them, and what tries them again.
 * @param {Answers.AboutAnswer} told
 */
export function skipped({ skipped: { files: number, reasons, more_reasons: more, shown }, lake }) {
  if (!number) return [small("Nothing: every file that looked like an image could be read.")];
  /** @type {Child[][]} */
  const rows = reasons.map(({ reason, files: of }) => [make("span", { dir: "auto" }, sentence(reason)), count(of)]);
  if (more) rows.push([`${count(more)} other reasons`, ""]);
  return [
    table("Why files were skipped", ["why", "files"], rows),
    list(number, shown),
    small("A file is tried again when it changes; ", command(`lakesift sync ${lake}.lake --retry-skipped`), " tries all of them now."),
  ];
}

/**
 * @param {number} number
 * @param {Answers.SkippedFile[]} shown
 */
function list(number, shown) {
  const rows = shown.map(({ uri, reason, when }) => [
    make("span", {}, make("span", { class: "address", dir: "auto" }, uri), make("span", { class: "small", dir: "auto" }, sentence(reason))),
    time(when),
  ]);
  const title = shown.length < number ? `The latest ${count(shown.length)} of ${files(number)}` : `Which ${files(number)}`;
  return make("details", {}, make("summary", {}, title), table("Skipped files", ["file", "when"], rows));
}

/** @param {Answers.AboutAnswer} told */
export function formats({ formats: all, rows }) {
  if (!all.length) return [small("No image yet.")];
  const lines = all.map(({ format, rows: of }) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, formatName(format)),
      make("td", { class: "share" }, make("meter", { min: "0", max: String(rows), value: String(of), "aria-label": `${of} of ${rows}` })),
      make("td", {}, count(of)),
    ),
  );
  return [make("table", {}, make("caption", { class: "unseen" }, "Formats"), head(["format", "share", "images"]), make("tbody", {}, ...lines))];
}

/** @param {Answers.AboutAnswer} told */
export function snapshots({ snapshots: all }) {
  const rows = all.map(({ snapshot, committed_at: at, rows: images }, number) => [
    `${snapshot}`,
    time(at),
    change(images, all[number + 1]?.rows),
    count(images),
  ]);
  return [
    table("Snapshots", ["snapshot", "written", "change", "images"], rows),
    small("Each sync that finds something new writes one. Older ones stay until ", command("lakesift vacuum"), "."),
  ];
}

/** @param {Answers.AboutAnswer} told */
export function madeWith({ model, dim, fingerprint, format, made_by: version, segments, size_bytes: bytes, snapshot }) {
  const pairs = [
    ["Model", model],
    ["Numbers a vector", count(dim)],
    ...Object.entries(fingerprint).filter(([name]) => !["model", "dim"].includes(name)).map(([name, value]) => [name, String(value)]),
    ["Lake format", String(format)],
    ["Written by", version ? `lakesift ${version}`.replace("lakesift lakesift", "lakesift") : "unknown"],
    ["On disk", `${size(bytes)} in ${segments === 1 ? "1 segment" : `${count(segments)} segments`}, as snapshot ${count(snapshot)}`],
  ];
  return [make("dl", {}, ...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", { dir: "auto" }, value)]))];
}

/** @param {string[]} titles */
const head = (titles) => make("thead", {}, make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title))));

/**
 * Numbers stand in the last columns, below each other.
 * @param {string} name
 * @param {string[]} titles
 * @param {Child[][]} rows
 */
const table = (name, titles, rows) =>
  make(
    "table",
    {},
    make("caption", { class: "unseen" }, name),
    head(titles),
    make("tbody", {}, ...rows.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((each) => make("td", {}, each))))),
  );
