/** Back to where one came from. */

/** Whether the step before is a page of ours, too: nobody is led out of the service by a key. */
export const canReturn = () => window.navigation?.canGoBack ?? false;

const TAKES_MS = 1000; // a step back, at most
let begunAt = -Infinity; // of a step that was not done yet
for (const done of ["popstate", "pageshow"]) addEventListener(done, () => (begunAt = -Infinity));

/** One step back: a second key or click before it is done would lead further than was meant. */
export function stepBack() {
  if (performance.now() - begunAt < TAKES_MS) return;
  begunAt = performance.now();
  history.back();
}

/**
 * Esc leaves the page for the one before it, or, where it is the first one here, for the one above it.
 * @param {() => string} above its address
 * @param {(event: KeyboardEvent) => boolean} holds whether something stays here, as words that were typed
 */
export function takeEscape(above, holds) {
  document.addEventListener("keydown", (event) => {
    const isPlain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.repeat);
    if (event.key !== "Escape" || !isPlain || event.isComposing || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]") || holds(event)) return; // Esc closes the dialog
    event.preventDefault();
    if (canReturn()) stepBack();
    else location.assign(above());
  });
}
