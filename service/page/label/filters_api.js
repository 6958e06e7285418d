/** Asks the server about a lake's filters. Errors are those of api.js. */

import { ask, lakePath } from "../common/api.js";
import { OwnAnswers, UNNAMED } from "../common/own_answers.js";

/** @import { Prices } from "./prices.js" */

/** @param {string} lake */
const all = (lake) => `${lakePath(lake)}/filters`;
/**
 * @param {string} lake
 * @param {string} name
 */
const one = (lake, name) => `${all(lake)}/${encodeURIComponent(name)}`;
/**
 * @param {string} path
 * @param {Record<string, any>} body
 */
const post = async (path, body) => (await ask("POST", path, { body })).answer;

/**
 * @param {string} lake
 * @returns {Promise<Answers.FiltersAnswer>}
 */
export const list = async (lake) => (await ask("GET", all(lake))).answer;
/**
 * @param {string} lake
 * @param {string} name
 * @returns {Promise<Answers.FilterAnswer>}
 */
export const show = async (lake, name) => (await ask("GET", one(lake, name))).answer;
/**
 * @param {string} lake
 * @param {Record<string, any>} said
 * @returns {Promise<Answers.FilterFacts>}
 */
export const create = (lake, said) => post(all(lake), said);

/**
 * @param {string} lake
 * @param {Record<string, any>} said as create takes it
 * @param {File[]} keep photos like those wanted
 * @param {File[]} drop photos like those unwanted
 * @returns {Promise<Answers.FilterFacts>}
 */
export function createWithImages(lake, said, keep, drop) {
  const form = new FormData();
  for (const [name, value] of Object.entries(said)) {
    if (value !== null) form.append(name, typeof value === "object" ? JSON.stringify(value) : value);
  }
  for (const file of keep) form.append("keep_images", file, file.name || "photo");
  for (const file of drop) form.append("drop_images", file, file.name || "photo");
  return post(`${all(lake)}/upload`, form);
}

/**
 * @param {string} lake
 * @param {string} name
 * @param {{n: number, purpose?: string, again?: boolean, follow?: boolean, budget?: number, labeller?: string, double?: number} & Prices} wanted labeller: what
 *   others are at is left out; double: the share of what one other answered that is asked, too
 * @returns {Promise<Answers.NextAnswer>}
 */
export const next = (lake, name, wanted) => post(`${one(lake, name)}/next`, wanted);

/**
 * @param {string} lake
 * @param {string} name
 * @param {{row_id: number, label: string, labeller: string}[]} labels all by one person
 * @param {{only_open?: boolean, settle?: boolean}} more
 * @returns {Promise<Answers.LabelAnswer>}
 */
async function save(lake, name, labels, more = {}) {
  const saved = await post(`${one(lake, name)}/label`, { labels, ...more });
  if (labels[0]?.labeller === UNNAMED) new OwnAnswers(lake, name).add(saved.seqs);
  return saved;
}

/**
 * @param {string} lake
 * @param {string} name
 * @param {{row_id: number, label: string, labeller: string}[]} labels label: yes, no or skip
 */
export const label = (lake, name, labels) => save(lake, name, labels);
/**
 * As `label`, but nothing is saved of an image that somebody else has answered: `passed_over` has those.
 * @param {string} lake
 * @param {string} name
 * @param {{row_id: number, label: string, labeller: string}[]} labels
 */
export const labelOpen = (lake, name, labels) => save(lake, name, labels, { only_open: true });
/**
 * Decides images on which people disagree; others are told as problems.
 * @param {string} lake
 * @param {string} name
 * @param {{row_id: number, label: string, labeller: string}[]} labels label: yes or no
 */
export const settle = (lake, name, labels) => save(lake, name, labels, { settle: true });
/**
 * @param {string} lake
 * @param {string} name
 * @returns {Promise<Answers.TeamAnswer>}
 */
export const team = async (lake, name) => (await ask("GET", `${one(lake, name)}/team`)).answer;
/**
 * Takes back this person's answers to these images.
 * @param {string} lake
 * @param {string} name
 * @param {number[]} rowIds
 * @param {string} labeller
 * @returns {Promise<Answers.UndoAnswer>}
 */
export const undoAll = (lake, name, rowIds, labeller) => post(`${one(lake, name)}/undo`, { row_ids: rowIds, labeller });
/**
 * @param {string} lake
 * @param {string} name
 * @returns {Promise<Answers.Ranking>}
 */
export const ranking = async (lake, name) => (await ask("GET", `${one(lake, name)}/ranking`)).answer;
/**
 * Takes back exactly these answers, or none.
 * @param {string} lake
 * @param {string} name
 * @param {number[]} seqs their numbers
 * @returns {Promise<Answers.UndoAnswer>}
 * @throws {ApiError} isTaken(error): one was taken back already, or its row was answered again
 */
export async function undoAnswers(lake, name, seqs) {
  const own = new OwnAnswers(lake, name);
  try {
    const answer = await post(`${one(lake, name)}/undo`, { seqs });
    own.drop(seqs);
    return answer;
  } catch (error) {
    if (isTaken(error)) own.drop(seqs); // another try would bring the same sentence
    throw error;
  }
}

/** @param {any} error */
export const isTaken = (error) => error.code === "cannot_undo";

/**
 * The last answer of this person, with all that were given at once with it: who says no name is known by what was answered in
 * this tab.
 * @param {string} lake
 * @param {string} name
 * @param {string} labeller
 * @returns {Promise<?Answers.UndoAnswer>} null: nothing is known
 */
export async function undo(lake, name, labeller) {
  if (labeller !== UNNAMED) return post(`${one(lake, name)}/undo`, { labeller, act: true });
  const { last } = new OwnAnswers(lake, name);
  return last && undoAnswers(lake, name, last);
}
/**
 * @param {string} lake
 * @param {string} name
 * @param {{ask: boolean, recall?: ?number, confidence?: number}} wanted less than the filter's own where it is said
 * @returns {Promise<Answers.ApplyAnswer>}
 */
export const apply = (lake, name, wanted) => post(`${one(lake, name)}/apply`, wanted);
/**
 * @param {string} lake
 * @param {string} name
 * @returns {Promise<Answers.OffersAnswer>}
 */
export const offers = async (lake, name) => (await ask("GET", `${one(lake, name)}/offers`)).answer;
/**
 * @param {string} lake
 * @param {string} name
 * @returns {Promise<Answers.Estimate>}
 */
export const estimate = async (lake, name) => (await ask("GET", `${one(lake, name)}/estimate`)).answer;
/**
 * @param {string} lake
 * @param {string} name
 * @returns {Promise<Answers.ScoreCounts>}
 */
export const scores = async (lake, name) => (await ask("GET", `${one(lake, name)}/scores`)).answer;
/**
 * @param {string} lake
 * @param {string} name
 * @param {Prices} prices
 * @returns {Promise<Answers.PlanAnswer>}
 */
export async function plan(lake, name, prices) {
  const said = new URLSearchParams(/** @type {Record<string, any>} */ (prices)).toString();
  return (await ask("GET", `${one(lake, name)}/plan${said && `?${said}`}`)).answer;
}
/**
 * @param {string} lake
 * @param {string} name
 * @param {string} decision
 * @param {{n: number, order: string, offset: number, seed?: number}} wanted order: line, random or people
 * @returns {Promise<Answers.SamplesAnswer>}
 */
export const samples = async (lake, name, decision, wanted) =>
  (await ask("GET", `${one(lake, name)}/samples?${new URLSearchParams(/** @type {Record<string, any>} */ ({ decision, ...wanted }))}`)).answer;
/**
 * @param {string} lake
 * @param {string} name
 * @returns {Promise<Answers.Progress>}
 */
export const progress = async (lake, name) => (await ask("GET", `${one(lake, name)}/audit`)).answer.progress;
/**
 * @param {string} lake
 * @param {string} name
 */
export const ledgerUrl = (lake, name) => `${one(lake, name)}/ledger`;
/**
 * @param {string} lake
 * @param {string} name
 * @param {boolean} inline to look at, not to keep
 */
export const reportUrl = (lake, name, inline) => `${one(lake, name)}/report?format=html${inline ? "&inline=true" : ""}`;

/**
 * Those formats that `exportUrl` can ask for: {name, title, writes}.
 * @returns {Promise<Answers.FormatsFormatFacts[]>}
 */
export const downloads = async () =>
  (await ask("GET", "/v1/formats")).answer.formats.filter((/** @type {Answers.FormatsFormatFacts} */ format) => format.downloads);

/**
 * @param {string} lake
 * @param {string} name
 * @param {string} decision keep, ask or drop
 * @param {string} format
 */
export const exportUrl = (lake, name, decision, format) =>
  `${one(lake, name)}/export?decision=${decision}&format=${format}`;
