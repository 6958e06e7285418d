/** How the scores of a filter's images lie, as bars: kept, asked and dropped by colour, and the cut-off between them. */

import { HEIGHT, area, tallestOf } from "../common/bars.js";
import { byId } from "../common/dom.js";
import { count } from "../common/words.js";
import * as filters from "./filters_api.js";

const DIGITS = 3; // of a score that people read
const GROUPS = /** @type {const} */ (["keep", "ask", "drop", "people"]);

export class ScoreBars {
  #root = byId("score-bars");
  #run = 0;

  /**
   * @param {string} lake
   * @param {string} name of the filter
   */
  constructor(lake, name) {
    this.lake = lake;
    this.name = name;
  }

  /** Count anew: it was applied. It only helps: where it cannot be counted there is a sentence and no bars. */
  async show() {
    this.#run += 1;
    const run = this.#run;
    try {
      const found = await filters.scores(this.lake, this.name);
      if (run === this.#run) this.#draw(found);
    } catch {
      if (run === this.#run) byId("score-bars-text").textContent = "How the scores lie cannot be told now.";
    }
  }

  /** @param {Answers.ScoreCounts} found */
  #draw(found) {
    const { low, step, thresholds } = found;
    const bins = found.keep.length;
    const byScore = found.keep.map((rows, at) => rows + found.ask[at] + found.drop[at]);
    const all = byScore.map((rows, at) => rows + found.people[at]);
    const tallest = tallestOf(all);
    const place = (/** @type {number} */ score) => Math.min(bins, Math.max(0, (score - low) / step));
    const [drop, keep] = [place(thresholds.drop), place(thresholds.keep)];
    byId("score-bars-chart").setAttribute("viewBox", `0 0 ${Math.max(1, bins)} ${HEIGHT}`);
    /** @type {Record<typeof GROUPS[number], [number[], number, number]>} */
    const parts = { people: [all, 0, bins], drop: [byScore, 0, drop], ask: [byScore, drop, keep], keep: [byScore, keep, bins] };
    for (const name of GROUPS) byId(`bars-${name}`).setAttribute("d", area(...parts[name], tallest));
    for (const [name, at] of /** @type {["drop"|"keep", number][]} */ (Object.entries({ drop, keep }))) {
      byId(`cut-${name}`).setAttribute("d", at < bins ? `M${at} 0V${HEIGHT}` : "");
    }
    const said = says(found);
    byId("score-bars-text").textContent = said;
    byId("score-bars-chart").setAttribute("aria-label", said);
    this.#root.removeAttribute("aria-busy");
  }
}

/**
 * "Cut-off at 0.312: 84 dropped below it and 31 kept above it, by their score; 5 decided by people's answers (in pale)."
 * @param {Answers.ScoreCounts} found
 */
function says(found) {
  const [keep, ask, drop, people] = GROUPS.map((name) => found[name].reduce((sum, rows) => sum + rows, 0));
  const { thresholds } = found;
  const line = (/** @type {number} */ score) => Number(score.toFixed(DIGITS));
  const asks = thresholds.drop < thresholds.keep ? `, ${count(ask)} between it and ${line(thresholds.keep)} left to a person` : "";
  const rest = people ? `; people's own answers decided ${count(people)}, in pale` : "";
  return `Cut-off at ${line(thresholds.drop)}: by their score ${count(drop)} dropped below it${asks}, ${count(keep)} kept above${rest}.`;
}
