/** Makes elements. Text is always text: nothing here, or anywhere in the page, parses markup. */

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/**
 * An element with attributes and children.
 * @param {string} tag
 * @param {Object} facts attributes by name; `on` holds listeners by event, false and null leave an attribute out
 * @param {...(Node|string|null|false)} children strings become text
 */
export function make(tag, facts = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== false && child !== undefined));
  return element;
}

/** A button that does something, and no form's. */
export const button = (facts, does, ...children) =>
  make("button", { type: "button", ...facts, on: { click: does } }, ...children);

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Whether a click is the plain one, which the page takes itself; with a key held the browser opens a tab. */
export const isPlainClick = (event) =>
  event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;

/** Whether keys typed here are text. */
export const isTyping = (target) =>
  target instanceof HTMLElement &&
  (target.matches("textarea, select, input:not([type=checkbox], [type=radio])") || target.isContentEditable);
