"""The stretches between anchors: every frame that is no anchor belongs to exactly one."""

import pytest

from stages.core.plan import Plan, segment_name


@pytest.mark.parametrize(
    ("anchors", "stretches"),
    [
        ((3,), ["00000-00003", "00003-00011"]),
        ((0, 5, 6, 11), ["00000-00005", "00006-00011"]),
        ((0,), ["00000-00011"]),
        ((11,), ["00000-00011"]),
        ((0, 11), ["00000-00011"]),
        ((1, 10), ["00000-00001", "00001-00010", "00010-00011"]),
        (tuple(range(12)), []),
    ],
)
def test_stretches_own_every_frame_that_is_no_anchor_exactly_once(anchors: tuple[int, ...], stretches: list) -> None:
    segments = Plan(12, anchors, ()).segments
    assert [segment.name for segment in segments] == stretches
    owned = [index for segment in segments for index in segment.frames]
    assert owned == sorted(set(range(12)) - set(anchors))


def test_outer_stretches_have_one_side_and_own_the_videos_ends() -> None:
    first, inner, last = Plan(12, (3, 7), ()).segments
    assert (first.left, first.right, first.anchors, list(first.frames)) == (None, 3, (3,), [0, 1, 2])
    assert (inner.left, inner.right, inner.anchors, list(inner.frames)) == (3, 7, (3, 7), [4, 5, 6])
    assert (last.left, last.right, last.anchors, list(last.frames)) == (7, None, (7,), [8, 9, 10, 11])
    assert [(each.start, each.stop) for each in (first, inner, last)] == [(0, 3), (3, 7), (7, 11)]


def test_beyond_a_stretch_lies_the_next_anchor_on_either_side() -> None:
    plan = Plan(30, (3, 7, 8, 12, 20), ())
    found = {segment.name: plan.beyond(segment) for segment in plan.segments}
    assert found == {
        "00000-00003": (7,),
        "00003-00007": (8,),
        "00008-00012": (7, 20),
        "00012-00020": (8,),
        "00020-00029": (12,),
    }
    (alone,) = Plan(30, (0,), ()).segments
    assert Plan(30, (0,), ()).beyond(alone) == ()


def test_folders_have_five_digits_or_more() -> None:
    assert segment_name(0, 12) == "00000-00012"
    assert segment_name(99_999, 100_000) == "99999-100000"
