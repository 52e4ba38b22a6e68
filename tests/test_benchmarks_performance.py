"""Clips of any length and number of objects, runs that tell what they cost, and networks that do all their work."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import memory, originals, performance, runs
from benchmarks.clips import Clip, open_clip
from stages.core.types import Frame
from stages.engines.propagators.siammask.tracker import lost
from stages.formats.frames import read_frame
from stages.formats.layout import sequence_paths
from stages.formats.masks import write_mask
from stages.formats.scribbles import read_scribbles
from tests.conftest import Clip as Toy

WITHOUT_WEIGHTS = ["--segmenter", "grabcut", "--propagator", "flow", "--refiner", "guided"]
SAMPLE = originals.Sample(Toy().frame(0), Toy().truth(0) == 1, Toy().truth(0) == 1, Toy().frame(1))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root in the DAVIS layout with twelve frames of the toy clip."""
    toy, made = Toy(), tmp_path / "davis"
    for folder in ("JPEGImages/480p/toy", "Annotations/480p/toy", "Scribbles/toy"):
        (made / folder).mkdir(parents=True)
    for index in range(toy.frame_count):
        Image.fromarray(toy.frame(index)).save(made / f"JPEGImages/480p/toy/{index:05d}.png")
        write_mask(made / f"Annotations/480p/toy/{index:05d}.png", toy.truth(index))
    lines = [toy.lines(index) if index == 3 else [] for index in range(toy.frame_count)]
    (made / "Scribbles/toy/001.json").write_text(json.dumps({"scribbles": lines, "sequence": "toy"}))
    return made


@pytest.fixture
def clip(root: Path, tmp_path: Path) -> Clip:
    """Its first ten frames, with strokes on every anchor."""
    return runs.cut(open_clip(root, "toy"), 10, tmp_path / "strokes")


def drawn(data_root: Path, name: str) -> tuple[int, list[tuple[int, ...]]]:
    """How many frames a sequence has, and the objects scribbled on each of its annotated frames."""
    paths = sequence_paths(data_root, "benchmark", name)
    count = len(list(paths.frames.iterdir()))
    scribbles = read_scribbles(paths.scribbles / "001.json", name, count)
    return count, [scribbles.frame(index).object_ids for index in scribbles.annotated]


def test_a_long_video_repeats_the_anchors_of_the_short_one(clip: Clip, tmp_path: Path) -> None:
    name = runs.there_and_back(clip, 28, tmp_path / "data")
    count, objects = drawn(tmp_path / "data", name)
    assert count == 28
    assert len(objects) == 8 + 6 + 8  # there, back without the two ends, there again


def test_a_long_video_keeps_as_few_anchors_as_are_asked_for(clip: Clip, tmp_path: Path) -> None:
    name = runs.there_and_back(clip, 28, tmp_path / "data", anchors=5)
    assert len(drawn(tmp_path / "data", name)[1]) == 5


def test_only_the_number_of_scribbled_objects_changes(clip: Clip, tmp_path: Path) -> None:
    pictures = {}
    for objects in (1, 4):
        data = tmp_path / str(objects) / "data"
        data.mkdir(parents=True)
        name = runs.copies_in_a_grid(clip, objects, data)
        count, found = drawn(data, name)
        assert count == 10
        assert found == [tuple(range(1, objects + 1))] * 8
        files = sorted(sequence_paths(data, "benchmark", name).frames.iterdir())
        pictures[objects] = [file.read_bytes() for file in files]
    assert pictures[1] == pictures[4]


def test_pictures_of_another_height_keep_their_shape_and_strokes(clip: Clip, tmp_path: Path) -> None:
    height, width = read_frame(clip.frames[0]).shape[:2]
    name = runs.at_lines(clip, 2 * height, tmp_path / "data")
    files = sorted(sequence_paths(tmp_path / "data", "benchmark", name).frames.iterdir())
    assert {read_frame(file).shape[:2] for file in files} == {(2 * height, 2 * width)}
    assert len(drawn(tmp_path / "data", name)[1]) == 8


@pytest.mark.slow
def test_a_run_tells_what_each_stage_took(clip: Clip) -> None:
    row = runs.pipeline(lambda data_root: runs.annotated(clip, data_root), WITHOUT_WEIGHTS)
    assert row["frames"] == 10
    assert row["tracked"] == 10 - 8
    assert set(row["stages"]) == set(performance.STAGES)
    within = sum(stage["cpu_s"] for stage in row["stages"].values())
    assert 0 < within < row["cpu_s"]
    assert row["peak_mib"] == max(stage["peak_mib"] for stage in row["stages"].values()) > 20


@pytest.mark.slow
def test_sections_are_printed_and_written(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "performance.json"
    small = ["--frames", "10", "--rounds", "1", "--lengths", "9", "--objects", "2", "--lines", "60", "--finished", "1"]
    words = ["stages", "growth", "finished", "--root", str(root), "--sequence", "toy", *small, "--json", str(file)]
    assert performance.main([*words, "--", *WITHOUT_WEIGHTS]) == 0
    sections = json.loads(file.read_text())["sections"]
    assert list(sections["growth"]) == ["frames: 9", "objects: 2", "lines: 60"]
    assert sum(sections["stages"][title]["share"] for title in performance.STAGES.values()) < 1
    night = sections["finished"]["1 sequences"]
    assert 0 < night["looked at again"] < night["labelled"]
    assert "propagation alone" in capsys.readouterr().out


@pytest.mark.slow
def test_the_memory_of_each_stage_is_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "memory.json"
    words = ["memory", "--root", str(root), "--sequence", "toy", "--lengths", "14", "--json", str(file)]
    monkeypatch.setattr("sys.argv", [*words, "--", *WITHOUT_WEIGHTS])
    assert memory.main() == 0
    (row,) = json.loads(file.read_text())
    assert row["frames"] == 14
    assert row["tracks_mib"] > 20
    assert "tracks_mib" in capsys.readouterr().out


def test_medians_are_taken_number_by_number() -> None:
    rows = [{"a": a, "stages": {"b": b}} for a, b in ((1, 30), (3, 10), (2, 20))]
    assert performance.median(rows) == {"a": 2, "stages": {"b": 20}}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["speed"], "no section is called speed"),
        (["--sample", "0"], "expected numbers of 1 or more"),
        (["--objects", "1,10"], "expected 9 at most"),
    ],
)
def test_impossible_options_are_refused(
    words: list[str], said: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        performance.main([*words, "--root", str(root)])
    assert said in capsys.readouterr().err


def test_nothing_is_measured_if_the_clip_is_too_short(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert performance.main(["stages", "growth", "--root", str(root), "--sequence", "toy", "--lengths", "20"]) == 1
    assert "found 20 first, expected 12 at most" in capsys.readouterr().err


def test_a_sequence_needs_so_many_of_each_piece(
    root: Path, clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = originals.ANCHOR, originals.START, originals.STEP, originals.REFINED
    monkeypatch.setattr(originals, "compare", lambda _: {name: {"exact": 4.0, "default": 2.0} for name in pieces})
    options = performance._parse(["--root", str(root), "--sample", "2"])
    table = performance.networks(performance.Bench(clip, tmp_path, options, []))
    # Ten frames have eight anchors; two are left, each seen from both sides or one.
    amounts = [int(title.rpartition(" ")[2].rstrip(")")) for title in list(table)[:-1]]
    assert amounts[0] == 8
    assert amounts[3] == 10
    assert table["the whole sequence"] == {"exact": 4.0 * sum(amounts), "default": 2.0 * sum(amounts), "times less": 2}


def test_the_robot_clicks_six_times_in_different_places() -> None:
    clicks = originals.prescribed_clicks(SAMPLE.truth, np.random.default_rng(0))
    close, moved = originals.cropped(SAMPLE, clicks, 96)
    assert max(close.shape[:2]) == 96
    assert len(set(clicks)) == 6
    first = close[int(moved[0].row), int(moved[0].column)].astype(int)
    assert np.abs(first - (200, 40, 30)).max() < 40  # the square's colour, some grain on it


def test_an_anchor_is_clicked_one_by_one_in_exact_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[bool, int, bool]] = []

    class Recorder:
        def __init__(self, network: object, frame: Frame, *, exact: bool, **_options: object) -> None:
            self.exact = exact

        def predict(self, clicks: list[object], optimise: bool = True) -> None:
            asked.append((self.exact, len(clicks), optimise))

    monkeypatch.setattr(originals, "Predictor", Recorder)
    clicks = originals.prescribed_clicks(SAMPLE.truth, np.random.default_rng(0))
    for exact in (True, False):
        originals.click(torch.nn.Identity(), exact, (SAMPLE.frame, clicks), (SAMPLE.frame, clicks))
    assert asked[:6] == [(True, 1, False), *((True, count, True) for count in range(2, 7))]
    assert asked[6:] == [(False, 6, False), (False, 6, True)]


@pytest.mark.slow
def test_every_piece_of_work_is_timed_in_both_modes() -> None:
    row = originals.compare([SAMPLE], crop_px=96, longest_side=72)
    assert list(row) == [originals.ANCHOR, originals.START, originals.STEP, originals.REFINED]
    assert all(set(seconds) == set(originals.MODES) and min(seconds.values()) > 0 for seconds in row.values())


def test_a_step_that_gives_up_is_no_figure() -> None:
    class Lost:
        def step(self, frame: Frame) -> object:
            return lost(frame, 0.0, "lost: too small")

    with pytest.raises(RuntimeError, match="too small; the time of this step means nothing"):
        originals.step(Lost(), SAMPLE.frame)
