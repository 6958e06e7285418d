/** What can be taken away once a filter is applied: its report, its full table (the ledger), and the images of each decision as files. */

import { isPlainClick, make } from "../common/dom.js";
import { count } from "../common/words.js";
import * as filters from "./filters_api.js";

/**
 * @param {string} lake
 * @param {string} name of the filter
 * @param {{kept: number, asked: number, dropped: number}} decided images of each decision
 * @param {(error: Error) => unknown} failed told why there is nothing to take away now
 * @returns {HTMLElement}
 */
export function handOver(lake, name, { kept, asked, dropped }, failed) {
  const link = (/** @type {string} */ href, /** @type {string} */ text, /** @type {string} */ title) =>
    download(href, text, title, () => filters.progress(lake, name), failed);
  const formats = filters.downloads();
  formats.catch(failed);
  const part = (/** @type {string} */ decision, /** @type {string} */ word, /** @type {number} */ images) => {
    const links = make("span", { class: "formats" });
    const offer = (/** @type {Answers.FormatsFormatFacts[]} */ known) =>
      links.append(
        ...known.map((each) => link(filters.exportUrl(lake, name, decision, each.name), each.title, each.writes)),
      );
    formats.then(offer, () => {}); // why there are none was told above
    return make("li", {}, make("span", { class: "part" }, word, " ", make("b", {}, count(images))), links);
  };
  return make(
    "div",
    { class: "hand-over" },
    make(
      "p",
      {},
      beside(filters.reportUrl(lake, name, true), "The report", () => filters.progress(lake, name), failed),
      ", one page; ",
      link(filters.reportUrl(lake, name, false), "a file of it", "One HTML file"),
      " to mail.",
    ),
    make("p", { "data-term": "table" }, link(filters.ledgerUrl(lake, name), "The full table", "Parquet"), ", every image with its decision (Parquet)."),
    make("h3", {}, make("span", { "data-term": "export" }, "Export")),
    make(
      "ul",
      { class: "parts", role: "list" },
      .../** @type {[string, string, number][]} */ ([["keep", "Kept", kept], ["drop", "Dropped", dropped], ["ask", "Ask", asked]])
        .filter(([, , images]) => images > 0)
        .map((each) => part(...each)),
    ),
  );
}

/**
 * A link to a file. The service is asked first, so that a refusal is said here and not saved as a file.
 * @param {string} href
 * @param {string} text
 * @param {string} title
 * @param {() => Promise<unknown>} check
 * @param {(error: Error) => unknown} failed
 */
function download(href, text, title, check, failed) {
  const save = async (/** @type {MouseEvent} */ event) => {
    if (!isPlainClick(event)) return;
    event.preventDefault();
    try {
      await check();
      make("a", { href, download: "" }).click();
    } catch (error) {
      failed(error);
    }
  };
  return make("a", { href, title, download: "", on: { click: save } }, text);
}

/**
 * A link to what opens in a tab of its own. The service is asked first here, too; the tab is there at once, or it would be kept out.
 * @param {string} href
 * @param {string} text
 * @param {() => Promise<unknown>} check
 * @param {(error: Error) => unknown} failed
 */
function beside(href, text, check, failed) {
  const open = async (/** @type {MouseEvent} */ event) => {
    if (!isPlainClick(event)) return;
    event.preventDefault();
    const tab = window.open("", "_blank");
    try {
      await check();
      if (tab) {
        tab.opener = null;
        tab.location.replace(href);
      }
    } catch (error) {
      tab?.close();
      failed(error);
    }
  };
  return make("a", { href, target: "_blank", rel: "noopener", title: "Opens beside this page", on: { click: open } }, text);
}
