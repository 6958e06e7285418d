/** Other guarantees that the same random check supports, each a button; and what a tighter one would cost. */

import { button, make } from "../common/dom.js";
import { count, images } from "../common/words.js";
import { percent } from "./filter_words.js";

/** @typedef {Answers.Tighter & {labels: number}} Costed one that the service knows the labels of */

/** @typedef {{recall: ?number, confidence: number, dropped: number}} InPlace what is applied */

/**
 * @param {Answers.OffersAnswer} found
 * @param {?InPlace} now null: nothing is applied
 * @param {?((offer: Answers.Offer) => unknown)} take applies an offer; null: this reader may not
 * @returns {Node[]} nothing where there is nothing to choose
 */
export function offersOf({ offers, tighter, scene }, now, take) {
  const others = offers.filter((each) => !now || !isSame(each, now));
  const isOfScenes = scene !== null;
  const parts = [];
  if (others.length) {
    parts.push(
      make("h3", {}, now ? "Other guarantees of the same check" : "Guarantees that hold now"),
      make("ul", { role: "list" }, ...others.map((each) => make("li", {}, offer(each, now, take, isOfScenes)))),
    );
  }
  const costs = /** @type {Costed[]} */ (tighter.filter(({ labels }) => labels !== null));
  if (costs.length) {
    parts.push(make("h3", {}, "What a tighter one would cost"), make("ul", { role: "list" }, ...costs.map((each) => make("li", {}, cost(each, isOfScenes)))));
  }
  return parts;
}

/**
 * How many images belong, as far as the random check shows.
 * @param {Answers.Estimate} found
 */
export function howMany({ at_least: least, at_most: most, rows, confidence }) {
  const bounds = least === most ? count(least) : least ? `between ${count(least)} and ${count(most)}` : `at most ${count(most)}`;
  const told = `Of ${images(rows)} ${bounds} ${most === 1 && least === most ? "belongs" : "belong"} to what you look for, ${percent(confidence)} sure.`;
  return make("p", { class: "how-many" }, told);
}

/**
 * @param {Answers.Offer} one
 * @param {InPlace} other
 */
const isSame = (one, other) => one.recall === other.recall && one.confidence === other.confidence && one.dropped === other.dropped;

/**
 * @param {Answers.Offer} each
 * @param {?InPlace} now
 * @param {?((offer: Answers.Offer) => unknown)} take
 * @param {boolean} isOfScenes
 */
function offer(each, now, take, isOfScenes) {
  const more = now ? each.dropped - now.dropped : 0;
  const compared = more > 0 ? `, ${count(more)} more` : more < 0 ? `, ${count(-more)} fewer` : "";
  const brings = `drops ${count(each.dropped)}${compared}${each.ask ? `, leaves ${count(each.asked)} to a person` : ""}`;
  const text = [make("b", {}, shares(each, isOfScenes)), " ", make("span", {}, brings)];
  return take ? button({ class: "offer" }, () => take(each), ...text) : make("span", { class: "offer" }, ...text);
}

/**
 * @param {Costed} each
 * @param {boolean} isOfScenes
 */
function cost(each, isOfScenes) {
  const { labels, own_audit: own, dropped } = each;
  const answers = `about ${count(labels)} ${own ? "" : "more "}${labels === 1 ? "answer" : "answers"}`;
  const drops = dropped === null ? "" : `, which would drop ${count(dropped)}`;
  const how = own ? " in a filter of its own, taught with these" : "";
  return `${shares(each, isOfScenes)}: ${answers}${how}${drops}.`;
}

/**
 * "Recall 90 %, 95 % confidence"
 * @param {Answers.Target} share
 * @param {boolean} isOfScenes recall is the share of scenes that keep an image of it
 */
function shares({ recall, precision, confidence }, isOfScenes) {
  const said = [recall && (isOfScenes ? `${percent(recall)} of scenes` : `recall ${percent(recall)}`), precision && `precision ${percent(precision)}`, `${percent(confidence)} confidence`];
  const text = said.filter(Boolean).join(", ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
