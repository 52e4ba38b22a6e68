"""`WS /api/events`: a page says what it looks at, and is told what happens there.

    page:    {"watch": [{"sequence": "dog", "dataset": "set", "set": "001"}]}     in the place of what it watched before
    server:  {"event": "run", "sequence": "dog", ..., "running": true, "percent": 40, "tasks": ["tracks/00002-00005"]}
             {"event": "changed", "sequence": "dog", ..., "what": ["drafts", "set"]}
             {"error": "found no ..."}

A WebSocket, since a browser keeps six connections a host for all tabs together: six open streams would block the rest.
"""

import asyncio
import json
from typing import Any, Final

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from stages.core.errors import InputError, LisError
from stages.formats.json_files import parse_json
from tasks.page.following import LOOK_EVERY_S, Follower, Watched
from tasks.page.handlers import Guarded
from tasks.page.reading import LabellingPage
from tasks.page.security import Access
from tasks.page.sequences import Sequences
from tasks.runtime.mistakes import explain

_MOST_WATCHED: Final = 50
_FIELDS: Final = ("sequence", "dataset", "set")


class EventfulPage(LabellingPage):
    """The application, with those who are told what happens."""

    def __init__(self, handlers: list[Any], access: Access, sequences: Sequences) -> None:
        super().__init__(handlers, access, sequences)
        self.follower = Follower(sequences)
        self.listeners: set[Events] = set()
        self._following: asyncio.Task[None] | None = None

    def follow(self) -> None:
        """Look again and again, as long as somebody listens."""
        if self._following is None or self._following.done():
            self._following = asyncio.ensure_future(self._follow())

    async def _follow(self) -> None:
        while self.listeners:
            watched = frozenset().union(*(each.watched for each in self.listeners))
            for about, news in await self.work(self.follower.look, watched) if watched else ():
                for each in [*self.listeners]:
                    if about in each.watched:
                        each.tell(news)
            await asyncio.sleep(LOOK_EVERY_S)


class Events(Guarded, WebSocketHandler):
    """One page that listens."""

    application: EventfulPage
    wants_origin = True

    def initialize(self) -> None:
        """It watches nothing yet."""
        self.watched: frozenset[Watched] = frozenset()

    def prepare(self) -> None:
        """The same checks as for every request; Tornado's own compares Origin with Host only."""
        self.check()

    def check_origin(self, origin: str) -> bool:
        """Whether it is one of ours, whatever `Host` says."""
        return origin in self.application.access.origins

    def open(self, *_args: str, **_kwargs: str) -> None:
        """From now on it is told."""
        self.application.listeners.add(self)
        self.application.follow()

    def on_close(self) -> None:
        """It has gone."""
        self.application.listeners.discard(self)

    async def on_message(self, message: str | bytes) -> None:
        """Take what it watches; a mistake is told, and the rest of the message holds."""
        try:
            wanted = _wanted(message)
        except InputError as error:
            self.tell({"error": str(error)})
            return
        found = set()
        for each in wanted:
            try:
                self.tell(await self.application.work(self.application.follower.begin, each))
                found.add(each)
            except (LisError, OSError) as error:
                self.tell({"error": explain(error)})
        self.watched = frozenset(found)

    def tell(self, news: dict[str, Any]) -> None:
        """Send it, if anybody is there still."""
        try:
            self.write_message(json.dumps(news, allow_nan=False))
        except WebSocketClosedError:
            self.application.listeners.discard(self)


def _wanted(message: str | bytes) -> list[Watched]:
    try:
        listed = parse_json(message)["watch"] if isinstance(message, str) else None
    except (ValueError, KeyError, TypeError):
        listed = None
    if not isinstance(listed, list) or len(listed) > _MOST_WATCHED or not all(map(_is_named, listed)):
        raise InputError(
            'found another message, expected {"watch": [{"sequence": "...", "dataset": "...", "set": "..."}]} with '
            f"{_MOST_WATCHED} entries at most"
        )
    return [Watched(*(each[name] for name in _FIELDS)) for each in listed]


def _is_named(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in _FIELDS)


HANDLERS: Final = [("/api/events", Events)]
