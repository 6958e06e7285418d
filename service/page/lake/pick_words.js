/** What came of picking images, in words. Values in, sentences out. */

import { count, images } from "../common/words.js";

/**
 * "40 images picked of 2,000."
 * @param {Answers.PicksAnswer} picks
 */
export function picked({ row_ids: { length }, rows, labelled }) {
  const of = `${images(length)} picked of ${count(rows)}`;
  return labelled ? `${of}, beside ${count(labelled)} that are labelled.` : `${of}.`;
}

/**
 * What the picks are worth: as many images drawn at random as come as near to the lake; "" where nothing was picked.
 * @param {Answers.PicksAnswer} picks
 */
export function worth({ reach, by, unsure_of, row_ids: { length } }) {
  if (!reach) return "";
  const { random_needed: needed, random_tried: tried } = reach;
  const what = unsure_of === null ? "the lake" : `what ${unsure_of} is unsure of`;
  if (needed === null) return `They stand for ${what} better than ${count(tried)} images picked at random.`;
  const same = `They stand for ${what} as well as ${images(needed)} picked at random`;
  return by === "diversity" && needed < length ? `${same}: the odd ones stand for little else.` : `${same}.`;
}

/**
 * The numbers behind it.
 * @param {Answers.PicksAnswer} picks
 */
export function reached({ reach }) {
  if (!reach) return "";
  const [mean, low, high, random] = [reach.mean, reach.low, reach.high, reach.random_mean].map((each) => each.toFixed(3));
  return `Mean cosine of an image to its nearest pick: ${mean} (${low} to ${high}, 95 % sure); with as many picked at random ${random}`;
}
