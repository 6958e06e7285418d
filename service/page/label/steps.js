/** The way from a description to a result: four steps, what each has brought, and what is next. */

import { byId } from "../common/dom.js";
import { answers, count } from "../common/words.js";

const STEPS = /** @type {const} */ (["describe", "teach", "audit", "result"]);

/**
 * @param {Answers.FilterAnswer} filter
 * @param {Answers.Progress} progress
 * @param {?{advice: string}} ranking null: not known yet
 */
export function showSteps(filter, progress, ranking) {
  const texts = brought(filter, progress);
  for (const step of STEPS) byId(`brought-${step}`).textContent = texts[step];
  byId("next-step").textContent = nextStep(progress, ranking, filter.applied);
}

/**
 * What each step has brought.
 * @param {Answers.FilterAnswer} filter
 * @param {Answers.Progress} progress
 * @returns {Record<typeof STEPS[number], string>}
 */
function brought({ keep, drop, applied, measured }, progress) {
  const { audit, yes, no, stage } = progress;
  const taught = audit ? Math.max(0, yes + no - audit.answered) : yes + no;
  return {
    describe: [described(keep, "wanted"), described(drop, "unwanted")].filter(Boolean).join(", "),
    teach: taught ? answers(taught) : "not begun",
    audit: audit ? checked(audit) : "not begun",
    result: stage === "applied" && measured?.rows !== undefined ? `${count(measured.dropped)} dropped` : applied ? "an earlier one" : "not yet",
  };
}

/**
 * @param {Record<string, any>} side its texts, row_ids and images
 * @param {string} word
 */
function described({ texts, row_ids: rowIds, images }, word) {
  const number = texts.length + rowIds.length + images.length;
  return number ? `${count(number)} ${word}` : "";
}

/** @param {Answers.AuditProgress} audit */
function checked({ answered, holds, still_needed: needed }) {
  if (holds) return `${answers(answered)}, holds`;
  return needed === null ? answers(answered) : `${count(answered)} of about ${count(answered + needed)}`;
}

/**
 * What is next, in a sentence.
 * @param {Answers.Progress} progress
 * @param {?{advice: string}} ranking null: not known yet
 * @param {?{undecided: ?number}} applied
 */
function nextStep({ labels, audit, stage }, ranking, applied) {
  if (stage === "applied") {
    return applied?.undecided ? "Next: decide what came since." : "Next: look at what was dropped, and hand over what was kept.";
  }
  if (audit?.holds) return "Next: Apply. The guarantee holds.";
  if (audit) {
    const { still_needed: needed } = audit;
    if (needed === null) return "Next: teach it more, then begin a new random check.";
    return `Next: about ${count(needed)} more answers of the random check.`;
  }
  if (!labels) return "Next: teach it, with a few dozen answers.";
  return ranking?.advice === "check" ? "Next: the random check. The ranking is good enough." : "Next: teach it more, or begin the random check.";
}
