/** The help, and the keys that work everywhere: "/" and "?". */

import { signOut } from "./api.js";
import { byId, isTyping } from "./dom.js";

/** @param {Box} box */
export function takeKeys(box) {
  const help = byId("help");
  byId("help-button").addEventListener("click", () => help.showModal());
  byId("help-close").addEventListener("click", () => help.close());
  help.addEventListener("click", (event) => event.target === help && help.close()); // beside it
  byId("sign-out").addEventListener("click", async () => {
    await signOut().catch(() => {}); // the reload shows how things stand
    location.reload();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key === "/" && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "?" && !help.open) {
      event.preventDefault();
      help.showModal();
    }
  });
}
