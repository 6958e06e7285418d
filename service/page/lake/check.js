/** Whether the lake is well: looked at when somebody asks, what is wrong first. */

import { ApiError, ServerGone, ask, lakePath } from "../common/api.js";
import { byId, make } from "../common/dom.js";
import { sentence } from "../common/words.js";
import { looked, named } from "./check_words.js";

/** @import { Failure } from "../common/api.js" */

const IDLE = "Looks at its files, rows, filters, sources and model. Nothing is changed.";
const WORKING = "Looking: photos are embedded again, and all sources asked. Of a large lake this takes a minute or two…";

export class CheckDesk {
  #section = byId("check");
  #button = byId("check-begin");
  #said = byId("check-said");
  #lake = "";

  /** @param {{gone: () => unknown}} on the server does not answer */
  constructor(on) {
    this.on = on;
    this.#button.addEventListener("click", () => {
      // aria-disabled, and not disabled, which would lose the focus
      if (this.#button.getAttribute("aria-disabled") !== "true") this.#look();
    });
  }

  /**
   * @param {string} lake
   * @param {boolean} mayWrite sources and paths are told to those alone
   */
  begin(lake, mayWrite) {
    this.#lake = lake;
    this.#section.hidden = !mayWrite;
    if (!this.#said.hasChildNodes()) this.#say(IDLE);
  }

  async #look() {
    this.#button.setAttribute("aria-disabled", "true");
    this.#say(WORKING);
    try {
      /** @type {Answers.DoctorAnswer} */
      const found = (await ask("POST", `${lakePath(this.#lake)}/doctor`)).answer;
      this.#show(found);
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#button.removeAttribute("aria-disabled");
    }
  }

  /** @param {Answers.DoctorAnswer} found */
  #show(found) {
    const [wrong, well] = [false, true].map((ok) => found.findings.filter((each) => each.ok === ok));
    const rest = make("details", {}, make("summary", {}, wrong.length ? "What is well" : "What was looked at"), list(well));
    this.#said.replaceChildren(make("p", { class: found.ok ? "" : "bad" }, looked(found)), ...(wrong.length ? [list(wrong)] : []), rest);
  }

  /** @param {Failure} error */
  #failed(error) {
    if (error instanceof ServerGone) this.on.gone();
    this.#say(error instanceof ApiError ? sentence(error.message, error.field) : "The server does not answer.", "bad");
  }

  /**
   * @param {string} text
   * @param {string} look
   */
  #say(text, look = "") {
    this.#said.replaceChildren(make("p", { class: `small ${look}` }, text));
  }
}

/** @param {Answers.FindingFacts[]} findings */
const list = (findings) =>
  make("ul", { class: "findings" }, ...findings.map((each) => make("li", {}, make("b", {}, named(each)), " ", make("span", { dir: "auto" }, each.detail))));
