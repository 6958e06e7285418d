/** The help of a page: a dialog that the button in the bar and the key "?" open. */

import { byId, isTyping } from "./dom.js";

export function takeHelp() {
  const help = byId("help");
  const show = () => help.open || help.showModal();
  byId("help-button").addEventListener("click", show);
  byId("help-close").addEventListener("click", () => help.close());
  help.addEventListener("click", (event) => event.target === help && help.close()); // beside it
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    event.preventDefault();
    show();
  });
}
