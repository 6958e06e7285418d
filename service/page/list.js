/** The filters of a lake, and the form that makes one. */

import { ApiError } from "./api.js";
import { stage, wantedShort } from "./asked.js";
import { byId, make } from "./dom.js";
import * as filters from "./filters.js";
import { count, sentence } from "./words.js";

/** Field of the request -> the input that it came from. */
const INPUTS = { name: "new-name", keep: "new-keep", drop: "new-drop", where: "new-where" };
const TARGETS = { recall: "new-recall", confidence: "new-confidence" };

export function showList(lake, found) {
  byId("none").hidden = found.length > 0;
  byId("filters").hidden = found.length === 0;
  byId("filters").replaceChildren(...found.map((each) => item(lake, each)));
}

function item(lake, { name, stage: at, target, where, labels }) {
  const facts = [stage(at), `${count(labels)} ${labels === 1 ? "label" : "labels"}`, wantedShort(target)];
  return make(
    "li",
    {},
    make(
      "a",
      { class: "filter-link", href: filters.labelHref(lake, name) },
      make("span", { class: "filter-name" }, name),
      make("span", { class: "small" }, facts.join(" · ")),
      where !== null && make("span", { class: "small" }, "where ", make("code", {}, where)),
    ),
  );
}

/** @param {function(Error)} failed told what is no field's fault */
export function takeNew(lake, failed) {
  const form = byId("new");
  const submit = byId("new-submit");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    complain(null);
    submit.disabled = true;
    try {
      const made = await filters.create(lake, said());
      location.assign(filters.labelHref(lake, made.name));
    } catch (error) {
      submit.disabled = false;
      if (!(error instanceof ApiError) || !complain(error)) failed(error);
    }
  });
}

const lines = (id) => byId(id).value.split("\n").map((line) => line.trim()).filter(Boolean);
const share = (id) => (byId(id).value === "" ? null : Number((Number(byId(id).value) / 100).toFixed(6)));

function said() {
  const [recall, confidence] = [share("new-recall"), share("new-confidence")];
  return {
    name: byId("new-name").value.trim(),
    keep: { texts: lines("new-keep") },
    drop: { texts: lines("new-drop") },
    where: byId("new-where").value.trim() || null,
    target: { ...(recall !== null && { recall }), ...(confidence !== null && { confidence }) },
  };
}

/** Say what is wrong beside the field that it is about; whether there is one. */
function complain(error) {
  for (const id of [...Object.values(INPUTS), ...Object.values(TARGETS)]) {
    byId(id).removeAttribute("aria-invalid");
    byId(`${id}-problem`).textContent = "";
  }
  if (!error) return true;
  const [first, second] = (error.field ?? "").split(/[.[]/);
  const id = first === "target" ? TARGETS[second] : (INPUTS[first] ?? TARGETS[first]);
  if (!id) return false;
  byId(id).setAttribute("aria-invalid", "true");
  byId(`${id}-problem`).textContent = sentence(error.message, error.field);
  byId(id).focus();
  return true;
}
