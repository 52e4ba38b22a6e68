"""How `match` decides what it has found: who is there, whose a pixel is, who covers whom, and in which order."""

from dataclasses import replace

import numpy as np
import pytest

from stages.core.states import Gone, Source
from stages.core.types import SegmentFrame
from stages.engines.propagators.match.hidden import Whereabouts
from stages.engines.propagators.match.order import Waiting, inwards
from stages.engines.propagators.match.seen import Seen, Side, judged, share


def found(probability: float, claim: float) -> Seen:
    height_width = (4, 6)
    nowhere = Side((0, 0, 0, 0), 0)
    return Seen(
        np.full(height_width, probability, np.float32),
        np.full(height_width, claim, np.float32),
        0.9,
        np.nan,
        nowhere,
        nowhere,
    )


def test_of_two_that_look_alike_the_one_wins_whose_place_it_is():
    here, elsewhere = share([found(0.9, 0.8), found(0.95, 0.1)])
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
    seen = found(0, 0)._replace(probability=mask, presence=presence, was_there=was_there)
    judgement = judged(seen, 24)
    assert (judgement.gone and judgement.gone.source) == gone
    assert judgement.probability.any() == (gone is None)


def test_two_that_touch_leave_no_seam():
    one, other = share([found(0.45, 0.5), found(0.5, 0.5)])
    assert (np.maximum(one.probability, other.probability) > 0.5).all()


def test_an_absent_object_is_covered_by_what_lies_on_its_way():
    way, front = np.zeros((3, 20, 60), np.float32), np.zeros((20, 60), np.float32)
    way[0, 5:15, :10] = way[2, 5:15, 40:50] = front[:, 18:33] = 1
    whereabouts = Whereabouts()
    for time, mask in enumerate(way):
        whereabouts.note(time, np.stack([mask, front]))
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
    masks = (rng.integers(0, 256, (2, 9, 13)) / np.float32(255)).astype(np.float32)
    scores = np.ones(2, np.float32)
    result = SegmentFrame(3, masks, scores, scores, (None, None), disagreement=masks > 0.5)
    told = Waiting(result).told()
    np.testing.assert_array_equal(told.probability, masks)
    np.testing.assert_array_equal(told.disagreement, masks > 0.5)
    assert told.index == 3
