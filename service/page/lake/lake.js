/** The page of a lake: what is indexed, from where, what was skipped and why, and how it grew. */

import * as api from "../common/api.js";
import { Banner } from "../common/banner.js";
import { byId, isTyping } from "../common/dom.js";
import { offerLakes } from "../common/lake_chooser.js";
import { lakeHref, searchHref } from "../common/links.js";
import { message, noLake, notice } from "../common/messages.js";
import { showPlaces } from "../common/places.js";
import { signInForm } from "../common/sign_in.js";
import { takeEscape } from "../common/way_back.js";
import { sentence } from "../common/words.js";
import { CheckDesk } from "./check.js";
import { lead } from "./lake_words.js";
import { formats, madeWith, skipped, snapshots, sources } from "./parts.js";
import { PickDesk } from "./picks.js";
import { SyncDesk } from "./sync.js";

/** @import { Failure } from "../common/api.js" */

class LakePage {
  #banner = new Banner(() => this.begin());
  /** @type {?SyncDesk} */
  #sync = null;
  #picks = new PickDesk({ gone: () => this.#banner.show() });
  #check = new CheckDesk({ gone: () => this.#banner.show() });

  async begin() {
    try {
      const session = await api.session();
      if (session.key_needed && !session.signed_in) return this.#askForKey();
      const lakes = await api.lakes();
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
    const lake = new URLSearchParams(location.search).get("lake") || lakes[0].name;
    showPlaces(lake);
    byId("home").href = lake === lakes[0].name ? "/" : searchHref(lake);
    this.#offer(lakes, lake);
    const told = await api.about(lake);
    document.title = `${lake} · lakesift`;
    byId("title").textContent = lake;
    byId("lead").textContent = lead(told);
    byId("problems").replaceChildren(...told.problems.map((text) => notice(sentence(text))));
    const parts = { sources, skipped, formats, snapshots, made: madeWith };
    for (const [id, part] of Object.entries(parts)) byId(/** @type {keyof typeof parts} */ (id)).replaceChildren(...part(told));
    byId("changed").hidden = true;
    byId("skipped-retry").hidden = !told.skipped.files || !scopes.includes("write");
    this.#only(null);
    byId("about").hidden = false;
    this.#sync ??= new SyncDesk(byId("sync"), lake, scopes.includes("write"), {
      gone: () => this.#banner.show(),
      changed: () => (byId("changed").hidden = false),
      said: (text) => (byId("live").textContent = text),
    });
    this.#check.begin(lake, scopes.includes("write"));
    await Promise.all([this.#sync.begin(scopes.includes("write")), this.#picks.begin(lake, told.rows, scopes.includes("label"))]);
  }

  /** What comes of it is told at the top, where all of a sync is. */
  retry() {
    byId("sync").scrollIntoView({ block: "nearest" });
    return this.#sync?.retry();
  }

  /**
   * @param {Answers.LakeFacts[]} lakes
   * @param {string} lake
   */
  #offer(lakes, lake) {
    offerLakes(byId("lake"), lakes);
    byId("lake").value = lake;
    byId("lake").onchange = () => location.assign(lakeHref(byId("lake").value));
  }

  #askForKey() {
    this.#only(signInForm(() => this.begin()));
    byId("key").focus();
  }

  /** @param {Failure} error */
  #failed(error) {
    document.body.classList.remove("starting");
    if (error instanceof api.ServerGone) return this.#banner.show();
    if (error.status === 401) return this.#askForKey();
    const text = sentence(error.message, error.field);
    this.#only(message("That did not work", [text], ["The first lake", () => location.assign("/lake")]));
    byId("live").textContent = text;
  }

  /** @param {?HTMLElement} element */
  #only(element) {
    document.body.classList.remove("starting");
    byId("about").hidden = true;
    byId("message").replaceChildren(...(element ? [element] : []));
  }
}

const page = new LakePage();
byId("changed").onclick = () => page.begin();
byId("skipped-retry").onclick = () => page.retry();
takeEscape(() => byId("to-search").href, (event) => isTyping(event.target));
page.begin();
