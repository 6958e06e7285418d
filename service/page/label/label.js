/** The page of filters: which lake, which filter, who labels; then the list, or one filter's images to label. */

import * as api from "../common/api.js";
import { Banner } from "../common/banner.js";
import { byId, elementOf, isTyping } from "../common/dom.js";
import { takeHelp } from "../common/help.js";
import { offerLakes } from "../common/lake_chooser.js";
import { labelHref, parseNewFilter, searchHref } from "../common/links.js";
import { message, needed, noLake, notice } from "../common/messages.js";
import { showPlaces } from "../common/places.js";
import { NO_MORE, isSigningIn, signInForm } from "../common/sign_in.js";
import { takeEscape } from "../common/way_back.js";
import { explainTerms, sentence } from "../common/words.js";
import { Desk } from "./desk.js";
import { showList } from "./filter_list.js";
import * as filters from "./filters_api.js";
import { NewFilter } from "./new_filter.js";
import { YourName } from "./your_name.js";

/** @import { Failure } from "../common/api.js" */
/** @import { Way } from "../common/messages.js" */

class LabelPage {
  #params = new URLSearchParams(location.search);
  #banner = new Banner(() => this.#back());
  #labeller = new YourName(byId("labeller"));
  /** @type {?Desk} */
  #desk = null;
  #isShown = false;
  /** @type {?NewFilter} */
  #form = null;

  constructor() {
    takeHelp();
    const above = this.#params.has("filter") ? "to-filters" : "to-search";
    takeEscape(() => byId(above).href, (event) => this.#holds(event));
  }

  async begin() {
    try {
      const session = await api.session();
      if (session.key_needed && !session.signed_in) return this.#askForKey();
      if (session.key_needed) this.#labeller.fix(session.name ?? "");
      const lakes = await api.lakes();
      this.#only(null);
      if (!lakes.length) return this.#only(noLake());
      await this.#show(lakes, session.scopes);
    } catch (error) {
      this.#failed(error);
    }
  }

  /**
   * @param {Answers.LakeFacts[]} lakes
   * @param {string[]} scopes
   */
  async #show(lakes, scopes) {
    const lake = this.#params.get("lake") || lakes[0].name;
    const name = this.#params.get("filter");
    showPlaces(lake);
    byId("home").href = lake === lakes[0].name ? "/" : searchHref(lake);
    this.#offer(lakes, lake);
    if (name) await this.#label(lake, name, scopes);
    else await this.#list(lake, lakes.length, scopes);
    this.#isShown = true;
  }

  /**
   * @param {Answers.LakeFacts[]} lakes
   * @param {string} lake
   */
  #offer(lakes, lake) {
    const chooser = byId("lake");
    offerLakes(chooser, lakes);
    chooser.value = lake;
    chooser.addEventListener("change", () => location.assign(labelHref(chooser.value)));
  }

  /**
   * @param {string} lake
   * @param {number} lakes
   * @param {string[]} scopes
   */
  async #list(lake, lakes, scopes) {
    const found = await filters.list(lake);
    document.title = `Filters · ${lake} · lakesift`;
    byId("list-title").textContent = `Filters of ${lake}`;
    byId("to-filters").setAttribute("aria-current", "page");
    showList(lake, found);
    const mayMake = scopes.includes("write");
    byId("new").hidden = !mayMake;
    byId("no-new").hidden = mayMake;
    if (mayMake) this.#form = new NewFilter(lake, parseNewFilter(this.#params), (error) => this.#failed(error));
    else byId("no-new").replaceChildren(...needed("Making a filter", "write"));
    byId("list").hidden = false;
    this.#ready();
  }

  /**
   * @param {string} lake
   * @param {string} name
   * @param {string[]} scopes
   */
  async #label(lake, name, scopes) {
    const filter = await filters.show(lake, name);
    document.title = `${name} · lakesift`;
    byId("crumb").textContent = name;
    byId("crumb").hidden = false;
    byId("who").hidden = !scopes.includes("label");
    byId("no-apply").replaceChildren(...needed("Applying", "write"));
    this.#desk = new Desk(lake, filter, {
      labeller: this.#labeller,
      scopes,
      gone: () => this.#banner.show(),
      locked: () => this.#askForKey(NO_MORE),
    });
    this.#desk.begin();
    this.#ready();
  }

  /**
   * Whether Esc is not for leaving: something is typed here, or a question put aside.
   * @param {KeyboardEvent} event
   * @returns {boolean}
   */
  #holds(event) {
    if (this.#desk?.putAside()) return true;
    return Boolean(this.#form?.isTouched) || (isTyping(event.target) && !this.#form?.has(elementOf(event)));
  }

  #ready() {
    document.body.classList.remove("starting");
  }

  #back() {
    if (this.#desk) this.#desk.back();
    else if (!this.#isShown) this.begin();
  }

  #askForKey(said = "") {
    if (isSigningIn()) return;
    this.#only(signInForm(() => location.reload(), said));
    byId("key").focus();
  }

  /** @param {Failure} error */
  #failed(error) {
    this.#ready();
    if (error instanceof api.ServerGone) return this.#banner.show();
    if (error.status === 401) return this.#askForKey();
    const text = sentence(error.message, error.field);
    if (this.#isShown) return byId("notices").replaceChildren(notice(text));
    /** @type {Way[]} */
    const ways = error.code === "unknown_filter" ? [["All filters", () => location.assign(byId("to-filters").href)]] : [];
    this.#only(message("That did not work", [text], ...ways));
    byId("live").textContent = text;
  }

  /** @param {?HTMLElement} element */
  #only(element) {
    for (const id of /** @type {const} */ (["list", "work"])) byId(id).hidden = true;
    byId("message").replaceChildren(...(element ? [element] : []));
    if (element) this.#ready();
  }
}

explainTerms();
new LabelPage().begin();
