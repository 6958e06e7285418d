/** What can be taken away once a filter is applied: its report, its full table (the ledger), and the images of each decision as files. */

import { isPlainClick, make } from "../common/dom.js";
import { fetchFile, saveFile } from "../common/files.js";
import { count, images as imagesOf, sentence } from "../common/words.js";
import * as filters from "./filters_api.js";

const AS_IT_IS_MADE =
  "The browser saves it as it is made, and lists it among its downloads. An image that cannot be read by then is left out; " +
  "lakesift filter export names each one.";

/**
 * @param {string} lake
 * @param {string} name of the filter
 * @param {{kept: number, asked: number, dropped: number}} decided images of each decision
 * @param {(error: Error) => unknown} failed told why there is nothing to take away now
 * @returns {HTMLElement}
 */
export function handOver(lake, name, { kept, asked, dropped }, failed) {
  const said = make("p", { class: "small handed", role: "status" });
  const saving = new Saving(said, failed);
  const formats = filters.downloads();
  formats.catch(failed);
  const part = (/** @type {string} */ decision, /** @type {string} */ word, /** @type {number} */ images) => {
    const links = make("span", { class: "formats" });
    const offer = (/** @type {Answers.FormatsFormatFacts[]} */ known) =>
      links.append(
        ...known.map((each) => {
          const href = filters.exportUrl(lake, name, decision, each.name);
          if (!each.copies) return saving.link(href, each.title, each.writes, images);
          return saving.streamed(href, each.title, each.writes, () => filters.progress(lake, name));
        }),
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
      saving.link(filters.reportUrl(lake, name, false), "a file of it", "One HTML file"),
      " to mail.",
    ),
    make("p", { "data-term": "table" }, saving.link(filters.ledgerUrl(lake, name), "The full table", "Parquet"), ", every image with its decision (Parquet)."),
    make("h3", {}, make("span", { "data-term": "export" }, "Export")),
    make(
      "ul",
      { class: "parts", role: "list" },
      .../** @type {[string, string, number][]} */ ([["keep", "Kept", kept], ["drop", "Dropped", dropped], ["ask", "Ask", asked]])
        .filter(([, , images]) => images > 0)
        .map((each) => part(...each)),
    ),
    said,
  );
}

/** Saves files, one after the other, and says what became of each. */
class Saving {
  /** @type {Set<string>} */
  #wanted = new Set(); // what was clicked and is not there yet
  /** @type {Promise<unknown>} */
  #chain = Promise.resolve();

  /**
   * @param {HTMLElement} said where that is said
   * @param {(error: Error) => unknown} failed
   */
  constructor(said, failed) {
    this.said = said;
    this.failed = failed;
  }

  /**
   * A link to a file that is fetched whole, and then saved: a refusal, or half of it, is said here and not saved.
   * @param {string} href
   * @param {string} text
   * @param {string} title
   * @param {?number} images that it is of; null: it is of none
   */
  link(href, text, title, images = null) {
    return this.#link(href, text, title, async () => {
      this.#say("Making the file…");
      const { blob, name, leftOut, because } = await fetchFile(href);
      saveFile(blob, name);
      this.#say([saved(name, images, leftOut), left(leftOut, because)].filter(Boolean).join(" "));
    });
  }

  /**
   * A link to a file that is too large to be fetched first. The service is asked, so that a refusal is said here all the same.
   * @param {string} href
   * @param {string} text
   * @param {string} title
   * @param {() => Promise<unknown>} check
   */
  streamed(href, text, title, check) {
    return this.#link(href, text, title, async () => {
      await check();
      make("a", { href, download: "" }).click();
      this.#say(AS_IT_IS_MADE);
    });
  }

  /**
   * @param {string} href
   * @param {string} text
   * @param {string} title
   * @param {() => Promise<unknown>} save
   */
  #link(href, text, title, save) {
    const failed = (/** @type {Error} */ error) => {
      this.#say("");
      this.failed(error);
    };
    const click = (/** @type {MouseEvent} */ event) => {
      if (!isPlainClick(event)) return;
      event.preventDefault();
      if (this.#wanted.has(href)) return;
      this.#wanted.add(href);
      this.#chain = this.#chain.then(save).catch(failed).finally(() => this.#wanted.delete(href));
    };
    return make("a", { href, title, download: "", on: { click } }, text);
  }

  /** @param {string} text */
  #say(text) {
    this.said.textContent = text;
  }
}

/**
 * @param {string} name of the file
 * @param {?number} images that were to be in it
 * @param {number} leftOut
 */
const saved = (name, images, leftOut) => (images === null ? `${name} is saved.` : `${name} is saved, with ${imagesOf(images - leftOut)}.`);

/**
 * @param {number} leftOut
 * @param {string} because
 */
function left(leftOut, because) {
  if (!leftOut) return "";
  return sentence(`${imagesOf(leftOut)} ${leftOut === 1 ? "was" : "were"} left out${because && `: ${because}`}`);
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
