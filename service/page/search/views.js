/** In what the images are shown: the grid and the map, of the question at hand; or groups of near-identical ones, of the whole lake. */

import { ask, lakePath } from "../common/api.js";
import { GroupsView } from "../map/groups_view.js";
import { MapView } from "../map/map_view.js";
import { byId, elementOf } from "../common/dom.js";
import { examplesOf } from "./query.js";

/** @import { Row } from "../common/api.js" */

/** @import { State, ViewName } from "./state.js" */

const TWO = "two"; // the grid, and a grid of another search beside it

export class Views {
  /** @type {ViewName} */
  #view = "grid";
  #map;
  #groups;

  /**
   * @param {{go: (view: ViewName, isTwo: boolean) => unknown, open: (rowId: number) => unknown, href: (rowId: number) => string,
   *   select: (rows: Row[]) => unknown, selected: () => number[], most: number, tagged: () => unknown, gone: () => unknown}} does
   */
  constructor(does) {
    this.#map = new MapView({ ...does, filters: applied });
    this.#groups = new GroupsView(does);
    byId("view-switch").addEventListener("click", (event) => {
      const view = viewOf(elementOf(event));
      if (view) does.go(view === TWO ? "grid" : view, view === TWO);
    });
  }

  /** @param {State} state */
  show({ view, against }) {
    this.#view = view;
    const shown = against !== null && view === "grid" ? TWO : view;
    document.body.classList.toggle("not-grid", view !== "grid");
    document.body.classList.toggle("of-groups", view === "alike");
    for (const button of byId("view-switch").children) button.setAttribute("aria-pressed", String(viewOf(button) === shown));
    this.#map.show(view === "map");
    this.#groups.show(view === "alike");
  }

  /**
   * @param {string} lake
   * @param {?number} snapshot null: not known
   * @param {State} state
   */
  ask(lake, snapshot, state) {
    if (this.#view === "map") this.#map.ask(lake, snapshot, state, examplesOf(state));
    if (this.#view === "alike") this.#groups.ask(lake);
  }

  /** The selection is another. */
  mark() {
    this.#map.mark();
  }
}

/**
 * The view that a button of the switch is for.
 * @param {Element} button
 */
const viewOf = (button) => /** @type {?(ViewName|typeof TWO)} */ (button.getAttribute("data-view"));

/**
 * The filters of a lake that decided of its images.
 * @param {string} lake
 * @returns {Promise<string[]>}
 */
async function applied(lake) {
  const { answer } = await ask("GET", `${lakePath(lake)}/filters`).catch(() => ({ answer: { filters: [] } }));
  /** @type {Answers.FilterFacts[]} */
  const filters = answer.filters;
  return filters.filter(({ applied }) => applied).map(({ name }) => name);
}
