"""How `match` decides what it has found: who is there, whose a pixel is, who covers whom, and in which order."""

from dataclasses import replace

import numpy as np
import pytest

from stages.core.boxes import Box
from stages.core.states import NOT_ON_ANCHORS, Gone, Source
from stages.core.types import Anchor, SegmentFrame
from stages.engines.propagators.match.hidden import Whereabouts
from stages.engines.propagators.match.order import inwards
from stages.engines.propagators.match.patch import Patch
from stages.engines.propagators.match.pieces import in_one_place, sizes_px
from stages.engines.propagators.match.seen import NOWHERE, ON_NO_ANCHOR, Seen, judged, shared
from stages.engines.propagators.match.waiting import Waiting


def found(probability: float, claim: float) -> Seen:
    layers = (np.full((4, 6), value, np.float32) for value in (probability, claim))
    return Seen(Box(0, 0, 6, 4), *layers, 0.9, np.nan, NOWHERE, NOWHERE)


def test_of_two_that_look_alike_the_one_wins_whose_place_it_is():
    here, elsewhere = shared([found(0.9, 0.8), found(0.95, 0.1)])
    assert (here.probability > 0.9).all() and here.gone is None
    assert not elsewhere.probability.any()
    assert elsewhere.gone == Gone(Source.LOST, "all of it is another object's")


@pytest.mark.parametrize(
    ("presence", "was_there", "area_px", "gone"),
    [
        (0.55, True, 20, None),
        (0.55, False, 20, Source.ABSENT),
        (0.75, True, 3, Source.LOST),
        (0.95, True, 3, None),
    ],
)
def test_what_was_not_there_a_frame_ago_or_is_small_has_to_be_surer(presence, was_there, area_px, gone):
    mask = (np.arange(24).reshape(4, 6) < area_px).astype(np.float32)
    seen = found(0, 0)._replace(box=Box(1, 1, 7, 5), probability=mask, presence=presence, was_there=was_there)
    judgement = judged(seen, 24, (6, 8))
    assert (judgement.gone and judgement.gone.source) == gone
    assert judgement.probability.any() == (gone is None)


def test_what_the_border_of_the_picture_cuts_off_may_be_small():
    seen = found(0, 0)._replace(probability=np.eye(4, 6, dtype=np.float32), presence=0.7)
    inside = seen._replace(box=Box(3, 3, 9, 7))
    assert judged(inside, 100, (9, 12)).gone is not None
    for box in (Box(0, 3, 6, 7), Box(3, 0, 9, 4)):
        assert judged(seen._replace(box=box), 100, (9, 12)) == seen._replace(box=box)
    assert judged(inside, 100, (7, 12)) == inside


def test_two_that_touch_leave_no_seam():
    one, other = shared([found(0.45, 0.5), found(0.5, 0.5)])
    assert (np.maximum(one.probability, other.probability) > 0.5).all()


@pytest.mark.parametrize(
    ("beside", "left", "is_given"),
    [(True, 54, True), (False, 60, False), (True, 40, False)],
    ids=["far away, at another one", "far away, at nothing", "close to the rest"],
)
def test_a_piece_far_from_the_rest_of_its_object_is_that_ones_which_it_touches(beside, left, is_given):
    own, piece, other = np.zeros((3, 20, 70), np.float32)
    own[4:16, 0:24] = piece[10:16, left : left + 8] = 0.9
    other[4 : 10 if beside else 6, left : left + 8] = 0.8
    one, two = (
        found(0, 0)._replace(box=patch.box, probability=patch.values, claim=patch.values)
        for patch in map(Patch.around, (own + piece, other))
    )
    anchors = [Anchor(0, np.zeros((20, 70, 3), np.uint8), np.stack([own, other]))]
    placed = in_one_place([one, two], sizes_px(anchors))
    wanted = (own, other + piece) if is_given else (own + piece, other)
    for seen, mask in zip(placed, wanted, strict=True):
        np.testing.assert_array_equal(seen.mask.on(Box(0, 0, 70, 20)), mask)
        assert seen.claim.shape == seen.probability.shape


def test_an_absent_object_is_covered_by_what_lies_on_its_way():
    way, front = np.zeros((3, 20, 60), np.float32), np.zeros((20, 60), np.float32)
    way[0, 5:15, :10] = way[2, 5:15, 40:50] = front[:, 18:33] = 1
    whereabouts = Whereabouts()
    for time, mask in enumerate(way):
        whereabouts.note(time, [Patch.around(mask), Patch.around(front)])
    scores, absent = np.ones(2, np.float32), Gone(Source.ABSENT, "not found")
    result = SegmentFrame(1, np.stack([way[1], front]), scores, scores, (absent, None))
    assert whereabouts.with_covers(result).gone == (absent._replace(covered_by=1), None)
    beside = SegmentFrame(1, np.stack([way[1], way[0]]), scores, scores, (absent, None))
    assert whereabouts.with_covers(beside).gone == (absent, None)
    later = replace(result, index=3)
    assert whereabouts.with_covers(later).gone == (absent, None)


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ([9], [9], [(1, 0), (4, 5), (2, 1), (3, 4)]),
        ([9, 9], [9, 0], [(1, 0), (2, 1), (3, 2), (4, 3)]),
        ([0], [9], [(4, 5), (3, 4), (2, 3), (1, 2)]),
        ([9, 0], [0, 9], [(1, 0), (4, 5), (2, 1), (3, 4)]),
    ],
)
def test_frames_are_decided_away_from_the_anchor_that_knows_more(before, after, wanted):
    assert list(inwards(range(1, 5), before, after)) == wanted


def test_a_result_that_waits_comes_back_as_it_was():
    rng = np.random.default_rng(1)
    mask = (rng.integers(0, 256, (5, 4)) / np.float32(255)).astype(np.float32)
    box = Box(3, 2, 7, 7)
    seen = Seen(box, mask, mask, 0.9, 0.8, NOWHERE, NOWHERE, disagreement=Patch(box, mask > 0.5))
    told = Waiting(3, [ON_NO_ANCHOR, seen], (9, 13)).told()
    wanted = np.zeros((2, 9, 13), np.float32)
    wanted[1, 2:7, 3:7] = mask
    np.testing.assert_array_equal(told.probability, wanted)
    np.testing.assert_array_equal(told.disagreement, wanted > 0.5)
    assert told.index == 3 and told.gone == (NOT_ON_ANCHORS, None)
    np.testing.assert_array_equal(told.score, np.float32([0, 0.9]))


def test_a_patch_shows_in_any_box_what_the_frame_would():
    layer = np.zeros((9, 13), np.float32)
    layer[2:6, 3:11] = np.random.default_rng(3).random((4, 8), np.float32) + 0.1
    patch = Patch.around(layer)
    assert patch.box == Box(3, 2, 11, 6)
    for box in (Box(0, 0, 13, 9), Box(5, 0, 12, 4), Box(2, 5, 4, 9), Box(0, 7, 2, 9)):
        np.testing.assert_array_equal(patch.on(box), layer[box.slices])


def test_where_boxes_meet_objects_share_as_on_whole_frames():
    rng = np.random.default_rng(2)
    boxes = Box(0, 0, 7, 6), Box(4, 3, 12, 9), Box(2, 2, 6, 8), Box(10, 0, 13, 3)
    objects = [
        Seen(box, *rng.random((2, *box.size_wh[::-1]), np.float32), 0.9, np.nan, NOWHERE, NOWHERE) for box in boxes
    ]

    def on_frame(layer: np.ndarray, box: Box) -> np.ndarray:
        frame = np.zeros((9, 13), np.float32)
        frame[box.slices] = layer
        return frame

    whole = Box(0, 0, 13, 9)
    alike = [
        seen._replace(box=whole, probability=on_frame(seen.probability, seen.box), claim=on_frame(seen.claim, seen.box))
        for seen in objects
    ]
    for seen, wanted in zip(shared(objects), shared(alike), strict=True):
        np.testing.assert_array_equal(on_frame(seen.probability, seen.box), wanted.probability)
