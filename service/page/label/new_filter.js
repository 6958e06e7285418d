/** The form that makes a filter: texts, photos, where and the promise; what is wrong stands beside its field. */

import { ApiError } from "../common/api.js";
import { byId } from "../common/dom.js";
import { labelHref } from "../common/links.js";
import { notice } from "../common/messages.js";
import { lower, sentence } from "../common/words.js";
import { ExamplePhotos } from "./example_photos.js";
import * as filters from "./filters_api.js";

/** Field of the request -> the input that it came from. */
const INPUTS = {
  name: "new-name",
  keep: "new-keep",
  keep_images: "new-keep",
  drop: "new-drop",
  drop_images: "new-drop",
  where: "new-where",
};
const SHARES = { recall: "new-recall", precision: "new-precision", confidence: "new-confidence" };

export class NewFilter {
  #examples = new ExamplePhotos((notes) => byId("notices").replaceChildren(...notes.map((text) => notice(text))));
  #submit = byId("new-submit");

  /**
   * @param {string} lake
   * @param {function(Error)} failed told what is no field's fault
   */
  constructor(lake, failed) {
    this.lake = lake;
    this.failed = failed;
    byId("new").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#make();
    });
    byId(SHARES.precision).addEventListener("input", offerRecall);
    byId(INPUTS.name).addEventListener("input", showSlug);
    showSlug(); // a browser may have kept what was typed
    offerRecall();
  }

  async #make() {
    forget();
    this.#examples.blame(null);
    const wrong = Object.values(SHARES).find((id) => shareProblem(byId(id)));
    if (wrong) return complain(wrong, shareProblem(byId(wrong)));
    this.#busy(true);
    try {
      const [keep, drop] = [this.#examples.of("keep"), this.#examples.of("drop")];
      const made = await (this.#examples.isEmpty
        ? filters.create(this.lake, said())
        : filters.createWithImages(this.lake, said(), keep, drop));
      location.assign(labelHref(this.lake, made.name));
    } catch (error) {
      this.#busy(false);
      if (!(error instanceof ApiError) || !this.#told(error)) this.failed(error);
    }
  }

  #busy(isBusy) {
    this.#submit.disabled = isBusy;
    this.#submit.textContent = isBusy ? "Making it…" : "Make the filter";
  }

  /** Say what is wrong beside the field that it is about; whether there is one. */
  #told(error) {
    const [first, second] = (error.field ?? "").split(/[.[\]]+/);
    const id = first === "target" ? SHARES[second] : (INPUTS[first] ?? SHARES[first]);
    if (!id) return false;
    const text = sentence(error.message, error.field);
    const isPhoto = first.endsWith("_images") && second;
    const name = isPhoto ? this.#examples.blame(first.replace("_images", ""), Number(second)) : null;
    complain(id, name ? `${name}: ${lower(text)}` : text, !name);
    return true;
  }
}

const lines = (id) => byId(id).value.split("\n").map((line) => line.trim()).filter(Boolean);
const share = (id) => (byId(id).value === "" ? null : Number((Number(byId(id).value) / 100).toFixed(6)));

function said() {
  const target = Object.entries(SHARES).map(([name, id]) => [name, share(id)]);
  return {
    name: slug(byId("new-name").value),
    keep: { texts: lines("new-keep") },
    drop: { texts: lines("new-drop") },
    where: byId("new-where").value.trim() || null,
    target: Object.fromEntries(target.filter(([, value]) => value !== null)),
  };
}

/**
 * A name as the service takes it, of what was typed: "Hospital rooms (Oslo)" is hospital-rooms-oslo. What holds no letter
 * or digit of these stays as it is: the service says what a name may be.
 */
export function slug(typed) {
  const plain = typed.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replaceAll("ß", "ss");
  const made = plain.replace(/[^a-z0-9_.-]+/g, "-").replace(/^[^a-z0-9]+/, "");
  return made.slice(0, 64).replace(/-+$/, "") || typed.trim();
}

function showSlug() {
  const typed = byId(INPUTS.name).value;
  const name = slug(typed);
  byId("new-name-slug").textContent = name === typed.trim() ? "" : `It will be called ${name}.`;
}

/** Why a share is none, in the unit that it is typed in, or "". */
function shareProblem(input) {
  if (input.validity.badInput) return "This is not a number.";
  const value = input.valueAsNumber;
  const isShare = input.value === "" || (value >= 1 && value < 100);
  return isShare ? "" : `${value} % cannot be promised; say 1 or more and less than 100, as 95 for 95 %.`;
}

/** What an empty recall stands for: the service takes 95 %, unless a precision is wanted. */
function offerRecall() {
  byId(SHARES.recall).placeholder = byId(SHARES.precision).value === "" ? "95" : "none";
}

function forget() {
  for (const id of [...Object.values(INPUTS), ...Object.values(SHARES)]) {
    byId(id).removeAttribute("aria-invalid");
    byId(`${id}-problem`).textContent = "";
  }
}

function complain(id, text, isFocused = true) {
  byId(id).setAttribute("aria-invalid", String(isFocused));
  byId(`${id}-problem`).textContent = text;
  if (isFocused) byId(id).focus();
}
