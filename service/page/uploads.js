/** The ways in for images of the reader's own: chosen, dropped, pasted. */

import { byId } from "./dom.js";

const IMAGE_NAME = /\.(jpe?g|png|gif|webp|avif|bmp|tiff?|heic|heif)$/i; // browsers know no type for some

const imagesOf = (transfer) =>
  [...(transfer?.files ?? [])].filter(({ type, name }) => type.startsWith("image/") || IMAGE_NAME.test(name));

const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

/** @param {function(File[], number)} take files that look like images, and how many others came with them */
export function takeUploads(take) {
  const input = byId("files");
  byId("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) take([...input.files], 0);
    input.value = ""; // the same file may be chosen again
  });
  document.addEventListener("paste", (event) => {
    const files = imagesOf(event.clipboardData);
    if (!files.length) return; // text goes where it was pasted
    event.preventDefault();
    take(files, 0);
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
  document.addEventListener("dragenter", (event) => hasFiles(event) && set(depth + 1));
  document.addEventListener("dragleave", (event) => hasFiles(event) && set(depth - 1));
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    set(0);
    const files = imagesOf(event.dataTransfer);
    take(files, event.dataTransfer.files.length - files.length);
  });
}
