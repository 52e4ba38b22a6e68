/** What the page's parts know of one another: the state they share, and what the server says. Types alone. */

import type { Drawing } from "./draw/drawing.js";

export type ObjectId = number;
/** A stroke, as a scribble set holds it: points in [0, 1] of width and height, times in ms since drawing began. */
export interface Line {
  object_id: ObjectId; // 0 is background
  path: [number, number][];
  start_time: number;
  end_time: number;
}

/** What a person says of a frame: the body of a draft. Never changed in place: a change makes a new one. */
export interface Said {
  kind: "strokes" | "mask" | "empty";
  lines: readonly Line[];
  absent: readonly ObjectId[];
  from_boxes: readonly ObjectId[];
  corrects: string; // sha256 of the mask that the strokes correct, or ""
  state: "draft" | "ready" | "conflict";
  author: string;
}

/** A label map: one id a pixel, row by row. */
export interface Mask {
  width: number;
  height: number;
  ids: Uint8Array;
}

export interface Place {
  sequence: string;
  dataset: string;
  set: string;
}

export interface NamedObject {
  id: ObjectId;
  name?: string;
  class?: string;
  colour?: string;
  first?: number;
  last?: number;
  attributes?: Record<string, string | number | boolean>;
}

export interface DraftHead {
  frame: number;
  state: Said["state"];
  author: string;
}

/** `GET /api/seq/S`. */
export interface Sequence {
  sequence: string;
  dataset: string;
  state: string;
  why: string;
  frame_count: number;
  size: [number, number];
  names: string[];
  version: string;
  anchors: number[];
  requested: number[];
  annotated: number[];
  given: number[];
  painted: number[]; // with pictures that the next run reads
  drafts: DraftHead[];
  set: string;
  sets: string[];
  rate: number | null; // frames a second, if an import has noted it
  objects: NamedObject[];
  objects_fault: string;
  drawn: ObjectId[]; // objects that people have drawn on any frame
  writable: boolean;
  holder: string;
  contents: Record<string, string>; // folder of a result, or of an anchor's mask -> digest
  made: Record<"coarse" | "refined", [number, number][]>; // the frames that have such a mask: first and last
}

/** `GET /api/inbox`. */
export interface InboxPage {
  total: number;
  page: number;
  of_a_page: number;
  datasets: string[];
  authors: string[];
  lines: InboxLine[];
}

export interface InboxLine {
  sequence: string;
  dataset: string;
  state: string;
  need: string;
  why: string;
  frame_count: number;
  waiting_for: number[];
  drafts: DraftHead[];
  doubt: Record<string, number> | null;
  suggestion: { frame: number; expected_gain: number } | null;
}

/** `GET /api/seq/S/doubt?detail=1`. */
export interface Doubts {
  of: string;
  anchors: number[];
  doubt: number[];
  objects: Record<string, number[]>;
  why: Record<string, [ObjectId, string]>;
  agreement: Record<string, (number | null)[]>;
  area: Record<string, number[]>;
  cards: Card[];
  suggestions: { frame: number; gain: number; why: string }[];
  changed: [number, number][];
  source: Record<string, Record<string, string>>;
}

export interface Card {
  frame: number;
  object: ObjectId;
  doubt: number;
  why: string;
  stretch: [number, number];
}

/** `GET /api/seq/S/set/N/review`. */
export interface Review {
  tag: string;
  result: { of: string | null; approved: [number, number, string, string][]; fallen: number[] };
  anchors: { approved: Record<string, [string, string]>; waiting: number[]; fallen: number[] };
}

/** `GET /api/seq/S/run`, and the event `page_run`. */
export interface Run {
  state: "idle" | "queued" | "running" | "stopping";
  what: "refine" | "anchors" | "export" | "";
  command: string;
  exit: number | null;
  message: string;
  log: string[];
}

/** `GET /api/seq/S/ahead`: what a run would make now, and about how long it takes. */
export interface Ahead {
  tasks: { task: string; stage: string; frames: number; seconds: number | null }[];
  seconds: number | null;
  stretches: [number, number][];
}

/** `GET /api/exports`. */
export interface Exports {
  formats: { name: string; summary: string; options: string[] }[];
  options: ExportOption[];
}

export interface ExportOption {
  name: string;
  kind: "flag" | "choice" | "number" | "text";
  choices: string[];
  default: boolean | number | string;
  help: string;
}

/** The event `run`: what any run does with the sequence, whoever has started it. */
export interface Progress {
  running: boolean;
  host: string;
  pid: number;
  percent: number;
  tasks: string[];
  exit: number | null;
  failure: string;
}

export type MaskStage = "anchor" | "coarse" | "refined" | "result" | "provisional";
export type Tool = "stroke" | "background" | "eraser" | "click" | "box" | "brush" | "rubber" | "fill" | "pan";

/** What of a person's work is where: `saved` by the server; `saving`; `waiting` for a server that does not answer. */
export interface Saving {
  state: "saved" | "saving" | "waiting" | "conflict";
  strokes: number; // that only this browser has
  why: string;
}

/** What all parts share. Every key is replaced as a whole, never changed inside. */
export interface State {
  author: string;
  readOnly: boolean;
  online: boolean;
  place: Place | null; // null: the inbox is shown
  frame: number;
  inbox: InboxPage | null;
  sequence: Sequence | null;
  drawing: Drawing | null; // of the frame that is shown; null until it is known what is drawn there
  beside: readonly Line[]; // strokes of somebody else, shown dashed
  preview: { frame: number; mask: Mask; seconds: number; lines: number } | null; // what the strokes of a frame will make; made at so many lines
  overlay: { mask: Mask | null; until: number } | null; // shown in the place of the mask left of `until`, in [0, 1] of the width
  theirs: import("./keep/sheet.js").Version | null; // what somebody else says of the frame, until it is decided who is right
  skipped: readonly number[]; // frames for later, in that order
  doubts: Doubts | null;
  review: Review | null;
  run: Run | null;
  progress: Progress | null;
  ahead: Ahead | null;
  others: { name: string; frame: number }[];
  shown: MaskStage | "draft" | "none"; // which mask lies over the picture; "draft": the preview of what is drawn
  colours: "" | "distinct"; // of objects, see palette.js
  opacity: number; // of the mask, 0..1
  hidden: ReadonlySet<ObjectId>;
  locked: ReadonlySet<ObjectId>;
  tool: Tool;
  object: ObjectId; // that is drawn
  brushPx: number; // diameter, in pixels of the picture
  saving: Saving;
  fps: number; // of playback; 0: it stands
  compare: "" | "before" | "wiper" | "blink" | "difference";
}

export interface ActionSpec {
  label: string;
  run(event?: Event): unknown;
  release?(): void; // for keys that are held
  enabled?(state: State): boolean;
}

/** What `main.js` hands to every part. */
export interface App {
  store: import("./base/store.js").Store;
  actions: import("./base/actions.js").Actions;
  events: import("./base/events.js").Events;
}
