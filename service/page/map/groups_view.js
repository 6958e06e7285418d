/** Near-identical images, group by group, in the place of the grid: the best of each is kept, the others get a tag. */

import { ServerGone, ask, lakePath, thumbnailUrl } from "../common/api.js";
import { actButton, button, byId, make, smallPicture } from "../common/dom.js";
import { images, sentence } from "../common/words.js";

/** @import { Child } from "../common/dom.js" */

/** @typedef {{where: string}|{row_ids: number[]}} Chosen which rows get the tag */

const PAGE = 20; // groups asked for at once
const SHOWN = 24; // images of one group
const TAG = "copy";
const AHEAD = "800px";

export class GroupsView {
  #root = byId("groups");
  #list = byId("groups-list");
  #lake = "";
  /** @type {?number} */
  #next = null; // groups passed over by the next page; null: nothing follows
  #asking = new AbortController();
  #isLoading = false;

  /** @param {{href: (rowId: number) => string, tagged: () => unknown, gone: () => unknown}} does */
  constructor(does) {
    this.does = does;
    const end = new IntersectionObserver((seen) => seen.at(-1)?.isIntersecting && this.#more(), { rootMargin: AHEAD });
    end.observe(byId("groups-end"));
  }

  get isShown() {
    return !this.#root.hidden;
  }

  /** @param {boolean} isShown */
  show(isShown) {
    this.#root.hidden = !isShown;
    if (!isShown) this.#asking.abort();
  }

  /** @param {string} lake */
  async ask(lake) {
    if (!this.isShown) return;
    this.#asking.abort();
    this.#asking = new AbortController();
    this.#lake = lake;
    this.#next = 0;
    this.#isLoading = false;
    this.#list.replaceChildren();
    byId("groups-said").replaceChildren("Loading…");
    await this.#more();
  }

  async #more() {
    if (!this.isShown || this.#next === null || this.#isLoading) return;
    const { signal } = this.#asking;
    this.#isLoading = true;
    try {
      const path = `${lakePath(this.#lake)}/groups?k=${PAGE}&offset=${this.#next}`;
      /** @type {Answers.GroupsAnswer} */
      const answer = (await ask("GET", path, { signal })).answer;
      if (signal.aborted) return;
      if (this.#next === 0) this.#begin(answer.made);
      this.#list.append(...answer.groups.map((group) => this.#group(group)));
      this.#next = answer.next_offset;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error instanceof ServerGone) this.does.gone();
      byId("groups-said").replaceChildren(sentence(error.message, error.field));
      this.#next = null;
    } finally {
      if (!signal.aborted) this.#isLoading = false;
    }
  }

  /** @param {?Answers.GroupsMadeFacts} made */
  #begin(made) {
    const said = byId("groups-said");
    if (made === null) {
      return said.replaceChildren("Near-identical images were not looked for yet. To find them: ", make("code", {}, "lakesift curate groups LAKE"));
    }
    if (!made.groups) return said.replaceChildren(noGroup(made.rows), this.#since(made));
    const groups = made.groups === 1 ? "1 group" : `${made.groups.toLocaleString("en")} groups`;
    const done = make("span", { role: "status" });
    /** @type {HTMLButtonElement} */
    const all = button({}, () => this.#tag({ where: made.others }, done, all), `Tag ${others(made.copies, "all ")} “${TAG}”`);
    said.replaceChildren(
      make("span", {}, `${made.copies.toLocaleString("en")} of ${images(made.rows)} ${made.copies === 1 ? "is" : "are"} nearly another one: ${groups}. The best of each is the sharpest, then the largest. Nothing is deleted.`),
      this.#since(made),
      all,
      done,
    );
  }

  /** @param {Answers.GroupsMadeFacts} made */
  #since(made) {
    return make("span", {}, made.since ? ` ${images(made.since)} came since and are in no group.` : "");
  }

  /** @param {Answers.GroupFacts} facts */
  #group({ size, row_ids: rowIds, others: where }) {
    const done = make("span", { role: "status" });
    // Those that are shown, also where groups were made anew since; a group that is told in part has no such list.
    const chosen = rowIds.length === size ? { row_ids: rowIds.slice(1) } : { where };
    /** @type {HTMLButtonElement} */
    const tag = button({ class: "quiet" }, () => this.#tag(chosen, done, tag), `Tag ${others(size - 1, "the ")} “${TAG}”`);
    const shown = rowIds.slice(0, SHOWN);
    const more = size - shown.length;
    return make(
      "li",
      { class: "group-of-images" },
      make("div", { class: "group-line" }, make("b", {}, `${size.toLocaleString("en")} images`), tag, done),
      make(
        "ul",
        { class: "group-images" },
        ...shown.map((rowId, number) => this.#image(rowId, number === 0)),
        more > 0 && make("li", { class: "group-more" }, `and ${more.toLocaleString("en")} more`),
      ),
    );
  }

  /**
   * @param {number} rowId
   * @param {boolean} isBest
   */
  #image(rowId, isBest) {
    const name = `Image ${rowId}${isBest ? ", the best" : ""}`;
    return make(
      "li",
      { class: isBest ? "is-best" : null },
      make(
        "a",
        { href: this.does.href(rowId), title: name },
        smallPicture({ src: thumbnailUrl(this.#lake, { row_id: rowId }, 256), alt: name }),
      ),
      isBest && make("span", { class: "best-word" }, "best"),
    );
  }

  /**
   * One act, which can be taken back as long as it is the last.
   * @param {Chosen} chosen
   * @param {HTMLElement} done says what was done
   * @param {HTMLButtonElement} pressed
   */
  async #tag(chosen, done, pressed) {
    pressed.disabled = true;
    try {
      /** @type {Answers.TaggedAnswer} */
      const { act, rows } = (await ask("POST", `${lakePath(this.#lake)}/tags`, { body: { name: TAG, ...chosen } })).answer;
      const back = act === null ? "" : actButton({ class: "quiet" }, () => this.#undo(act, done, pressed), "Undo");
      done.replaceChildren(`Tagged ${images(rows)}. `, back);
      this.does.tagged();
    } catch (error) {
      done.replaceChildren(sentence(error.message, error.field));
      pressed.disabled = false;
    }
  }

  /**
   * @param {number} act its number: the server refuses if somebody tagged since
   * @param {HTMLElement} done
   * @param {HTMLButtonElement} pressed
   */
  async #undo(act, done, pressed) {
    try {
      await ask("POST", `${lakePath(this.#lake)}/tags/undo`, { body: { act } });
      done.replaceChildren("Taken back.");
      pressed.disabled = false;
      this.does.tagged();
    } catch (error) {
      done.replaceChildren(sentence(error.message, error.field));
    }
  }
}

/** @param {number} rows */
function noGroup(rows) {
  if (!rows) return "This lake has no images.";
  return rows === 1 ? "This lake has one image alone: none is nearly another one." : `None of ${images(rows)} is nearly another one.`;
}

/**
 * @param {number} number
 * @param {string} before the number, where it is told
 */
const others = (number, before) => (number === 1 ? "the other" : `${before}${number.toLocaleString("en")} others`);
