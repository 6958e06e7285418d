/** Signing in, where the service asks for a key: the key is sent once and not kept. */

import { ApiError, signIn } from "./api.js";
import { byId, make } from "./dom.js";
import { sentence } from "./words.js";

/** Why a key is asked for again, once one was taken. */
export const NO_MORE = "This key is not accepted any more, or the session ended. Sign in again.";

/** Whether a key is being typed: another refusal that comes meanwhile asks for the same. */
export function isSigningIn() {
  const key = byId("key");
  return Boolean(key?.value) && !key.readOnly;
}

/**
 * @param {() => unknown} done called once the key was taken
 * @param {string} said why a key is asked for again, or ""
 */
export function signInForm(done, said = "") {
  // For password managers, which keep a key only beside a name.
  const user = make("input", { type: "text", autocomplete: "username", value: "lakesift", hidden: true });
  const key = make("input", {
    id: "key",
    type: "password",
    name: "key",
    autocomplete: "current-password",
    required: true,
    "aria-describedby": "key-problem",
  });
  const problem = make("p", { class: "problem", id: "key-problem", role: "alert" }, said);
  const button = make("button", { type: "submit", class: "strong" }, "Sign in");
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    button.disabled = true;
    problem.textContent = "";
    try {
      await signIn(key.value);
      key.readOnly = true; // it was taken
      done();
    } catch (error) {
      problem.textContent = sentence(error.message);
      key.setAttribute("aria-invalid", String(error instanceof ApiError));
      key.select();
    } finally {
      button.disabled = false;
    }
  };
  return make(
    "form",
    { class: "message sign-in", on: { submit } },
    make("h2", {}, "Sign in"),
    make("p", {}, "This service asks for a key. ", make("code", {}, "lakesift key add NAME"), " makes one."),
    user,
    make("label", { for: "key" }, "Key"),
    make("div", { class: "key-line" }, key, button),
    problem,
  );
}
