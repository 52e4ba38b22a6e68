"""Ground truth is checked at the door, sessions keep the protocol's rules, and figures follow their definitions."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.core.states import Source
from stages.core.strokes import FrameScribbles, Line
from stages.core.types import LabelMap
from stages.evaluation import official
from stages.evaluation.interactive import Rules, Session, Step, in_order
from stages.evaluation.sequence import aurc, evaluate_sequence, foresight
from stages.evaluation.summary import Played, summarise
from stages.evaluation.truth import Masks, Truth, inspect_truth, truth_files
from stages.formats.evaluation import Evaluation
from stages.formats.frames_csv import FrameQuality
from stages.formats.masks import write_mask
from stages.formats.scribbles import ScribbleSet
from stages.steps.assess import judge

HEIGHT, WIDTH, COUNT = 40, 60, 6
NAMES = [f"{index:05d}.jpg" for index in range(COUNT)]


def labels(index: int) -> LabelMap:
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[5:20, 5 + index : 20 + index] = 1
    found[25:35, 30:50] = 2
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete ground truth."""
    made = tmp_path / "truth"
    made.mkdir()
    for index in range(COUNT):
        write_mask(made / f"{index:05d}.png", labels(index))
    return made


def opened(folder: Path) -> Truth:
    return inspect_truth(truth_files(folder, NAMES), (WIDTH, HEIGHT))


# --- ground truth ----------------------------------------------------------------------------------------------------


def test_ground_truth_counts_its_objects(folder: Path) -> None:
    assert opened(folder).object_ids == (1, 2)


def test_a_mask_of_0_and_255_is_one_object(folder: Path) -> None:
    for index in range(COUNT):
        Image.fromarray((labels(index) == 1).astype(np.uint8) * 255).save(folder / f"{index:05d}.png")
    assert opened(folder).object_ids == (1,)


def test_no_ground_truth(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be evaluated"):
        truth_files(tmp_path / "nowhere", NAMES)


def test_a_missing_mask_is_named(folder: Path) -> None:
    (folder / "00003.png").unlink()
    with pytest.raises(InputError, match=r"00003\.png \(1 of 6 are missing\)"):
        opened(folder)


def test_a_mask_without_a_frame_is_named(folder: Path) -> None:
    write_mask(folder / "00006.png", labels(0))
    with pytest.raises(InputError, match=r"00006\.png"):
        opened(folder)


def test_a_mask_of_another_size(folder: Path) -> None:
    write_mask(folder / "00002.png", labels(0)[:, :-2])
    with pytest.raises(InputError, match=r"00002\.png: found 58x40 pixels, expected 60x40"):
        opened(folder)


def test_pixels_to_ignore_are_refused(folder: Path) -> None:
    mask = labels(0)
    mask[0, 0] = 255
    picture = Image.fromarray(mask)
    picture.putpalette(bytes(range(256)) * 3)
    picture.save(folder / "00001.png")
    with pytest.raises(InputError, match=r"00001\.png: found the value 255"):
        opened(folder)


def test_an_object_that_is_nowhere_would_be_a_free_point(folder: Path) -> None:
    for index in range(COUNT):
        write_mask(folder / f"{index:05d}.png", np.where(labels(index) == 2, 3, labels(index)).astype(np.uint8))
    with pytest.raises(InputError, match=r"object ids \[1, 3\]"):
        opened(folder)


# --- one sequence ----------------------------------------------------------------------------------------------------


def judged(frames: Sequence[int], agreement: float = 0.8) -> list:
    rows = [
        FrameQuality(
            index,
            one,
            1.0,
            math.nan if index == 0 else agreement,
            Source.ANCHOR if index == 0 else Source.BOTH,
            True,
            "",
            99,
        )
        for index in frames
        for one in (1, 2)
    ]
    return judge(rows, [0, COUNT - 1], NAMES)


def test_the_truth_itself_scores_1(folder: Path, tmp_path: Path) -> None:
    truth = opened(folder)
    evaluate_sequence(tmp_path, "toy", NAMES, Masks(truth.files), truth, judged(range(COUNT)))
    found = json.loads((tmp_path / "evaluation.json").read_text())
    for protocol in ("interactive", "semi-supervised"):
        assert found["protocols"][protocol]["mean"] == {"J": 1, "F": 1, "J&F": 1}
        assert found["protocols"][protocol]["objects"]["2"]["J"] == {"mean": 1, "recall": 1, "decay": 0}
    rows = Evaluation.read(tmp_path).rows
    assert len(rows) == 2 * COUNT
    assert math.isnan(rows[0].agreement)
    assert rows[-1].agreement == 0.8
    assert found["estimate"]["agreement"] == foresight(rows)["agreement"]


def test_a_video_of_two_frames_has_no_semi_supervised_score(folder: Path, tmp_path: Path) -> None:
    truth = Truth(opened(folder).files[:2], (1, 2))
    evaluate_sequence(tmp_path, "toy", NAMES[:2], Masks(truth.files), truth, [])
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert found["protocols"]["semi-supervised"] is None
    assert found["estimate"]["doubt"] == {"masks": 0}


def test_risk_and_coverage() -> None:
    risk = np.array([0.0, 0.1, 0.4, 0.9])
    assert aurc(np.array([4.0, 3, 2, 1]), risk) == pytest.approx(np.mean([0, 0.05, 0.5 / 3, 0.35]))
    assert aurc(np.ones(4), risk) == pytest.approx(risk.mean())
    assert aurc(-risk, risk) < aurc(np.array([1.0, 1, 2, 2]), risk) < aurc(risk, risk)


# --- sessions --------------------------------------------------------------------------------------------------------


def robot(_sequence: str, prediction: LabelMap, truth: LabelMap, objects: int) -> tuple[Line, ...]:
    """A stroke through each object that the prediction misses."""
    lines = []
    for one in range(1, objects + 1):
        rows, columns = np.nonzero((truth == one) & (prediction != one))
        if len(rows):
            lines.append(
                Line(one, ((columns.min() / WIDTH, rows[0] / HEIGHT), (columns.max() / WIDTH, rows[0] / HEIGHT)))
            )
    return tuple(lines)


FIRST = ScribbleSet("toy", COUNT, {0: FrameScribbles((Line(1, ((0.2, 0.2), (0.3, 0.2))),))})


def session(folder: Path, state: Path, policy: str, requests: Sequence[int] = (5, 3), **limits: float) -> Session:
    rules = Rules(policy, 3, limits.get("max_time_s", 100.0))
    return Session(state, rules, opened(folder), FIRST, requests, robot)


def play(one: Session, seconds: float = 2.0, last: int = 99) -> Session:
    """Every result is the truth, and costs the same."""
    while not one.over and one.number <= last:
        if one.computes:
            one.submit(Masks(one._truth.files), {f"result {one.number}": seconds, "frames": 1.0})
        else:
            one.submit(None, {})
    return one


def means(one: Session) -> list[float]:
    return [float(np.mean(step.region)) for step in one.steps]


def test_lazy_submits_nothing_until_all_scribbles_are_there(folder: Path, tmp_path: Path) -> None:
    played = play(session(folder, tmp_path / "s", "lazy"))
    assert means(played) == [0, 0, 1]
    assert [step.seconds for step in played.steps] == [0, 0, 3]
    assert played.scribbles_before(3).annotated == (0, 3, 5)


def test_anytime_submits_its_best_and_an_artefact_is_charged_once(folder: Path, tmp_path: Path) -> None:
    played = play(session(folder, tmp_path / "s", "anytime"))
    assert [step.seconds for step in played.steps] == [3, 2, 2]
    assert means(played) == pytest.approx([5 / 6, 5 / 6, 1])
    assert not any(mask.any() for mask in [list(played.submitted(1))[5], list(played.submitted(2))[3]])


def test_lazy_repeat_submits_its_first_result_again(folder: Path, tmp_path: Path) -> None:
    played = play(session(folder, tmp_path / "s", "lazy-repeat"))
    assert [step.source for step in played.steps] == [1, 1, 3]
    assert [step.seconds for step in played.steps] == [3, 0, 2]


def test_a_session_goes_on_where_it_was_stopped(folder: Path, tmp_path: Path) -> None:
    whole = play(session(folder, tmp_path / "whole", "anytime"))
    play(session(folder, tmp_path / "halted", "anytime"), last=2)
    (tmp_path / "halted" / ".tmp-3-1").mkdir()
    again = play(session(folder, tmp_path / "halted", "anytime"))
    assert again.steps == whole.steps
    assert sorted(path.name for path in (tmp_path / "halted").iterdir() if path.name[0] != ".") == ["1", "2", "3"]


def test_what_comes_too_late_does_not_count_and_ends_the_session(folder: Path, tmp_path: Path) -> None:
    played = play(session(folder, tmp_path / "s", "anytime", max_time_s=2.0))
    assert [(step.late, len(step.region)) for step in played.steps] == [(False, COUNT), (True, 0)]
    curve = Played("toy", 1, 2, played.steps).curve(3)
    assert curve[0].tolist() == [3, 0, 0]
    assert curve[1].mean(axis=(1, 2)) == pytest.approx([5 / 6 for _ in range(3)])


def test_with_fewer_frames_than_interactions_the_last_result_stands(folder: Path, tmp_path: Path) -> None:
    played = play(session(folder, tmp_path / "s", "lazy", requests=(5,)))
    assert means(played) == [0, 1, 1]
    assert played.steps[2].requested is None


def test_an_answer_without_strokes_says_that_nothing_is_there(folder: Path, tmp_path: Path) -> None:
    write_mask(folder / "00005.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    played = play(session(folder, tmp_path / "s", "lazy"))
    drawn = played.scribbles_before(3)
    assert 5 in drawn.annotated
    assert drawn.frame(5).lines == ()


@pytest.mark.parametrize("lines", [(), (Line(3, ((0.1, 0.1),)),)])
def test_a_first_round_that_does_not_fit(folder: Path, tmp_path: Path, lines: tuple[Line, ...]) -> None:
    first = ScribbleSet("toy", COUNT, {0: FrameScribbles(lines)})
    with pytest.raises(InputError, match=r"objects \[3\]" if lines else "no stroke"):
        Session(tmp_path, Rules("lazy", 3, 9), opened(folder), first, [5], robot)


def test_the_farthest_frame_is_asked_for_first() -> None:
    assert in_order([2, 5, 8, 11], [0]) == [11, 5, 8, 2]


def test_without_the_package_its_make_target_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "davisinteractive", None)
    with pytest.raises(InputError, match="make davisinteractive"):
        official.require()


# --- figures ---------------------------------------------------------------------------------------------------------


def step(number: int, seconds: float, *scores: float) -> Step:
    """Each object has the same J and F on both frames."""
    return Step(number, seconds, {}, number, None, False, (), (scores, scores), (scores, scores))


def test_a_perfect_result_after_t_seconds() -> None:
    figures = summarise([Played("toy", 1, 1, [step(1, 30.0, 1.0), step(2, 0.0, 1.0)])], 2, 100.0)
    assert figures["auc"] == pytest.approx(1 - 30 / (2 * 100))
    assert figures["metric_at_threshold"]["J_AND_F"] == 1
    assert figures["curve"]["time"] == [0, 30, 30, 100]
    assert figures["warnings"] == []


def test_before_its_result_the_curve_is_a_ramp() -> None:
    figures = summarise([Played("toy", 1, 1, [step(1, 80.0, 0.8)])], 1, 100.0)
    assert figures["metric_at_threshold"]["J_AND_F"] == pytest.approx(0.6)


def test_every_object_of_every_session_weighs_the_same_and_time_every_session() -> None:
    sessions = [Played("one", 1, 1, [step(1, 10.0, 1.0)]), Played("two", 1, 2, [step(1, 30.0, 0.5, 0.0)])]
    figures = summarise(sessions, 1, 100.0)
    assert figures["curve"]["J"][1] == pytest.approx(0.5)
    assert figures["curve"]["time"] == [0, 20, 150]
    assert figures["by_sequence"] == {"one": 1, "two": 0.25}


def test_a_session_that_submitted_nothing_scores_0() -> None:
    assert summarise([Played("toy", 1, 1, [])], 2, 100.0)["auc"] == 0


def test_a_curve_that_runs_backwards_is_reported() -> None:
    sessions = [Played("one", 1, 1, [step(1, 90.0, 1.0)]), Played("two", 1, 3, [step(1, 290.0, 1.0, 1.0, 1.0)])]
    assert summarise(sessions, 1, 90.0)["warnings"]
