/** Syncs in words. Values in, sentences out. */

import { count, images, sentence, time } from "../common/words.js";

/**
 * "indexing 3,200 of 10,000 · 45 a second · 3 min left · 2 skipped"
 * @param {Answers.SyncAnswer} told
 */
export function far({ state, stage }) {
  if (state === "beginning") return "Beginning";
  if (!stage) return "Beginning to write";
  const { name, done, total, more, skipped, unit, rate, left_s: left } = stage;
  const of = total ? ` of ${count(total)}${more ? " and more" : ""}` : "";
  const what = done || total ? ` ${count(done)}${of}${unit ? ` ${unit}` : ""}` : "";
  const parts = [
    `${name[0].toUpperCase()}${name.slice(1)}${what}`,
    rate && `${count(rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate))} a second`,
    left !== null && `${duration(left)} left`,
    skipped > 0 && `${count(skipped)} skipped`,
  ];
  return parts.filter(Boolean).join(" · ");
}

/**
 * "by `lakesift index` on a machine, since 14:50"
 * @param {Answers.SyncAnswer} told
 */
export const who = ({ by, since }) => by && since && `by ${by.replaceAll("`", "")}, since ${time(since)}`;

/**
 * Seconds in the largest units that say enough: "40 s", "3 min", "2 h 5 min".
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return rest && hours < 10 ? `${hours} h ${rest} min` : `${count(hours)} h`;
}

/**
 * How the last one ended: "12 new, 1 changed and 3 gone, 1 Dec 2026, 14:50."
 * @param {Answers.EndedFacts} ended
 */
export function came(ended) {
  const at = time(ended.ended_at);
  if (ended.failure) return `${sentence(ended.failure)} (${at})`;
  const kinds = /** @type {[number, string][]} */ ([
    [ended.new ?? 0, "new"],
    [ended.changed ?? 0, "changed"],
    [ended.moved ?? 0, "moved"],
    [ended.gone ?? 0, "gone"],
  ]).filter(([number]) => number > 0);
  const what = kinds.map(([number, kind]) => `${count(number)} ${kind}`).join(", ");
  const said = what || `Nothing new among ${images(ended.rows ?? 0)}`;
  const inMotion = ended.in_motion ?? 0;
  const parts = [
    `${said}, ${at}.`,
    ended.interrupted && "It was stopped, and the next one goes on.",
    inMotion > 0 && `${count(inMotion)} were still being written: look again later.`,
    ...(ended.problems ?? []).map((problem) => sentence(problem)),
  ];
  return parts.filter(Boolean).join(" ");
}
