from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import pytest

from stages.core.states import NOT_ON_ANCHORS, Gone, Source
from stages.core.types import Anchor, SegmentFrame
from stages.engines.propagators.flow.engine import Flow, FlowTracker

HEIGHT, WIDTH = 144, 192
COUNT = 7


class Shifted(Sequence):
    """A textured square moves over a textured background, `speed_xy` pixels a frame; reads are counted."""

    def __init__(self, speed_xy: tuple[int, int] = (0, 0), start_xy: tuple[int, int] = (40, 50), side: int = 40):
        rng = np.random.default_rng(3)
        self._background = _texture(rng, HEIGHT, WIDTH, 40, 120)
        self._object = _texture(rng, side, side, 110, 240)
        self._speed_xy, self._start_xy, self._side = speed_xy, start_xy, side
        self.reads: list[int] = []

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> np.ndarray:
        self.reads.append(index)
        picture = self._background.copy()
        picture[self.truth(index) > 0] = self._object.reshape(-1, 3)
        return picture

    def truth(self, index: int) -> np.ndarray:
        mask = np.zeros((HEIGHT, WIDTH), np.float32)
        x, y = (start + index * speed for start, speed in zip(self._start_xy, self._speed_xy, strict=True))
        mask[y : y + self._side, x : x + self._side] = 1
        return mask

    def anchor(self, index: int, *masks: np.ndarray) -> Anchor:
        return Anchor(index, self[index], np.stack(masks or [self.truth(index)]))


def _texture(rng: np.random.Generator, height: int, width: int, low: int, high: int) -> np.ndarray:
    coarse = rng.integers(low, high, (height // 4, width // 4, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def iou(probability: np.ndarray, truth: np.ndarray) -> float:
    inside, true = probability > 0.5, truth > 0.5
    return float((inside & true).sum() / (inside | true).sum())


def carry(video: Sequence, left: Anchor | None, right: Anchor | None) -> list[SegmentFrame]:
    return complete(Flow().propagate(video, left, right), left, right)


def complete(results: Iterable[SegmentFrame], left: Anchor | None, right: Anchor | None) -> list[SegmentFrame]:
    """The results, which are those of every frame between the anchors."""
    found = list(results)
    stretch = range(left.index + 1 if left else 0, right.index if right else COUNT)
    assert [result.index for result in found] == list(stretch)
    return found


def test_without_motion_the_mask_stays_what_it_is():
    video = Shifted()
    for result in carry(video, video.anchor(0), video.anchor(6)):
        np.testing.assert_allclose(result.probability[0], video.truth(0), atol=0.02)
        assert result.score[0] > 0.99
        assert result.agreement[0] == 1
        assert result.gone == (None,)


@pytest.mark.parametrize("speed_xy", [(4, 0), (-3, 5)])
def test_a_shift_is_followed(speed_xy):
    video = Shifted(speed_xy, start_xy=(70, 40))
    for result in carry(video, video.anchor(0), video.anchor(6)):
        assert iou(result.probability[0], video.truth(result.index)) > 0.9
        assert result.agreement[0] > 0.8


def test_boxes_lie_around_what_each_direction_saw():
    video = Shifted((4, 0))
    results = carry(video, video.anchor(0), video.anchor(6))
    for direction, result in (("forward", results[0]), ("backward", results[-1])):
        left, top, width, height = cv2.boundingRect(video.truth(result.index).astype(np.uint8))
        box = result.directions[direction].box_xyxy[0]
        np.testing.assert_allclose(box, [left, top, left + width, top + height], atol=5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_one_sided_stretch_runs_to_the_end_of_the_video(side):
    video = Shifted((3, 1))
    left, right = (video.anchor(0), None) if side == "left" else (None, video.anchor(6))
    for result in carry(video, left, right):
        assert iou(result.probability[0], video.truth(result.index)) > 0.8
        assert np.isnan(result.agreement[0])


def test_an_object_that_one_anchor_lacks_is_carried_from_the_other():
    video = Shifted((3, 1))
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    for result in carry(video, video.anchor(0), video.anchor(6, nothing)):
        assert iou(result.probability[0], video.truth(result.index)) > 0.8
        assert np.isnan(result.agreement[0])
        assert not result.directions["backward"].box_xyxy.any()


def test_an_object_absent_on_both_anchors_is_absent_between_and_leaves_the_others_alone():
    video = Shifted((3, 1))
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    left, right = (video.anchor(index, nothing, video.truth(index)) for index in (0, 6))
    for result in carry(video, left, right):
        assert result.gone == (NOT_ON_ANCHORS, None)
        assert not result.probability[0].any()
        assert iou(result.probability[1], video.truth(result.index)) > 0.9


def test_a_cut_ends_each_direction_so_that_every_shot_has_its_own_anchor():
    first, second = Shifted((2, 0)), Shifted((-2, 0), start_xy=(110, 80))
    second_frames = [255 - second[index][::-1] for index in range(COUNT)]
    truths = [first.truth(i) if i < 4 else second.truth(i)[::-1] for i in range(COUNT)]
    video = [first[i] if i < 4 else second_frames[i] for i in range(COUNT)]
    left, right = (Anchor(i, video[i], truths[i][None]) for i in (0, 6))
    for result in carry(video, left, right):
        assert iou(result.probability[0], truths[result.index]) > 0.9
        assert np.isnan(result.agreement[0])
        lost = "backward" if result.index < 4 else "forward"
        assert result.directions[lost].score[0] == 0


def test_after_a_cut_without_an_anchor_the_mask_is_empty_and_says_why():
    first = Shifted((2, 0))
    video = [first[i] if i < 4 else 255 - first[i][::-1] for i in range(COUNT)]
    results = carry(video, Anchor(0, video[0], first.truth(0)[None]), None)
    assert [result.gone[0] for result in results] == [None] * 3 + [Gone(Source.LOST, "forward: a cut")] * 3
    assert all(not result.probability.any() for result in results[3:])


def test_fast_motion_out_of_the_first_crop_is_followed():
    video = Shifted((20, 0), start_xy=(20, 30), side=60)
    tracker = FlowTracker()
    tracker.start(video[0], video.truth(0))
    result = tracker.step(video[1])
    assert iou(result.probability, video.truth(1)) > 0.97


def test_trust_falls_where_something_else_moves_in():
    video, occluder = Shifted(), Shifted(start_xy=(40, 50), side=24)
    pictures = [video[0], video[1]]
    for picture, x in zip(pictures, (84, 70), strict=True):  # the object covers columns 40 to 80
        picture[58:82, x : x + 24] = 255 - occluder[0][50:74, 40:64]
    tracker = FlowTracker()
    tracker.start(pictures[0], video.truth(0))
    trust = tracker.step(pictures[1]).trust
    assert trust[60:80, 42:62].mean() > 0.9
    assert trust[60:80, 72:80].mean() < 0.6


def test_frames_are_read_one_by_one_backward_then_forward():
    video = Shifted()
    left, right = video.anchor(0), video.anchor(6)
    video.reads.clear()
    results = Flow().propagate(video, left, right)
    assert video.reads == []
    next(results)
    assert video.reads == [5, 4, 3, 2, 1, 1]


def test_two_runs_give_the_same_bytes():
    runs = []
    for _ in range(2):
        video = Shifted((3, 2))
        runs.append(carry(video, video.anchor(0), video.anchor(6)))
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)
        np.testing.assert_array_equal(one.score, other.score)
