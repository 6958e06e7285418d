/** What was kept, dropped, or left to a person: the images nearest the line, as a small grid. */

import { thumbnailUrl } from "../common/api.js";
import { byId, make } from "../common/dom.js";
import { searchHref } from "../common/links.js";
import { within } from "../common/sets.js";
import { count, nameOf, sentence } from "../common/words.js";
import * as filters from "./filters_api.js";

const SHOWN = 24;
const IN_ADDRESS = "show"; // which decision: a step back finds it
const THUMBNAIL = 256;
const ABOUT = {
  keep: "Kept by their score, and nearest the line: the least certain of what is handed over.",
  drop: "Dropped by their score, and nearest the line: where what is lost would be.",
  ask: "Left to a person: neither sure enough to keep nor to drop.",
};

export class Samples {
  #decision = new URLSearchParams(location.search).get(IN_ADDRESS);
  #isReturn = Object.hasOwn(ABOUT, this.#decision ?? "");
  #run = 0;

  constructor(lake, name) {
    this.lake = lake;
    this.name = name;
    if (!this.#isReturn) this.#decision = "keep";
    document.querySelector(`input[name="decision"][value="${this.#decision}"]`).checked = true;
    for (const input of document.querySelectorAll('input[name="decision"]')) {
      input.addEventListener("change", () => this.#turnTo(input.value));
    }
  }

  #turnTo(decision) {
    const address = new URL(location);
    address.searchParams.set(IN_ADDRESS, decision);
    history.replaceState(history.state, "", address);
    this.show(decision);
  }

  async show(decision = this.#decision) {
    this.#decision = decision;
    this.#run += 1;
    const run = this.#run;
    byId("samples").hidden = false;
    byId("sample-text").textContent = ABOUT[decision];
    const set = { filter: this.name, decision };
    byId("sample-search").href = searchHref(this.lake, null, set);
    byId("sample-search").textContent = `Search among those ${within(set)}`;
    byId("sample-grid").setAttribute("aria-busy", "true");
    try {
      const { rows, by_people: byPeople } = await filters.samples(this.lake, this.name, decision, SHOWN);
      if (run !== this.#run) return;
      byId("sample-text").textContent = [ABOUT[decision], apart(byPeople)].filter(Boolean).join(" ");
      this.#fill(rows);
      if (this.#isReturn) byId("samples").scrollIntoView();
      this.#isReturn = false;
    } catch (error) {
      if (run === this.#run) this.#fill([], sentence(error.message));
    }
  }

  #fill(rows, problem = "") {
    const grid = byId("sample-grid");
    grid.setAttribute("aria-busy", "false");
    grid.replaceChildren(...rows.map((row) => this.#cell(row)));
    byId("sample-none").textContent = problem || (rows.length ? "" : "None.");
  }

  #cell(row) {
    const name = nameOf(row);
    const src = thumbnailUrl(this.lake, row, THUMBNAIL);
    const href = searchHref(this.lake, row.row_id);
    const image = make("img", { src, alt: name, loading: "lazy", decoding: "async", width: 160, height: 160 });
    image.addEventListener("error", () => image.replaceWith(make("span", { class: "no-sample" }, name)), { once: true });
    return make(
      "li",
      {},
      make("a", { href, title: name }, image),
      row.label !== null && make("span", { class: "told" }, `labelled ${row.label}`),
    );
  }
}

/** What people said stands wherever it scores, so it is told and not shown as near the line. */
const apart = (byPeople) =>
  byPeople ? `People's own answers decided ${count(byPeople)} more, which are not among these.` : "";
