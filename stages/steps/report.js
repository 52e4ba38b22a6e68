/** Plays the film of a report: frames with masks drawn over them, all objects or one, at any speed, and a strip below. */

import { davisPalette, paint } from "./canvas/pixels.js";
import { drawStrip, frameAt } from "./canvas/strip.js";

/**
 * What the page says of its film.
 * @typedef {object} Film
 * @property {number} fps
 * @property {number} width of the masks, in pixels
 * @property {number} height
 * @property {number} chunk how many frames' masks one file holds
 * @property {number[]} doubt of each frame
 * @property {number[]} anchors frames with scribbles
 * @property {number[]} suggested frames to scribble on next
 */

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
function byId(id, kind) {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`the page has no ${id}`);
}

const film = /** @type {Film} */ (JSON.parse(byId("film", HTMLScriptElement).text));
const count = film.doubt.length;
const palette = davisPalette();
const video = byId("video", HTMLVideoElement);
const masks = byId("masks", HTMLCanvasElement);
const strip = byId("strip", HTMLCanvasElement);
const play = byId("play", HTMLButtonElement);
const overlaid = byId("overlaid", HTMLInputElement);
const object = byId("object", HTMLSelectElement);
const speed = byId("speed", HTMLSelectElement);
const context = /** @type {CanvasRenderingContext2D} */ (masks.getContext("2d"));

/** Run lengths of the masks of each frame whose file has come. @type {Map<number, number[]>} */
const known = new Map();
/** The first frame of every file that was asked for. @type {Set<number>} */
const asked = new Set();
let current = 0;

/** What the files of masks call. @param {number} first @param {number[][]} masksOfFrames */
function takeMasks(first, masksOfFrames) {
  masksOfFrames.forEach((runs, index) => known.set(first + index, runs));
  if (current >= first && current < first + masksOfFrames.length) drawMasks();
}
Object.assign(globalThis, { takeMasks });

/** Load the file with the masks of a frame. @param {number} frame */
function need(frame) {
  const first = frame - (frame % film.chunk);
  if (frame >= count || asked.has(first)) return;
  asked.add(first);
  const script = document.createElement("script");
  script.src = `masks/${String(first).padStart(5, "0")}.js`;
  document.head.append(script);
}

function drawMasks() {
  const runs = known.get(current);
  context.clearRect(0, 0, film.width, film.height);
  if (!overlaid.checked || !runs) return;
  const ids = new Uint8Array(film.width * film.height);
  for (let at = 0, run = 0; run < runs.length; at += runs[run + 1], run += 2) ids.fill(runs[run], at, at + runs[run + 1]);
  const only = object.value ? new Set([Number(object.value)]) : undefined;
  const outline = Math.max(1, Math.round(Math.min(film.width, film.height) / 240));
  context.putImageData(paint(ids, film.width, film.height, palette, { outline, only }), 0, 0);
}

function drawVideoStrip() {
  /** @type {import("./canvas/strip.js").Mark[]} */
  const marks = [
    ...film.anchors.map(frame => ({ frame, kind: /** @type {const} */ ("anchor") })),
    ...film.suggested.map(frame => ({ frame, kind: /** @type {const} */ ("asked") })),
  ];
  drawStrip(strip, { count, doubt: film.doubt, now: current, marks });
  strip.setAttribute("aria-valuenow", String(current));
  const words = `frame ${current}, doubt ${film.doubt[current].toFixed(2)}`;
  strip.setAttribute("aria-valuetext", words);
  byId("clock", HTMLElement).textContent = words;
}

/** Draw what belongs to a frame that the video shows now. @param {number} frame */
function shows(frame) {
  current = Math.max(0, Math.min(count - 1, frame));
  need(current);
  need(current + film.chunk);
  drawMasks();
  drawVideoStrip();
}

/** Go to a frame, and stay there. @param {number} frame */
function show(frame) {
  video.pause();
  video.currentTime = (Math.max(0, Math.min(count - 1, frame)) + 0.5) / film.fps;
}

if ("requestVideoFrameCallback" in video) {
  const next = () => video.requestVideoFrameCallback((_, { mediaTime }) => {
    shows(Math.round(mediaTime * film.fps));
    next();
  });
  next();
} else {
  const look = () => {
    const frame = Math.floor(/** @type {HTMLVideoElement} */ (video).currentTime * film.fps + 0.01);
    if (frame !== current) shows(frame);
    requestAnimationFrame(look);
  };
  look();
}

play.onclick = () => (video.paused ? video.play() : video.pause());
video.onclick = () => play.click();
video.onplay = video.onpause = () => (play.textContent = video.paused ? "Play" : "Pause");
speed.onchange = () => (video.playbackRate = video.defaultPlaybackRate = Number(speed.value));
overlaid.onchange = object.onchange = drawMasks;
byId("full", HTMLButtonElement).onclick = () => byId("stage", HTMLElement).requestFullscreen();

/** @param {PointerEvent} event */
const scrub = event => show(frameAt({ count }, event.offsetX, strip.clientWidth));
strip.onpointerdown = event => {
  strip.setPointerCapture(event.pointerId);
  scrub(event);
};
strip.onpointermove = event => strip.hasPointerCapture(event.pointerId) && scrub(event);

for (const link of document.querySelectorAll("[data-frame]")) {
  /** @type {HTMLElement} */ (link).onclick = event => {
    event.preventDefault();
    show(Number(/** @type {HTMLElement} */ (link).dataset.frame));
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    byId("stage", HTMLElement).scrollIntoView({ behavior: isCalm ? "auto" : "smooth", block: "start" });
  };
}
document.onkeydown = event => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.target instanceof HTMLSelectElement) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const end = event.target === strip ? { Home: 0, End: count - 1 }[event.key] : undefined;
  if (step === undefined && end === undefined) return;
  event.preventDefault();
  show(end ?? current + (step ?? 0));
};
new ResizeObserver(drawVideoStrip).observe(strip);
matchMedia("(prefers-color-scheme: dark)").onchange = drawVideoStrip;
speed.onchange(new Event("change"));
shows(0);
