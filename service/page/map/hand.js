/** What a hand does on the map: drags, wheels, pinches, draws a lasso, presses keys. Says what was meant; moves nothing itself. */

/** @import { Place } from "./camera.js" */

const CLICK_PX = 5; // moved less than this a press is a click
const KEY_PX = 80;
const STEP = 1.5; // of a key or button that zooms

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{pan: (left: number, top: number) => unknown, zoom: (left: number, top: number, factor: number) => unknown,
 *   fit: () => unknown, click: (left: number, top: number) => unknown, hover: (place: ?Place) => unknown,
 *   lasso: (outline: Place[], isClosed: boolean) => unknown, open: () => unknown, isLasso: () => boolean}} does
 *   px from the canvas's corner
 */
export function takeHand(canvas, does) {
  /** @type {Map<number, Place>} */
  const held = new Map(); // pointers that are down: id -> [left, top]
  let moved = 0;
  let outline = /** @type {?Place[]} */ (null);
  /**
   * @param {MouseEvent} event
   * @returns {Place}
   */
  const at = ({ clientX, clientY }) => {
    const { left, top } = canvas.getBoundingClientRect();
    return [clientX - left, clientY - top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, at(event));
    moved = held.size > 1 ? Infinity : 0;
    outline = held.size === 1 && (event.shiftKey || does.isLasso()) ? [at(event)] : null;
  });
  canvas.addEventListener("pointermove", (event) => {
    const [left, top] = at(event);
    const before = held.get(event.pointerId);
    if (!before) return event.pointerType === "mouse" ? does.hover([left, top]) : undefined;
    moved += Math.hypot(left - before[0], top - before[1]);
    if (held.size === 2) pinch(event.pointerId, before, [left, top]);
    else if (outline) does.lasso(outline, !outline.push([left, top]));
    else if (moved >= CLICK_PX) does.pan(left - before[0], top - before[1]);
    held.set(event.pointerId, [left, top]);
    does.hover(null);
  });
  const ended = (/** @type {PointerEvent} */ event) => {
    if (!held.delete(event.pointerId)) return;
    if (event.type === "pointerup" && moved < CLICK_PX) does.click(...at(event));
    else if (outline) does.lasso(event.type === "pointerup" ? outline : [], true);
    outline = null;
  };
  canvas.addEventListener("pointerup", ended);
  canvas.addEventListener("pointercancel", ended);
  // Not of the canvas alone: what is shown of a point may come under the hand.
  canvas.parentElement?.addEventListener("pointerleave", () => does.hover(null));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const px = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
      does.zoom(...at(event), Math.exp(-px * (event.ctrlKey ? 0.01 : 0.002)));
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    /** @type {Place} */
    const middle = [canvas.clientWidth / 2, canvas.clientHeight / 2];
    /** @type {Record<string, () => unknown>} */
    const acts = {
      ArrowLeft: () => does.pan(KEY_PX, 0),
      ArrowRight: () => does.pan(-KEY_PX, 0),
      ArrowUp: () => does.pan(0, KEY_PX),
      ArrowDown: () => does.pan(0, -KEY_PX),
      "+": () => does.zoom(...middle, STEP),
      "=": () => does.zoom(...middle, STEP),
      "-": () => does.zoom(...middle, 1 / STEP),
      0: () => does.fit(),
      Enter: () => does.open(),
    };
    if (!Object.hasOwn(acts, event.key)) return;
    event.preventDefault();
    acts[event.key]();
  });

  /**
   * @param {number} id of the pointer that moved
   * @param {Place} before
   * @param {Place} now
   */
  function pinch(id, before, now) {
    const [other] = [...held].filter(([each]) => each !== id).map(([, place]) => place);
    const away = (/** @type {Place} */ place) => Math.max(1, Math.hypot(place[0] - other[0], place[1] - other[1]));
    does.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    does.zoom((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, away(now) / away(before));
  }
}
