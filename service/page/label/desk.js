/** One filter: its question, one image after the other, how far it is, and applying it. */

import { ServerGone, row as rowOf } from "../common/api.js";
import { byId, isTyping, make } from "../common/dom.js";
import { message, needed, notice } from "../common/messages.js";
import { OwnAnswers } from "../common/own_answers.js";
import { count, explainTerms, lower, nameOf, sentence } from "../common/words.js";
import { invite } from "./audit_invite.js";
import { Candidates } from "./candidates.js";
import { description } from "./describe.js";
import { asApplied, audited, bounds, brief, counts, decided, inForce, notThis, nothingToTakeBack, purposeText, question, refusal, wanted } from "./filter_words.js";
import * as filters from "./filters_api.js";
import { handOver } from "./hand_over.js";
import { howMany, offersOf } from "./offers.js";
import { Pace } from "./pace.js";
import { Photo } from "./photo.js";
import { Queue } from "./queue.js";
import { RankingLine } from "./ranking_line.js";
import { Samples } from "./samples.js";
import { sinceThen } from "./since.js";
import { showSteps } from "./steps.js";
import { Team } from "./team.js";

/** @import { Spending } from "./audit_invite.js" */

/** @import { Decided } from "./filter_words.js" */

/** @import { YourName } from "./your_name.js" */

/** @import { Failure, Row } from "../common/api.js" */

/** @type {Record<string, string>} */
const KEYS = { y: "yes", n: "no", s: "skip", u: "undo" };
/** @type {Record<string, string>} */
const DID = { yes: "Yes", no: "No", skip: "Skipped" };
const WAIT_MS = 250; // before a sign of waiting

export class Desk {
  #photo = new Photo({ seen: () => this.#enable(), gone: () => this.#gone() });
  #isGone = false;
  #isInvited = false; // the audit's invitation stands in the place of an image
  /** @type {number|undefined} */
  #timer;
  /** @type {Answers.Progress} */
  #progress;
  #pace = new Pace();
  /** @type {?Answers.Ranking} */
  #known = null; // how good the ranking is
  #isUntilSaved = false; // the notice is of an answer that waits for being given again

  /**
   * @param {string} lake
   * @param {Answers.FilterAnswer} filter as the server shows it
   * @param {{labeller: YourName, scopes: string[], gone: () => unknown, locked: () => unknown}} given gone: the server does not
   *   answer; locked: it asks for a key
   */
  constructor(lake, filter, given) {
    this.lake = lake;
    this.filter = filter;
    this.#progress = filter.progress;
    this.given = given;
    this.#samples = new Samples(lake, filter.name, {
      labeller: () => given.labeller.name,
      mayLabel: this.#mayLabel,
      answered: (progress) => this.#acted(progress),
      failed: (error) => this.#refused(error),
    });
    this.#queue = new Queue(lake, filter.name, null, {
      labeller: () => given.labeller.name,
      turn: () => ({ ...given.labeller.turn, ...(given.labeller.turn.labeller && { double: this.#team.double }) }),
      changed: () => this.#changed(),
      progress: (progress, purpose) => this.#told(progress, purpose),
      failed: (error, row) => this.#failed(error, row),
    });
    this.#candidates = new Candidates(lake, filter.name, {
      labeller: () => given.labeller.name,
      turn: () => given.labeller.turn,
      acts: () => this.#clear(),
      progress: (progress) => this.#told(progress, null),
      failed: (error) => this.#refused(error),
      say: (text) => this.#say(text),
      note: (text) => this.#note(text),
    });
    this.#team = new Team(lake, filter.name, {
      labeller: () => given.labeller.name,
      mayLabel: this.#mayLabel,
      progress: (progress) => this.#acted(progress),
      failed: (error) => this.#refused(error),
      gone: () => this.#gone(),
    });
    this.#ranking = new RankingLine(lake, filter.name, (known) => {
      this.#known = known;
      showSteps(this.filter, this.#progress, this.#known);
    });
  }

  #samples;
  #queue;
  #candidates;
  #ranking;
  #team;

  begin() {
    if (!this.filter.progress.labels) new OwnAnswers(this.lake, this.filter.name).forget();
    byId("question").textContent = question(this.filter);
    byId("not-this").textContent = notThis(this.filter);
    byId("wanted").textContent = wanted(this.filter.target);
    byId("only-where").hidden = this.filter.where === null;
    byId("only-where").replaceChildren("Only images where ", make("code", {}, this.filter.where ?? ""));
    byId("work").hidden = false;
    for (const each of answerButtons()) {
      each.addEventListener("click", () => this.#do(each.dataset.answer ?? ""));
    }
    for (const each of purposes()) {
      each.addEventListener("change", () => this.#turnTo(each.value));
    }
    for (const each of radios("way")) {
      each.addEventListener("change", () => this.#turnTo("teach"));
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

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return; // the image is behind it
    if (this.#isMany) {
      if (this.#mayLabel && !this.#isGone && this.#candidates.key(event)) event.preventDefault();
      return;
    }
    const answer = KEYS[event.key.toLowerCase()];
    if (!answer) return;
    event.preventDefault();
    this.#do(answer);
  }

  /** @param {string} answer */
  #do(answer) {
    if (answer === "undo") this.#undo();
    else if (this.#purpose === "result" && !this.#isInvited) {
      if (this.#mayLabel && answer !== "skip") this.#samples.answerFocused(/** @type {"yes"|"no"} */ (answer));
    } else if (this.#canAnswer) {
      this.#forgetRefusal();
      this.#clear();
      this.#pace.answered(performance.now());
      this.#queue.answer(answer);
      this.#say(`${DID[answer]}. ${this.#queue.current ? `Next: ${nameOf(this.#queue.current)}` : ""}`);
    }
  }

  async #undo() {
    if (!this.#mayLabel || this.#isGone) return;
    this.#clear();
    const undone = await this.#queue.undo((rowId) => rowOf(this.lake, rowId));
    for (const each of undone ?? []) this.#samples.undone(each.row_id);
    if (undone) this.#say(undone.length === 1 ? `Took back ${undone[0].label}.` : `Took back ${count(undone.length)} answers.`);
    else if (undone === null) this.#note(nothingToTakeBack(this.given.labeller.name));
  }

  get #canAnswer() {
    const isAsked = !this.#isInvited && ["teach", "audit"].includes(this.#purpose);
    return Boolean(this.#mayLabel && !this.#isGone && isAsked && this.#queue.current && this.#photo.isSeen);
  }

  /** By aria-disabled: a button that is disabled for an instant would lose the focus. */
  #enable() {
    for (const each of answerButtons()) {
      const can = each.dataset.answer === "undo" ? this.#mayLabel && !this.#isGone : this.#canAnswer;
      each.setAttribute("aria-disabled", String(!can));
    }
  }

  #changed() {
    clearTimeout(this.#timer);
    if (this.#purpose === "describe") return;
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
    const { withOthers } = this.#queue;
    if (withOthers) {
      const others = withOthers === 1 ? "1 image is" : `${count(withOthers)} images are`;
      const text = `${others} with others. What they leave open is asked ten minutes later.`;
      return message("The rest is being answered", [text], ["Look again", () => this.#queue.fill()]);
    }
    if (this.#purpose === "teach") return message("Nothing is left to label", ["Every image has an answer."]);
    if (this.#progress.stage === "applied") return message("The filter is applied", ["What it kept and dropped stands under Result."]);
    const { audit } = this.#progress;
    if (audit?.holds) return message("The random check is done", ["The guarantee holds, and the filter can be applied."]);
    if (audit?.budget && audit.answered >= audit.budget) return this.#spent(audit);
    return message("Nothing is left to ask", ["Every image that was drawn has an answer."]);
  }

  /**
   * Its labels are spent, and the promise does not hold.
   * @param {Answers.AuditProgress} audit
   */
  #spent({ answered, still_needed: needed }) {
    const said = `All ${count(answered)} labels that it may take are given, and the guarantee does not hold yet.`;
    if (needed === null) return message("The budget is spent", [`${said} It is out of sight: teach the filter more, or ask for less.`]);
    const goOn = () => this.#queue.turnTo("audit", { budget: answered + needed });
    return message("The budget is spent", [`${said} About ${count(needed)} more may do.`], ["Go on", goOn]);
  }

  // -- how far it is

  get #purpose() {
    return chosen("purpose") ?? "teach";
  }

  /** Whether 20 candidates are answered at once. */
  get #isMany() {
    return this.#purpose === "teach" && !this.#isInvited && chosen("way") === "many";
  }

  /** @param {string} purpose */
  #turnTo(purpose) {
    clearTimeout(this.#timer); // of a sign of waiting, which would take the place of what is turned to
    this.#forgetRefusal();
    this.#clear();
    if (purpose === "audit" && !this.#progress.audit) return this.#invite();
    this.#isInvited = false;
    this.#inSight();
    if (purpose === "describe") this.#photo.put(description(this.lake, this.filter, this.#mayApply));
    if (purpose === "result" || purpose === "describe") return this.#showPurpose(purpose);
    this.#photo.put(make("span"));
    if (this.#isMany && this.#mayLabel) {
      this.#showPurpose(purpose);
      return this.#candidates.fill();
    }
    this.#queue.turnTo(purpose);
    this.#showPurpose(purpose);
  }

  #invite() {
    clearTimeout(this.#timer);
    this.#isInvited = true;
    this.#showPurpose("audit");
    const isAgain = this.#progress.audit !== null;
    const begin = (/** @type {Spending} */ { budget, prices }) => {
      this.#isInvited = false;
      this.#forgetRefusal();
      this.#photo.put(make("span"));
      this.#queue.turnTo("audit", { ...prices, ...(isAgain && { again: true }), ...(budget && { budget }) });
    };
    this.#inSight();
    this.#photo.put(invite(this.lake, this.filter, isAgain, this.#progress.labels, begin));
    this.#enable();
  }

  /** The check goes on with the answers it has, and draws from what came since. */
  #extend() {
    clearTimeout(this.#timer);
    this.#forgetRefusal();
    this.#showPurpose("audit");
    this.#photo.put(make("span"));
    this.#queue.turnTo("audit", { follow: true });
    this.#inSight();
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

  /** @param {string} purpose */
  #showPurpose(purpose) {
    for (const each of purposes()) if (each.value === purpose) each.checked = true;
    byId("purpose-text").textContent = purposeText[purpose];
    byId("work").classList.toggle("result", purpose === "result");
    byId("work").classList.toggle("many", this.#isMany);
    byId("answers").classList.toggle("away", purpose === "describe");
    byId("ways").hidden = purpose !== "teach" || this.#isInvited || !this.#mayLabel;
    byId("ranking").hidden = purpose !== "teach";
    byId("audit-pace").hidden = purpose !== "audit";
    this.#enable();
  }

  /**
   * @param {Answers.Progress} progress
   * @param {?string} purpose
   */
  #told(progress, purpose) {
    this.#progress = progress;
    if (purpose && !this.#isInvited && ["teach", "audit"].includes(this.#purpose)) this.#showPurpose(purpose);
    showSteps(this.filter, this.#progress, this.#known);
    this.#ranking.follow(progress);
    byId("labels").textContent = count(progress.labels);
    byId("labels-word").textContent = progress.labels === 1 ? "label" : "labels";
    byId("counts").textContent = counts(progress);
    byId("brief").textContent = brief(progress);
    this.#team.follow(progress);
    byId("audit").hidden = !progress.audit;
    byId("apply").classList.toggle("strong", Boolean(progress.audit?.holds));
    if (progress.audit) this.#showAudit(progress.audit, progress.stage);
    // What is said in the place of an image was said before the last answers were saved.
    if (this.#queue.isEmpty) this.#changed();
    if (this.#isUntilSaved && !this.#queue.returned) byId("notices").replaceChildren();
  }

  /**
   * The person did something that was saved.
   * @param {Answers.Progress} progress
   */
  #acted(progress) {
    this.#clear();
    this.#told(progress, null);
  }

  /**
   * @param {Answers.AuditProgress} audit
   * @param {string} stage
   */
  #showAudit(audit, stage) {
    const { text, share } = audited(audit, stage);
    byId("audit-text").textContent = text;
    byId("progress").hidden = share === null;
    byId("progress").value = share ?? 0;
    byId("audit-bounds").textContent = bounds(audit, this.filter.target);
    byId("audit-pace").textContent = audit.holds ? "" : this.#pace.left(audit.still_needed);
  }

  // -- applying

  /** @param {?Answers.Offer} offer another guarantee than the filter's own; null: that */
  async #apply(offer = null) {
    const button = byId("apply");
    if (button.disabled) return; // it is being applied: an offer's button does not apply it twice
    button.disabled = true;
    this.#outcome(["Deciding…"]);
    await this.#queue.settled();
    try {
      const less = offer && { ...(offer.recall !== null && { recall: offer.recall }), confidence: offer.confidence };
      const wanted = { ask: byId("may-ask").checked || Boolean(offer?.ask), ...less };
      const answer = await filters.apply(this.lake, this.filter.name, wanted);
      if (answer.refused) {
        this.#outcome(refusal(answer, this.#progress), "refused");
        this.#offer(null);
      } else {
        this.filter = await filters.show(this.lake, this.filter.name);
        this.#showApplied(answer);
      }
    } catch (error) {
      this.#outcome([]);
      this.#refused(error);
    }
    button.disabled = false;
  }

  /**
   * @param {string[]} sentences
   * @param {string} kind
   */
  #outcome(sentences, kind = "") {
    byId("outcome").className = `outcome ${kind}`;
    byId("outcome").replaceChildren(...sentences.map((text) => make("p", {}, text)));
  }

  /** @param {?Decided} applied what is in force, as `apply` gave it; null: it was refused */
  async #offer(applied) {
    const now = applied && { recall: applied.promise.scenes ?? applied.promise.recall, confidence: applied.promise.confidence, dropped: applied.dropped };
    const take = this.#mayApply ? (/** @type {Answers.Offer} */ offer) => this.#apply(offer) : null;
    const { audit } = this.#progress;
    if (!audit) return byId("offers").replaceChildren();
    // Of groups, of scenes, and where it follows the lake, a check bounds no number of all.
    const isBounded = [audit.every, audit.scene, audit.follows].every((each) => each === null);
    try {
      const { name } = this.filter;
      const [offers, estimate] = await Promise.all([filters.offers(this.lake, name), isBounded ? filters.estimate(this.lake, name).catch(() => null) : null]);
      byId("offers").replaceChildren(...(estimate ? [howMany(estimate)] : []), ...offersOf(offers, now, take));
    } catch {
      byId("offers").replaceChildren(); // it only helps
    }
  }

  /** @param {Decided} answer as `apply` gave it */
  #showApplied(answer) {
    const { applied } = this.filter;
    this.#outcome([...decided(answer), ...inForce(applied && { ...applied, undecided: 0 })], "applied");
    const decide = this.#mayLabel ? () => this.#invite() : null;
    const extend = this.#mayLabel ? () => this.#extend() : null;
    byId("since").replaceChildren(...sinceThen(this.lake, this.filter, decide, extend));
    byId("hand-over").replaceChildren(
      handOver(this.lake, this.filter.name, answer, (error) => this.#refused(error)),
    );
    explainTerms(byId("hand-over"));
    this.#offer(answer);
    this.#told({ ...this.#progress, stage: "applied" }, null);
    for (const each of purposes()) if (each.value === "result") each.disabled = false;
    byId("samples").hidden = false;
    this.#isInvited = false;
    this.#showPurpose("result");
    this.#samples.show(answer);
    this.#changed();
  }

  /** It was of the labels before. */
  #forgetRefusal() {
    if (!byId("outcome").classList.contains("refused")) return;
    this.#outcome([]);
    byId("offers").replaceChildren();
  }

  // -- what goes wrong

  /**
   * @param {Failure} error
   * @param {?Row} row
   */
  #failed(error, row) {
    clearTimeout(this.#timer); // of a sign of waiting, which would take the place of what is said here
    if (error.status === 401) return this.given.locked();
    if (error instanceof ServerGone) this.#gone();
    const text = error instanceof ServerGone ? "the server does not answer" : error.message;
    if (row) this.#note(`The answer for ${nameOf(row)} was not saved: ${lower(sentence(text, error.field))} It is asked again.`, true);
    else if (error instanceof ServerGone) this.#enable();
    else if (!this.#queue.current && !this.#isInvited && this.#purpose !== "describe") {
      this.#photo.put(message("That did not work", [sentence(text, error.field)], ["Try again", () => this.#queue.fill()]));
    } else this.#note(sentence(text, error.field));
  }

  /**
   * What has nothing to do with the image that is asked about.
   * @param {Failure} error
   */
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

  /**
   * It stays until the person closes it or does the next thing: what comes from the server by itself never takes it away.
   * @param {string} text
   * @param {boolean} [isUntilSaved] it is of an answer that came back, and stays until that one is saved
   */
  #note(text, isUntilSaved = false) {
    this.#isUntilSaved = isUntilSaved;
    byId("notices").replaceChildren(notice(text, ["Close", () => byId("notices").replaceChildren()]));
    this.#say(text);
  }

  /** Before the person's next act is done. */
  #clear() {
    if (!this.#isUntilSaved || !this.#queue.returned) byId("notices").replaceChildren();
  }

  /** @param {string} text */
  #say(text) {
    byId("live").textContent = text;
  }
}

const answerButtons = () => /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-answer]"));
/** @param {string} name of radio buttons */
const radios = (name) => [...document.querySelectorAll("input")].filter((each) => each.name === name);
/** @param {string} name */
const chosen = (name) => radios(name).find(({ checked }) => checked)?.value;
const purposes = () => radios("purpose");
