"""Figures are measured once and kept, tables say what they come to, and targets are met or missed."""

import json
import shutil
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import bulk, cascadepsp, fbrs, performance, siammask
from benchmarks import performance_runs as runs
from benchmarks import performance_tables as tables
from benchmarks.clips import Clip, open_clip
from stages.core.errors import InputError
from stages.formats.layout import sequence_paths
from stages.formats.masks import write_mask
from stages.formats.scribbles import read_scribbles
from tests.conftest import REPOSITORY
from tests.conftest import Clip as Toy

WITHOUT_WEIGHTS = ["--segmenter", "grabcut", "--propagator", "flow", "--refiner", "guided"]
FRAME, MASK = Toy().frame(0), Toy().truth(0) == 1


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


def drawn(data_root: Path, dataset: str, name: str) -> tuple[int, list[tuple[int, ...]]]:
    """How many frames a sequence has, and the objects scribbled on each of its annotated frames."""
    paths = sequence_paths(data_root, dataset, name)
    count = len(list(paths.frames.iterdir()))
    scribbles = read_scribbles(paths.scribbles / "001.json", name, count)
    return count, [scribbles.frame(index).object_ids for index in scribbles.annotated]


def test_a_long_video_repeats_the_anchors_of_the_short_one(clip: Clip, tmp_path: Path) -> None:
    name = runs.there_and_back(clip, 28, tmp_path / "data")
    count, objects = drawn(tmp_path / "data", "toy", name)
    assert count == 28
    assert len(objects) == 8 + 6 + 8  # there, back without the two ends, there again


def test_only_the_number_of_scribbled_objects_changes(clip: Clip, tmp_path: Path) -> None:
    pictures = {}
    for objects in (1, 4):
        data = tmp_path / str(objects) / "data"
        data.mkdir(parents=True)
        name = runs.copies_in_a_grid(clip, objects, data)
        count, found = drawn(data, "benchmark", name)
        assert count == 10
        assert found == [tuple(range(1, objects + 1))] * 8
        files = sorted(sequence_paths(data, "benchmark", name).frames.iterdir())
        pictures[objects] = [file.read_bytes() for file in files]
    assert pictures[1] == pictures[4]


@pytest.mark.slow
def test_a_run_tells_what_each_stage_took(clip: Clip) -> None:
    row = runs.pipeline(partial(runs.short_copies, clip, 2), WITHOUT_WEIGHTS, task="BulkRefine")
    assert row["frames"] == 2 * 10
    assert row["tracked"] == 2 * (10 - 8)
    assert {"anchor_masks", "tracks", "refined", "masks"} < set(row["stages"]) <= set(tables.STAGES)
    within = sum(stage["cpu_s"] for stage in row["stages"].values())
    assert 0 < within < row["cpu_s"]
    assert row["peak_mib"] == max(stage["peak_mib"] for stage in row["stages"].values()) > 20


@pytest.mark.slow
def test_what_is_measured_is_kept(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ["stages", "--root", str(root), "--out", str(out), "--sequence", "toy", "--frames", "10", "--rounds", "1"]
    assert performance.main([*words, "--", *WITHOUT_WEIGHTS]) == 0
    report = json.loads((out / "stages.json").read_text())
    assert list(report["cases"]) == ["workers 1, round 1", "workers 2, round 1"]
    assert "propagation alone" in capsys.readouterr().out

    document = tmp_path / "performance.md"
    shutil.copyfile(REPOSITORY / "docs" / "performance.md", document)
    assert performance.main([*words, "--fill", str(document), "--", *WITHOUT_WEIGHTS]) == 0
    assert json.loads((out / "stages.json").read_text()) == report
    assert "| propagation alone, 2 workers |" in document.read_text().split("<!-- begin stages -->")[1]

    assert performance.main([*words, "--frames", "9", "--", *WITHOUT_WEIGHTS]) == 1
    assert "'frames': 10" in capsys.readouterr().err


@pytest.fixture
def bench(root: Path, tmp_path: Path) -> performance.Bench:
    """Everything on the toy clip, with engines that need no weights."""
    return performance.Bench(
        root=root,
        out=tmp_path / "out",
        sequence="toy",
        frames=10,
        rounds=2,
        sample=2,
        lengths=[9, 12],
        objects=[1, 2],
        counts=[1, 3],
        finished=2,
        development=["toy"],
        arguments=WITHOUT_WEIGHTS,
    )


def test_measurements_go_in_turns_and_along_one_axis_at_a_time(bench: performance.Bench) -> None:
    names = {name: [case for case, _ in section(bench)] for name, section in performance.SECTIONS.items()}
    parts = ["fbrs", "siammask", "cascadepsp", "pipeline"]
    assert names["stages"] == [f"workers {workers}, round {turn}" for turn in (1, 2) for workers in (1, 2)]
    assert names["original"] == ["amounts", *(f"{part}, round {turn}" for turn in (1, 2) for part in parts)]
    axes = {"frames": (9, 12), "workers": (1, 2), "objects": (1, 2), "sequences": (1, 3)}
    assert names["scaling"] == [f"{axis} {amount}" for axis, amounts in axes.items() for amount in amounts]
    assert names["shortcuts"] == [f"{name}, toy" for name in ("default", *performance.SHORTCUTS)]
    assert not any("," in name for name in performance.SHORTCUTS)  # it ends the name where tables look for it


@pytest.mark.slow
def test_a_shortcut_is_measured_on_the_masks_of_one_run(bench: performance.Bench) -> None:
    cases = dict(performance.measure_shortcuts(bench))
    rows = {name: measure() for name, measure in list(cases.items())[:2]}
    log = bench.out / "shortcuts" / "toy" / "log.txt"
    assert "tracks/" in log.read_text()
    assert all(0.5 < row["J"] <= 1 for row in rows.values())
    assert len({row["cpu_s"] for row in rows.values()}) == 2


def test_unknown_sections_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        performance.main(["speed", "--root", str(root), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sample", "0"], "expected a number of 1 or more"),
        (["--objects", "1,10"], "expected 9 at most"),
        (["--fill", "nowhere.md"], "found no document nowhere.md"),
        (["--", "--workers", "2"], "--workers is the benchmark's own to give"),
    ],
)
def test_what_would_fail_after_hours_is_refused_at_once(
    words: list[str], said: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        performance.main(["stages", "--root", str(root), "--out", str(tmp_path / "out"), *words])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--lengths", "20"], "found 10 frames"), (["--lengths", "5", "--development", "toy,tyo"], "tyo")],
)
def test_nothing_is_measured_if_a_later_section_cannot_be(
    words: list[str], said: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--root", str(root), "--out", str(tmp_path / "out"), "--sequence", "toy", "--frames", "10", *words]
    assert performance.main(["stages", "scaling", "shortcuts", *given]) == 1
    assert said in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*.json"))


@pytest.mark.parametrize("complete", [True, False])
def test_a_target_is_not_met_by_a_section_that_was_stopped(tmp_path: Path, complete: bool) -> None:
    what = {"inputs": {"sequence": "toy", "frames": 10}, "machine": {"cpus": 2, "versions": {"torch": "2"}}, "load": 0}
    cases = {"200 sequences": {"first_s": 9.0, "recheck_s": 4.5}}
    (tmp_path / "finished.json").write_text(json.dumps({**what, "complete": complete, "cases": cases}))
    line = "| nothing to do: wall s | at most 5 |"
    said = "4.5 | met |" if complete else " | not measured |"
    assert f"{line} {said}" in tables.tables(tmp_path)["targets"]


def test_half_a_file_of_figures_is_not_built_upon(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "peak.json").write_text('{"inputs": {"seq')
    assert performance.main(["--targets", "--root", str(root), "--out", str(tmp_path)]) == 1
    assert "peak.json: found something else than a section's figures" in capsys.readouterr().err


@pytest.mark.slow
def test_a_finished_night_is_looked_at_again() -> None:
    row = bulk.measure(1, 1, WITHOUT_WEIGHTS)
    assert 0 < row["recheck_s"] < row["first_s"]


def test_multiply_adds_are_those_that_are_executed() -> None:
    layer, picture = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.zeros(1, 3, 10, 20)
    square = torch.zeros(50, 50)
    row = runs.executed(lambda: (layer(picture), square @ square), 2)
    assert row["multiply_adds"] == (10 * 20 * 8 * 27 + 50**3) / 2


def test_a_function_is_charged_for_what_it_does_itself() -> None:
    numbers = np.random.default_rng(0).random(200_000).tolist()
    name, share = next(iter(runs.costliest(lambda: list(numbers).sort()).items()))
    assert name == "sort"
    assert 0.5 < share < 1
    assert "resize" in runs.costliest(lambda: cv2.resize(FRAME, (2000, 2000)))


@pytest.mark.slow
def test_the_default_networks_run_on_real_input(clip: Clip) -> None:
    rows = {name: measure() for name, measure in runs.default_networks(clip, sample=1)}
    assert [name.partition(",")[0] for name in rows] == ["an anchor", "a frame between two anchors", "a refined frame"]
    for row in rows.values():
        assert row["multiply_adds"] > 1e7
        assert row["cpu_s"] > 0
        assert any("conv" in name for name in row["shares"])


def test_an_anchor_of_the_original_is_clicked_one_by_one() -> None:
    row = fbrs.measure_anchors([(FRAME, MASK)], "resnet34_dh128", click_count=3, crop_px=96)
    assert (row["exact_passes"], row["default_passes"]) == (3, 2)
    assert row["exact_evaluations"] >= 2
    assert row["exact"] > 0 < row["default"]


def test_the_crop_shows_the_object_and_all_clicks() -> None:
    clicks = fbrs.prescribed_clicks(MASK, 6, np.random.default_rng(0))
    close, moved = fbrs.cropped(FRAME, MASK, clicks, 96)
    assert max(close.shape[:2]) == 96
    assert len(set(clicks)) == 6
    first = close[int(moved[0].row), int(moved[0].column)].astype(int)
    assert np.abs(first - (200, 40, 30)).max() < 40  # the square's colour, some grain on it


@pytest.mark.slow
def test_steps_and_refinements_of_the_original_do_all_their_work() -> None:
    step = siammask.Step(FRAME, MASK.astype(np.float32), Toy().frame(1))
    assert siammask.measure([step], rounds=1)["mask_flips"] <= 2
    row = cascadepsp.measure([(FRAME, MASK)], longest_side=72, chosen=("exact", "default"))
    assert row["exact_calls"] >= row["default_calls"] == 1


def test_the_original_is_scaled_up_from_the_sample() -> None:
    parts = {
        "fbrs": {"exact": 10.0, "default": 2.0},
        "siammask": {"exact_start": 1.0, "exact_step": 3.0, "default_start": 0.5, "default_step": 1.0},
        "cascadepsp": {"exact": 60.0, "default": 6.0},
        "pipeline": {"cpu_s": 20.0},
    }
    cases = {"amounts": performance._amounts(70)}
    for turn, factor in enumerate((1, 5, 2), start=1):  # the median is twice the first
        cases |= {f"{n}, round {turn}": {k: factor * v for k, v in part.items()} for n, part in parts.items()}
    # Anchors end with the last frame: seven stretches between two of them, and 7 frames before the first.
    assert cases["amounts"] == {"anchors": 8, "starts": 15, "steps": 2 * (70 - 8 - 7) + 7, "refined": 70}
    exact, default = (tables.whole_sequence(cases, mode).values() for mode in ("exact", "default"))
    assert list(exact) == [2 * 8 * 10, 2 * (15 * 1 + 117 * 3), 2 * 70 * 60]
    assert list(default) == [2 * 8 * 2, 2 * (15 * 0.5 + 117), 2 * 70 * 6]
    text = tables.targets_table({"original": cases})
    assert f"| {sum(exact) / 40:.0f} | met |" in text
    assert "| at least 8 | 8.29 | met |" in text


def test_targets_are_met_missed_or_not_measured() -> None:
    def text(seconds: float) -> str:
        return tables.targets_table({"finished": {"200 sequences": {"recheck_s": seconds}}})

    line = "| nothing to do: wall s | at most 5 |"
    assert f"{line} 4.5 | met |" in text(4.5)
    assert f"{line} 5.5 | **missed** |" in text(5.5)
    assert f"{line}  | not measured |" in tables.targets_table({})


def test_a_shortcut_is_judged_by_the_mean_over_sequences() -> None:
    js = {"default, a": 0.8, "default, b": 0.6, "fewer passes, a": 0.82, "fewer passes, b": 0.6}
    cases = {name: {"J": j, "F": j, "cpu_s": 1.0} for name, j in js.items()}
    assert "| fewer passes | 0.7 | 0.71 |" in tables.shortcuts_table(cases)
    assert "| at most 0.005 | 0.01 | **missed** |" in tables.targets_table({"shortcuts": cases})


def test_sequences_without_all_figures_are_left_out_of_the_comparison() -> None:
    js = {"default, a": 0.8, "fewer passes, a": 0.801, "default, b": 0.6}
    cases = {name: {"J": j, "F": j, "cpu_s": 1.0} for name, j in js.items()}
    assert "| fewer passes | 0.8 | 0.801 |" in tables.shortcuts_table(cases)
    assert "| at most 0.005 | 0.001 | met |" in tables.targets_table({"shortcuts": cases})


def test_peaks_are_compared_from_the_shortest_to_the_longest_video() -> None:
    cases = {f"frames {length}": {"peak_mib": peak} for length, peak in ((1000, 480.0), (50, 400.0), (500, 500.0))}
    text = tables.targets_table({"scaling": cases | {"objects 8": {"peak_mib": 530.0}}})
    assert "| peak of a worker: MiB | at most 1536 | 530 | met |" in text
    assert "| at most 1.25 | 1.2 | met |" in text
    assert "| at most 1.25 |  | not measured |" in tables.targets_table({"scaling": {"frames 50": {"peak_mib": 1.0}}})


def test_a_document_has_one_place_for_each_table(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    shutil.copyfile(REPOSITORY / "docs" / "performance.md", document)
    made = {name: f"| table of {name} |\n" for name in (*tables.TABLES, "targets", "machines")}
    for _ in range(2):  # the second time replaces what the first one put in
        tables.fill(document, made)
        text = document.read_text()
        assert all(text.count(table) == 1 for table in made.values())
    with pytest.raises(InputError, match="found 0 places for the table 'weather'"):
        tables.fill(document, {"weather": "rain\n"})
