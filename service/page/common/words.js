/** How names, numbers and times are written. */

/** @import { Row } from "./api.js" */

const COUNT = new Intl.NumberFormat("en");
const VIDEO = "video"; // the stream_id of a video's frames; recordings have topics
const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** @param {number} number */
export const count = (number) => COUNT.format(number);

/** What draws nothing: spaces of any kind, characters of no width, and none at all. */
const BLANK = /^[\s\p{Cf}\p{Cc}\u115f\u1160\u2800\u3164\uffa0]*$/u;

/**
 * A column's name: one that draws nothing would leave nothing to read or to click.
 * @param {string} name
 */
export const columnTitle = (name) =>
  BLANK.test(name) ? `(blank name of ${name.length === 1 ? "1 character" : `${count(name.length)} characters`})` : name;

/**
 * A value as one reads it; as above.
 * @param {unknown} value
 */
export const valueTitle = (value) => (value === "" ? "(empty)" : BLANK.test(String(value)) ? "(blank)" : String(value));

/** @param {number} number */
export const images = (number) => (number === 1 ? "1 image" : `${count(number)} images`);

/** @param {number} number */
export const answers = (number) => (number === 1 ? "1 answer" : `${count(number)} answers`);

/**
 * Bytes in units of a thousand.
 * @param {number} bytes
 */
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

/**
 * An ISO 8601 time as the reader's language writes it; other texts stay.
 * @param {string} text
 */
export function time(text) {
  const parsed = new Date(text);
  return Number.isNaN(parsed.getTime()) ? String(text) : TIME.format(parsed);
}

/**
 * The last part of a uri, readable.
 * @param {string} uri
 */
function fileName(uri) {
  const last = uri.split(/[/\\]/).filter(Boolean).pop() ?? uri;
  try {
    return decodeURIComponent(last);
  } catch {
    return last; // a percent sign that is only a percent sign
  }
}

/**
 * What a row shows, for those who do not see it: its caption, or its file's name.
 * @param {Row} row
 */
export function nameOf(row) {
  const caption = row.columns?.caption;
  return typeof caption === "string" && caption.trim() ? caption : ownName(row);
}

/**
 * When a frame is shown, as 12:03 or 1:02:03; of a recording the time of day it was made, in UTC; null for an image that
 * is no frame. A hit that stands for a moment has its span: 12:03 to 12:09 (7 frames).
 * @param {Row} row
 */
export function moment(row) {
  const { stream_id: stream, time_us: us } = row.columns ?? {};
  if (typeof us !== "number" || typeof stream !== "string") return null;
  const write = stream === VIDEO ? clock : (/** @type {number} */ time) => String(dayAndTime(time).at(-1));
  if (!row.span) return write(us);
  const [from, to] = [write(row.span.from_us), write(row.span.to_us)];
  const said = from === to ? from : `${from} to ${to}`;
  return row.span.frames === 1 ? said : `${said} (${count(row.span.frames)} frames)`;
}

/** @param {Row} row */
export const isOfVideo = (row) => row.columns?.stream_id === VIDEO;

/**
 * A frame's video; its recording, topic and day. Null for an image that is no frame.
 * @param {Row} row
 */
export function streamOf(row) {
  if (moment(row) === null) return null;
  const { stream_id: stream, time_us: us } = row.columns;
  return isOfVideo(row) ? fileName(row.uri) : [fileName(row.uri), stream, ...dayAndTime(us).slice(0, -1)].join(", ");
}

/** @param {number} us */
function clock(us) {
  const seconds = Math.floor(us / 1e6);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/**
 * ["2023-11-14", "22:13:20"], in UTC; as a clock counts where no calendar goes so far.
 * @param {number} us
 */
function dayAndTime(us) {
  const date = new Date(us / 1000);
  return Number.isNaN(date.getTime()) ? [clock(us)] : date.toISOString().slice(0, -5).split("T");
}

/**
 * The file's name, or that of the image's part of it: a member of an archive, a row of a table, a video's frame.
 * @param {Row} row
 */
function ownName(row) {
  const { uri, columns = {} } = row;
  const { member, row_group: group, row_index: index } = columns;
  const at = moment(row);
  if (at !== null) return `${streamOf(row)}, ${at}`;
  if (typeof index === "number") return `${fileName(uri)}, row ${group ?? 0}/${index}`;
  return fileName(typeof member === "string" ? member : uri);
}

/**
 * A row's image as commands print it and take it back: `/a.tar#member=7.jpg`, or its uri where that is all of it.
 * @param {Row} row
 */
export function placeOf({ uri, columns = {} }) {
  const { member, offset, length, row_group: group, row_index: index } = columns;
  const { stream_id: stream, time_us: time, region_px: region } = columns;
  const is = (/** @type {unknown} */ value) => value !== undefined && value !== null;
  const parts = [
    is(member) ? `member=${member}` : is(offset) && `bytes=${offset}+${length}`,
    is(index) && `row=${is(group) ? `${group}/` : ""}${index}`,
    is(stream) && is(time) && `stream=${stream}&t=${(Number(time) / 1e6).toFixed(6)}`,
    is(region) && `xywh=${region}`,
  ].filter(Boolean);
  return parts.length ? `${uri}#${parts.join("&")}` : uri;
}

/**
 * One short number that says how well a hit fits, or null for a row without a query.
 * @param {Row} hit
 */
export function fit(hit) {
  if (typeof hit.z === "number") return `match ${hit.z.toFixed(1)}`;
  return typeof hit.score === "number" ? hit.score.toFixed(2) : null;
}


/**
 * A sentence of the server's as a sentence of the page's: a capital, no field in front, a full stop.
 * @param {string} message
 * @param {?string} [field] that the message may begin with
 */
export function sentence(message, field = null) {
  const bare = field && message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;
  const [first] = bare.split(" ", 1);
  const isName = /[./_\d]/.test(first.slice(0, -1)); // as my.lake or /photos/a.jpg, which stay as they are spelt
  const text = isName ? bare : bare.charAt(0).toUpperCase() + bare.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * The pages' words for curators, and the words of the command and the API for the same things: what a tooltip says where one
 * of them is first met.
 * @type {Record<string, string>}
 */
const TERMS = {
  guarantee: "At least so much is kept, and so surely. The command and the API call it the promise.",
  check: "Images drawn at random, answered to measure what would be lost. The command and the API call it the audit.",
  cutoff: "The score from which on images are kept. The command and the API call it the line, or the threshold.",
  strength: "By how many standard deviations an image stands out from the lake. The command and the API call it z.",
  table: "Every image with its score, its decision and why, as a Parquet file. The command and the API call it the ledger.",
  export: "Files for annotation tools and trainers. The documentation calls it handing over.",
};

/**
 * Ties the words in an element to those of the command: all that have `data-term` there.
 * @param {ParentNode} within
 */
export function explainTerms(within = document) {
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (within.querySelectorAll("[data-term]"))) {
    element.title = TERMS[element.dataset.term ?? ""];
    element.setAttribute("aria-description", element.title);
  }
}

// A sentence of the server's has the words of the command; what stands in quotes is somebody's own.
/** @type {[RegExp, string][]} */
const CURATORS = [
  [/\baudit labels\b/g, "answers of the random check"],
  [/\baudit label\b/g, "answer of the random check"],
  [/\ban audit\b/g, "a random check"],
  [/\baudits\b/g, "random checks"],
  [/\baudited\b/g, "checked"],
  [/\baudit\b/g, "random check"],
  [/\bpromise(s|d?)\b/g, "guarantee$1"],
  [/\bpromising\b/g, "guaranteeing"],
  [/\ba z of\b/g, "a match strength of"],
  [/\bhas z (?=[\d-])/g, "has match strength "],
];

/**
 * A sentence of the server's in the words of the pages.
 * @param {string} text
 */
export const curators = (text) =>
  text
    .split(/([`'"“][^`'"”]*[`'"”])/)
    .map((part, number) => (number % 2 ? part : CURATORS.reduce((said, [word, ours]) => said.replace(word, ours), part)))
    .join("");

/**
 * A sentence after something else, as a name and a colon.
 * @param {string} text
 */
export const lower = (text) => text.charAt(0).toLowerCase() + text.slice(1);
