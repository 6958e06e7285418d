/** One filter: its question, one image after the other, how far it is, and applying it. */

import { ServerGone, row as rowOf } from "../common/api.js";
import { byId, isTyping, make } from "../common/dom.js";
import { message, needed, notice } from "../common/messages.js";
import { count, explainTerms, lower, nameOf, sentence } from "../common/words.js";
import { invite } from "./audit_invite.js";
import { asApplied, audited, brief, counts, decided, inForce, notThis, purposeText, question, refusal, wanted } from "./filter_words.js";
import * as filters from "./filters_api.js";
import { handOver } from "./hand_over.js";
import { Photo } from "./photo.js";
import { Queue } from "./queue.js";
import { Samples } from "./samples.js";
import { sinceThen } from "./since.js";

const KEYS = { y: "yes", n: "no", s: "skip", u: "undo" };
const DID = { yes: "Yes", no: "No", skip: "Skipped" };
const WAIT_MS = 250; // before a sign of waiting

export class Desk {
  #photo = new Photo({ seen: () => this.#enable(), gone: () => this.#gone() });
  #isGone = false;
  #isInvited = false; // the audit's invitation stands in the place of an image
  #timer = null;
  #progress = null;

  /**
   * @param {string} lake
   * @param {Object} filter as the server shows it
   * @param {{labeller: YourName, scopes: string[], gone: function(), locked: function()}} given gone: the server does
   *   not answer; locked: it asks for a key
   */
  constructor(lake, filter, given) {
    this.lake = lake;
    this.filter = filter;
    this.given = given;
    this.#samples = new Samples(lake, filter.name, {
      labeller: () => given.labeller.name,
      mayLabel: this.#mayLabel,
      answered: (progress) => this.#told(progress, null),
      failed: (error) => this.#refused(error),
    });
    this.#queue = new Queue(lake, filter.name, null, {
      labeller: () => given.labeller.name,
      changed: () => this.#changed(),
      progress: (progress, purpose) => this.#told(progress, purpose),
      failed: (error, row) => this.#failed(error, row),
    });
  }

  #samples;
  #queue;

  begin() {
    byId("question").textContent = question(this.filter);
    byId("not-this").textContent = notThis(this.filter);
    byId("wanted").textContent = wanted(this.filter.target);
    byId("only-where").hidden = this.filter.where === null;
    byId("only-where").replaceChildren("Only images where ", make("code", {}, this.filter.where ?? ""));
    byId("work").hidden = false;
    for (const each of document.querySelectorAll("[data-answer]")) {
      each.addEventListener("click", () => this.#do(each.dataset.answer));
    }
    for (const each of document.querySelectorAll('input[name="purpose"]')) {
      each.addEventListener("change", () => this.#turnTo(each.value));
    }
    document.addEventListener("keydown", (event) => this.#key(event));
    byId("apply").addEventListener("click", () => this.#apply());
    byId("again").addEventListener("click", () => this.#invite());
    byId("apply").disabled = !this.#mayApply;
    byId("may-ask").disabled = !this.#mayApply;
    byId("no-apply").hidden = this.#mayApply;
    this.#told(this.filter.progress, this.filter.progress.purpose);
    if (this.#mayLabel) this.#queue.fill();
    else this.#photo.put(message("Only to look at", needed("Labelling", "label")));
    this.#changed();
    const { measured, progress } = this.filter;
    if (progress.stage === "applied") this.#showApplied(asApplied(measured));
  }

  /** The server answers again. */
  back() {
    this.#isGone = false;
    this.#photo.retry();
    if (!this.#isInvited && this.#mayLabel) this.#queue.fill();
    this.#enable();
  }

  get #mayLabel() {
    return this.given.scopes.includes("label");
  }

  get #mayApply() {
    return this.given.scopes.includes("write");
  }

  // -- answering

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return; // the image is behind it
    const answer = KEYS[event.key.toLowerCase()];
    if (!answer) return;
    event.preventDefault();
    this.#do(answer);
  }

  #do(answer) {
    if (answer === "undo") this.#undo();
    else if (this.#canAnswer) {
      this.#forgetRefusal();
      this.#queue.answer(answer);
      this.#say(`${DID[answer]}. ${this.#queue.current ? `Next: ${nameOf(this.#queue.current)}` : ""}`);
    }
  }

  async #undo() {
    if (!this.#mayLabel || this.#isGone) return;
    const undone = await this.#queue.undo((rowId) => rowOf(this.lake, rowId));
    if (undone) this.#say(`Took back ${undone.label}.`);
    else if (undone === null) this.#note("You have given no answer that could be taken back.");
  }

  get #canAnswer() {
    const isAsked = !this.#isInvited && this.#purpose !== "result";
    return Boolean(this.#mayLabel && !this.#isGone && isAsked && this.#queue.current && this.#photo.isSeen);
  }

  /** By aria-disabled: a button that is disabled for an instant would lose the focus. */
  #enable() {
    for (const each of document.querySelectorAll("[data-answer]")) {
      const can = each.dataset.answer === "undo" ? this.#mayLabel && !this.#isGone : this.#canAnswer;
      each.setAttribute("aria-disabled", String(!can));
    }
  }

  #changed() {
    clearTimeout(this.#timer);
    const { current, coming, isEmpty } = this.#queue;
    if (current && !this.#isInvited) {
      this.#photo.show(this.lake, current);
      this.#photo.preload(this.lake, coming);
    } else if (isEmpty && !this.#isInvited) this.#photo.put(this.#nothingLeft());
    else if (!this.#isInvited && this.#mayLabel) {
      this.#timer = setTimeout(() => this.#photo.put(make("p", { class: "wait small" }, "Choosing images…")), WAIT_MS);
    }
    this.#enable();
  }

  #nothingLeft() {
    if (this.#purpose === "teach") return message("Nothing is left to label", ["Every image has an answer."]);
    if (this.#progress.stage === "applied") return message("The filter is applied", ["What it kept and dropped stands under Result."]);
    const { audit } = this.#progress;
    if (audit?.holds) return message("The random check is done", ["The guarantee holds, and the filter can be applied."]);
    if (audit?.budget && audit.answered >= audit.budget) return this.#spent(audit);
    return message("Nothing is left to ask", ["Every image that was drawn has an answer."]);
  }

  /** Its labels are spent, and the promise does not hold. */
  #spent({ answered, still_needed: needed }) {
    const said = `All ${count(answered)} labels that it may take are given, and the guarantee does not hold yet.`;
    if (needed === null) return message("The budget is spent", [`${said} It is out of sight: teach the filter more, or ask for less.`]);
    const goOn = () => this.#queue.turnTo("audit", { budget: answered + needed });
    return message("The budget is spent", [`${said} About ${count(needed)} more may do.`], ["Go on", goOn]);
  }

  // -- how far it is

  get #purpose() {
    return document.querySelector('input[name="purpose"]:checked').value;
  }

  #turnTo(purpose) {
    this.#forgetRefusal();
    if (purpose === "audit" && !this.#progress.audit) return this.#invite();
    this.#isInvited = false;
    this.#inSight();
    if (purpose === "result") return this.#showPurpose(purpose);
    this.#photo.put(make("span"));
    this.#queue.turnTo(purpose);
    this.#showPurpose(purpose);
  }

  #invite() {
    clearTimeout(this.#timer);
    this.#isInvited = true;
    this.#showPurpose("audit");
    const isAgain = this.#progress.audit !== null;
    const begin = (budget) => {
      this.#isInvited = false;
      this.#forgetRefusal();
      this.#photo.put(make("span"));
      this.#queue.turnTo("audit", { ...(isAgain && { again: true }), ...(budget && { budget }) });
    };
    this.#inSight();
    this.#photo.put(invite(this.lake, this.filter.name, isAgain, this.#progress.labels, begin));
    this.#enable();
  }

  /** Puts the invitation to an audit aside, if that is shown; whether it was. */
  putAside() {
    if (!this.#isInvited) return false;
    this.#isInvited = false;
    this.#photo.put(make("span"));
    this.#showPurpose(this.#progress.stage === "applied" ? "result" : this.#progress.audit ? "audit" : "teach");
    if (!this.#queue.current) this.#queue.fill();
    this.#changed();
    return true;
  }

  /** What was asked for shows: on a phone the buttons that ask for it stand far below it. */
  #inSight() {
    if (byId("work").getBoundingClientRect().top < 0) requestAnimationFrame(() => scrollTo(0, 0));
  }

  #showPurpose(purpose) {
    document.querySelector(`input[name="purpose"][value="${purpose}"]`).checked = true;
    byId("purpose-text").textContent = purposeText[purpose];
    byId("work").classList.toggle("result", purpose === "result");
    this.#enable();
  }

  #told(progress, purpose) {
    this.#progress = progress;
    if (purpose && !this.#isInvited && this.#purpose !== "result") this.#showPurpose(purpose);
    byId("labels").textContent = count(progress.labels);
    byId("labels-word").textContent = progress.labels === 1 ? "label" : "labels";
    byId("counts").textContent = counts(progress);
    byId("brief").textContent = brief(progress);
    byId("audit").hidden = !progress.audit;
    byId("apply").classList.toggle("strong", Boolean(progress.audit?.holds));
    if (progress.audit) this.#showAudit(progress);
    // What is said in the place of an image was said before the last answers were saved.
    if (this.#queue.isEmpty) this.#changed();
    if (!this.#queue.returned) byId("notices").replaceChildren();
  }

  #showAudit({ audit, stage }) {
    const { text, share } = audited(audit, stage);
    byId("audit-text").textContent = text;
    byId("progress").hidden = share === null;
    byId("progress").value = share ?? 0;
  }

  // -- applying

  async #apply() {
    const button = byId("apply");
    button.disabled = true;
    this.#outcome(["Deciding…"]);
    await this.#queue.settled();
    try {
      const answer = await filters.apply(this.lake, this.filter.name, byId("may-ask").checked);
      if (answer.refused) this.#outcome(refusal(answer, this.#progress), "refused");
      else {
        this.filter = await filters.show(this.lake, this.filter.name);
        this.#showApplied(answer);
      }
    } catch (error) {
      this.#outcome([]);
      this.#refused(error);
    }
    button.disabled = false;
  }

  #outcome(sentences, kind = "") {
    byId("outcome").className = `outcome ${kind}`;
    byId("outcome").replaceChildren(...sentences.map((text) => make("p", {}, text)));
  }

  /** @param {Object} answer as `apply` gave it */
  #showApplied(answer) {
    const { applied } = this.filter;
    this.#outcome([...decided(answer), ...inForce({ ...applied, undecided: 0 })], "applied");
    const decide = this.#mayLabel ? () => this.#invite() : null;
    byId("since").replaceChildren(...sinceThen(this.lake, this.filter, decide));
    byId("hand-over").replaceChildren(
      handOver(this.lake, this.filter.name, answer, (error) => this.#refused(error)),
    );
    explainTerms(byId("hand-over"));
    this.#told({ ...this.#progress, stage: "applied" }, null);
    byId("has-result").hidden = byId("samples").hidden = false;
    this.#isInvited = false;
    this.#showPurpose("result");
    this.#samples.show(answer);
    this.#changed();
  }

  /** It was of the labels before. */
  #forgetRefusal() {
    if (byId("outcome").classList.contains("refused")) this.#outcome([]);
  }

  // -- what goes wrong

  #failed(error, row) {
    clearTimeout(this.#timer); // of a sign of waiting, which would take the place of what is said here
    if (error.status === 401) return this.given.locked();
    if (error instanceof ServerGone) this.#gone();
    const text = error instanceof ServerGone ? "the server does not answer" : error.message;
    if (row) this.#note(`The answer for ${nameOf(row)} was not saved: ${lower(sentence(text, error.field))} It is asked again.`);
    else if (error instanceof ServerGone) this.#enable();
    else if (!this.#queue.current) {
      this.#photo.put(message("That did not work", [sentence(text, error.field)], ["Try again", () => this.#queue.fill()]));
    } else this.#note(sentence(text, error.field));
  }

  /** What has nothing to do with the image that is asked about. */
  #refused(error) {
    if (error.status === 401) this.given.locked();
    else if (error instanceof ServerGone) this.#gone();
    else this.#note(sentence(error.message, error.field));
  }

  #gone() {
    this.#isGone = true;
    this.#enable();
    this.given.gone();
  }

  #note(text) {
    byId("notices").replaceChildren(notice(text, ["Close", () => byId("notices").replaceChildren()]));
    this.#say(text);
  }

  #say(text) {
    byId("live").textContent = text;
  }
}
