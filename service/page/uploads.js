/** The ways in for images of the reader's own: chosen, dropped, pasted. */

import { byId, isTyping } from "./dom.js";

const IMAGE_NAME = /\.(jpe?g|png|gif|webp|avif|bmp|tiff?|heic|heif)$/i; // browsers know no type for some

const imagesOf = (transfer) =>
  [...(transfer?.files ?? [])].filter(({ type, name }) => type.startsWith("image/") || IMAGE_NAME.test(name));

const has = (event, type) => [...(event.dataTransfer?.types ?? [])].includes(type);

/** @param {function(File[], ?string)} take files that look like images, and a sentence on what else came */
export function takeUploads(take) {
  const input = byId("files");
  byId("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) take([...input.files], null);
    input.value = ""; // the same file may be chosen again
  });
  document.addEventListener("paste", (event) => {
    const files = imagesOf(event.clipboardData);
    const isText = isTyping(event.target) && event.clipboardData?.types.includes("text/plain");
    if (!files.length || isText) return; // text goes where it was pasted
    event.preventDefault();
    take(files, null);
  });
  takeDrops(take);
}

function takeDrops(take) {
  const sign = byId("drop");
  let depth = 0; // of elements entered: leaving a child is not leaving the page
  const set = (value) => {
    depth = Math.max(0, value);
    sign.hidden = depth === 0;
  };
  // A dropped link would take the reader away from here.
  const isOurs = (event) => has(event, "Files") || (has(event, "text/uri-list") && !isTyping(event.target));
  document.addEventListener("dragenter", (event) => has(event, "Files") && set(depth + 1));
  document.addEventListener("dragleave", (event) => has(event, "Files") && set(depth - 1));
  document.addEventListener("dragover", (event) => isOurs(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    set(0);
    const files = imagesOf(event.dataTransfer);
    take(files, leftOut(event.dataTransfer.files.length, files.length));
  });
}

function leftOut(all, taken) {
  if (all === 0) return "That was a link. Drop the image itself: copy it and paste it here, or save it first.";
  if (all === taken) return null;
  if (all - taken === 1) return "1 file is not an image and was left out.";
  return `${all - taken} files are not images and were left out.`;
}
