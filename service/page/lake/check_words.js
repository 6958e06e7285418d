/** What a look at a lake found, in words. Values in, sentences out. */

import { count } from "../common/words.js";

/** What the service calls by one word, for people. */
const NAMES = /** @type {Record<string, string>} */ ({
  decoder: "Reading of images",
  files: "Files",
  filter: "Filter",
  groups: "Quick searches",
  lake: "Lake",
  map: "Map",
  model: "Model",
  "near-identical": "Near-identical images",
  parts: "Parts",
  rows: "Rows",
  searches: "Saved searches",
  source: "Source",
  tags: "Tags",
  vectors: "Vectors",
  engine: "Engine",
});

/** @param {Answers.FindingFacts} finding */
export const named = ({ what }) => NAMES[what] ?? what;

/**
 * "All 12 things that were looked at are well."
 * @param {Answers.DoctorAnswer} found
 */
export function looked({ findings }) {
  const wrong = findings.filter(({ ok }) => !ok).length;
  if (!wrong) return `All ${count(findings.length)} things that were looked at are well.`;
  return `${count(wrong)} of ${count(findings.length)} things ${wrong === 1 ? "is" : "are"} not well:`;
}
