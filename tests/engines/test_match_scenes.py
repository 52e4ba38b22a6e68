"""Objects that come, go, hide and look alike, on small pictures with exact truth."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import pytest

from stages.core.types import Anchor, SegmentFrame
from stages.engines.propagators.match.engine import Match
from stages.engines.registry import load_network
from tests.engines.test_flow import iou

HEIGHT, WIDTH, SIDE = 144, 240, 36
LAST = 8
Course = Mapping[int, tuple[int, int]]
"""Where the upper left corner is at some times, on a straight line between them."""


class Scene(Sequence):
    """Textured squares over a texture; of two that overlap the later one is in front."""

    def __init__(self, *things: tuple[int, Course]) -> None:
        """`things`: number of the texture, course."""
        self._things = things
        self._background = _texture(9, HEIGHT, WIDTH, 40, 110)

    def __len__(self) -> int:
        return LAST + 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self._drawn(index)[0]

    def truth(self, index: int) -> np.ndarray:
        """(things, HEIGHT, WIDTH): what is to be seen of each."""
        labels = self._drawn(index)[1]
        return np.stack([labels == number for number in range(1, len(self._things) + 1)]).astype(np.float32)

    def anchor(self, index: int) -> Anchor:
        return Anchor(index, self[index], self.truth(index))

    def _drawn(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        picture, labels = self._background.copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
        for number, (texture, course) in enumerate(self._things, 1):
            times = sorted(course)
            x, y = (round(float(np.interp(index, times, [course[time][axis] for time in times]))) for axis in (0, 1))
            rows, columns = (slice(max(0, at), max(0, at + SIDE)) for at in (y, x))
            square = _texture(texture, SIDE, SIDE, *_RANGES[texture])[max(0, -y) :, max(0, -x) :]
            part = labels[rows, columns].shape
            picture[rows, columns] = square[: part[0], : part[1]]
            labels[rows, columns] = number
        return picture, labels


_RANGES = {1: (150, 250), 2: (120, 255)}


def _texture(seed: int, height: int, width: int, low: int, high: int) -> np.ndarray:
    tint = np.array({1: (1.0, 0.5, 0.4), 2: (0.4, 0.6, 1.0)}.get(seed, (1, 1, 1)))
    coarse = np.random.default_rng(seed).integers(low, high, (height // 6, width // 6, 3)).astype(np.uint8)
    return (cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * tint).astype(np.uint8)


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def engine() -> Match:
    return Match(load_network("match:lite", None), device="cpu")


def results(engine: Match, scene: Scene) -> list[SegmentFrame]:
    return list(engine.propagate(scene, scene.anchor(0), scene.anchor(LAST)))


def check(scene: Scene, result: SegmentFrame, least: float) -> None:
    for number, (found, truth) in enumerate(zip(result.probability, scene.truth(result.index), strict=True)):
        area = np.count_nonzero(truth)
        if area >= SIDE**2 / 3:
            assert iou(found, truth) > least, f"frame {result.index}, object {number}"
        if not area:
            assert np.count_nonzero(found > 0.5) < 20, f"frame {result.index}, object {number}"


def test_what_leaves_the_picture_and_returns_elsewhere_is_not_painted_meanwhile(engine):
    scene = Scene((1, {0: (20, 20), 2: (-50, 20), 6: (-50, 90), 8: (30, 90)}), (2, {0: (150, 60), 8: (140, 50)}))
    for result in results(engine, scene):
        check(scene, result, 0.75)
        if 2 <= result.index <= 6:
            assert result.gone[0] is not None


def test_what_passes_behind_another_is_covered_by_it(engine):
    scene = Scene((1, {0: (40, 60), 8: (160, 60)}), (2, {0: (100, 60), 8: (100, 60)}))
    found = results(engine, scene)
    for result in found:
        check(scene, result, 0.7)
    hidden = found[LAST // 2 - 1].gone[0]
    assert hidden is not None
    assert hidden.told([5, 7]).startswith("covered by 7; not found (presence 0.")


def test_two_that_look_alike_cross_and_stay_who_they_are(engine):
    scene = Scene((1, {0: (20, 20), 8: (180, 40)}), (1, {0: (180, 80), 8: (20, 90)}))
    for result in results(engine, scene):
        check(scene, result, 0.7)


def test_what_comes_in_fast_is_found_far_from_where_the_anchor_has_it(engine):
    scene = Scene((1, {0: (-90, 50), 2: (-40, 50), 8: (200, 60)}))
    for result in results(engine, scene):
        check(scene, result, 0.7)
