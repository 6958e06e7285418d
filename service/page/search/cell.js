/** One image of the grid: the photo as a link to its large view, how well it fits, and more or less like it. */

import { ServerGone, imageProblem, thumbnailUrl } from "../common/api.js";
import { icon, make } from "../common/dom.js";
import { fit, isOfVideo, moment, nameOf, sentence } from "../common/words.js";
import { tick } from "./tick.js";

/** @import { Row } from "../common/api.js" */

const PASSING = new Set([429, 503]); // too busy, or out of reach for the moment
const TRIES = 3;
const SHOWN = "When the video shows this";
const RECORDED = "When this was recorded (UTC)";
const WAIT_MS = 2000;
const SIZES = [256, 512, 1024]; // few, so that the server's cache and the browser's serve many screens

/**
 * The thumbnail to ask for, for a box of so many px on this screen.
 * @param {{width: number, height: number}} box px
 */
function thumbnailSize(box) {
  const needed = Math.max(box.width, box.height) * Math.min(2, devicePixelRatio || 1);
  return SIZES.find((size) => size >= needed * 0.9) ?? Math.max(...SIZES);
}

/**
 * @param {Row} hit a hit or a row
 * @param {string} href of its large view
 * @returns {HTMLLIElement} without its image, which `load` begins
 */
export function cell(hit, href) {
  const name = nameOf(hit);
  const fits = fit(hit)?.replace(/^match /, "") ?? null; // the number alone: there are many
  const folded = hit.collapsed?.length ?? 0;
  const at = moment(hit);
  return make(
    "li",
    { class: "cell", "data-row": hit.row_id },
    make(
      "a",
      { class: "photo", href, tabindex: "-1", title: name, draggable: "false" },
      make("img", { alt: name, loading: "lazy", decoding: "async", draggable: "false" }),
    ),
    folded > 0 && make("span", { class: "folded", title: `${folded} nearly the same` }, `+${folded}`),
    at !== null && make("span", { class: "moment", title: isOfVideo(hit) ? SHOWN : RECORDED }, at),
    fits !== null && make("span", { class: "fit", title: fitTitle(hit) }, fits),
    make(
      "div",
      { class: "over" },
      button("more", "plus", "More", `More like this: ${name}`),
      button("less", "minus", "Less", `Less like this: ${name}`),
    ),
    tick(name),
  );
}

/**
 * @param {string} act
 * @param {string} sign
 * @param {string} word
 * @param {string} label
 */
function button(act, sign, word, label) {
  const facts = { type: "button", class: "act", tabindex: "-1", "data-act": act };
  const words = { title: `${word} like this`, "aria-label": label };
  return make("button", { ...facts, ...words }, icon(sign), make("span", { class: "word" }, word));
}

/** @param {Row} hit */
const fitTitle = ({ score, z }) =>
  typeof z === "number"
    ? `Match strength ${z.toFixed(1)}: by so many standard deviations it stands out from the lake (z); score ${score?.toFixed(3)}`
    : `score ${score?.toFixed(3)}, the cosine with what you look for`;

/**
 * Begin to load the image; once, and again after it failed.
 * @param {HTMLElement} element
 * @param {string} lake
 * @param {Row} hit
 * @param {{width: number, height: number}} box px
 */
export function load(element, lake, hit, box) {
  const image = element.querySelector("img");
  if (!image) return;
  if (image.hasAttribute("src") && !element.classList.contains("failed")) return;
  begin(element, image, thumbnailUrl(lake, hit, thumbnailSize(box)), 0);
}

/**
 * @param {HTMLElement} element
 * @param {HTMLImageElement} image
 * @param {string} url
 * @param {number} tries
 */
function begin(element, image, url, tries) {
  element.querySelector(".why")?.remove();
  element.classList.remove("failed", "loaded");
  image.addEventListener("load", () => element.classList.add("loaded"), { once: true });
  image.addEventListener("error", () => explain(element, image, url, tries), { once: true });
  image.src = url;
  if (image.complete && image.naturalWidth > 0) element.classList.add("loaded", "at-once");
}

/**
 * A quiet placeholder with the reason, in the place of the browser's broken image; a busy server is asked again.
 * @param {HTMLElement} element
 * @param {HTMLImageElement} image
 * @param {string} url
 * @param {number} tries
 */
async function explain(element, image, url, tries) {
  element.classList.add("failed");
  const problem = await imageProblem(url);
  const isPast = !element.isConnected || image.src !== new URL(url, location.href).href;
  if (isPast || element.querySelector(".why")) return;
  if (problem instanceof ServerGone) element.dispatchEvent(new Event("servergone", { bubbles: true }));
  const isPassing = problem === null || ("status" in problem && PASSING.has(problem.status));
  if (isPassing && tries < TRIES) {
    setTimeout(() => element.isConnected && begin(element, image, url, tries + 1), tries * WAIT_MS);
  }
  const why = problem ? sentence(problem.message) : "The image could not be shown.";
  if (!problem && tries === 0) return; // it comes now
  element.querySelector(".photo")?.append(make("span", { class: "why", title: why, dir: "auto" }, why));
}
