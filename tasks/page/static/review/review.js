/** What a person has approved of the masks that she saw. */

import { button, byId, counted, fill, make } from "../base/elements.js";
import { refresh } from "../base/following.js";
import { markButtons } from "../base/keys.js";
import { addressOf, Refused, send } from "../base/net.js";
import { anchorFolder, stageShown } from "../base/pictures.js";
import { complain, say } from "../base/say.js";
import { countOf, inWords, nextIn } from "../base/spans.js";
import { mayWrite } from "../base/store.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */
/** @typedef {import("../base/spans.js").Span} Span */

/** @type {Record<string, string>} */
const SPANS = { frame: "frame", stretch: "stretch", sequence: "all" };

/** @param {App} app */
export function start({ store, actions }) {
  const approved = make("p");
  const bar = make("progress", { "aria-label": "Approved frames" });
  const fallen = make("p");
  const anchors = make("div");
  byId("review").append(
    anchors,
    approved,
    bar,
    fallen,
    make("div", { className: "row writes approving" }, make("span", {}, "Approve"), ...buttons("approve")),
    make("div", { className: "row writes approving" }, make("span", {}, "Take back"), ...buttons("withdraw")),
  );

  for (const span in SPANS) {
    actions.add({
      [`review.approve_${span}`]: { label: `Approve the ${span}`, run: () => tell("approve", span), enabled: (state) => canTell(state, span) },
      [`review.withdraw_${span}`]: { label: `Take the approval of the ${span} back`, run: () => tell("withdraw", span), enabled: (state) => canTell(state, span) && countOf(approvedOf(state), spanOf(state, span)) > 0 },
    });
  }
  actions.add({
    "review.next_fallen": { label: "Next frame whose approval fell", run: () => store.set({ frame: nextIn(fallenOf(store.state).map((frame) => [frame, frame]), store.state.frame) }), enabled: (state) => fallenOf(state).length > 0 },
    "review.next_anchor": { label: "Next anchor mask that nobody has approved", run: toAnchor, enabled: (state) => waitingOf(state).length > 0 },
    "review.correct": { label: "Correct the mask of this frame", run: () => (actions.run("tool.stroke"), byId("canvas").focus()) },
  });
  store.watch(["review", "sequence"], showApproved);
  store.watch(["review", "sequence", "frame", "shown"], showAnchors);

  function showApproved() {
    const { review, sequence } = store.state;
    byId("review").hidden = !Object.keys(sequence?.contents ?? {}).length;
    const isThere = Boolean(review?.result.of && sequence);
    for (const each of [approved, bar, fallen]) each.hidden = !isThere;
    if (!review || !sequence) return;
    bar.max = sequence.frame_count;
    bar.value = countOf(review.result.approved, [0, sequence.frame_count - 1]);
    approved.textContent = `${bar.value} of ${sequence.frame_count} approved${namesOf(review)}`;
    const fell = review.result.fallen.length;
    fallen.hidden = !fell;
    fill(fallen, fell, () => [
      new Text(`${counted(fell, "approval fell", "approvals fell")}: the masks are others now. `),
      button("review.next_fallen", "Show"),
    ]);
    markButtons();
  }

  function showAnchors() {
    const { state } = store;
    const waiting = waitingOf(state);
    anchors.hidden = !waiting.length || "masks" in (state.sequence?.contents ?? {}); // what was carried already is seen as it is
    if (anchors.hidden) return;
    const isShown = waiting.includes(state.frame) && isAnchorShown(state);
    const isAwaited = state.sequence?.state === "waiting for approval";
    fill(anchors, [waiting.length, isShown, isAwaited], () => [
      make("p", { className: isAwaited ? "" : "soft" }, isAwaited ? awaited(waiting.length) : toLookAt(waiting.length)),
      make(
        "p",
        { className: "row" },
        button("review.next_anchor", isShown ? "Show another" : "Show"),
        ...(isShown ? [button("review.approve_frame", "Approve", { className: "main writes" }), button("review.correct", "Correct", { className: "writes" })] : []),
      ),
    ]);
    actions.showEnabled();
    markButtons();
  }

  function toAnchor() {
    const waiting = waitingOf(store.state);
    const next = waiting.find((each) => each > store.state.frame) ?? waiting[0];
    store.set({ frame: next, shown: "anchor" });
  }

  /**
   * Approve, or take back, what is seen.
   * @param {"approve" | "withdraw"} what
   * @param {string} span
   */
  async function tell(what, span) {
    const { state } = store;
    const { place, sequence, author } = state;
    if (!place || !sequence) return;
    const [first, last] = spanOf(state, span);
    const isAnchor = isAnchorShown(state) && span === "frame";
    const of = sequence.contents[isAnchor ? anchorFolder(first) : "masks"] ?? "";
    const body = { stage: isAnchor ? "anchor" : "result", [what]: [[first, last]], of, by: author };
    try {
      await put(place, body);
      say(`${isAnchor ? "the anchor mask of " : ""}${inWords([[first, last]])} ${what === "approve" ? "approved" : "not approved any more"}`);
      if (isAnchor && what === "approve") waitingOf(store.state).length ? toAnchor() : store.set({ shown: "result" });
    } catch (error) {
      complain(error);
      if (error instanceof Refused && error.status === 409) refresh(["sequence", "doubts", "review"]);
    }
  }

  /**
   * An approval is of a mask: what others have approved meanwhile does not stand against it.
   * @param {import("../types.js").Place} place
   * @param {unknown} body
   */
  async function put(place, body, again = true) {
    const address = addressOf(place, `set/${encodeURIComponent(place.set)}/review`);
    try {
      const review = await send("PUT", address, body, store.state.review?.tag ?? "");
      if (store.state.place === place) store.set({ review });
    } catch (error) {
      if (!(error instanceof Refused && error.status === 412 && again)) throw error;
      await refresh(["review"]);
      await put(place, body, false);
    }
  }
}

/** @param {number} count */
function awaited(count) {
  return `${counted(count, "anchor mask waits", "anchor masks wait")} for approval: what is wrong here is carried to all frames between.`;
}

/** @param {number} count */
function toLookAt(count) {
  const [are, them, they] = count > 1 ? ["are", "them", "they are"] : ["is", "it", "it is"];
  return `${counted(count, "anchor mask")} ${are} made: look at ${them} before ${they} carried.`;
}

/** @param {"approve" | "withdraw"} what */
function buttons(what) {
  return Object.entries(SPANS).map(([span, text]) => button(`review.${what}_${span}`, text));
}

/**
 * Whether something can be said of a frame, a stretch, or the sequence.
 * @param {State} state
 * @param {string} span
 */
function canTell(state, span) {
  if (!mayWrite(state) || !state.review) return false;
  return "masks" in (state.sequence?.contents ?? {}) || (span === "frame" && isAnchorShown(state));
}

/**
 * The frames that are meant: that which is shown, up to the anchors around it, or all.
 * @param {State} state
 * @param {string} span
 * @returns {Span}
 */
function spanOf({ frame, sequence, doubts }, span) {
  const end = (sequence?.frame_count ?? 1) - 1;
  const anchors = doubts?.anchors ?? [];
  if (span === "frame") return [frame, frame];
  if (span === "sequence") return [0, end];
  return [anchors.findLast((each) => each <= frame) ?? 0, anchors.find((each) => each > frame) ?? end];
}

/** @param {State} state */
function isAnchorShown({ sequence, frame, shown }) {
  return sequence !== null && stageShown(sequence, frame, shown) === "anchor";
}

/** @param {State} state */
function waitingOf({ review }) {
  return review?.anchors.waiting ?? [];
}

/** @param {State} state */
function fallenOf({ review }) {
  return review?.result.fallen ?? [];
}

/**
 * What is approved of that which is shown.
 * @param {State} state
 * @returns {import("../base/spans.js").Spans}
 */
function approvedOf(state) {
  const { review, frame } = state;
  if (isAnchorShown(state)) return review?.anchors.approved[frame] ? [[frame, frame]] : [];
  return review?.result.approved ?? [];
}

/** @param {import("../types.js").Review} review */
function namesOf({ result }) {
  const names = [...new Set(result.approved.map(([, , by]) => by))];
  return names.some(Boolean) ? `, by ${names.map((each) => each || "somebody").join(", ")}` : "";
}

