/** What a filter asks, wants and promises, in words. Values in, sentences out. */

import { UNNAMED } from "../common/own_answers.js";
import { count, curators, images, sentence } from "../common/words.js";

/**
 * @typedef {{recall: ?number, precision: ?number, confidence: number, assumption: ?string, both: ?number, scenes: ?number}} Promised
 * @typedef {{rows: number, kept: number, asked: number, dropped: number, measured: Record<string, any>, promise: Promised}} Decided
 *   what `apply` answered
 */

/**
 * 0.95 -> "95 %", 0.999 -> "99.9 %", never parted at the end of a line
 * @param {number} share
 */
export const percent = (share) => `${Number((share * 100).toFixed(2))}\u00a0%`;

/**
 * "a", "a or b", "a, b or c"
 * @param {string[]} names
 */
const either = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`);

/** @param {Answers.FilterAnswer} filter */
export function question({ keep, name }) {
  if (keep.texts.length) return `Is this: ${either(keep.texts)}?`;
  const shown = keep.row_ids.length + keep.images.length;
  if (shown) return `Is this like the ${shown === 1 ? "example" : `${shown} examples`} of ${name}?`;
  return `Does this belong to ${name}?`;
}

/** @param {Answers.FilterAnswer} filter */
export const notThis = ({ drop }) => (drop.texts.length ? `Answer no to: ${either(drop.texts)}.` : "");

/** @param {Record<string, any>} target recall and precision, which may be null, and confidence */
export function wanted({ recall, precision, confidence }) {
  const parts = [
    recall && `keep at least ${percent(recall)} of what belongs here`,
    precision && `let at least ${percent(precision)} of what is kept belong here`,
  ].filter(Boolean);
  return `${sentence(`${parts.join(" and ")}`).slice(0, -1)}, with ${percent(confidence)} confidence.`;
}

/**
 * "recall at least 95 %", as short as a list needs it
 * @param {Answers.Target} target
 */
export const wantedShort = ({ recall, precision, confidence }) =>
  [recall && `recall ${percent(recall)}`, precision && `precision ${percent(precision)}`]
    .filter(Boolean)
    .join(", ")
    .concat(`, confidence ${percent(confidence)}`);

/** @type {Record<string, string>} */
const STAGES = { draft: "Not taught yet", teach: "Being taught", audit: "Random check under way", applied: "Applied" };
/** @param {string} name */
export const stage = (name) => STAGES[name] ?? name;

/** @type {Record<string, string>} */
export const purposeText = {
  describe: "What the filter is made of.",
  teach:
    "The images this filter learns most from. The more it learns, the better it ranks; it guarantees nothing yet. " +
    "Skip what you cannot tell.",
  audit:
    "Images drawn at random, to measure what would be lost. Answer every one as well as you can: a skip counts as the " +
    "worst case.",
  result: "What the filter decided of every image. Restore what it should not have dropped; the next Apply takes it in.",
};

/**
 * "12 yes, 26 no, 2 skipped, 1 in dispute"
 * @param {Answers.Progress} progress
 */
export function counts({ yes, no, skipped, conflicts }) {
  const parts = [`${count(yes)} yes`, `${count(no)} no`];
  if (skipped) parts.push(`${count(skipped)} skipped`);
  if (conflicts) parts.push(`${count(conflicts)} in dispute`);
  return parts.join(", ");
}

const LITTLE = 0.1; // of the images: who drops less than that is told so

/**
 * What applying it would do: ", and can be applied, which drops 75 % of 400 images"
 * @param {?number} drops null: not known
 * @param {number} rows
 * @param {boolean} needsAsk
 */
function brings(drops, rows, needsAsk) {
  const share = (drops ?? 0) / Math.max(1, rows);
  const told = `${percentAbout(share)} of ${images(rows)}`;
  if (share < LITTLE) return `, but only ${told} would be dropped`;
  return `, and can be applied${needsAsk ? " if some images may be left to a person" : ""}, which drops ${told}`;
}

/**
 * How far an audit is: a sentence, and a share from 0 to 1 or null.
 * @param {Answers.AuditProgress} audit
 * @param {string} stage
 */
export function audited({ answered, scene, holds, still_needed: needed, more, drops, rows, needs_ask: needsAsk }, stage) {
  const said = `${count(answered)}${scene === null ? "" : answered === 1 ? " scene" : " scenes"} answered`;
  if (holds && more) {
    const text = `${said}. The guarantee holds${brings(drops, rows, needsAsk)}. About ${count(more.labels)} more labels, each half the work of an annotation, may drop ${images(more.drop)} more.`;
    return { text, share: 1 };
  }
  if (holds && stage === "applied") return { text: `${said}. The guarantee holds, and is applied.`, share: 1 };
  if (holds) return { text: `${said}. The guarantee holds${brings(drops, rows, needsAsk)}.`, share: 1 };
  if (needed === null) {
    const text = `${said}. The guarantee is out of sight with this filter: teach it more, or ask for less.`;
    return { text, share: null };
  }
  return { text: `${said}, about ${count(needed)} still needed.`, share: answered / Math.max(1, answered + needed) };
}

/**
 * What the random check shows already, a sentence or two; "" where that is told otherwise.
 * @param {Answers.AuditProgress} audit
 * @param {Record<string, any>} target as `wanted` takes it
 */
export function bounds({ sure, recall_shown: recall, precision_shown: precision, scene, scenes_shown: scenes, holds }, target) {
  if (holds || sure === null) return "";
  if (scene !== null) {
    const already = scenes ? ` Guaranteed already: ${percent(scenes)} of the scenes.` : "";
    return `That ${percent(target.recall)} of the scenes that show it keep an image of it is ${Math.floor(sure * 100)}\u00a0% sure by now, of ${percent(target.confidence)} wanted.${already}`;
  }
  const parts = [target.recall && `recall ${percent(target.recall)}`, target.precision && `precision ${percent(target.precision)}`];
  const said = [`${sentence(parts.filter(Boolean).join(" and ")).slice(0, -1)} is ${Math.floor(sure * 100)}\u00a0% sure by now, of ${percent(target.confidence)} wanted.`];
  const shown = [recall && `recall ${percent(recall)}`, precision && `precision ${percent(precision)}`].filter(Boolean);
  if (shown.length) said.push(`Guaranteed already: ${shown.join(" and ")}.`);
  return said.join(" ");
}

/** @param {number} labels */
export const labelled = (labels) => (labels === 1 ? "1 label" : `${count(labels)} labels`);

/**
 * How far it is in a few words, for a small screen.
 * @param {Answers.Progress} progress
 */
export function brief({ labels, audit }) {
  if (!audit) return labelled(labels);
  if (audit.holds) return "The guarantee holds";
  if (audit.still_needed === null) return `${count(audit.answered)} answered`;
  return `${count(audit.answered)} of about ${count(audit.answered + audit.still_needed)}`;
}

/**
 * What `apply` answered when a version was applied, from what that version has measured.
 * @param {Record<string, any>} measured
 * @returns {Decided}
 */
export function asApplied(measured) {
  const { rows, kept, asked, dropped, recall, precision, confidence, assumption, both, scenes } = measured;
  return {
    rows,
    kept,
    asked,
    dropped,
    measured,
    promise: {
      recall: recall.at_least,
      precision: precision.at_least,
      confidence,
      assumption: assumption?.name ?? null,
      both: both ?? null,
      scenes: scenes?.at_least ?? null,
    },
  };
}

/**
 * What is decided and promised, a sentence each.
 * @param {Decided} answer
 */
export function decided({ kept, asked, dropped, rows, promise, measured }) {
  const asks = asked ? `, ${count(asked)} left to a person` : "";
  const said = [`Kept ${count(kept)} of ${images(rows)}, dropped ${count(dropped)}${asks}.`, `Guaranteed: ${promised(promise)}.`];
  const known = ["recall", "precision"].filter((kind) => typeof measured[kind].estimate === "number");
  const about = known.map((kind) => `${kind} about ${percentAbout(measured[kind].estimate)}`).join(", ");
  if (about) said.push(`${measured.counted ? "By the answers" : "Estimated, not guaranteed"}: ${about}.`);
  return measured.counted ? [...said, `Every ${measured.scenes ? "scene" : "image"} was answered by a person: this is counted.`] : said;
}

/** @param {number} share */
const percentAbout = (share) => `${Number((share * 100).toFixed(1))}\u00a0%`;

/** @param {Promised} promise */
function promised({ recall, precision, confidence, assumption, both, scenes }) {
  const parts = [
    recall && `recall at least ${percent(recall)}`,
    precision && `precision at least ${percent(precision)}`,
    scenes && `at least ${percent(scenes)} of the scenes that show it keep an image of it`,
  ];
  const said = `${parts.filter(Boolean).join(" and ")}, with ${percent(confidence)} confidence`;
  const assuming = assumption ? `${said}, assuming the ${assumption}` : said;
  if (both === null) return assuming;
  const other = assumption ? "assumes nothing" : "assumes the tail";
  return `${assuming}; with ${percent(both)} that this and the same check's guarantee that ${other} both hold`;
}

/**
 * Why nothing was decided, a sentence each.
 * @param {Answers.RefusedAnswer} answer
 * @param {Answers.Progress} progress
 */
export function refusal({ reason, can_promise: can, labels_missing: missing }, { audit }) {
  const said = [audit ? sentence(curators(reason)) : "Nothing is guaranteed before a random check; begin one, and answer what it asks."];
  if (can) {
    const kind = ["recall", "precision", "scenes"].find((name) => can[name] !== undefined) ?? "recall";
    const what = kind === "scenes" ? "an image of each scene that shows it, of" : `${kind} of`;
    said.push(
      `What can be guaranteed now: ${what} at least ${percent(can[kind])}, with ${percent(can.confidence)} confidence, ` +
        `dropping ${images(can.dropped)}.`,
    );
  }
  if (missing && !said[0].includes(count(missing))) said.push(`About ${count(missing)} ${missing === 1 ? "label is" : "labels are"} missing.`);
  return said;
}

/**
 * What has changed since it was applied, and why less is promised than is wanted, a sentence each.
 * @param {?Answers.InForce} applied
 * @returns {string[]}
 */
export function inForce(applied) {
  if (!applied) return [];
  const { promise, smaller, undecided } = applied;
  const said = [];
  if (smaller && promise.scenes !== null) said.push("Nothing is guaranteed of single images.");
  else if (smaller) said.push(`Guaranteed: ${promised(promise)}, for it was applied for less than is wanted.`);
  if (undecided) said.push(since(undecided));
  return said;
}

/**
 * "59 images came since: undecided."
 * @param {number} undecided
 */
export const since = (undecided) => `${images(undecided)} came since: undecided.`;

/**
 * Why nothing was taken back.
 * @param {string} labeller
 */
export const nothingToTakeBack = (labeller) =>
  labeller === UNNAMED
    ? "You have given no answer in this tab that could be taken back. Say your name to find those that you give elsewhere."
    : "You have given no answer that could be taken back.";
