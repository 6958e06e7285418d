/** One image as large as fits: its thumbnail until it is there, and why it does not come. */

import { imageProblem, imageUrl, thumbnailUrl } from "../common/api.js";
import { make } from "../common/dom.js";
import { nameOf, sentence } from "../common/words.js";

/** @import { Row } from "../common/api.js" */

const LARGEST = 2; // times its own size: beyond it a small image is only blurred
const BEFORE = 512; // px of the thumbnail shown until the image is there

/**
 * @param {string} lake
 * @param {Row} row
 * @param {(problem: HTMLElement) => unknown} failed takes the sentence that says why
 */
export function picture(lake, row, failed) {
  const image = make("img", { class: "large", alt: nameOf(row), src: thumbnailUrl(lake, row, BEFORE) });
  // An imported row whose image was not read yet has no size.
  if (row.width_px && row.height_px) {
    image.width = row.width_px;
    image.height = row.height_px;
    image.style.setProperty("--width", `${row.width_px * LARGEST}px`);
    image.style.setProperty("--height", `${row.height_px * LARGEST}px`);
  }
  const explain = async () => {
    const problem = await imageProblem(imageUrl(lake, row));
    if (!problem) return;
    if (!image.naturalWidth) image.remove(); // no thumbnail either: the sentence stands alone, without a broken image
    failed(make("p", { class: "view-problem", role: "status", dir: "auto" }, sentence(problem.message)));
  };
  const whole = new Image();
  whole.src = imageUrl(lake, row);
  whole
    .decode()
    .then(() => (image.src = whole.src))
    .catch(explain);
  return image;
}
