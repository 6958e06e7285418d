/** Which of the files that a reader brings can be taken as examples, and what is said of the others, each by its name. */

import { size } from "./words.js";

const MOST = 16; // images of one search, or of one filter
const MOST_BYTES = 64_000_000; // of them together, as the service takes them
const FORM_BYTES = 100_000; // what the other fields, and the marks between the images, may need of that
const IMAGE_NAME = /\.(jpe?g|png|gif|webp|avif|bmp|tiff?|heic|heif)$/i; // browsers know no type for some

/** @param {File} file */
const isImage = ({ type, name }) => type.startsWith("image/") || IMAGE_NAME.test(name);

export const OF_A_SEARCH = { all: "all images of a search", most: `Only ${MOST} images can be searched by at once` };
export const OF_A_FILTER = { all: "all photos of a filter", most: `A filter takes at most ${MOST} photos as examples` };

/**
 * @param {File[]} files
 * @param {Blob[]} held images that are examples already
 * @param {{all: string, most: string}} words what they are examples of
 * @returns {{taken: File[], notes: string[]}} the first that fit, in order, and a sentence for each reason why not
 */
export function pick(files, held, words) {
  const images = files.filter(isImage);
  /** @type {File[]} */
  const taken = [];
  /** @type {File[]} */
  const large = [];
  let left = MOST_BYTES - FORM_BYTES - held.reduce((sum, blob) => sum + blob.size, 0);
  let more = 0;
  for (const file of images) {
    if (file.size > left) large.push(file);
    else if (held.length + taken.length >= MOST) more += 1;
    else {
      taken.push(file);
      left -= file.size;
    }
  }
  const notes = [notImages(files.filter((file) => !isImage(file))), tooLarge(large, words), more && tooMany(taken.length, words)];
  return { taken, notes: notes.filter((note) => typeof note === "string") };
}

/** @param {File[]} files */
function notImages(files) {
  if (!files.length) return null;
  const names = listed(files.map(nameOf));
  return files.length === 1 ? `${names} is not an image and was left out.` : `${names} are not images and were left out.`;
}

/**
 * @param {File[]} files
 * @param {{all: string}} words
 */
function tooLarge(files, { all }) {
  if (!files.length) return null;
  const names = listed(files.map((file) => `${nameOf(file)} (${size(file.size)})`));
  const were = files.length === 1 ? "was" : "were";
  return `${names} ${were} left out: ${all} together may have ${MOST_BYTES / 1e6} MB.`;
}

/**
 * @param {number} taken
 * @param {{most: string}} words
 */
function tooMany(taken, { most }) {
  if (taken === 0) return `${most}; remove some to add others.`;
  return `${most}; the first ${taken === 1 ? "one was" : `${taken} were`} taken.`;
}

/** @param {File} file */
const nameOf = ({ name }) => name || "image";

/**
 * "a", "a and b", "a, b and c"
 * @param {string[]} names
 */
const listed = (names) => (names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);
