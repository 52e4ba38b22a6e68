"""`WS /api/events`: a page says what it looks at, and is told what happens there.

    page:    {"watch": [{"sequence": "dog", "dataset": "set", "set": "001"}]}     in the place of what it watched before
    server:  {"event": "run", "sequence": "dog", ..., "running": true, "percent": 40, "tasks": ["tracks/00002-00005"]}
             {"event": "changed", "sequence": "dog", ..., "what": ["drafts", "set"]}
    page:    {"here": {"sequence": "dog", "dataset": "set", "set": "001", "frame": 12, "name": "anna"}}
    server:  {"event": "here", "sequence": "dog", ..., "frame": 12, "name": "anna"}     to the others who watch it
             {"error": "found no ..."}

A WebSocket, since a browser keeps six connections a host for all tabs together: six open streams would block the rest.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from tornado.websocket import WebSocketClosedError, WebSocketHandler

from stages.core.errors import LisError
from stages.formats.json_files import parse_json
from tasks.page.following import LOOK_EVERY_S, Follower, Watched, named
from tasks.page.handlers import Guarded
from tasks.page.reading import LabellingPage
from tasks.page.runs import Runs
from tasks.page.security import Access
from tasks.page.sequences import Sequences
from tasks.runtime.mistakes import explain
from tasks.status import Known

_MOST_WATCHED: Final = 50
_FIELDS: Final = ("sequence", "dataset", "set")
_LONGEST_NAME: Final = 200
_EXPECTED: Final = (
    f'{{"watch": [{{"sequence": "...", "dataset": "...", "set": "..."}}]}}, {_MOST_WATCHED} at most, or "here"'
)


class _Here(NamedTuple):
    """Where somebody is."""

    at: Watched
    frame: int
    name: str


class EventfulPage(LabellingPage):
    """The application, with those who are told what happens."""

    def __init__(self, handlers: list[Any], access: Access, sequences: Sequences, runs: Runs) -> None:
        super().__init__(handlers, access, sequences)
        self.runs = runs
        self.known_seconds: Known = {}
        self.follower = Follower(sequences, self.runs)
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
        """Take what it watches, or where somebody is; a mistake is told."""
        said = _understood(message)
        if isinstance(said, _Here):
            for each in self.application.listeners - {self}:
                if said.at in each.watched:
                    each.tell({"event": "here", **named(said.at), "frame": said.frame, "name": said.name})
        elif said is None:
            self.tell({"error": f"found a message that is not understood, expected {_EXPECTED}"})
        else:
            await self._watch(said)

    async def _watch(self, wanted: Iterable[Watched]) -> None:
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


def _understood(message: str | bytes) -> "list[Watched] | _Here | None":
    """What a page says; None: nothing that it could."""
    try:
        said = parse_json(message) if isinstance(message, str) else None
    except ValueError:
        return None
    match said:
        case {"watch": [*listed]} if len(listed) <= _MOST_WATCHED and all(map(_names, listed)):
            return [_watched(each) for each in listed]
        case {"here": {"frame": int(frame), "name": str(name)} as at} if _names(at) and len(name) <= _LONGEST_NAME:
            return _Here(_watched(at), frame, name)
    return None


def _names(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(field), str) for field in _FIELDS)


def _watched(entry: Mapping[str, str]) -> Watched:
    return Watched(*(entry[field] for field in _FIELDS))


HANDLERS: Final = [("/api/events", Events)]
