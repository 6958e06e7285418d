/** What a lake is made of, in words. Values in, sentences out. */

import { count, images, size, time } from "../common/words.js";

/**
 * "640 images · 1.4 MB on disk · last change 1 Dec 2026, 14:50"
 * @param {Answers.AboutAnswer} told
 */
export const lead = ({ rows, size_bytes: bytes, committed_at: at }) =>
  [images(rows), `${size(bytes)} on disk`, at && `last change ${time(at)}`].filter(Boolean).join(" · ");

/**
 * How a source is read, where somebody said so; "" where nothing was.
 * @param {Answers.SourceFacts} source
 */
export function howRead({ kind, layout, columns, frames }) {
  const parts = [
    kind === "imported" && "rows and vectors of another tool",
    layout && `read as ${layout}`,
    frames && (frames === "none" ? "no frames of videos" : frames === "key" ? "key frames of videos" : `a frame of videos every ${frames}`),
    columns && `with the columns of ${columns}`,
  ];
  return parts.filter(Boolean).join(", ");
}

/** @param {number} number */
export const files = (number) => (number === 1 ? "1 file" : `${count(number)} files`);

/**
 * What a snapshot brought, beside the one before it: "+12", "−3", "0", or "" where the one before is gone.
 * @param {number} rows
 * @param {number} [before]
 */
export function change(rows, before) {
  if (before === undefined) return "";
  const more = rows - before;
  return more === 0 ? "0" : more > 0 ? `+${count(more)}` : `−${count(-more)}`;
}

/**
 * Why a format is not known.
 * @param {?string} format
 */
export const formatName = (format) => format ?? "not read yet";
