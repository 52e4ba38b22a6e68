import dataclasses

import cv2
import numpy as np
import pytest

from stages.core.errors import InputError
from stages.core.states import NOT_ON_ANCHORS, Gone, Source
from stages.core.types import Anchor, SegmentFrame, TrackResult
from stages.engines.bidirectional import Bidirectional, TrustedResult

HEIGHT, WIDTH, SIDE = 60, 120, 16
COUNT = 9


class TemplateTracker:
    """Finds the object's picture again by correlation, and puts its mask there."""

    def start(self, frame: np.ndarray, mask: np.ndarray) -> None:
        self._box = cv2.boundingRect((mask > 0.5).astype(np.uint8))
        left, top, width, height = self._box
        self._picture = frame[top : top + height, left : left + width].copy()
        self._mask = mask[top : top + height, left : left + width].copy()

    def step(self, frame: np.ndarray) -> TrackResult:
        response = cv2.matchTemplate(frame, self._picture, cv2.TM_CCOEFF_NORMED)
        _, score, _, (left, top) = cv2.minMaxLoc(response)
        height, width = self._mask.shape
        probability = np.zeros(frame.shape[:2], np.float32)
        probability[top : top + height, left : left + width] = self._mask
        return TrackResult(probability, (left, top, left + width, top + height), max(0.0, float(score)))


def position(number: int, index: int) -> tuple[int, int]:
    """(x, y) of the top left corner of an object."""
    return ((10 + 6 * index, 8), (90 - 5 * index, 36))[number]


def truth(number: int, index: int) -> np.ndarray:
    x, y = position(number, index)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[y : y + SIDE, x : x + SIDE] = 1
    return mask


RNG = np.random.default_rng(1)
BACKGROUND = RNG.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
PICTURES = RNG.integers(0, 255, (2, SIDE, SIDE, 3)).astype(np.uint8)


def frame(index: int, *hidden: int) -> np.ndarray:
    picture = BACKGROUND.copy()
    for number in {0, 1} - set(hidden):
        picture[truth(number, index) > 0] = PICTURES[number].reshape(-1, 3)
    return picture


def anchor(index: int, *absent: int) -> Anchor:
    masks = [np.zeros((HEIGHT, WIDTH), np.float32) if number in absent else truth(number, index) for number in (0, 1)]
    return Anchor(index, frame(index), np.stack(masks))


VIDEO = [frame(index) for index in range(COUNT)]
ENGINE = Bidirectional(TemplateTracker)


def propagate(engine: Bidirectional, video: list[np.ndarray], left: Anchor, right: Anchor | None) -> list[SegmentFrame]:
    """The results, which are those of every frame between the anchors."""
    results = list(engine.propagate(video, left, right))
    assert [result.index for result in results] == list(range(left.index + 1, right.index if right else COUNT))
    return results


def test_objects_are_followed_from_both_sides():
    for result in propagate(ENGINE, VIDEO, anchor(0), anchor(8)):
        for number in (0, 1):
            np.testing.assert_array_equal(result.probability[number] > 0.5, truth(number, result.index) > 0)
            x, y = position(number, result.index)
            for direction in ("forward", "backward"):
                np.testing.assert_array_equal(result.directions[direction].box_xyxy[number], [x, y, x + SIDE, y + SIDE])
                assert result.directions[direction].score[number] == pytest.approx(1, abs=1e-3)
        np.testing.assert_array_equal(result.agreement, [1, 1])
        assert result.gone == (None, None)


def test_soft_masks_that_waited_come_back_whole():
    soft = cv2.GaussianBlur(truth(0, 8), (0, 0), 2)
    (result,) = Bidirectional(TemplateTracker).propagate(
        VIDEO[:9], Anchor(6, VIDEO[6], soft[None] * 0), Anchor(8, VIDEO[8], soft[None])
    )
    assert abs(result.probability[0].max() - soft.max()) <= 0.5 / 255 + 1e-6


class LagsBehind(TemplateTracker):
    """Puts the mask two pixels back."""

    def step(self, frame: np.ndarray) -> TrackResult:
        result = super().step(frame)
        return dataclasses.replace(result, probability=np.roll(result.probability, -2, axis=1))


def test_where_directions_disagree_their_agreement_can_be_had_from():
    made = iter([TemplateTracker(), TemplateTracker(), LagsBehind(), LagsBehind()])
    for result in propagate(Bidirectional(lambda: next(made)), VIDEO, anchor(0), anchor(8)):
        for number, differing in enumerate(result.disagreement):
            there = truth(number, result.index) > 0
            np.testing.assert_array_equal(differing, there != np.roll(there, -2, axis=1))
            both = np.count_nonzero((result.probability[number] > 0.5) & ~differing)
            assert result.agreement[number] == pytest.approx(both / (both + np.count_nonzero(differing)))


def test_with_one_direction_nothing_can_disagree():
    assert all(result.disagreement is None for result in propagate(ENGINE, VIDEO, anchor(0), None))
    for result in propagate(ENGINE, VIDEO, anchor(0, 1), anchor(8)):
        assert result.disagreement.shape == (2, HEIGHT, WIDTH)
        assert not result.disagreement.any()


def test_an_object_on_one_anchor_only_has_one_direction_and_no_agreement():
    for result in propagate(ENGINE, VIDEO, anchor(0, 1), anchor(8)):
        np.testing.assert_array_equal(result.probability[1] > 0.5, truth(1, result.index) > 0)
        assert result.agreement[0] == 1
        assert np.isnan(result.agreement[1])
        assert not result.directions["forward"].box_xyxy[1].any()
        assert result.directions["backward"].box_xyxy[1].any()


def test_an_object_on_no_anchor_is_absent():
    for result in propagate(ENGINE, VIDEO, anchor(0, 1), anchor(8, 1)):
        assert result.gone == (None, NOT_ON_ANCHORS)
        assert not result.probability[1].any()
        assert result.score[1] == 0
        assert np.isnan(result.agreement[1])


@pytest.mark.parametrize(("left", "right", "expected"), [(None, 4, [0, 1, 2, 3]), (4, None, [5, 6, 7, 8]), (4, 5, [])])
def test_stretches_at_the_ends_of_the_video_and_between_neighbours(left, right, expected):
    left, right = (None if index is None else anchor(index) for index in (left, right))
    results = list(ENGINE.propagate(VIDEO, left, right))
    assert [result.index for result in results] == expected
    for result in results:
        np.testing.assert_array_equal(result.probability[0] > 0.5, truth(0, result.index) > 0)
        assert np.isnan(result.agreement).all()


def test_a_track_with_a_low_score_is_lost_and_comes_back():
    video = [frame(index, 0) if index == 3 else VIDEO[index] for index in range(COUNT)]
    results = {result.index: result for result in Bidirectional(TemplateTracker, 0.9).propagate(video, anchor(0), None)}
    lost, kept = results[3].gone
    assert lost is not None and lost.source == Source.LOST and lost.detail.startswith("forward: score")
    assert not results[3].probability[0].any()
    assert kept is None
    assert results[4].gone == (None, None)


def test_a_lost_direction_is_left_out():
    class OneSided(TemplateTracker):
        """Loses what it was started on in frame 8."""

        def step(self, frame):
            result = super().step(frame)
            if self._box[0] != position(0, 8)[0]:
                return result
            return TrackResult(np.zeros_like(result.probability), (0, 0, 0, 0), 0.0, "hidden")

    for result in propagate(Bidirectional(OneSided), VIDEO, anchor(0, 1), anchor(8, 1)):
        np.testing.assert_array_equal(result.probability[0] > 0.5, truth(0, result.index) > 0)
        assert np.isnan(result.agreement[0])
        assert result.gone == (None, NOT_ON_ANCHORS)


def test_a_mask_that_floods_the_frame_is_lost():
    class Flood(TemplateTracker):
        def step(self, frame):
            return TrackResult(np.ones(frame.shape[:2], np.float32), (0, 0, WIDTH, HEIGHT), 1.0)

    for result in propagate(Bidirectional(Flood), VIDEO, anchor(0), anchor(8)):
        assert not result.probability.any()
        for gone in result.gone:
            assert gone is not None and gone.source == Source.LOST
            assert "forward: area" in gone.detail and "backward: area" in gone.detail


def test_directions_that_exclude_each_other_leave_an_empty_mask_with_a_reason():
    class Stubborn(TemplateTracker):
        """Believes that nothing moves."""

        def step(self, frame):
            left, top, width, height = self._box
            probability = np.zeros(frame.shape[:2], np.float32)
            probability[top : top + height, left : left + width] = self._mask
            return TrackResult(probability, (left, top, left + width, top + height), 1.0)

    middle = list(Bidirectional(Stubborn).propagate(VIDEO, anchor(0), anchor(8)))[3]
    assert middle.agreement[0] == 0
    assert middle.gone[0] == Gone(Source.LOST, "forward and backward exclude each other")
    assert not middle.probability[0].any()


def test_trust_is_kept_pixel_by_pixel():
    class HalfTrusted(TemplateTracker):
        """Sees everything, from frame 0 in the left half of the picture, from frame 8 in the right half."""

        def step(self, frame):
            from_start = self._box[0] == position(0, 0)[0]
            trust = np.zeros(frame.shape[:2], np.float32)
            trust[:, : WIDTH // 2] = float(from_start)
            trust[:, WIDTH // 2 :] = float(not from_start)
            box = (10, 10, 110, 50) if from_start else (10, 20, 110, 60)
            mask = np.zeros(frame.shape[:2], np.float32)
            mask[box[1] : box[3], box[0] : box[2]] = 1
            return TrustedResult(mask, box, 1.0, trust=trust)

    engine = Bidirectional(HalfTrusted, minimum_score=None)
    middle = list(engine.propagate(VIDEO, anchor(0, 1), anchor(8, 1)))[3].probability[0] > 0.5
    np.testing.assert_array_equal(np.flatnonzero(middle[:, 20]), np.arange(10, 50))
    np.testing.assert_array_equal(np.flatnonzero(middle[:, 100]), np.arange(20, 60))


def test_anchors_that_do_not_fit_together_are_refused():
    with pytest.raises(InputError, match="no anchor"):
        list(ENGINE.propagate(VIDEO, None, None))
    with pytest.raises(InputError, match=r"\(1, 60, 120\).*\(2, 60, 120\)"):
        list(ENGINE.propagate(VIDEO, Anchor(0, VIDEO[0], truth(0, 0)[None]), anchor(8)))
