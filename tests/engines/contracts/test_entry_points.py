"""An engine in a distribution of somebody else: installed beside this one, and nothing here is changed for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Project

SPEC = """
from stages.engines.spec import Option, Spec

SPEC = Spec(
    plug="propagator",
    name="toy",
    package=__name__,
    build="engine:Nearest",
    summary="the masks of the nearest anchor",
    options=(Option("shift_px", "toy_shift", 0, "toy: pixels to the right", limits=(-50, 50)),),
    version=1,
)
"""
ENGINE = """
import numpy as np

from stages.core.states import Gone, Source
from stages.core.types import SegmentFrame


class Nearest:
    def __init__(self, shift_px):
        self._shift_px = shift_px

    def propagate(self, frames, left, right, beyond=()):
        anchors = [anchor for anchor in (left, right) if anchor is not None]
        stop = len(frames) if right is None else right.index
        for index in range(0 if left is None else left.index + 1, stop):
            masks = np.zeros_like(anchors[0].masks)
            for anchor in sorted(anchors, key=lambda anchor: -abs(anchor.index - index)):
                for number, mask in enumerate(anchor.masks):
                    if (mask > 0.5).any():
                        masks[number] = np.roll(mask, self._shift_px, axis=1)
            there = masks.any(axis=(1, 2))
            gone = tuple(None if each else Gone(Source.ABSENT) for each in there)
            yield SegmentFrame(index, masks, there.astype(np.float32), np.full(len(there), np.nan, np.float32), gone)
"""
CONTRACT = """
from stages.testing import PropagatorContract
from toyengine.engine import Nearest


class TestNearest(PropagatorContract):
    def engine(self):
        return Nearest(3)
"""


def distribution(folder: Path, name: str, entry_points: str, **modules: str) -> None:
    """What an installer leaves behind: a package, and what is known about it."""
    package = folder / name
    package.mkdir(parents=True)
    for module, source in {"__init__": "", **modules}.items():
        (package / f"{module}.py").write_text(source)
    info = folder / f"{name}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose distributions every command finds."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # a module that is changed within a second is read again
    return folder


@pytest.fixture
def toy(installed: Path) -> Path:
    entry_points = "[lis.propagators]\ntoy = toyengine:SPEC\n"
    distribution(installed, "toyengine", entry_points, __init__=SPEC, engine=ENGINE)
    return installed / "toyengine"


def key_of_tracks(project: Project) -> dict:
    """What the first stretch between two anchors says that it owes its result to."""
    return json.loads((project.root / "tracks" / "00002-00005" / "manifest.json").read_text())["key"]


def mask(project: Project, index: int) -> np.ndarray:
    return np.array(Image.open(project.root / "tracks" / "00002-00005" / "masks" / f"{index:05d}.png"))


TRACKS = ["tracks/00000-00002", "tracks/00002-00005", "tracks/00005-00008", "tracks/00008-00011"]


@pytest.mark.slow
def test_an_engine_of_another_distribution_is_run_by_its_name(project, toy):
    project.scribble(2, 5, 8, 11)
    project.run("RefineSequence", "--propagator", "toy")
    assert len(list((project.root / "masks").glob("*.png"))) == project.clip.frame_count
    key = key_of_tracks(project)
    assert (key["propagator"], key["options"]) == ("toy", {"shift_px": 0})
    assert set(TRACKS) <= set(project.ran())
    where_it_was = mask(project, 3)

    assert "pixels to the right" in project.run("RefineSequence", "--help")
    project.run("RefineSequence", "--propagator", "toy", "--toy-shift", "5")
    assert set(TRACKS) <= set(project.ran())
    np.testing.assert_array_equal(mask(project, 3), np.roll(where_it_was, 5, axis=1))
    project.run("RefineSequence", "--propagator", "toy", "--toy-shift", "5")
    assert project.ran() == []
    assert "not permitted" in project.run("RefineSequence", "--propagator", "toy", "--toy-shift", "51", expect=40)

    spec = toy / "__init__.py"
    spec.write_text(spec.read_text().replace("version=1", "version=2"))
    project.run("RefineSequence", "--propagator", "toy", "--toy-shift", "5")
    assert [each for each in project.ran() if not each.startswith(("refined", "masks"))] == TRACKS


def test_its_author_tries_it_with_the_contract(toy, installed):
    file = installed / "test_toy.py"
    file.write_text(CONTRACT)
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(pytest_command, capture_output=True, text=True, check=False, cwd=installed)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    engine = toy / "engine.py"
    engine.write_text(ENGINE.replace("yield SegmentFrame(index,", "yield SegmentFrame(index + 1,"))
    done = subprocess.run(pytest_command, capture_output=True, text=True, check=False, cwd=installed)
    assert "found the frames [4, 5, 6], expected [3, 4, 5]" in done.stdout


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("import a_library_that_is_not_here", "the engine `broken` (broken:SPEC) cannot be imported"),
        ("SPEC = 'no spec'", "the entry point `broken` (broken:SPEC) of lis.propagators is passed over"),
        (SPEC.replace('"toy"', '"flow"'), "the entry point `broken` (broken:SPEC) of lis.propagators is passed over"),
    ],
    ids=["import", "no-spec", "name-is-taken"],
)
def test_a_broken_engine_of_another_distribution_is_one_line(project, installed, source, line):
    distribution(installed, "broken", "[lis.propagators]\nbroken = broken:SPEC\n", __init__=source)
    project.scribble(2, 5)
    printed = project.run("SelectAnchors")
    assert [text.partition(": ")[0][: len(line)] for text in printed.splitlines() if "broken" in text] == [line]


FAULTS = {
    "NaN": ("masks * np.nan", "values from nan"),
    "too large": ("masks * 255", "values from 0.0 to 255.0"),
    "another size": ("masks[:, 1:]", "masks of shape"),
    "nothing": ("None", "something of type NoneType"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_an_engine_becomes_no_mask(toy: Path, project: Project, fault: str) -> None:
    """What it gave, and that it is the engine's fault, in one line; a run of its own ends with 30."""
    given, said = FAULTS[fault]
    (toy / "engine.py").write_text(ENGINE.replace("SegmentFrame(index, masks,", f"SegmentFrame(index, {given},"))
    project.scribble(2, 5, 8, 11)
    output = project.run("TrackSegment", "--start", "2", "--stop", "5", "--propagator", "toy", expect=30)
    assert said in output and "Nearest" in output and "Traceback" not in output
    assert not (project.root / "tracks" / "00002-00005").exists()


def test_an_engine_that_ends_too_early_is_found_out(toy: Path, project: Project) -> None:
    (toy / "engine.py").write_text(
        ENGINE.replace("in range(0 if left", "in range(1 if left").replace(
            "left.index + 1, stop)", "left.index + 1, stop - 1)"
        )
    )
    project.scribble(2, 5, 8, 11)
    output = project.run("TrackSegment", "--start", "2", "--stop", "5", "--propagator", "toy", expect=30)
    assert "ended before frame 4" in output and "Traceback" not in output


@pytest.mark.parametrize(
    "name", ["requests", *(pytest.param(each, marks=pytest.mark.slow) for each in ("workers", "seq", "guard_iou"))]
)
def test_an_option_whose_name_is_taken_harms_nobody(toy: Path, project: Project, name: str) -> None:
    (toy / "__init__.py").write_text(SPEC.replace("toy_shift", name))
    project.scribble(2, 5, 8, 11)
    output = project.run("RefineSequence", "--propagator", "toy")
    assert f"the option `{name}` of the engine `toy` cannot be set" in output


def test_an_engine_whose_code_cannot_be_imported_says_so(toy: Path, project: Project) -> None:
    (toy / "engine.py").write_text("import a_library_that_nobody_has\n")
    project.scribble(2, 5, 8, 11)
    output = project.run("TrackSegment", "--start", "2", "--stop", "5", "--propagator", "toy", expect=30)
    assert "a_library_that_nobody_has" in output and "the engine toy cannot be built" in output
    assert "Traceback" not in output
