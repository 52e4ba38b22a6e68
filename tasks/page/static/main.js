/** The page: its parts, and what they share. Each part has a place in index.html, and knows the others by the state alone. */

import { Actions } from "./actions.js";
import { Events } from "./events.js";
import { openSession } from "./net.js";
import { complain } from "./say.js";
import { Store } from "./store.js";
import * as ahead from "./ahead.js";
import * as canvas from "./canvas.js";
import * as cards from "./cards.js";
import * as compare from "./compare.js";
import * as conflict from "./conflict.js";
import * as deciding from "./deciding.js";
import * as drafts from "./drafts.js";
import * as filmstrip from "./filmstrip.js";
import * as exporting from "./exporting.js";
import * as following from "./following.js";
import * as frameBar from "./frame_bar.js";
import * as head from "./head.js";
import * as inbox from "./inbox.js";
import * as keys from "./keys.js";
import * as panel from "./panel.js";
import * as places from "./places.js";
import * as player from "./player.js";
import * as previewing from "./previewing.js";
import * as presence from "./presence.js";
import * as review from "./review.js";
import * as runs from "./runs.js";
import * as settings from "./settings.js";
import * as timeline from "./timeline.js";
import * as tools from "./tools.js";

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
