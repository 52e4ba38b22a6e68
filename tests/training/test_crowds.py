"""Scenes of several objects, and who draws on them."""

import cv2
import numpy as np
import pytest

from stages.training.crowds import draw_crowd, has_enough
from stages.training.fbrs_lite import FbrsLite, stroke_bits
from stages.training.pictures import Drawing, Picture
from stages.training.scenes import drawn
from stages.training.strokes import HANDS, draw_by, draw_on_background

SIDE_PX = 96


@pytest.fixture(scope="module")
def draw() -> Drawing:
    """Four pictures of three objects: a disc, a box that touches it, and a bar; a corner is unknown."""
    pictures = []
    rng = np.random.default_rng(0)
    for number in range(4):
        labels = np.zeros((120, 160), np.uint8)
        cv2.circle(labels, (50 + number, 60), 30, 1, -1)
        cv2.rectangle(labels, (80 + number, 30), (120, 90), 2, -1)
        cv2.rectangle(labels, (135, 10), (145, 110), 3, -1)
        labels[-8:, -8:] = 255
        rgb = cv2.resize(rng.integers(0, 255, (12, 16, 3)).astype(np.uint8), (160, 120))
        pictures.append(Picture("set", str(number), rgb, labels))
    return Drawing(pictures, {"set": 1.0})


def crowds(draw: Drawing, count: int):
    for seed in range(count):
        rng = np.random.default_rng(seed)
        yield drawn(lambda rng=rng: draw_crowd(draw, rng, SIDE_PX, 3), has_enough, "an object"), rng


def test_a_crowd_is_one_to_three_objects_and_bystanders_are_none_of_them(draw: Drawing) -> None:
    numbers = []
    for crowd, _ in crowds(draw, 60):
        assert crowd.rgb.shape == (SIDE_PX, SIDE_PX, 3) and crowd.rgb.dtype == np.uint8
        assert set(np.unique(crowd.labels)) <= {0, 1, 2, 3, 255} and (crowd.labels == 1).sum() >= 60
        assert not crowd.labels[crowd.bystanders].any()
        numbers.append(crowd.count)
    assert set(numbers) == {1, 2, 3}


def test_a_crowd_depends_on_its_seed_alone(draw: Drawing) -> None:
    (one, _), (other, _) = next(crowds(draw, 1)), next(crowds(draw, 1))
    assert np.array_equal(one.rgb, other.rgb) and np.array_equal(one.labels, other.labels)


@pytest.mark.parametrize("hand", HANDS)
def test_strokes_lie_on_what_they_mean(draw: Drawing, hand) -> None:
    on_background = 0
    for crowd, rng in crowds(draw, 30):
        bits = stroke_bits(crowd, hand, rng)
        for number in range(1, crowd.count + 1):
            here = (bits >> number) & 1 > 0
            assert here.any() == (crowd.labels == number).any()
            assert (crowd.labels[here] == number).mean() > 0.2  # discs of a click reach beyond thin parts
        on_background += bool((bits & 1).any())
    assert 0 < on_background < 30


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 40), (40, 1), (2, 3), (5, 4)])
def test_every_hand_draws_on_the_thinnest_things(hand, shape: tuple[int, int]) -> None:
    mask = np.zeros((50, 60), bool)
    mask[5 : 5 + shape[0], 7 : 7 + shape[1]] = True
    for seed in range(30):
        for path in draw_by(hand, mask, np.random.default_rng(seed)):
            assert len(path) and mask[path[:, 1], path[:, 0]].all()


def test_strokes_on_the_background_avoid_the_objects() -> None:
    mask = cv2.circle(np.zeros((80, 100), np.uint8), (50, 40), 20, 1, -1) > 0
    for seed in range(40):
        for path in draw_on_background(mask, ~mask, np.random.default_rng(seed)):
            assert len(path) and not mask[path[:, 1], path[:, 0]].any()


def test_an_example_says_which_strokes_are_whose(draw: Drawing) -> None:
    sample = FbrsLite().sample(draw, np.random.default_rng(1))
    assert {name: value.dtype for name, value in sample.items()} == dict.fromkeys(sample, np.uint8)
    assert sample["labels"].shape == sample["strokes"].shape == sample["rgb"].shape[:2]
