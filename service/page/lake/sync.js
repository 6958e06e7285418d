/** Looking for new images: begun and stopped here, and how far it is, whoever began it. */

import * as api from "../common/api.js";
import { button, make } from "../common/dom.js";
import { Redrawn } from "../common/redrawn.js";
import { sentence } from "../common/words.js";
import { came, far, who } from "./sync_words.js";

/** @import { Failure } from "../common/api.js" */

const BUSY_MS = 1000;
const IDLE_MS = 5000;

export class SyncDesk {
  /** @type {number|undefined} */
  #timer;
  /** @type {?Answers.SyncAnswer} */
  #told = null;
  /** @type {?string} */
  #failure = null; // why what was asked for was refused
  #asking = false;
  #isWished = false; // what a person asked for is on its way: it is asked for once
  #wishes = 0; // times that a person asked for something
  #redrawn;

  /**
   * @param {HTMLElement} place
   * @param {string} lake
   * @param {boolean} mayWrite
   * @param {{gone: () => unknown, changed: () => unknown, said: (text: string) => unknown}} on the server does not
   *   answer; the lake is another than what is shown; something to be read out
   */
  constructor(place, lake, mayWrite, on) {
    this.place = place;
    this.lake = lake;
    this.mayWrite = mayWrite;
    this.on = on;
    this.#redrawn = new Redrawn(place);
    document.addEventListener("visibilitychange", () => document.hidden || this.#look());
  }

  /** @param {boolean} mayWrite who looks now: another key may be in use than before */
  begin(mayWrite) {
    if (mayWrite !== this.mayWrite) this.#told = null; // there are other buttons
    this.mayWrite = mayWrite;
    return this.#look();
  }

  /** Look for new images, and try what could not be read again. */
  retry() {
    return this.#wish(() => api.beginSync(this.lake, true));
  }

  async #look() {
    clearTimeout(this.#timer);
    if (document.hidden || this.#asking) return;
    this.#asking = true;
    const wishes = this.#wishes;
    try {
      const told = await api.syncing(this.lake);
      if (wishes === this.#wishes) this.#show(told); // what was true before a wish is not told after it
    } catch (error) {
      if (error instanceof api.ServerGone) return this.on.gone();
    } finally {
      this.#asking = false;
    }
    this.#lookAgain();
  }

  #lookAgain() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), this.#told?.state === "idle" ? IDLE_MS : BUSY_MS);
  }

  /**
   * What a person asks for: a second click before it is answered asks for nothing more.
   * @param {() => Promise<Answers.SyncAnswer>} question
   */
  async #wish(question) {
    if (this.#isWished) return;
    this.#isWished = true;
    this.#wishes += 1;
    try {
      const told = await question();
      this.#failure = null;
      this.#show(told);
    } catch (error) {
      if (error instanceof api.ServerGone) return this.on.gone();
      this.#refused(error);
    } finally {
      this.#isWished = false;
    }
    this.#lookAgain();
  }

  /** @param {Failure} error */
  #refused(error) {
    this.#failure = sentence(error.message);
    this.on.said(this.#failure);
    this.#redrawn.draw(() => this.#draw());
  }

  /** @param {Answers.SyncAnswer} told */
  #show(told) {
    const before = this.#told;
    this.#told = told;
    if (before && before.state !== "idle" && told.state === "idle") {
      this.on.said(told.ended && before.ours ? came(told.ended) : "Nobody writes the lake any more.");
      this.on.changed();
    }
    if (before && before.state !== told.state) this.#failure = null; // it was of what there was before
    if (JSON.stringify(before) !== JSON.stringify(told)) this.#redrawn.draw(() => this.#draw());
  }

  /** Always a line of what there is to do, and one of what is known: nothing below moves. */
  #draw() {
    const held = this.place.contains(document.activeElement);
    const told = this.#told;
    const lines = !told ? [] : told.state === "idle" ? this.#idle(told) : this.#busy(told);
    this.place.replaceChildren(...lines);
    if (held) this.place.querySelector("button")?.focus();
  }

  /** @param {Answers.SyncAnswer} told */
  #idle({ ended }) {
    const known = this.#failure ?? (ended ? came(ended) : "Reads all sources again: what is new is embedded, and what is gone leaves the lake.");
    const isBad = Boolean(this.#failure ?? ended?.failure);
    return [
      this.mayWrite
        ? button({ class: "sync-begin" }, () => this.#wish(() => api.beginSync(this.lake)), "Look for new images")
        : make("p", { class: "small" }, "Nobody writes the lake just now."),
      make("p", { class: isBad ? "small bad" : "small", dir: "auto" }, this.mayWrite || ended ? known : ""),
    ];
  }

  /** @param {Answers.SyncAnswer} told */
  #busy(told) {
    const { stage } = told;
    const total = stage && !stage.more && stage.total; // falsy where it is not known
    const bar = make("progress", {
      "aria-label": "How far it is",
      max: total ? String(total) : false,
      value: total ? String(Math.min(stage.done, total)) : false,
    });
    const stop =
      told.ours &&
      this.mayWrite &&
      button({ class: "sync-stop" }, () => this.#wish(() => api.stopSync(this.lake)), "Stop");
    return [
      make("div", { class: "sync-line" }, bar, stop),
      make("p", { class: "small", dir: "auto" }, this.#failure ?? [far(told), told.ours ? "" : who(told)].filter(Boolean).join(" · ")),
    ];
  }
}
