/** What the help of the search page offers beside its words: signing out. And the key "/". */

import { signOut } from "../common/api.js";
import { byId, isTyping } from "../common/dom.js";
import { takeHelp } from "../common/help.js";

/** @import { SearchBox } from "./search_box.js" */

/** @param {SearchBox} box */
export function takeKeys(box) {
  takeHelp();
  byId("sign-out").addEventListener("click", async () => {
    await signOut().catch(() => {}); // the reload shows how things stand
    location.reload();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    box.focus();
  });
}
