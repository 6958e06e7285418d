/** Makes elements. Text is always text: nothing here, or anywhere in the page, parses markup. */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node|string|null|undefined|false} Child strings become text; null, undefined and false are left out */

/**
 * An element that the page has.
 * @template {keyof PageElements} Id
 * @param {Id} id as elements.d.ts lists them
 * @returns {PageElements[Id]}
 */
export const byId = (id) => /** @type {any} */ (document.getElementById(id));

/**
 * An element with attributes and children.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} facts attributes by name; `on` holds listeners by event, false and null leave an attribute out
 * @param {...Child} children strings become text
 * @returns {HTMLElementTagNameMap[Tag]}
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

/**
 * A button that does something, and no form's.
 * @param {Record<string, any>} facts
 * @param {(event: MouseEvent) => unknown} does
 * @param {...Child} children
 */
export const button = (facts, does, ...children) =>
  make("button", { type: "button", ...facts, on: { click: does } }, ...children);

/**
 * A button for an act that the server does: a second click before it is done does nothing.
 * @param {Record<string, any>} facts
 * @param {() => Promise<unknown>} does
 * @param {...Child} children
 */
export function actButton(facts, does, ...children) {
  const act = async () => {
    if (made.getAttribute("aria-disabled") === "true") return;
    made.setAttribute("aria-disabled", "true"); // and not disabled, which would lose the focus
    try {
      await does();
    } finally {
      made.removeAttribute("aria-disabled");
    }
  };
  const made = button(facts, act, ...children);
  return made;
}

/**
 * A small picture. Where it does not come its name is in the place it had: a browser's own sign of it says nothing.
 * @param {{src: string, alt: string} & Record<string, any>} facts
 */
export function smallPicture(facts) {
  const image = make("img", { loading: "lazy", decoding: "async", ...facts });
  const named = () => {
    const name = make("span", { class: "no-picture", dir: "auto" }, image.alt);
    const { offsetWidth: width, offsetHeight: height } = image;
    if (width) name.style.inlineSize = `${width}px`;
    if (height) name.style.blockSize = `${height}px`;
    image.replaceWith(name);
  };
  image.addEventListener("error", named, { once: true });
  return image;
}

/** @param {string} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/**
 * Whether a click is the plain one, which the page takes itself; with a key held the browser opens a tab.
 * @param {MouseEvent} event
 */
export const isPlainClick = (event) =>
  event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;

/**
 * Whether keys typed here are text.
 * @param {?EventTarget} target
 */
export const isTyping = (target) =>
  target instanceof HTMLElement &&
  (target.matches("textarea, select, input:not([type=checkbox], [type=radio])") || target.isContentEditable);

/**
 * The element that an event is about.
 * @param {Event} event
 */
export const elementOf = (event) => /** @type {HTMLElement} */ (event.target);
