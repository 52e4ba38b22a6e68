"""The order of the inbox."""

from stages.core.states import State
from stages.formats.draft_json import Draft, DraftState
from stages.formats.report_data import Suggestion
from stages.steps.page.inbox import Line, Need, in_order


def line(name: str, state: State, frame_count: int = 10, gain: float = 0.0, **more: object) -> Line:
    suggestion = Suggestion(3, gain, 0, 9, (1,)) if gain else None
    return Line(name, "set", state, frame_count=frame_count, suggestion=suggestion, **more)  # type: ignore[arg-type]


def draft(state: DraftState) -> tuple[Draft, ...]:
    return (Draft("a", "001", 4, state=state, author="anna"),)


def test_what_a_minute_brings_most_for_comes_first() -> None:
    expected = [
        line("conflict", State.DONE, drafts=draft(DraftState.CONFLICT)),
        line("asked for, long", State.NEW, 300, waiting_for=(1,)),
        line("asked for, short", State.WAITING, 30, waiting_for=(1, 2, 3)),
        line("to approve", State.WAITING_FOR_APPROVAL, to_approve=(5,)),
        line("begun", State.DONE, drafts=draft(DraftState.DRAFT)),
        line("little in a long one", State.DONE, 300, 0.02),
        line("much in a short one", State.DONE, 20, 0.2),
        line("failed", State.FAILED, 500, waiting_for=(1,)),
        line("to run", State.STOPPED, drafts=draft(DraftState.READY)),
        line("running", State.RUNNING, waiting_for=(1,)),
        line("done", State.DONE, 500, 0.009),
    ]
    assert in_order(reversed(expected)) == expected


def test_every_line_says_what_it_wants() -> None:
    assert line("a", State.DONE).need == Need.NOTHING
    assert line("a", State.STALE, gain=0.5).need == Need.RUN, "the suggestion is of masks that are made again anyhow"
    assert line("a", State.PROVISIONAL, waiting_for=(3,)).need == Need.ANCHORS
