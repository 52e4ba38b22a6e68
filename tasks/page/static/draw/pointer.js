/** Mouse, pen and fingers over the picture: which of them draws, and which moves the view. */

import { byId } from "../base/elements.js";

/** @typedef {import("./hand.js").Hand} Hand */
/** @typedef {import("./view.js").View} View */

const SECOND_FINGER_MS = 300; // a finger that is followed by another one so soon was not meant to draw
const [MIDDLE, RIGHT] = [1, 2];
const ERASER_END = 32;

/**
 * @param {Hand} hand
 * @param {View} view
 * @param {() => boolean} pans whether whatever is put down moves the view
 */
export function listen(hand, view, pans) {
  const layer = byId("stroke-layer"), box = byId("canvas");
  /** Fingers that are down, and where. @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  /** The pointer that draws. @type {number | null} */
  let drawing = null;
  /** The pointer that moves the view, and where it was last. @type {{id: number, x: number, y: number} | null} */
  let moving = null;
  let penSeen = false;
  let since = 0;

  layer.addEventListener("pointerdown", (event) => {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur(); // keys mean the page again
    layer.setPointerCapture(event.pointerId);
    penSeen ||= event.pointerType === "pen";
    if (event.pointerType === "touch") {
      fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (fingers.size > 1) return pinch(event);
    }
    if (drawing !== null || moving) return;
    const isPalm = event.pointerType === "touch" && penSeen;
    if (!pans() && !isPalm && event.button !== MIDDLE) return draw(event);
    moving = { id: event.pointerId, x: event.clientX, y: event.clientY };
    box.classList.add("moving");
  });
  layer.addEventListener("pointermove", (event) => {
    const id = event.pointerId;
    penSeen ||= event.pointerType === "pen";
    if (fingers.has(id)) moveFinger(event);
    if (moving?.id === id) {
      view.pan(event.clientX - moving.x, event.clientY - moving.y);
      moving = { id, x: event.clientX, y: event.clientY };
    } else if (drawing === id) hand.to(between(event).map((each) => view.inPicture(each)));
    else if (drawing === null) hand.hover(view.inPicture(event));
  });
  for (const lifted of /** @type {const} */ (["pointerup", "pointercancel", "lostpointercapture"])) {
    layer.addEventListener(lifted, (event) => {
      const { pointerId } = event;
      fingers.delete(pointerId);
      if (drawing === pointerId && lifted === "pointerup") hand.to([view.inPicture(event)]);
      if (drawing === pointerId) finish();
      if (moving?.id === pointerId) moving = null;
      if (!moving) box.classList.remove("moving");
    });
  }
  layer.addEventListener("pointerleave", () => drawing === null && hand.hover(null));
  layer.addEventListener("mousedown", (event) => event.preventDefault()); // the picture has the focus only for the keyboard
  layer.addEventListener("contextmenu", (event) => event.preventDefault());
  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    view.zoom(Math.exp(-event.deltaY / (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 10 : 200)), event);
  }, { passive: false });
  // Before those who write what is drawn: a stroke that has been begun is part of it.
  for (const leaves of ["visibilitychange", "pagehide"]) addEventListener(leaves, finish, { capture: true });

  /** @param {PointerEvent} event */
  function draw(event) {
    const how = { background: event.button === RIGHT || event.altKey, erases: (event.buttons & ERASER_END) !== 0 };
    if (!hand.begin(view.inPicture(event), how)) return;
    drawing = event.pointerId;
    since = event.timeStamp;
  }

  function finish() {
    drawing = null;
    hand.end();
  }

  /**
   * A further finger has come: all move the view, and what the first one has drawn by mistake is dropped.
   * @param {PointerEvent} event
   */
  function pinch(event) {
    if (drawing !== null && event.timeStamp - since < SECOND_FINGER_MS) hand.drop();
    finish();
    moving = null;
  }

  /** @param {PointerEvent} event */
  function moveFinger(event) {
    const before = spread();
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const now = spread();
    if (!before || !now) return;
    view.pan(now.x - before.x, now.y - before.y);
    view.zoom(now.apart / before.apart, now);
  }

  /** The middle of two fingers, and how far they are apart; null if there are not two. */
  function spread() {
    const [a, b] = fingers.values();
    return b ? { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.max(1, Math.hypot(a.x - b.x, a.y - b.y)) } : null;
  }
}

/**
 * Where a pointer was since the last event: browsers tell it once a frame.
 * @param {PointerEvent} event
 */
function between(event) {
  const all = event.getCoalescedEvents();
  return all.length ? all : [event];
}
