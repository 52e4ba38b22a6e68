/** Where to look: a card for each doubtful stretch, where a stroke would help most, and what the last run changed. */

import { button, byId, make } from "./elements.js";
import { picture } from "./pictures.js";
import { complain, say } from "./say.js";
import { covers, inWords, nextIn } from "./spans.js";

/** @typedef {import("./types.js").App} App */

const CARDS_AT_ONCE = 8;
const CARD_PX = 96;

/** @param {App} app */
export function start({ store, actions }) {
  const changed = make("p", { className: "soft" });
  const cards = make("ol", { id: "cards" });
  const more = button("review.more_cards", "More");
  let cardsShown = CARDS_AT_ONCE;
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
    changed.replaceChildren(`The last run changed ${inWords(doubts?.changed ?? [])}. `, button("review.next_changed", "Show"));
  });

  function showCards() {
    const { doubts, review } = store.state;
    const all = doubts?.cards ?? [];
    more.hidden = all.length <= cardsShown;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.frame : undefined;
    cards.replaceChildren(...all.slice(0, cardsShown).map((card) => make("li", {}, cardOf(card, covers(review?.result.approved ?? [], card.stretch)))));
    if (focused) /** @type {HTMLElement | null} */ (cards.querySelector(`[data-frame="${focused}"]`))?.focus();
    actions.showEnabled();
  }

  /**
   * @param {import("./types.js").Card} card
   * @param {boolean} isDone
   */
  function cardOf({ frame, object, doubt, why, stretch }, isDone) {
    const thumbnail = make("canvas", { width: CARD_PX, height: 1 });
    drawThumbnail(thumbnail, frame).catch(complain);
    const [first, last] = stretch;
    return make(
      "button",
      { type: "button", className: "card", "data-frame": frame, onclick: () => store.set({ frame }) },
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

  function toDoubtful() {
    const { doubts, review, frame } = store.state;
    const open = (doubts?.cards ?? []).filter(({ stretch }) => !covers(review?.result.approved ?? [], stretch));
    const card = open[(open.findIndex((each) => each.frame === frame) + 1) % open.length];
    if (!card) return say("all doubtful stretches are approved");
    store.set({ frame: card.frame });
    say(`frame ${card.frame}, doubt ${card.doubt.toFixed(2)}: ${card.why}`);
  }

  function toSuggestion() {
    const { doubts, frame } = store.state;
    const all = doubts?.suggestions ?? [];
    const next = all[(all.findIndex((each) => each.frame === frame) + 1) % all.length];
    if (!next) return;
    store.set({ frame: next.frame });
    say(`frame ${next.frame}: a stroke here is expected to bring +${next.gain.toFixed(3)} of mean J${next.why ? `; ${next.why}` : ""}`);
  }
}
