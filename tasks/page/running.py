"""What the page has run: started, stopped, watched, and foretold."""

from collections.abc import Callable
from typing import Any, Final

from tasks.page.ahead import ahead
from tasks.page.commands import refining, segmenting_anchors
from tasks.page.events import EventfulPage
from tasks.page.exports import exporting, offered
from tasks.page.handlers import FEW_BYTES, Refusal, object_of
from tasks.page.reading import AboutSequences
from tasks.page.runs import Runs, as_json
from tasks.refine import RefineSequence
from tasks.runtime.locks import BusyError
from tasks.status import as_last_run


class AboutRuns(AboutSequences):
    """A handler that knows what runs."""

    application: EventfulPage
    most_bytes = FEW_BYTES

    @property
    def runs(self) -> Runs:
        """All of them."""
        return self.application.runs

    @property
    def scribble_set(self) -> str:
        """The set that is meant; empty: that of the last run."""
        return self.get_query_argument("set", "")

    async def say_run(self, seq: str, change: Callable[[RefineSequence], object]) -> None:
        """Change something about a sequence's run, and answer with what becomes of it."""
        place = seq, self.dataset, self.scribble_set

        def changed() -> dict[str, Any]:
            task = self.task(*place)
            change(task)
            return as_json(self.runs.told(task), task.root)

        try:
            await self.say_found(changed)
        except BusyError as error:
            raise Refusal(409, str(error)) from None

    def task(self, seq: str, dataset: str, scribble_set: str) -> RefineSequence:
        """The sequence's masks with the options of its last run, from one set if it is named; touches files.

        Raises:
            NotThereError: there is no such sequence.
        """
        return as_last_run(self.sequences.task(seq, dataset), scribble_set)


class OneRun(AboutRuns):
    """`/api/seq/S/run?set=001`."""

    async def get(self, seq: str) -> None:
        """What becomes of it."""
        await self.say_run(seq, lambda _: None)

    async def post(self, seq: str) -> None:
        """Start it, or queue it."""
        object_of(self.body, ())
        await self.say_run(seq, lambda task: self.runs.ask(refining(_checked(task))))

    async def delete(self, seq: str) -> None:
        """Stop it."""
        await self.say_run(seq, lambda task: self.runs.stop(task.root))


class AnchorsInBackground(AboutRuns):
    """`POST /api/seq/S/anchors?set=001`."""

    async def post(self, seq: str) -> None:
        """Make the masks of what is ready, when nothing else is to be done."""
        object_of(self.body, ())
        await self.say_run(seq, lambda task: self.runs.ask_in_background(segmenting_anchors(_checked(task))))


class Exports(AboutRuns):
    """`GET /api/exports`."""

    async def get(self) -> None:
        """What can be asked for."""
        await self.say_found(offered)


class Export(AboutRuns):
    """`POST /api/seq/S/export`."""

    async def post(self, seq: str) -> None:
        """`{"format": "coco", "options": {"segmentation": "polygon"}}`: a run like any other."""
        said = object_of(self.body, ("format", "options"))
        asked = said.get("format"), said.get("options", {})
        await self.say_run(seq, lambda task: self.runs.ask(exporting(task, *asked)))


class Ahead(AboutRuns):
    """`GET /api/seq/S/ahead?set=001`."""

    async def get(self, seq: str) -> None:
        """What a run would make now, and about how long it takes."""
        place = seq, self.dataset, self.scribble_set
        await self.say_found(lambda: ahead(self.task(*place), self.application.known_seconds))


def _checked(task: RefineSequence) -> RefineSequence:
    """The same, if there is a set that a run could read."""
    task.snapshot.scribbles  # noqa: B018 - raises
    return task


_NAME: Final = "/api/seq/([^/]+)"
HANDLERS: Final = [
    (f"{_NAME}/run", OneRun),
    (f"{_NAME}/anchors", AnchorsInBackground),
    (f"{_NAME}/ahead", Ahead),
    (f"{_NAME}/export", Export),
    ("/api/exports", Exports),
]
