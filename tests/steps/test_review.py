"""What people approve holds while the mask is the same, and nobody's name is written over by another's."""

import pytest

from stages.core.errors import InputError
from stages.core.spans import frames_in, spans_of
from stages.steps.review import approve, fallen, holding, withdraw

MASKS = {index: f"{index:064x}" for index in range(6)}
OTHER = {**MASKS, 2: "f" * 64}


def test_an_approval_holds_while_the_mask_is_the_same() -> None:
    approved = approve({}, MASKS, [(1, 3)], "anna")
    assert [*approved] == [1, 2, 3] and holding(approved, MASKS) == approved and fallen(approved, MASKS) == []
    assert [*holding(approved, OTHER)] == [1, 3] and fallen(approved, OTHER) == [2]
    assert [*holding(approved, {1: MASKS[1]})] == [1], "where there is no mask, nothing holds"
    assert fallen(approved, {1: MASKS[1]}) == [], "and nothing has become another"
    assert holding(approved, MASKS) == approved, "a mask that is as it was is approved again"


def test_who_approved_a_mask_first_stays_the_one_who_did() -> None:
    first = approve({}, MASKS, [(1, 3)], "anna")
    second = approve(first, OTHER, [(0, 5)], "ben")
    assert {index: each.by for index, each in second.items()} == {
        0: "ben",
        1: "anna",
        2: "ben",
        3: "anna",
        4: "ben",
        5: "ben",
    }
    assert second[2].digest == OTHER[2] and fallen(second, OTHER) == []


def test_what_is_taken_back_is_gone_for_good() -> None:
    approved = withdraw(approve({}, MASKS, [(0, 5)], "anna"), [(2, 2), (4, 5)])
    assert [*approved] == [0, 1, 3]


def test_only_what_has_a_mask_can_be_approved() -> None:
    with pytest.raises(InputError, match="frame 6"):
        approve({}, MASKS, [(5, 6)], "anna")


def test_frames_as_spans_and_back() -> None:
    frames = [1, 2, 3, 7, 9, 10]
    assert spans_of(frames) == [(1, 3), (7, 7), (9, 10)] and [*frames_in(spans_of(frames))] == frames
    assert spans_of([]) == []
