"""Where a mask comes from, why one is empty, and how far a sequence is: the words that files and messages use."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple


class Source(StrEnum):
    """Where an object's mask on a frame comes from."""

    ANCHOR = "anchor"
    """A person's strokes on this frame."""
    BOX = "box"
    """Strokes on this frame that were made from a box and nothing else: nobody has looked at what they cover."""
    GIVEN = "given"
    """A person gave the mask itself, or saw it and corrected only others on this frame."""
    BOTH = "both"
    """Carried from the anchors on both sides."""
    FORWARD = "forward"
    """Carried from the anchor before."""
    BACKWARD = "backward"
    """Carried from the anchor after."""
    ABSENT = "absent"
    """Empty: the anchors say that the object is not there, or the engine finds that it is not."""
    LOST = "lost"
    """Empty: the engine gave up."""


class Gone(NamedTuple):
    """Why a mask is empty."""

    source: Source
    """`ABSENT` or `LOST`."""
    detail: str = ""
    """In words, with figures."""
    covered_by: int | None = None
    """The place among the frame's objects of the one that covers it, if one does."""

    def told(self, object_ids: Sequence[int]) -> str:
        """The detail, with the covering object called by its id."""
        if self.covered_by is None:
            return self.detail
        return f"covered by {object_ids[self.covered_by]}; {self.detail}"


NOT_ON_ANCHORS: Final = Gone(Source.ABSENT, "not on the anchors")


class State(StrEnum):
    """How far a sequence is: one word for the command line, the summary of a night, the report and the exit code."""

    NEW = "new"
    """Nothing was made and nobody was asked."""
    WAITING = "waiting"
    """For scribbles; all that was possible without them is done."""
    WAITING_FOR_APPROVAL = "waiting for approval"
    PROVISIONAL = "provisional"
    """It waits for scribbles, and has masks for every frame, made from fewer anchors than were asked for."""
    RUNNING = "running"
    """A run works on it now."""
    STALE = "stale"
    """There is a result, but what it was made from has changed since: a run would make it again."""
    STOPPED = "stopped"
    """Something is still to be made, nothing failed, and nobody works on it."""
    FAILED = "failed"
    ORPHANED = "orphaned"
    """There are results, and no pictures: no dataset has the sequence."""
    DONE = "done"

    @property
    def waits(self) -> bool:
        """Whether people have to do something before it can go on."""
        return self.exit_code == EXIT_CODES[State.WAITING]

    @property
    def exit_code(self) -> int:
        """What a run that leaves a sequence in this state ends with; of several sequences the highest code counts."""
        return EXIT_CODES.get(self, 25)


EXIT_CODES: Final = {
    State.DONE: 0,
    State.WAITING: 20,
    State.WAITING_FOR_APPROVAL: 20,
    State.PROVISIONAL: 20,
    State.FAILED: 30,
}
"""As in the section [retcode] of luigi.cfg: 20 missing data, 30 a task failed; all else is 25, not run."""
