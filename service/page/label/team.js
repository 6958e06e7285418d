/** Who labelled how much, how far people agree, and what counts where they do not: each such image, settled by a key. */

import { ServerGone, row as rowOf } from "../common/api.js";
import { byId, make } from "../common/dom.js";
import { message } from "../common/messages.js";
import { count, images, nameOf, sentence } from "../common/words.js";
import * as filters from "./filters_api.js";
import { Photo } from "./photo.js";

/** @import { Failure } from "../common/api.js" */

/** @type {Record<string, string>} */
const KEYS = { y: "yes", n: "no", s: "skip", u: "undo" };
const KEPT = "lakesift-double"; // in this browser
const COUNTED = /** @type {const} */ (["given", "yes", "no", "skip", "settle"]);

export class Team {
  #dialog = byId("team");
  #photo = new Photo({ seen: () => this.#enable(), gone: () => this.tell.gone() }, byId("dispute-frame"));
  /** @type {Answers.Conflict[]} */
  #disputes = []; // the first one is shown
  /** @type {{rowId: number, seqs: number[]}[]} */
  #past = []; // what was settled here, the last one last
  /** @type {?number} */
  #shown = null; // the row_id of the image that is shown
  #isBusy = false;
  #double = byId("team-double");

  /**
   * @param {string} lake
   * @param {string} name of the filter
   * @param {{labeller: () => string, mayLabel: boolean, progress: (progress: Answers.Progress) => unknown, failed: (error: Failure) => unknown,
   *   gone: () => unknown}} tell gone: the server does not answer
   */
  constructor(lake, name, tell) {
    this.lake = lake;
    this.name = name;
    this.tell = tell;
    byId("team-open").addEventListener("click", () => this.#open());
    byId("team-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close()); // beside it
    this.#dialog.addEventListener("close", () => this.#forget());
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    this.#double.value = kept();
    if (!this.#double.value) this.#double.value = "0";
    this.#double.addEventListener("change", () => keep(this.#double.value));
    for (const each of this.#buttons) each.addEventListener("click", () => this.#do(each.dataset.settle ?? ""));
  }

  /** The share of what one other person answered that is asked here, too. */
  get double() {
    return Number(this.#double.value);
  }

  /** @param {Answers.Progress} progress */
  follow({ conflicts }) {
    const settle = conflicts === 1 ? "Settle 1 dispute" : `Settle ${count(conflicts)} disputes`;
    byId("team-open").textContent = conflicts ? settle : "Team";
  }

  /** @returns {HTMLElement[]} */
  get #buttons() {
    return [...this.#dialog.querySelectorAll("button")].filter((each) => each.dataset.settle);
  }

  #forget() {
    this.#past = [];
    this.#disputes = [];
    this.#shown = null;
    this.#photo.put(make("span"));
  }

  async #open() {
    this.#forget();
    byId("dispute-question").textContent = byId("question").textContent;
    try {
      const team = await filters.team(this.lake, this.name);
      // Who finds nothing to settle is shown no place for it.
      byId("dispute").hidden = !team.agreement.conflicts.length;
      this.#take(team);
      this.#tell("");
      if (!this.#dialog.open) this.#dialog.showModal();
    } catch (error) {
      this.tell.failed(error);
    }
  }

  /** @param {Answers.TeamAnswer} team */
  #take({ labels, agreement }) {
    const open = new Map(agreement.conflicts.map((each) => [each.row_id, each]));
    const before = this.#disputes.map(({ row_id: rowId }) => rowId);
    // In the order that they have here: those that were skipped are the last.
    const order = new Set([...before, ...open.keys()]);
    this.#disputes = [...order].flatMap((rowId) => open.get(rowId) ?? []);
    byId("team-people").replaceChildren(...labels.by.map(person));
    byId("team-table").hidden = !labels.by.length;
    byId("team-agreement").textContent = [agreed(agreement), ...agreement.alike.map(alike), unnamed(agreement)].filter(Boolean).join(" ");
    byId("team-settled").textContent = settled(agreement.settled.length);
    this.#show();
  }

  #show() {
    const [first] = this.#disputes;
    const left = this.#disputes.length;
    byId("dispute-count").textContent = left ? `${images(left)} in dispute` : "No image is in dispute";
    const said = first ? Object.entries(first.labellers) : [];
    byId("dispute-said").replaceChildren(...said.map(([who, label]) => make("li", {}, make("bdi", {}, who), ": ", make("b", {}, label))));
    if (!first) {
      this.#shown = null;
      this.#photo.put(message("Everything is settled", ["What was decided counts from now on, until it is taken back."]));
    } else if (first.row_id !== this.#shown) this.#load(first.row_id);
    this.#enable();
  }

  /** @param {number} rowId */
  async #load(rowId) {
    this.#shown = rowId;
    this.#photo.put(make("span"));
    try {
      const row = await rowOf(this.lake, rowId);
      if (this.#shown !== rowId) return;
      this.#photo.show(this.lake, row);
      byId("dispute-name").textContent = nameOf(row);
    } catch (error) {
      if (this.#shown !== rowId) return;
      byId("dispute-name").textContent = "";
      this.#photo.put(message("This image cannot be shown", [sentence(error.message, error.field)]));
    }
  }

  #enable() {
    const can = this.tell.mayLabel && !this.#isBusy;
    for (const each of this.#buttons) {
      const what = each.dataset.settle;
      const has = what === "undo" ? this.#past.length > 0 : what === "skip" ? this.#disputes.length > 1 : this.#photo.isSeen && this.#disputes.length > 0;
      each.setAttribute("aria-disabled", String(!(can && has)));
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const what = KEYS[event.key.toLowerCase()];
    if (!what || byId("dispute").hidden) return;
    event.preventDefault();
    this.#do(what);
  }

  /** @param {string} what */
  #do(what) {
    const button = this.#buttons.find((each) => each.dataset.settle === what);
    if (button?.getAttribute("aria-disabled") !== "false") return;
    if (what === "undo") this.#work(() => this.#undo());
    else if (what === "skip") {
      this.#disputes = [...this.#disputes.slice(1), this.#disputes[0]];
      this.#show();
    } else this.#work(() => this.#settle(what));
  }

  /** @param {string} label */
  async #settle(label) {
    const { row_id: rowId } = this.#disputes[0];
    const said = { row_id: rowId, label, labeller: this.tell.labeller() };
    const saved = await filters.settle(this.lake, this.name, [said]);
    if (saved.saved) this.#past.push({ rowId, seqs: saved.seqs });
    this.tell.progress(saved.progress);
    // Somebody else was faster, or they agree by now: it leaves the list all the same.
    this.#tell(saved.saved ? `Settled: ${label}.` : sentence(saved.problems[0]?.message ?? "Nothing was saved"));
  }

  async #undo() {
    const last = this.#past.at(-1);
    if (!last) return;
    const { rows, progress } = await filters.undoAnswers(this.lake, this.name, last.seqs).catch((error) => {
      if (filters.isTaken(error)) this.#past.pop();
      throw error;
    });
    this.#past.pop();
    this.tell.progress(progress);
    this.#disputes = [{ row_id: last.rowId, uri: null, labellers: {} }, ...this.#disputes];
    this.#tell(`Took back ${rows[0].label}.`);
  }

  /** @param {() => Promise<unknown>} does */
  async #work(does) {
    this.#isBusy = true;
    this.#enable();
    try {
      await does();
      this.#take(await filters.team(this.lake, this.name));
    } catch (error) {
      if (error.status === 401) {
        this.#dialog.close();
        this.tell.failed(error);
      } else if (error instanceof ServerGone) this.tell.gone();
      this.#tell(error instanceof ServerGone ? "The server does not answer. Try again." : sentence(error.message, error.field));
    } finally {
      this.#isBusy = false;
      this.#enable();
    }
  }

  /** @param {string} text */
  #tell(text) {
    byId("dispute-told").textContent = text;
  }
}

function kept() {
  try {
    return localStorage.getItem(KEPT) ?? "0";
  } catch {
    return "0"; // storage switched off
  }
}

/** @param {string} share */
function keep(share) {
  try {
    localStorage.setItem(KEPT, share);
  } catch {
    // for as long as the page is open, then
  }
}

/** @param {Answers.LabelsBy} each */
const person = (each) =>
  make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, each.labeller)), ...COUNTED.map((what) => make("td", {}, count(each[what]))));

/** @param {Answers.Agreement} agreement */
function agreed({ rows, agreed: alike, alpha }) {
  if (!rows) return "No image was answered by two people yet, so how far people agree is not known.";
  const share = `${Math.round((100 * alike) / rows)} %`;
  const what = `Two people or more answered ${images(rows)}, and agree on ${count(alike)} of them (${share}).`;
  return alpha === null ? what : `${what} Krippendorff's alpha is ${alpha.toFixed(2).replace("-", "−")}: 1 where all agree, 0 where they agree as often as by chance.`;
}

/** @param {string[]} names */
const alike = (names) => `${names.join(" and ")} count as different people: say one name everywhere if it is one.`;

/** @param {Answers.Agreement} agreement */
function unnamed({ unnamed_differ: rows }) {
  if (!rows) return "";
  return `Answers without a name say yes and no of ${images(rows)}: the last one counts, as if one person had thought anew. Say your name, so that two people are told apart.`;
}

/** @param {number} number of disputes */
const settled = (number) => (number ? `${number === 1 ? "1 dispute was" : `${count(number)} disputes were`} settled.` : "");
