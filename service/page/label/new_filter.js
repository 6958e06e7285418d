/** The form that makes a filter: texts, photos, where and the promise; what is wrong stands beside its field. */

import { ApiError } from "../common/api.js";
import { byId } from "../common/dom.js";
import { labelHref } from "../common/links.js";
import { notice } from "../common/messages.js";
import { lower, sentence } from "../common/words.js";
import { ExamplePhotos } from "./example_photos.js";
import * as filters from "./filters_api.js";
import { fillWith } from "./given.js";
import { slug } from "./slug.js";

/** @import { NewFilter as Given } from "../common/links.js" */

/** @import { Failure } from "../common/api.js" */

/** Field of the request -> the input that it came from. */
const INPUTS = /** @type {const} */ ({
  name: "new-name",
  keep: "new-keep",
  keep_images: "new-keep",
  drop: "new-drop",
  drop_images: "new-drop",
  where: "new-where",
});
/** @typedef {typeof INPUTS[keyof typeof INPUTS]|typeof SHARES[keyof typeof SHARES]} FieldId */

const MISSING = "The photos of the search that only another browser has are not here.";
const SHARES = /** @type {const} */ ({ recall: "new-recall", precision: "new-precision", confidence: "new-confidence" });

export class NewFilter {
  #examples;
  #isTyped = false;
  #submit = byId("new-submit");

  /**
   * @param {string} lake
   * @param {?Given} given what a search was for; null: the form is empty
   * @param {(error: Failure) => unknown} failed told what is no field's fault
   */
  constructor(lake, given, failed) {
    this.lake = lake;
    this.failed = failed;
    this.#examples = new ExamplePhotos(lake, say);
    byId("new").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#make();
    });
    byId("new").addEventListener("input", () => (this.#isTyped = true));
    byId(SHARES.precision).addEventListener("input", offerRecall);
    byId(INPUTS.name).addEventListener("input", showSlug);
    showSlug(); // a browser may have kept what was typed
    offerRecall();
    if (given) this.#take(given);
  }

  /** Whether the reader has written something into it. */
  get isTouched() {
    return this.#isTyped || this.#examples.isChanged;
  }

  /** @param {?Node} element */
  has(element) {
    return byId("new").contains(element);
  }

  /** @param {Given} given */
  async #take(given) {
    byId("new-given").hidden = false;
    const missing = await fillWith(given, this.#examples);
    showSlug();
    if (missing) say([MISSING]);
    byId(INPUTS.name).focus();
    byId(INPUTS.name).select();
  }

  async #make() {
    forget();
    this.#examples.blame(null);
    const wrong = Object.values(SHARES).find((id) => shareProblem(byId(id)));
    if (wrong) return complain(wrong, shareProblem(byId(wrong)));
    this.#busy(true);
    try {
      const [keep, drop] = [this.#examples.of("keep"), this.#examples.of("drop")];
      const asked = said(this.#examples);
      const made = await (this.#examples.isWithoutFiles
        ? filters.create(this.lake, asked)
        : filters.createWithImages(this.lake, asked, keep, drop));
      location.assign(labelHref(this.lake, made.name));
    } catch (error) {
      this.#busy(false);
      if (!(error instanceof ApiError) || error.status === 401) return this.failed(error);
      // What is no field's fault is told where it was pressed: the top of the page may be out of sight.
      if (!this.#told(error)) byId("new-problem").textContent = sentence(error.message, error.field);
    }
  }

  /** @param {boolean} isBusy */
  #busy(isBusy) {
    this.#submit.disabled = isBusy;
    this.#submit.textContent = isBusy ? "Making it…" : "Make the filter";
  }

  /**
   * Say what is wrong beside the field that it is about; whether there is one.
   * @param {ApiError} error
   */
  #told(error) {
    const [first, second] = (error.field ?? "").split(/[.[\]]+/);
    /** @type {Record<string, FieldId|undefined>} */
    const fields = { ...SHARES, ...INPUTS };
    const id = fields[first === "target" ? second : first];
    if (!id) return false;
    const text = sentence(error.message, error.field);
    const name = this.#blamed(error.field ?? "");
    complain(id, name ? `${name}: ${lower(text)}` : text, !name);
    return true;
  }

  /**
   * The name of the image that a field of the request is about: keep_images[1], drop.row_ids[0].
   * @param {string} field
   */
  #blamed(field) {
    const found = /^(keep|drop)(?:_images|\.(row_ids))\[(\d+)\]/.exec(field);
    return found && this.#examples.blame(found[1] === "keep" ? "keep" : "drop", Number(found[3]), Boolean(found[2]));
  }
}

/** @param {string[]} notes */
const say = (notes) => byId("notices").replaceChildren(...notes.map((text) => notice(text)));
/** @param {"new-keep"|"new-drop"} id */
const lines = (id) => byId(id).value.split("\n").map((line) => line.trim()).filter(Boolean);
/** @param {typeof SHARES[keyof typeof SHARES]} id */
const share = (id) => (byId(id).value === "" ? null : Number((Number(byId(id).value) / 100).toFixed(6)));

/** @param {ExamplePhotos} examples */
function said(examples) {
  const target = Object.entries(SHARES).map(([name, id]) => [name, share(id)]);
  return {
    name: slug(byId("new-name").value),
    keep: { texts: lines("new-keep"), row_ids: examples.rowsOf("keep") },
    drop: { texts: lines("new-drop"), row_ids: examples.rowsOf("drop") },
    where: byId("new-where").value.trim() || null,
    target: Object.fromEntries(target.filter(([, value]) => value !== null)),
  };
}

function showSlug() {
  const typed = byId(INPUTS.name).value;
  const name = slug(typed);
  byId("new-name-slug").textContent = name === typed.trim() ? "" : `It will be called ${name}.`;
}

/**
 * Why a share is none, in the unit that it is typed in, or "".
 * @param {HTMLInputElement} input
 */
function shareProblem(input) {
  if (input.validity.badInput) return "This is not a number.";
  const value = input.valueAsNumber;
  const isShare = input.value === "" || (value >= 1 && value < 100);
  return isShare ? "" : `${value} % cannot be guaranteed; say 1 or more and less than 100, as 95 for 95 %.`;
}

/** What an empty recall stands for: the service takes 95 %, unless a precision is wanted. */
function offerRecall() {
  byId(SHARES.recall).placeholder = byId(SHARES.precision).value === "" ? "95" : "none";
}

function forget() {
  byId("new-problem").textContent = "";
  for (const id of [...Object.values(INPUTS), ...Object.values(SHARES)]) {
    byId(id).removeAttribute("aria-invalid");
    byId(`${id}-problem`).textContent = "";
  }
}

/**
 * @param {FieldId} id
 * @param {string} text
 * @param {boolean} isFocused
 */
function complain(id, text, isFocused = true) {
  byId(id).setAttribute("aria-invalid", String(isFocused));
  byId(`${id}-problem`).textContent = text;
  if (isFocused) byId(id).focus();
}
