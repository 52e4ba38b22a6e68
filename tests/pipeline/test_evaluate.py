"""The commands that evaluate, as people type them."""

import csv
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.formats.masks import read_mask, write_mask
from tests.conftest import REPOSITORY, Project, outside

SMALL = ["--requests", "2", "--refiner", "none"]


def annotations(project: Project) -> Path:
    return project.folder / "data" / "set" / "Annotations" / "480p" / project.seq


def write_truth(project: Project) -> None:
    annotations(project).mkdir(parents=True)
    for index in range(project.clip.frame_count):
        write_mask(annotations(project) / f"{index:05d}.png", project.clip.truth(index))


@pytest.fixture
def evaluated(finished: Project) -> Project:
    """The labelled toy clip with its ground truth."""
    write_truth(finished)
    return finished


def evaluation(project: Project) -> dict:
    return json.loads((project.root / "evaluation" / "evaluation.json").read_text())


@pytest.mark.slow
def test_a_sequence_is_evaluated_once_and_again_against_another_truth(evaluated: Project) -> None:
    evaluated.run("EvaluateSequence")
    assert evaluated.ran() == ["evaluation", "truth"]
    assert evaluation(evaluated)["protocols"]["interactive"]["mean"]["J"] > 0.6
    evaluated.run("EvaluateSequence")
    assert evaluated.ran() == []
    for path in annotations(evaluated).iterdir():
        shutil.copyfile(evaluated.root / "masks" / path.name, path)
    evaluated.run("EvaluateSequence")
    assert evaluated.ran() == ["evaluation", "truth"]
    assert evaluation(evaluated)["protocols"]["interactive"]["mean"] == {"J": 1, "F": 1, "J&F": 1}


@pytest.mark.slow
def test_the_report_shows_the_scores_once_there_are_some(evaluated: Project) -> None:
    page = evaluated.root / "report" / "index.html"
    evaluated.run("ReportSequence")
    assert "Against the ground truth" not in page.read_text()
    evaluated.run("EvaluateSequence")
    evaluated.run("ReportSequence")
    text = " ".join(page.read_text().split())
    measured = evaluation(evaluated)["protocols"]["interactive"]["mean"]
    assert f"mean J {measured['J']:.3f}, mean F {measured['F']:.3f}" in text
    assert "J, and F dashed" in text


def test_without_ground_truth_the_message_says_where_it_is_expected(finished: Project) -> None:
    output = finished.run("EvaluateSequence", expect=30)
    assert "Annotations/480p/toy: found no such folder" in output
    assert "Traceback" not in output


def interactive(project: Project, policy: str, *arguments: str, expect: int = 0) -> Path:
    """Run the whole evaluation; return the folder of its summary."""
    (project.folder / "names.txt").write_text("toy\n")
    command = ["EvaluateInteractive", "--list", "names.txt", *SMALL, "--policy", policy, *arguments]
    project.run(*command, expect=expect)
    engine = "-davisinteractive" if "davisinteractive" in arguments else ""
    return project.folder / "outputs" / "bulk" / f"interactive-{policy}{engine}"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "report.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture
def sampled(project: Project) -> Project:
    """The toy clip with two alternative first rounds, and its ground truth."""
    if importlib.util.find_spec("davisinteractive") is None:
        if os.environ.get("LIS_DAVISINTERACTIVE") == "required":
            pytest.fail("davisinteractive is not installed: run `make davisinteractive`")
        pytest.skip("davisinteractive is not installed")
    write_truth(project)
    project.scribble(3)
    second = {"scribbles": [project.clip.lines(i) if i == 8 else [] for i in range(12)], "sequence": "toy"}
    project.scribble_file.with_name("002.json").write_text(json.dumps(second))
    return project


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "sets", "hurried"), [("lazy", "001,002", False), ("anytime", "001", False), ("anytime", "002", True)]
)
def test_the_official_session_says_the_same(sampled: Project, policy: str, sets: str, hurried: bool) -> None:
    """Rows and figures; with a limit that some interactions miss."""
    arguments = ["--sets", sets]
    if hurried:  # what was computed once is charged again as it was, so the limit can be put behind the first answer
        seconds = sorted({float(row["timing"]) for row in rows(interactive(sampled, policy, *arguments))})
        arguments += ["--max-time-s", f"{(seconds[-1] + 0.01) / 2:.4f}"]
    own = interactive(sampled, policy, *arguments)
    official = interactive(sampled, policy, *arguments, "--engine", "davisinteractive")
    assert len(rows(own)) == len(rows(official))
    for mine, theirs in zip(rows(own), rows(official), strict=True):
        assert mine["sequence"] == theirs["sequence"]
        for column in [*mine][1:]:
            assert float(mine[column]) == pytest.approx(float(theirs[column]), abs=1e-9)
    mine, theirs = (json.loads((folder / "summary.json").read_text()) for folder in (own, official))
    assert mine["auc"] == pytest.approx(theirs["auc"], abs=1e-9)
    for name in ("time", "J_AND_F"):
        assert mine["curve"][name] == pytest.approx(theirs["curve"][name], abs=1e-9)
    assert mine["metric_at_threshold"] == pytest.approx(theirs["metric_at_threshold"], abs=1e-9)
    sessions, interactions, objects = len(sets.split(",")), 3, 2
    complete = sessions * interactions * sampled.clip.frame_count * objects
    assert (len(rows(own)) == complete) != hurried


@pytest.mark.slow
def test_a_session_killed_in_the_middle_ends_with_the_same_report(sampled: Project) -> None:
    def report(project: Project) -> list[dict[str, str]]:
        found = rows(project.root / "interactive" / "001-anytime")
        return [{**row, "timing": ""} for row in found]

    arguments = [*SMALL, "--policy", "anytime"]
    sampled.run("InteractiveSession", *arguments)
    whole = report(sampled)
    shutil.rmtree(sampled.root)

    command = sampled.command("InteractiveSession", *arguments)
    run = subprocess.Popen(command, cwd=sampled.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = sampled.root / "interactive" / "work" / "001"
    deadline = time.monotonic() + 240
    while not list(journal.glob("anytime-*/2/step.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.kill()
    run.wait(timeout=30)
    (journal / "scribbles" / "toy" / f".tmp-003.json-{platform.node()}-{run.pid}").write_text("half")
    sampled.ran()
    sampled.run("InteractiveSession", *arguments)
    assert "frames" not in sampled.ran()
    assert report(sampled) == whole
    assert sampled.litter() == []


@pytest.mark.slow
def test_a_cache_hit_is_not_free(sampled: Project) -> None:
    arguments = ["InteractiveSession", *SMALL, "--policy", "lazy"]
    folder = sampled.root / "interactive" / "001-lazy"
    sampled.run(*arguments)
    first = (folder / "report.csv").read_bytes()
    assert float(rows(folder)[-1]["timing"]) > 0.1
    shutil.rmtree(folder)
    sampled.run(*arguments)
    assert (folder / "report.csv").read_bytes() == first


@pytest.mark.slow
def test_a_missing_scribble_set_stops_the_evaluation_before_it_begins(sampled: Project) -> None:
    sampled.run("EvaluateInteractive", "--list", "", "--dataset", "set", expect=30)
    assert not (sampled.root / "interactive").exists()


@pytest.mark.slow
def test_the_robot_draws_the_scribbles_of_the_development_data(sampled: Project) -> None:
    """Two processes, libraries six years apart: the same strokes, as far as the files' five digits tell."""
    root = outside("LIS_DAVIS_ROOT")
    content = json.loads((root / "Scribbles" / "dog" / "001.json").read_text())
    frame = next(index for index, lines in enumerate(content["scribbles"]) if lines)
    truth = root / "Annotations" / "480p" / "dog" / f"{frame:05d}.png"
    code = (
        "import sys, json, pathlib, numpy as np\n"
        "from stages.evaluation.official import Robot\n"
        "from stages.masks import read_mask\n"
        "truth = read_mask(pathlib.Path(sys.argv[1]))\n"
        "print(json.dumps([line.path for line in Robot()('dog', np.zeros_like(truth), truth, 1)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(truth)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    drawn = json.loads(done.stdout)
    assert len(drawn) == len(content["scribbles"][frame])
    for line, expected in zip(drawn, content["scribbles"][frame], strict=True):
        assert [tuple(point) for point in line] == [pytest.approx(point, abs=6e-6) for point in expected["path"]]
    assert read_mask(truth).any()
