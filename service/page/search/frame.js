/** A frame drawn over the grid with the mouse: what lies in it is told while it is drawn. */

import { elementOf, make } from "../common/dom.js";

const BEGINS_PX = 6; // nearer than this a press is a click

/** @typedef {{left: number, top: number, right: number, bottom: number}} Frame px from the area's corner */

/**
 * @param {HTMLElement} area that the frame is drawn in
 * @param {{begun: () => unknown, moved: (frame: Frame) => unknown}} does
 */
export function drawFrames(area, does) {
  let from = { x: 0, y: 0 };
  let last = /** @type {?PointerEvent} */ (null);
  let frame = /** @type {?HTMLElement} */ (null);

  const point = (/** @type {PointerEvent} */ { clientX, clientY }) => {
    const { left, top } = area.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  };
  const draw = (/** @type {PointerEvent} */ event) => {
    const to = point(event);
    const far = Math.hypot(to.x - from.x, to.y - from.y) >= BEGINS_PX;
    if (!frame && !far) return;
    if (!frame) {
      frame = make("div", { class: "frame", "aria-hidden": "true" });
      area.append(frame);
      area.classList.add("framing");
      does.begun();
    }
    const [left, right] = [Math.min(from.x, to.x), Math.max(from.x, to.x)];
    const [top, bottom] = [Math.min(from.y, to.y), Math.max(from.y, to.y)];
    Object.assign(frame.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px` });
    does.moved({ left, top, right, bottom });
  };
  const moved = (/** @type {PointerEvent} */ event) => {
    last = event;
    draw(event);
  };
  const scrolled = () => last && draw(last);
  const stop = () => {
    removeEventListener("pointermove", moved);
    removeEventListener("scroll", scrolled);
    if (frame) {
      // The click that ends it opens nothing.
      addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => removeEventListener("click", swallow, { capture: true }));
      frame.remove();
      area.classList.remove("framing");
    }
    last = frame = null;
  };
  area.addEventListener("pointerdown", (event) => {
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
    if (!isPlain || event.pointerType !== "mouse" || elementOf(event).closest("button")) return;
    from = point(event);
    addEventListener("pointermove", moved);
    addEventListener("scroll", scrolled, { passive: true });
    addEventListener("pointerup", stop, { once: true });
    addEventListener("pointercancel", stop, { once: true });
  });
  area.addEventListener("dragstart", (event) => event.preventDefault()); // a photo is a link, which browsers carry away
}

/** @param {Event} event */
function swallow(event) {
  event.preventDefault();
  event.stopPropagation();
}
