/** The page: its parts, and what they share. Each part has a place in index.html, and knows the others by the state alone. */

import { Actions } from "./base/actions.js";
import { Events } from "./base/events.js";
import { openSession } from "./base/net.js";
import { complain } from "./base/say.js";
import { Store } from "./base/store.js";
import * as following from "./base/following.js";
import * as keys from "./base/keys.js";
import * as places from "./base/places.js";
import * as settings from "./base/settings.js";
import * as head from "./head.js";
import * as inbox from "./inbox.js";
import * as canvas from "./draw/canvas.js";
import * as previewing from "./draw/previewing.js";
import * as tools from "./draw/tools.js";
import * as chips from "./keep/chips.js";
import * as conflict from "./keep/conflict.js";
import * as deciding from "./keep/deciding.js";
import * as drafts from "./keep/drafts.js";
import * as filmstrip from "./keep/filmstrip.js";
import * as frameBar from "./keep/frame_bar.js";
import * as panel from "./keep/panel.js";
import * as presence from "./keep/presence.js";
import * as ahead from "./review/ahead.js";
import * as cards from "./review/cards.js";
import * as compare from "./review/compare.js";
import * as exporting from "./review/exporting.js";
import * as player from "./review/player.js";
import * as review from "./review/review.js";
import * as runs from "./review/runs.js";
import * as timeline from "./review/timeline.js";

const PARTS = [
  settings,
  head,
  inbox,
  following,
  tools,
  canvas,
  previewing,
  places,
  drafts,
  conflict,
  deciding,
  frameBar,
  panel,
  chips,
  filmstrip,
  player,
  compare,
  timeline,
  review,
  cards,
  runs,
  ahead,
  exporting,
  presence,
  keys,
];

try {
  const session = await openSession();
  const store = new Store({ readOnly: session.read_only });
  const app = { store, actions: new Actions(store), events: new Events(store) };
  for (const part of PARTS) part.start(app);
  app.actions.bindButtons();
  app.events.open();
} catch (error) {
  complain(error);
}
