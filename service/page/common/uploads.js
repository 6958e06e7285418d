/** The ways in for images of the reader's own: chosen, dropped, pasted. */

import { isTyping } from "./dom.js";

/**
 * @param {DragEvent} event
 * @param {string} type
 */
const has = (event, type) => [...(event.dataTransfer?.types ?? [])].includes(type);

/**
 * @param {HTMLButtonElement} button
 * @param {HTMLInputElement} input of files, that the button opens
 * @param {(files: File[]) => unknown} take
 */
export function takeChosen(button, input, take) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files?.length) take([...input.files]);
    input.value = ""; // the same file may be chosen again
  });
}

/** @param {(files: File[], target: ?EventTarget) => unknown} take told where the cursor was */
export function takePasted(take) {
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    const isText = isTyping(event.target) && event.clipboardData?.types.includes("text/plain");
    if (!files.length || isText) return; // text goes where it was pasted
    event.preventDefault();
    take(files, event.target);
  });
}

/**
 * @param {(files: File[], target: ?EventTarget) => unknown} take told where they were dropped
 * @param {(isCarried: boolean, target: ?EventTarget) => unknown} carried told whether files are carried over the page, and what they are over
 */
export function takeDropped(take, carried) {
  let depth = 0; // of elements entered: leaving a child is not leaving the page
  const set = (/** @type {number} */ value, /** @type {?EventTarget} */ target = null) => {
    depth = Math.max(0, value);
    carried(depth > 0, target);
  };
  // A dropped link would take the reader away from here.
  const isOurs = (/** @type {DragEvent} */ event) => has(event, "Files") || (has(event, "text/uri-list") && !isTyping(event.target));
  document.addEventListener("dragenter", (event) => has(event, "Files") && set(depth + 1, event.target));
  document.addEventListener("dragleave", (event) => has(event, "Files") && set(depth - 1, event.relatedTarget));
  document.addEventListener("dragover", (event) => isOurs(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    set(0);
    take([...(event.dataTransfer?.files ?? [])], event.target);
  });
}
