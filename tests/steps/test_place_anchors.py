"""Which frames are asked for, and the stretches between them."""

from itertools import combinations

import pytest

from stages.core.errors import InputError
from stages.steps.place_anchors import plan


@pytest.mark.parametrize(
    ("frame_count", "annotated", "requests", "anchors"),
    [
        (132, [], 7, (15, 32, 48, 65, 81, 98, 114, 131)),  # all members of Eq. 1
        (50, [20], 7, (5, 11, 20, 24, 30, 36, 42, 49)),  # 17 is nearest to the given frame, and gives way
        (50, [24], 7, (5, 11, 17, 24, 30, 36, 42, 49)),  # the given frame is a member itself
        (3, [], 7, (0, 1, 2)),
        (3, [1], 7, (0, 1, 2)),
        (1, [], 7, (0,)),
        (10, [], 0, (9,)),
        (10, [4], 0, (4,)),
        (10, [1, 2, 3], 1, (1, 2, 3)),  # more annotated than asked for: all are used
    ],
)
def test_equation_1(frame_count: int, annotated: list[int], requests: int, anchors: tuple[int, ...]) -> None:
    result = plan(frame_count, annotated, requests, "eq1")
    assert result.anchors == anchors
    assert result.requested == tuple(sorted(set(anchors) - set(annotated)))


@pytest.mark.parametrize("placement", ["eq1", "spread"])
@pytest.mark.parametrize("frame_count", [1, 2, 7, 8, 9, 40])
def test_always_min_n_k_distinct_frames(placement: str, frame_count: int) -> None:
    for annotated in [[], [0], [frame_count - 1], [frame_count // 2]]:
        result = plan(frame_count, annotated, 7, placement)
        assert len(set(result.anchors)) == len(result.anchors) == min(frame_count, 8)
        assert set(annotated) <= set(result.anchors) <= set(range(frame_count))


@pytest.mark.parametrize("fixed", [[], [2], [0, 5], [8], [9, 10], [0, 1], [1, 9]])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_spread_is_the_best_of_all_choices(fixed: list[int], count: int) -> None:
    def cost(anchors: tuple[int, ...]) -> int:
        return sum(min(abs(t - a) for a in anchors) for t in range(11))

    choices = [c for c in combinations(range(11), count) if set(fixed) <= set(c)]
    anchors = plan(11, fixed, count - 1, "spread").anchors
    assert anchors in choices
    assert cost(anchors) == min(map(cost, choices))


def test_annotating_what_was_asked_for_never_moves_the_rest() -> None:
    asked = plan(100, [30], 7, "eq1")
    annotated = [30]
    for frame in asked.requested:
        annotated.append(frame)
        assert plan(100, annotated, 7, "eq1").anchors == asked.anchors


def test_issued_requests_stay_and_other_frames_join() -> None:
    issued = plan(100, [], 7, "eq1").anchors
    result = plan(100, [3], 7, "eq1", issued)
    assert set(result.anchors) == {*issued, 3}


def test_what_was_issued_for_frames_that_are_gone_is_forgotten() -> None:
    result = plan(12, [], 3, "eq1", (-1, 0, 5, 11, 12, 40))
    assert (result.anchors, result.requested) == ((0, 5, 11), (0, 5, 11))
    result = plan(12, [5], 3, "eq1", (0, 5, 11, 12))
    assert (result.anchors, result.requested) == ((0, 5, 11), (0, 11))


def test_seven_frames_are_asked_for_by_the_equation_unless_told_otherwise() -> None:
    assert plan(132, []) == plan(132, [], 7, "eq1")
    assert len(plan(132, [3]).requested) == 7


def test_a_placement_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError, match="`middle`: expected one of eq1, spread, given"):
        plan(20, [], 7, "middle")


def test_given_asks_for_nothing() -> None:
    assert plan(20, [4, 9], 7, "given").requested == ()
    with pytest.raises(InputError, match="none is"):
        plan(20, [], 7, "given")


def test_frames_outside_the_video_are_refused() -> None:
    with pytest.raises(InputError, match="frame 20, but the video has the frames 0 to 19"):
        plan(20, [25, 20], 7, "eq1")
    with pytest.raises(InputError, match="frame -1"):
        plan(20, [3, -1], 7, "given")


# Frames that nobody is to be asked for


@pytest.mark.parametrize("placement", ["eq1", "spread"])
@pytest.mark.parametrize("removed", range(4))
def test_a_declined_frame_leaves_the_plan_and_nothing_takes_its_place(placement: str, removed: int) -> None:
    """Also a frame that is no member of Eq. 1: else the member that it stood in for would be asked for."""
    before = plan(40, [4, 13, 22, 38], 3, placement)
    frame = before.annotated[removed]
    rest = [index for index in before.annotated if index != frame]
    after = plan(40, rest, 3, placement, declined=[frame])
    assert (after.anchors, after.requested) == (tuple(rest), ())
    assert after.segments[min(removed, 3)].anchors == tuple(rest[max(0, removed - 1) : removed + 1])


def test_declined_are_frames_that_wait_whether_they_were_asked_for_before_or_not() -> None:
    assert plan(12, [], 3, declined=[5]).requested == (2, 8, 11)
    assert plan(12, [2], 3, issued=(2, 5, 8), declined=[5]).requested == (8,)
    assert plan(12, [2], 0, "given", declined=[5]).anchors == (2,)


def test_who_annotates_a_declined_frame_has_changed_their_mind() -> None:
    assert plan(12, [5, 8], 1, declined=[5]).anchors == (5, 8)


def test_if_all_was_declined_there_is_nothing_to_go_on() -> None:
    with pytest.raises(InputError, match="4 were declined"):
        plan(12, [], 3, declined=[2, 5, 8, 11])
