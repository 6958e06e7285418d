/** How good the ranking is by now, and how it came to be so: a sentence, a small line, and what to do about it. */

import { byId } from "../common/dom.js";
import { count, lower, sentence } from "../common/words.js";
import * as filters from "./filters_api.js";

const SETTLED_MS = 900; // after the last answer
const ANSWERS_BETWEEN = 5; // it takes the service a fit or two
const [WIDE, HIGH] = [120, 34]; // of the line, in units of its own
const MARGIN = 4;
const LEAST_SPAN = Math.log(2); // from the lowest to the highest: less looks level, as it is
/** @type {Record<Answers.Ranking["advice"], string>} */
const WHAT = { check: "Good enough to check", teach: "Teach it more" };

export class RankingLine {
  /** @type {?number} */
  #shownFor = null; // answers that what is shown is of
  #wanted = 0;
  /** @type {number|undefined} */
  #timer;
  #isAsking = false;

  /**
   * @param {string} lake
   * @param {string} name of the filter
   * @param {(ranking: Answers.Ranking) => unknown} known told the ranking
   */
  constructor(lake, name, known) {
    this.lake = lake;
    this.name = name;
    this.known = known;
  }

  /** @param {{yes: number, no: number}} progress */
  follow({ yes, no }) {
    this.#wanted = yes + no;
    const shownFor = this.#shownFor;
    const isFirst = shownFor === null;
    if (!isFirst && Math.abs(this.#wanted - shownFor) < ANSWERS_BETWEEN) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), isFirst ? 0 : SETTLED_MS);
  }

  async #ask() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const asked = this.#wanted;
    try {
      const found = await filters.ranking(this.lake, this.name);
      this.#shownFor = asked;
      this.#show(found);
      this.known(found);
    } catch {
      byId("ranking-text").textContent = "How good the ranking is cannot be told now.";
    } finally {
      this.#isAsking = false;
    }
    if (this.#shownFor !== null) this.follow({ yes: this.#wanted, no: 0 });
  }

  /** @param {Answers.Ranking} found */
  #show(found) {
    const { now, history, advice, because } = found;
    byId("ranking-text").replaceChildren(...says(found));
    byId("ranking-what").textContent = `${WHAT[advice]}:`;
    byId("ranking-because").textContent = lower(sentence(because));
    byId("ranking").dataset.advice = advice;
    const points = now ? [...history, now] : [];
    byId("ranking-path").setAttribute("d", points.length > 1 ? path(points) : "");
    byId("ranking-line").setAttribute("aria-label", points.map(({ top, answers }) => `${count(top)} after ${count(answers)} answers`).join(", "));
    byId("ranking-from").textContent = points.length > 1 ? `${count(points[0].top)} after ${count(points[0].answers)} answers` : "";
    byId("ranking-to").textContent = now && points.length > 1 ? `${count(now.top)} now` : "";
  }
}

/**
 * "Finds 9 of 10 among the top 240 of 8,982, estimated."
 * @param {Answers.Ranking} ranking
 */
function says({ now, rows, found }) {
  if (!now) return ["After some answers it is told here how good the ranking is."];
  const range = now.low < now.top || now.high > now.top ? ` (roughly ${count(now.low)} to ${count(now.high)})` : "";
  return [`Finds ${Math.round(found * 10)} of 10 among the top ${count(now.top)} of ${count(rows)}${range}, estimated.`];
}

/**
 * From left to right twice as many answers each step; the lower the line, the fewer images hold what belongs.
 * @param {Answers.Depth[]} points two or more
 */
function path(points) {
  const [first, last] = [points[0], points[points.length - 1]].map(({ answers }) => Math.log2(answers));
  const depths = points.map(({ top }) => Math.log(Math.max(1, top)));
  const middle = (Math.min(...depths) + Math.max(...depths)) / 2;
  const span = Math.max(Math.max(...depths) - Math.min(...depths), LEAST_SPAN);
  const x = (/** @type {Answers.Depth} */ { answers }) => MARGIN + ((WIDE - 2 * MARGIN) * (Math.log2(answers) - first)) / Math.max(last - first, 1e-9);
  const y = (/** @type {number} */ depth) => HIGH / 2 - ((HIGH - 2 * MARGIN) * (depth - middle)) / span;
  return `M${points.map((point, at) => `${x(point).toFixed(1)} ${y(depths[at]).toFixed(1)}`).join("L")}`;
}
