/** The ways in for images of the reader's own: chosen, dropped, pasted. */

import { byId, isTyping } from "./dom.js";

const has = (event, type) => [...(event.dataTransfer?.types ?? [])].includes(type);

/** @param {function(File[])} take whatever files they are; none: it was a link */
export function takeUploads(take) {
  const input = byId("files");
  byId("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) take([...input.files]);
    input.value = ""; // the same file may be chosen again
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    const isText = isTyping(event.target) && event.clipboardData?.types.includes("text/plain");
    if (!files.length || isText) return; // text goes where it was pasted
    event.preventDefault();
    take(files);
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
    take([...event.dataTransfer.files]);
  });
}
