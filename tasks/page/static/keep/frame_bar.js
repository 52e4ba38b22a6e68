/** The line below the picture: which frame, how it stands, who else is here, and what can be decided. */

import { followDrawing } from "../draw/drawing.js";
import { byId, button, counted, make } from "../base/elements.js";
import { SIGNS, standings, waitingFrames } from "./frames.js";
import { openPlace } from "../base/places.js";
import { inWords } from "./said.js";

/** @typedef {import("../types.js").App} App */
/** @typedef {import("../types.js").State} State */

const IN_WORDS = {
  "to decide": "two have said different things of it: decide",
  draft: "a draft: not done yet",
  ready: "ready for the next run",
  painted: "painted, for the next run",
  "to approve": "its masks wait for approval",
  skipped: "skipped for now",
  "asked for": "asked for",
  approved: "its masks are approved",
  given: "in the set, as a painted mask",
  computed: "in the set, its masks are computed",
  "in the set": "in the set, for the next run",
};

/** @param {App} app */
export function start({ store, actions }) {
  const where = make("strong", { className: "number" });
  const standing = make("span", { className: "soft" });
  const others = make("span", { className: "others" });
  const sets = make("select", {});
  const choice = make("label", {}, "Set ", sets);
  const finished = make("span", { className: "row" }, button("run.start", "Run"), button("inbox.next", "Next sequence"));
  byId("frame-bar").append(
    make("p", {}, where, " ", standing),
    others,
    choice,
    finished,
    make(
      "span",
      { className: "row end writes" },
      button("draft.discard", "Discard", { className: "quiet" }),
      button("draft.nothing_here", "Nothing here"),
      button("draft.skip", "Skip"),
      button("draft.done", "Done", { className: "main" }),
    ),
  );

  sets.addEventListener("change", () => {
    const { place, frame } = store.state;
    if (place) openPlace({ ...place, set: sets.value }, frame);
  });
  store.watch(["sequence"], ({ sequence }) => {
    const names = sequence ? [...new Set([...sequence.sets, sequence.set])].sort() : [];
    choice.hidden = names.length < 2;
    sets.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
    sets.value = sequence?.set ?? "";
  });
  store.watch(["frame", "sequence", "review", "skipped", "others"], show);
  followDrawing(store, () => {
    show(store.state);
    actions.showEnabled();
  });

  /** @param {State} state */
  function show(state) {
    const { sequence, frame } = state;
    if (!sequence) return;
    where.textContent = `frame ${frame}`;
    standing.textContent = standing.title = [`of ${sequence.frame_count}`, ...aboutFrame(state)].join(" · ");
    others.textContent = others.title = othersInWords(state);
    const isUndecided = ["asked for", "draft", "to decide"].includes(standings(state)(frame) ?? "");
    finished.hidden = state.readOnly || isUndecided || waitingFrames(state).length > 0;
  }
}

/** @param {State} state */
function aboutFrame(state) {
  const { sequence, drawing, readOnly, frame } = state;
  if (readOnly) return ["read only: nothing is drawn here"];
  if (!sequence?.writable) return ["nothing can be drawn: the folder of the scribbles cannot be written"];
  const found = standings(state)(frame);
  const said = drawing?.said;
  const sentence = said?.lines.length ? counted(said.lines.length, "stroke") : said ? inWords(said) : "";
  return [
    ...(found ? [`${SIGNS[found]} ${IN_WORDS[found]}`] : []),
    ...(sentence ? [sentence] : []),
    ...withoutStroke(state),
    ...(said?.kind === "strokes" && said.corrects ? ["a stroke corrects its own object"] : []),
  ];
}

/**
 * Who draws one object may have forgotten another: that would be absent.
 * @param {State} state
 */
function withoutStroke({ sequence, drawing }) {
  const said = drawing?.said;
  if (!sequence || said?.kind !== "strokes" || said.corrects || !said.lines.length) return [];
  const known = new Set([...sequence.drawn, ...sequence.objects.map(({ id }) => id)]);
  for (const { object_id } of said.lines) known.delete(object_id);
  const missing = [...known].filter((id) => id).sort((a, b) => a - b);
  return missing.length ? [`without ${missing.length > 1 ? "objects" : "object"} ${missing.join(", ")}`] : [];
}

/** @param {State} state */
function othersInWords({ others, frame }) {
  return others.map((each) => `${each.name || "somebody"} is on ${each.frame === frame ? "this frame, too" : `frame ${each.frame}`}`).join(", ");
}
