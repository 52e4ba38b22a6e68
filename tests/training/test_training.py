"""Training: what a network sees, and that an interrupted training is the training."""

import csv
import multiprocessing

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from stages.core.errors import InputError, StageError
from stages.core.progress import silent
from stages.engines.registry import small_networks
from stages.training.card import card
from stages.training.learner import Learner, average
from stages.training.looks import click_on_errors
from stages.training.loop import pace, train
from stages.training.losses import normalised_focal_loss, soft_iou_loss
from stages.training.outcome import published_trunk, read_facts, read_weights, write_curves
from stages.training.pictures import Drawing, is_held_out
from stages.training.recipe import Schedule
from stages.training.recipes import RECIPES, recipe
from stages.training.record import CHECKPOINT, Lines, duration
from stages.training.scenes import draw_scene
from stages.training.session import plan_training, run_training
from stages.training.sets import PictureSet, choose_sets, read_set, split
from stages.training.strokes import draw_strokes, rasterise
from tests.training.short import Short, always, train_shortly, write_set

SETS = {"first": 0.5, "second": 0.5}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two sets of 24 pictures: an ellipse and a rectangle on a texture, a corner that nobody knows."""
    folder = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    for name in SETS:
        for part in ("images", "masks"):
            (folder / name / part).mkdir(parents=True)
        (folder / name / "ABOUT.md").write_text("# about\nLicence: CC BY 4.0,\nof all pictures\nCounts: 24\n")
        for index in range(24):
            labels = np.zeros((120, 160), np.uint8)
            cv2.rectangle(labels, (90, 20 + index), (140, 70 + index), 2, -1)
            cv2.ellipse(labels, (50 + index, 60), (36, 28), 0, 0, 360, 1, -1)
            labels[-10:, -10:] = 255
            texture = cv2.resize(rng.integers(0, 100, (15, 20, 3)).astype(np.uint8), (160, 120))
            texture[labels == 1] = (220, 60, 40)
            texture[labels == 2] = (30, 200, 90)
            cv2.imwrite(str(folder / name / "images" / f"{index:03d}.jpg"), texture)
            cv2.imwrite(str(folder / name / "masks" / f"{index:03d}.png"), labels)
    return folder


def everything(root, shares):
    return [picture for each in choose_sets(root, shares, {}) for picture in read_set(each, "auto")[0]]


@pytest.fixture(scope="module")
def pictures(root):
    return split(everything(root, SETS), always, "anything")


def test_the_split_depends_on_names_alone(pictures):
    train_on, held_out = pictures
    assert len(train_on) + len(held_out) == 48 and len(held_out) >= 2
    assert not any(is_held_out(picture.set_name, picture.name) for picture in train_on)
    shares = [is_held_out("any", str(number)) for number in range(4000)]
    assert 0.04 < np.mean(shares) < 0.09


def test_sets_are_drawn_by_share_not_by_size(pictures):
    draw, rng = Drawing(pictures[0][:30], {"first": 0.25, "second": 0.75}), np.random.default_rng(0)
    drawn = [draw(rng).set_name for _ in range(400)]
    assert 0.18 < drawn.count("first") / 400 < 0.32


def test_a_scene_shows_its_object(pictures):
    draw = Drawing(pictures[0], SETS)
    for number in range(30):
        scene = draw_scene(draw, np.random.default_rng(number), 96)
        assert scene.rgb.shape == (96, 96, 3) and set(np.unique(scene.target)) <= {0, 1, 255}
        assert np.count_nonzero(scene.target == 1) > 40
        assert not (scene.others.astype(bool) & (scene.target == 1)).any()


def test_strokes_lie_inside():
    mask = cv2.ellipse(np.zeros((80, 100), np.uint8), (50, 40), (30, 15), 20, 0, 360, 1, -1) > 0
    for number in range(40):
        paths = draw_strokes(mask, np.random.default_rng(number))
        assert paths
        for path in paths:
            assert mask[path[:, 1], path[:, 0]].all()
        assert rasterise(paths, (80, 100), 3).max() == 1


def test_a_correction_goes_into_the_largest_error():
    target = torch.zeros(1, 40, 40, dtype=torch.uint8)
    target[0, 5:25, 5:25] = 1
    target[0, :, 36:] = 255
    found = torch.full((1, 40, 40), -5.0)
    found[0, 5:25, 15:] = 5  # the left half is missed; what lies beyond the right border is a smaller error
    positive, negative = click_on_errors(torch.zeros(1, 2, 40, 40), found, target)[0]
    assert not positive.any() and negative[15, 30] == 1  # rows 5..24, columns 25..35
    found[0, 5:25, 25:] = -5
    positive, negative = click_on_errors(torch.zeros(1, 2, 40, 40), found, target)[0]
    assert positive[9:21, 9].any() and not negative.any()


def test_losses_ignore_what_nobody_knows_and_fall_with_the_error():
    target = torch.zeros(2, 16, 16, dtype=torch.uint8)
    target[:, 4:12, 4:12] = 1
    target[:, :2] = 255
    right = torch.where(target == 1, 6.0, -6.0)
    disturbed = right.clone()
    disturbed[:, :2] = 6.0
    for loss in (normalised_focal_loss, soft_iou_loss):
        assert loss(right, target) < 0.05 < loss(-right, target)
        torch.testing.assert_close(loss(right, target), loss(disturbed, target))


@pytest.mark.slow
def test_an_interrupted_training_ends_as_an_uninterrupted_one(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("stages.training.loop.CHECKPOINT_EVERY", 1)
    folders = [tmp_path / name for name in ("whole", "broken")]
    for folder in folders:
        folder.mkdir()
    trunk = published_trunk()
    whole = train(Short(), trunk, pictures, folders[0], seed=3)

    def killed(steps, _total):
        for step in steps:
            if step == 2:
                raise KeyboardInterrupt
            yield step

    with pytest.raises(KeyboardInterrupt):
        train(Short(), trunk, pictures, folders[1], 3, killed)
    assert (folders[1] / CHECKPOINT).exists()
    resumed = train(Short(), trunk, pictures, folders[1], seed=3, workers=2)  # who makes examples changes none
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, rtol=1e-5, atol=1e-6, msg=name)
    assert (folders[1] / "validation.csv").read_text().count("\n") == 3  # head, step 2, step 3
    assert {"iou", "iou_first", "iou_3_clicks", "iou_1_click"} <= resumed.figures.keys()


def test_the_learning_rate_rises_falls_and_rises_again():
    schedule = Schedule(steps=300, batch=1, learning_rate=1, warm_up=10, restarts=(100,))
    rates = np.array([pace(step, schedule) for step in range(300)])
    assert rates[0] == rates[100] == 0.1 and rates[10] == rates[110] == 1
    assert (np.diff(rates[10:100]) < 0).all() and (np.diff(rates[110:]) < 0).all()
    assert rates[99] < 0.02 and rates[299] < 0.02
    shorter = schedule.lasting(30)
    assert (shorter.steps, shorter.restarts) == (30, (10,))


@pytest.mark.slow
def test_what_is_trained_and_what_is_not(pictures, tmp_path):
    trunk = published_trunk()
    before = Short().build(trunk).state_dict()
    after = train(Short(), trunk, pictures, tmp_path, seed=3).network.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert not any(name.startswith(("encoder.stem", "encoder.stages.0", "encoder.stages.1.")) for name in changed)
    assert any(name.startswith("encoder.stages.5") for name in changed) and "head.2.weight" in changed


def test_a_training_begins_with_the_weights_that_are_given(pictures, tmp_path):
    trunk, start = published_trunk(), Short().build(published_trunk()).state_dict()
    start = {name: value + 1 if name == "head.2.bias" else value for name, value in start.items()}
    begun = Learner(Short(), trunk, start=start)
    assert torch.equal(begun.network.state_dict()["head.2.bias"], start["head.2.bias"])


def test_weights_that_knew_two_maps_are_a_beginning_and_those_of_another_network_none(tmp_path):
    shipped = {name: engine.spec.folder / engine.network.checkpoint.file for name, engine in small_networks().items()}
    first = "encoder.maps_stem.0.weight"
    state = load_file(shipped["fbrs_lite"])
    assert state[first][:, 2:].any(), "what comes with LIS heeds masks"
    save_file({**state, first: state[first][:, :2].contiguous()}, tmp_path / "former.safetensors")
    padded = read_weights("fbrs_lite", tmp_path / "former.safetensors")[first]
    assert padded.shape[1] == 4 and not padded[:, 2:].any()
    with pytest.raises(InputError, match="expected weights of fbrs_lite"):
        read_weights("fbrs_lite", shipped["match_lite"])


def test_the_average_forgets_the_network_that_it_began_with():
    for steps, decay in ((30, 0.9985), (300, 0.9985), (300, 0.9)):
        update, averaged = average(decay), [torch.ones(1), torch.tensor(0)]
        for step in range(1, steps):
            update(averaged, [torch.zeros(1), torch.tensor(step)], torch.tensor(step))
        assert averaged[0] < 1e-4 and averaged[1] == steps - 1
    update([held := torch.zeros(1)], [torch.ones(1)], 10**6)
    assert held.item() == pytest.approx(0.1)


def test_an_example_that_cannot_be_made_ends_a_training_in_one_line(pictures, tmp_path):
    class Broken(Short):
        def sample(self, pictures, rng):
            if multiprocessing.parent_process() is not None:
                raise ZeroDivisionError("an object of no width")
            return super().sample(pictures, rng)

    with pytest.raises(StageError, match=r"^an example could not be made: ZeroDivisionError: .*no width.* report this"):
        train(Broken(), published_trunk(), pictures, tmp_path, seed=3)


@pytest.mark.slow
def test_a_recipe_that_was_not_made_for_gpus_learns_on_the_cpu_and_says_so(pictures, tmp_path):
    class ForCpus(Short):
        on_gpu = False

    told: list[str] = []
    outcome = train(ForCpus(), published_trunk(), pictures, tmp_path, 3, tell=told.append, device="cuda")
    assert outcome.device == "cpu" and "it learns on the CPU" in told[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(pictures, tmp_path):
    with pytest.raises(InputError, match="no usable GPU"):
        train(Short(), published_trunk(), pictures, tmp_path, 3, device="cuda")


def test_other_pictures_or_another_seed_are_another_training(root):
    def key(seed=1, **shares):
        return plan_training("fbrs_lite", root, shares or SETS, steps=5, seed=seed).key()

    assert key() == key() and key()["schedule"]["steps"] == 5
    assert key() != key(first=1.0) and key() != key(seed=2)
    with pytest.raises(InputError, match=r"sets in .*: first, second"):
        key(third=1.0)


def test_terms_are_read_from_the_description(root, tmp_path):
    assert PictureSet("first", root / "first", 1).terms() == "CC BY 4.0, of all pictures"
    assert PictureSet("none", tmp_path, 1).terms() == "not stated"


@pytest.mark.slow
def test_ten_pictures_train_in_three_steps(tmp_path, monkeypatch):
    train_shortly(monkeypatch)
    told: list[str] = []
    plan = plan_training("fbrs_lite", write_set(tmp_path / "pets", 10, 255), {}, steps=3)
    run_training(tmp_path, plan, lambda notes, facts: card("fbrs:mine", notes, facts, "COMMAND"), silent, told.append)
    lines = "\n".join(told)
    assert "learning from 8 pictures with 8 objects, 2 held out. That is little" in lines
    assert "255 is the object" in lines
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "fbrs_lite.safetensors", "fbrs_lite.md", "training.json", "curves.png", "sheet.png", "losses.csv",
        "validation.csv",
    }  # fmt: skip
    assert [row["step"] for row in csv.DictReader((tmp_path / "losses.csv").read_text().splitlines())] == ["3"]
    text = (tmp_path / "fbrs_lite.md").read_text()
    assert text.startswith("# fbrs:mine\n\n`fbrs:mine` makes") and "`COMMAND`" in text
    assert "learnt from 8 pictures with 8 objects, and was tested on 2 others" in text
    assert "| pets | 100% | 8 | 8 | 2 | object | not stated |" in text
    assert "thousand" not in text and "coco" not in text
    facts = read_facts(tmp_path)
    assert facts.held_out == 2 and facts.sets[0].name == "pets" and facts.terms == "pets: not stated"


@pytest.mark.slow
@pytest.mark.parametrize("network", small_networks())
@pytest.mark.parametrize("count", [2, 10])
def test_every_network_trains_on_few_pictures(network, count, tmp_path):
    for name in ("one", "two"):
        write_set(tmp_path / "sets" / name, count // 2, 255, "webp")
    plan = plan_training(network, tmp_path / "sets", {}, steps=1)
    run_training(tmp_path, plan, lambda *known: card("x:y", *known, ""), silent, lambda _line: None)
    assert all(np.isfinite(value) for value in read_facts(tmp_path).figures.values())


# -- what is told ------------------------------------------------------------------------------------------------------


def test_a_line_every_half_minute_or_twentieth_whichever_is_rarer(monkeypatch):
    now, told = [0.0], []
    monkeypatch.setattr("stages.training.record.time.monotonic", lambda: now[0])
    for seconds, first, expected in ((1, 0, [30, 80, 130]), (10, 0, [3, 53, 103]), (0.1, 900, [])):
        told.clear()
        lines = Lines(told.append, first, 1000)
        for done in range(first + 1, 1001):
            now[0] += seconds
            lines.step(done, 2.0)
        assert [int(line.split()[1]) for line in told][:3] == expected
        assert len(told) <= 20
    lines = Lines(told.append, 0, 1000)
    now[0] += 60
    lines.step(100, 2.0)
    assert told == ["step 100 of 1000, loss 2.000, 9 min left"]


def test_durations_in_words():
    words = ["8 s", "89 s", "2 min", "1 h 0 min", "3 h 5 min"]
    assert [duration(seconds) for seconds in (8.4, 89, 91, 3599, 11100)] == words


def test_a_damaged_checkpoint_is_said(pictures, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(b"PK no checkpoint")
    with pytest.raises(StageError, match=r"checkpoint\.pt cannot be read .* delete the folder"):
        train(Short(), published_trunk(), pictures, tmp_path, seed=3)


@pytest.mark.slow
def test_nothing_held_out_is_no_crash(pictures, tmp_path):
    outcome = train(Short(), published_trunk(), (pictures[0], []), tmp_path, seed=3)
    assert outcome.figures == {}
    write_curves(tmp_path / "curves.png", tmp_path / "losses.csv", tmp_path / "validation.csv")
    assert (tmp_path / "curves.png").stat().st_size


@pytest.mark.parametrize("network", small_networks())
def test_every_small_network_has_a_recipe_that_its_card_can_be_written_from(network):
    chosen = recipe(network)
    assert "Limits:" in chosen.notes and chosen.schedule.steps and chosen.shares
    assert "{engine}" in chosen.notes and RECIPES.keys() == small_networks().keys()


def test_a_shorter_training_averages_over_the_same_share_of_its_steps():
    usual = Schedule(steps=6000, batch=10, learning_rate=1, warm_up=100, averaging=0.998)
    shorter = usual.lasting(600)
    assert shorter.warm_up == 10 and shorter.averaging == pytest.approx(0.998**10)
    assert (usual.lasting(12000).warm_up, usual.lasting(12000).averaging) == (100, 0.998)
