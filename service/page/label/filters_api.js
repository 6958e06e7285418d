/** Asks the server about a lake's filters. Errors are those of api.js. */

import { ask, lakePath } from "../common/api.js";

const all = (lake) => `${lakePath(lake)}/filters`;
const one = (lake, name) => `${all(lake)}/${encodeURIComponent(name)}`;
const post = async (path, body) => (await ask("POST", path, { body })).answer;

export const list = async (lake) => (await ask("GET", all(lake))).answer;
export const show = async (lake, name) => (await ask("GET", one(lake, name))).answer;
export const create = (lake, said) => post(all(lake), said);

/**
 * @param {Object} said as create takes it
 * @param {File[]} keep photos like those wanted
 * @param {File[]} drop photos like those unwanted
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

/** @param {{n: number, purpose?: string, again?: boolean, budget?: number}} wanted */
export const next = (lake, name, wanted) => post(`${one(lake, name)}/next`, wanted);

/** @param {{row_id: number, label: "yes"|"no"|"skip", labeller: string}[]} labels */
export const label = (lake, name, labels) => post(`${one(lake, name)}/label`, { labels });
export const undo = (lake, name, labeller) => post(`${one(lake, name)}/undo`, { labeller });
export const apply = (lake, name, mayAsk) => post(`${one(lake, name)}/apply`, { ask: mayAsk });
export const plan = async (lake, name) => (await ask("GET", `${one(lake, name)}/plan`)).answer;
/** @param {{n: number, order: "line"|"random"|"people", offset: number, seed?: number}} wanted */
export const samples = async (lake, name, decision, wanted) =>
  (await ask("GET", `${one(lake, name)}/samples?${new URLSearchParams({ decision, ...wanted })}`)).answer;
export const progress = async (lake, name) => (await ask("GET", `${one(lake, name)}/audit`)).answer.progress;
export const ledgerUrl = (lake, name) => `${one(lake, name)}/ledger`;
export const reportUrl = (lake, name) => `${one(lake, name)}/report?format=html`;

/** Those formats that `exportUrl` can ask for: {name, title, writes}. */
export const downloads = async () =>
  (await ask("GET", "/v1/formats")).answer.formats.filter((format) => format.downloads);

/** @param {"keep"|"ask"|"drop"} decision */
export const exportUrl = (lake, name, decision, format) =>
  `${one(lake, name)}/export?decision=${decision}&format=${format}`;
