/** Back to where one came from. */

/** Whether the step before is a page of ours, too: nobody is led out of the service by a key. */
export const canReturn = () => window.navigation?.canGoBack ?? false;

/**
 * Esc leaves the page for the one before it, or, where it is the first one here, for the one above it.
 * @param {function(): string} above its address
 * @param {function(KeyboardEvent): boolean} holds whether something stays here, as words that were typed
 */
export function takeEscape(above, holds) {
  document.addEventListener("keydown", (event) => {
    const isPlain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.repeat);
    if (event.key !== "Escape" || !isPlain || event.isComposing || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]") || holds(event)) return; // Esc closes the dialog
    event.preventDefault();
    if (canReturn()) history.back();
    else location.assign(above());
  });
}
