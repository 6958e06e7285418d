/** A frame drawn over the grid with the mouse: what lies in it is told while it is drawn. */

import { make } from "../common/dom.js";

const BEGINS_PX = 6; // nearer than this a press is a click

/**
 * @param {HTMLElement} area that the frame is drawn in
 * @param {{begun: function(), moved: function({left: number, top: number, right: number, bottom: number})}} does
 *   px from the area's corner
 */
export function drawFrames(area, does) {
  let from = null;
  let last = null;
  let frame = null;

  const point = ({ clientX, clientY }) => {
    const { left, top } = area.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  };
  const draw = () => {
    const to = point(last);
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
  const moved = (event) => {
    last = event;
    draw();
  };
  const scrolled = () => last && draw();
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
    from = last = frame = null;
  };
  area.addEventListener("pointerdown", (event) => {
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
    if (!isPlain || event.pointerType !== "mouse" || event.target.closest("button")) return;
    from = point(event);
    addEventListener("pointermove", moved);
    addEventListener("scroll", scrolled, { passive: true });
    addEventListener("pointerup", stop, { once: true });
    addEventListener("pointercancel", stop, { once: true });
  });
  area.addEventListener("dragstart", (event) => event.preventDefault()); // a photo is a link, which browsers carry away
}

function swallow(event) {
  event.preventDefault();
  event.stopPropagation();
}
