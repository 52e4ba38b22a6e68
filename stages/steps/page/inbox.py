"""The inbox: every sequence in a line, sorted by what a minute of a person's brings."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from stages.core.states import State
from stages.formats.draft_json import Draft, DraftState
from stages.formats.glance import Doubt
from stages.formats.report_data import Suggestion

WORTH_A_MINUTE: Final = 0.01
"""Of mean J: what is expected to gain less is done."""


class Need(IntEnum):
    """What a sequence wants, the most urgent first."""

    DECISION = 1
    """Two people have said different things of a frame."""
    ANCHORS = 2
    """Frames were asked for, and there is no final result yet."""
    APPROVAL = 3
    """Masks of anchors are there, and nothing is carried from them before somebody approves them."""
    DRAFTS = 4
    """Somebody has begun to draw."""
    SUGGESTION = 5
    """More scribbles would make it better."""
    MENDING = 6
    """The last run failed."""
    RUN = 7
    """Nothing of people; a run has work to do."""
    PATIENCE = 8
    """A run works on it."""
    NOTHING = 9


@dataclass(frozen=True)
class Line:
    """A sequence in the inbox."""

    sequence: str
    dataset: str
    state: State
    why: str = ""
    """Why it waits, failed or stopped."""
    frame_count: int = 0
    waiting_for: tuple[int, ...] = ()
    """Frames that people still owe scribbles."""
    to_approve: tuple[int, ...] = ()
    """Anchors whose masks they have to approve."""
    drafts: tuple[Draft, ...] = ()
    """What was drawn and is not in the set yet."""
    doubt: Doubt | None = None
    """Of its masks, if it has some."""
    suggestion: Suggestion | None = None
    """Where scribbles help most, if it has masks for every frame."""

    @property
    def need(self) -> Need:
        """What it wants."""
        states = {draft.state for draft in self.drafts}
        wants = {
            Need.DECISION: DraftState.CONFLICT in states,
            Need.PATIENCE: self.state == State.RUNNING,
            Need.MENDING: self.state == State.FAILED,
            Need.ANCHORS: bool(self.waiting_for),
            Need.APPROVAL: bool(self.to_approve),
            Need.DRAFTS: DraftState.DRAFT in states,
            Need.RUN: self.state != State.DONE,
            Need.SUGGESTION: self.gain >= WORTH_A_MINUTE,
        }
        return next((need for need, is_so in wants.items() if is_so), Need.NOTHING)

    @property
    def gain(self) -> float:
        """What the best next scribble is expected to add to mean J; 0 where nothing is known."""
        return self.suggestion.gain if self.suggestion else 0.0

    @property
    def brings(self) -> float:
        """What a person's minute brings, among sequences with the same need: frames that are helped, and how much."""
        return self.frame_count * (self.gain if self.need == Need.SUGGESTION else 1)


def in_order(lines: Iterable[Line]) -> list[Line]:
    """Those first that are worth a person's next minute."""
    return sorted(lines, key=lambda line: (line.need, -line.brings, line.dataset, line.sequence))
