/** Saved searches: this one gets a name; those that there are can be opened, renamed, replaced and deleted. All users have them. */

import { ApiError, ask, lakePath } from "../common/api.js";
import { button, byId, elementOf, make } from "../common/dom.js";
import { Redrawn } from "../common/redrawn.js";
import { sentence } from "../common/words.js";
import { asPanel } from "./panel.js";
import { savable } from "./query.js";
import { stateOf, summaryOf } from "./saved_state.js";
import { isNarrowed, isQuery, toSearch } from "./state.js";

/** @import { State } from "./state.js" */

/**
 * @typedef {Answers.SavedFacts} Saved
 * @typedef {"rename"|"delete"} Way
 * @typedef {Record<string, any>} Query as `savable` gives it
 */

const UPLOADS = "It has photos of your own, which only this browser has: take them out to save it.";
const NOTHING = "Search, or choose by metadata: then you can save it here under a name.";
const SHARED = "Everybody who uses this lake has what is saved.";
const NONE = "No search is saved yet.";
const NO_ADDRESS = /^\.{0,2}$|[/\\]/; // what a server would take for another address
const NO_NAME = "A name has 1 to 64 letters, digits, '-', '_', '.' and single spaces.";

/**
 * @param {string} lake
 * @param {?string} name null: of all
 */
const pathOf = (lake, name = null) => `${lakePath(lake)}/searches${name === null ? "" : `/${encodeURIComponent(name)}`}`;
/**
 * @param {string} one
 * @param {string} other
 */
const sameName = (one, other) => one.toLowerCase() === other.toLowerCase();

export class SavedSearches {
  #panel = byId("saved");
  #name = byId("saved-name");
  #list = byId("saved-list");
  #said = byId("saved-said");
  #redrawn = new Redrawn(this.#list);
  /** @type {Saved[]} */
  #searches = [];
  /** @type {?{name: string, way: Way, typed?: string}} */
  #turned = null; // the search that shows a question in its place; typed: the new name so far
  /** @type {Set<string>} */
  #wishes = new Set(); // what a person asked for and is not done yet
  /** @type {Promise<unknown>} */
  #chain = Promise.resolve();

  /** @param {{lake: () => string, state: () => State}} does */
  constructor(does) {
    this.does = does;
    asPanel(this.#panel);
    this.#panel.addEventListener("toggle", () => this.#panel.open && this.#opened());
    this.#name.addEventListener("input", () => this.#say(""));
    byId("saved-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const [name, query] = [this.#name.value.trim(), savable(this.does.state())];
      const done = () => {
        if (this.#name.value.trim() === name) this.#name.value = ""; // and not what was typed since
      };
      this.#wish(`save ${name}`, () => this.#save(name, query, done));
    });
    this.#list.addEventListener("click", (event) => {
      if (elementOf(event).closest("a.saved-open")) this.#panel.open = false;
    });
  }

  async #opened() {
    this.#turned = null;
    const state = this.does.state();
    const isSomething = isQuery(state) || isNarrowed(state) || Boolean(state.sort);
    const query = isSomething ? savable(state) : null;
    for (const each of byId("saved-form").elements) each.toggleAttribute("disabled", query === null);
    this.#say(query !== null ? SHARED : isSomething ? UPLOADS : NOTHING);
    await this.#act(() => this.#load());
  }

  async #load() {
    this.#searches = (await ask("GET", pathOf(this.does.lake()))).answer.searches;
    this.#redrawn.draw(() => this.#show());
  }

  /**
   * Under a name that is taken only once that is wanted.
   * @param {string} name
   * @param {?Query} query
   * @param {() => unknown} done
   */
  async #save(name, query, done) {
    if (NO_ADDRESS.test(name)) return this.#say(NO_NAME, true);
    await this.#act(async () => {
      await this.#load();
      const taken = this.#searches.find((each) => sameName(each.name, name));
      if (taken) return this.#ask(`There is a search ${taken.name}.`, "Replace it", () => this.#put(name, query, done));
      return this.#put(name, query, done);
    });
  }

  /**
   * @param {string} name
   * @param {?Query} query
   * @param {() => unknown} done
   */
  async #put(name, query, done) {
    await this.#act(async () => {
      const saved = (await ask("PUT", pathOf(this.does.lake(), name), { body: { query } })).answer;
      done();
      await this.#load();
      this.#say(`Saved as ${saved.name}.`);
    });
  }

  /**
   * @param {Saved} old
   * @param {string} name
   */
  async #rename(old, name) {
    if (name === old.name) return this.#turn(null);
    if (NO_ADDRESS.test(name)) return this.#say(NO_NAME, true);
    await this.#act(async () => {
      // As they are now: others may have replaced it, or taken the name, since the list was drawn.
      const searches = /** @type {Saved[]} */ ((await ask("GET", pathOf(this.does.lake()))).answer.searches);
      const now = searches.find((each) => each.name === old.name);
      if (!now) return this.#say(`${old.name} is not there any more.`, true);
      const taken = searches.find((each) => sameName(each.name, name) && each !== now);
      if (taken) return this.#ask(`There is a search ${taken.name}.`, "Replace it", () => this.#renamed(now, name));
      return this.#renamed(now, name);
    });
  }

  /**
   * @param {Saved} old
   * @param {string} name
   */
  async #renamed(old, name) {
    await this.#act(async () => {
      await ask("PUT", pathOf(this.does.lake(), name), { body: { query: old.query } });
      if (!sameName(name, old.name)) await ask("DELETE", pathOf(this.does.lake(), old.name));
      this.#turned = null;
      await this.#load();
      this.#say(`${old.name} is called ${name} now.`);
      this.#focus(`[data-name="${CSS.escape(name)}"] .saved-open`);
    });
  }

  /** @param {Saved} search */
  async #delete({ name }) {
    await this.#act(async () => {
      await ask("DELETE", pathOf(this.does.lake(), name));
      this.#turned = null;
      await this.#load();
      this.#say(`${name} is deleted.`);
      this.#panel.querySelector("summary")?.focus();
    });
  }

  #show() {
    if (!this.#searches.length) return this.#list.replaceChildren(make("li", { class: "saved-none" }, NONE));
    return this.#list.replaceChildren(...this.#searches.map((each) => this.#item(each)));
  }

  /** @param {Saved} search */
  #item(search) {
    const turned = this.#turned?.name === search.name ? this.#turned.way : "none";
    const inside = { rename: () => this.#renaming(search), delete: () => this.#deleting(search), none: () => this.#link(search) };
    return make("li", { class: "saved-item", "data-name": search.name }, ...inside[turned]());
  }

  /** @param {Saved} search */
  #link(search) {
    const { state, lacks } = stateOf(search.query, this.does.lake());
    const told = lacks.length ? `The page has no ${lacks.join(" and ")}: lakesift search --saved opens it` : summaryOf(state);
    const words = [make("span", { class: "saved-title", dir: "auto" }, search.name), make("span", { class: "saved-what", dir: "auto" }, told)];
    const title = `Saved by ${search.by}, ${search.at.slice(0, 10)}`;
    const turn = (/** @type {Way} */ way) => () => this.#turn({ name: search.name, way });
    return [
      lacks.length
        ? make("span", { class: "saved-open", title }, ...words)
        : make("a", { class: "saved-open", href: toSearch(state) || "?", title }, ...words),
      button({ class: "quiet", "data-way": "rename", "aria-label": `Rename ${search.name}` }, turn("rename"), "Rename"),
      button({ class: "quiet", "data-way": "delete", "aria-label": `Delete ${search.name}` }, turn("delete"), "Delete"),
    ];
  }

  /** @param {Saved} search */
  #renaming(search) {
    const input = make("input", { type: "text", maxlength: 64, "aria-label": `New name of ${search.name}` });
    input.value = this.#turned?.typed ?? search.name;
    input.addEventListener("input", () => this.#turned && (this.#turned.typed = input.value));
    const form = make(
      "form",
      { class: "saved-turned" },
      input,
      make("button", { type: "submit" }, "Rename"),
      button({ class: "quiet" }, () => this.#back(search.name, "rename"), "Cancel"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = input.value.trim();
      this.#wish(`rename ${search.name} ${name}`, () => this.#rename(search, name));
    });
    return [form];
  }

  /** @param {Saved} search */
  #deleting(search) {
    return [
      make("span", { class: "saved-question" }, `Delete ${search.name} for everybody?`),
      button({}, () => this.#wish(`delete ${search.name}`, () => this.#delete(search)), "Delete"),
      button({ class: "quiet" }, () => this.#back(search.name, "delete"), "Keep it"),
    ];
  }

  /**
   * Ask in the place of a search; null: of none.
   * @param {?{name: string, way: Way}} turned
   */
  #turn(turned) {
    this.#turned = turned;
    this.#say("");
    this.#show();
    this.#focus(turned?.way === "rename" ? "input" : ".saved-question ~ .quiet");
  }

  /**
   * @param {string} name
   * @param {Way} way
   */
  #back(name, way) {
    this.#turn(null);
    this.#focus(`[data-name="${CSS.escape(name)}"] [data-way=${way}]`);
  }

  /** @param {string} selector of what is in the list */
  #focus(selector) {
    /** @type {?HTMLElement} */ (this.#list.querySelector(selector))?.focus();
  }

  /**
   * A question below the form, in the place of what is said.
   * @param {string} question
   * @param {string} yes
   * @param {() => unknown} does
   */
  #ask(question, yes, does) {
    const close = () => this.#say("");
    const confirm = button({}, () => this.#wish(question, does), yes);
    this.#said.replaceChildren(make("span", {}, `${question} `), confirm, button({ class: "quiet" }, close, "Cancel"));
    confirm.focus();
  }

  /**
   * @param {string} text
   * @param {boolean} isProblem
   */
  #say(text, isProblem = false) {
    this.#said.classList.toggle("problem", isProblem);
    this.#said.textContent = text;
  }

  /**
   * What a person asks for, one after the other; a second click before it is done asks for nothing more.
   * @param {string} what
   * @param {() => Promise<unknown>|unknown} does
   */
  #wish(what, does) {
    if (this.#wishes.has(what)) return;
    this.#wishes.add(what);
    const done = () => this.#wishes.delete(what);
    this.#chain = this.#chain.then(does).then(done, done);
  }

  /** @param {() => Promise<unknown>|unknown} does */
  async #act(does) {
    try {
      await does();
    } catch (error) {
      this.#say(error instanceof ApiError ? sentence(error.message, error.field) : "The server does not answer.", true);
    }
  }
}
