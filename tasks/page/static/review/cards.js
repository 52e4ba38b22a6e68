/** Where to look: a card for each doubtful stretch, where a stroke would help most, and what the last run changed. */

import { button, byId, fill, make } from "../base/elements.js";
import { picture } from "../base/pictures.js";
import { complain, say } from "../base/say.js";
import { covers, inWords, nextIn } from "../base/spans.js";

/** @typedef {import("../types.js").App} App */

const CARDS_AT_ONCE = 8;
const CARD_PX = 96;

/** @param {App} app */
export function start({ store, actions }) {
  const changed = make("p", { className: "soft" });
  const cards = make("ol", { id: "cards" });
  const more = button("review.more_cards", "More");
  let cardsShown = CARDS_AT_ONCE;
  let led = -1; // the frame that somebody was led to last
  byId("review").append(
    make("div", { className: "row" }, button("review.next_doubtful", "Next doubtful"), button("review.next_suggestion", "Next suggestion")),
    changed,
    cards,
    more,
  );
  actions.add({
    "review.next_doubtful": { label: "Next doubtful frame", run: toDoubtful, enabled: ({ doubts }) => Boolean(doubts?.cards.length) },
    "review.next_suggestion": { label: "Next suggestion of where to scribble", run: toSuggestion, enabled: ({ doubts }) => Boolean(doubts?.suggestions.length) },
    "review.next_changed": { label: "Next frame that the last run changed", run: () => store.set({ frame: nextIn(store.state.doubts?.changed ?? [], store.state.frame) }), enabled: ({ doubts }) => Boolean(doubts?.changed.length) },
    "review.more_cards": { label: "More places to look at", run: () => ((cardsShown += CARDS_AT_ONCE), showCards()), enabled: ({ doubts }) => (doubts?.cards.length ?? 0) > cardsShown },
  });
  store.watch(["place"], () => (cardsShown = CARDS_AT_ONCE));
  store.watch(["doubts", "review"], showCards);
  store.watch(["doubts"], ({ doubts }) => {
    changed.hidden = !doubts?.changed.length;
    fill(changed, doubts?.changed, () => [new Text(`The last run changed ${inWords(doubts?.changed ?? [])}. `), button("review.next_changed", "Show")]);
  });

  function showCards() {
    const { place, doubts, review } = store.state;
    const all = doubts?.cards ?? [];
    more.hidden = all.length <= cardsShown;
    const shown = all.slice(0, cardsShown).map((card) => ({ ...card, isDone: covers(review?.result.approved ?? [], card.stretch) }));
    fill(cards, [place, shown], () => shown.map((card) => make("li", {}, cardOf(card))));
  }

  /**
   * @param {import("../types.js").Card & {isDone: boolean}} card
   */
  function cardOf({ frame, object, doubt, why, stretch, isDone }) {
    const thumbnail = make("canvas", { width: CARD_PX, height: 1 });
    drawThumbnail(thumbnail, frame).catch(complain);
    const [first, last] = stretch;
    return make(
      "button",
      { type: "button", className: "card", onclick: () => store.set({ frame }) },
      thumbnail,
      make("span", {}, make("strong", {}, `frame ${frame}`), ` object ${object}, doubt ${doubt.toFixed(2)}`, make("br"), why),
      make("span", { className: "soft" }, `${first === last ? "anchor" : `frames ${first} to ${last}`}${isDone ? ", approved" : ""}`),
    );
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} frame
   */
  async function drawThumbnail(canvas, frame) {
    const { place, sequence } = store.state;
    if (!place || !sequence) return;
    const [width, height] = sequence.size;
    canvas.height = Math.round((CARD_PX * height) / width);
    canvas.getContext("2d")?.drawImage(await picture(place, sequence, frame, CARD_PX), 0, 0, canvas.width, canvas.height);
  }

  /**
   * The first of some, or the one behind that to which one was led just now.
   * @template {{frame: number}} Worth
   * @param {Worth[]} all
   * @param {number} frame
   * @returns {Worth | undefined}
   */
  function nextOf(all, frame) {
    return all[frame === led ? (all.findIndex((each) => each.frame === frame) + 1) % all.length : 0];
  }

  function toDoubtful() {
    const { doubts, review, frame } = store.state;
    const open = (doubts?.cards ?? []).filter(({ stretch }) => !covers(review?.result.approved ?? [], stretch));
    const card = nextOf(open, frame);
    if (!card) return say("all doubtful stretches are approved");
    store.set({ frame: (led = card.frame) });
    say(`frame ${card.frame}, doubt ${card.doubt.toFixed(2)}: ${card.why}`);
  }

  function toSuggestion() {
    const { doubts, frame } = store.state;
    const next = nextOf(doubts?.suggestions ?? [], frame);
    if (!next) return;
    store.set({ frame: (led = next.frame) });
    say(`frame ${next.frame}: a stroke here is expected to bring +${next.gain.toFixed(3)} of mean J${next.why ? `; ${next.why}` : ""}`);
  }
}
