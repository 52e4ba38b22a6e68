import cv2
import numpy as np
import pytest
import torch

from stages.engines.propagators.match.network import MatchLite
from stages.training.choreography import compose, is_fair, shares_gone
from stages.training.composed import Composition, Course, Shot, Thing, shots
from stages.training.match_examples import FRAMES, OBJECTS, example
from stages.training.match_lite import MatchRecipe
from stages.training.match_stretches import SIZE_HW, clip_stretch, composed_stretch
from stages.training.pictures import Drawing, Picture, by_clip

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
HEIGHT, WIDTH = 120, 180


def clip(name: str, count: int = 12, speed: int = 3) -> list[Picture]:
    """A disc of a colour that goes to the right over a texture."""
    texture = cv2.resize(
        np.random.default_rng(len(name)).integers(0, 100, (12, 18, 3)).astype(np.uint8), (WIDTH, HEIGHT)
    )
    frames = []
    for number in range(count):
        labels = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (40 + speed * number, 60), 20, 1, -1)
        rgb = np.where(labels[..., None] > 0, np.array(COLOURS[name], np.uint8), texture)
        frames.append(Picture("clips", f"{name}/{number:05d}", rgb, labels))
    return frames


@pytest.fixture(scope="module")
def clips() -> list[list[Picture]]:
    return [clip(name) for name in COLOURS]


def test_pictures_know_their_clips(clips):
    single = Picture("stills", "a", clips[0][0].rgb, clips[0][0].labels)
    assert by_clip([*clips[1][::-1], single, *clips[0]]) == [clips[1], clips[0]]


def test_only_frames_on_which_the_object_is_whole_are_cut_out():
    assert [len(shot.frames) for shot in shots(clip("red", count=12))] == [12]
    assert [len(shot.frames) for shot in shots(clip("red", count=60))] == [40]  # then it touches the border


def test_a_shot_is_played_to_and_fro(clips):
    shot = Shot(clips[0][:3])
    assert [shot.at(time).name[-1] for time in range(6)] == ["0", "1", "2", "1", "0", "1"]


def test_what_is_in_front_covers_what_is_behind_and_the_truth_knows(clips):
    here = Course((0, 10), ((0.5, 0.5), (0.5, 0.5)))
    away = Course((0, 10), ((0.5, 0.5), (3.0, 0.5)))
    behind = Thing(Shot(clips[1]), here, 0.5, 1)
    front = Thing(Shot(clips[2]), away, 1.0, 2)
    composition = Composition(Shot(clips[0]), [behind, front], 11)
    areas = composition.areas()
    assert areas[0].tolist()[0] == 0
    assert areas[0, 1] == pytest.approx(np.pi * 20**2, rel=0.1)
    assert areas[10].tolist()[1] == 0
    assert areas[10, 0] == pytest.approx(np.pi * 10**2, rel=0.2)
    picture, labels = composition.at(10)
    assert np.median(picture[labels == 1], axis=0) == pytest.approx(COLOURS["green"], abs=12)
    assert shares_gone(areas[[0, 10]], 20) == 0.5


@pytest.mark.parametrize("kind", ["mixed", "alike", "touching", "fast"])
def test_the_same_seed_gives_the_same_clip(clips, kind):
    sceneries, cast = [Shot(frames) for frames in clips], [shot for frames in clips for shot in shots(frames)]
    one, other = (compose(sceneries, cast, kind, 3, 20, np.random.default_rng(4)) for _ in range(2))
    assert one.object_ids == (1, 2, 3)
    for time in (0, 9, 19):
        for mine, yours in zip(one.at(time), other.at(time), strict=True):
            np.testing.assert_array_equal(mine, yours)


def test_a_clip_is_fair_if_some_anchor_shows_what_is_to_be_found():
    seen = np.array([[90, 90], [90, 0], [90, 90], [90, 90], [90, 90]])
    assert is_fair(seen, (0, 2, 4), 60)
    seen[:, 1] = [90, 90, 0, 90, 0]
    assert not is_fair(seen, (0, 2, 4), 60)


def test_examples_hold_what_the_engine_would_know(clips):
    draw = Drawing([picture for frames in clips for picture in frames], {"clips": 1.0})
    for make in (clip_stretch, composed_stretch):
        for seed in range(4):
            rng = np.random.default_rng(seed)
            stretch = make(draw, rng)
            assert {frame.shape for frame in stretch.frames} == {(*SIZE_HW, 3)}
            made = example(stretch, rng)
            if made is None:
                continue
            assert made["pictures"].shape == (2 + FRAMES, *SIZE_HW, 3)
            assert made["targets"].shape == (FRAMES, OBJECTS, *SIZE_HW)
            assert made["near"].shape == made["trusts"][:, 0].shape
            assert made["objects"].any()
            assert not made["targets"][:, ~made["objects"]].any()


@pytest.mark.slow
def test_a_training_step_on_clips_has_a_gradient(clips):
    draw = Drawing([picture for frames in clips for picture in frames], {"clips": 1.0})
    recipe = MatchRecipe()
    network = MatchLite()
    samples = [recipe.sample(draw, np.random.default_rng(seed)) for seed in range(2)]
    batch = {name: torch.from_numpy(np.stack([each[name] for each in samples])) for name in samples[0]}
    parts = recipe.losses(network, batch, 0.5)
    assert set(parts) == {"entropy", "iou", "presence"}
    torch.stack(list(parts.values())).sum().backward()
    assert network.decoder.last.weight.grad.abs().sum() > 0
    assert network.decoder.presence.weight.grad.abs().sum() > 0
