"""Variants annotate what they say, tables are markdown, and figures show finished results."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import ablations, figures
from benchmarks.clips import open_clip
from stages.core.errors import InputError
from stages.formats.masks import write_mask
from stages.formats.scribbles import read_scribbles
from tests.conftest import Project


@pytest.fixture
def root(project: Project) -> Path:
    """A root in the DAVIS layout with the toy clip: one frame scribbled, every frame annotated."""
    project.scribble(3)
    made = project.folder / "data" / "set"
    truths = made / "Annotations" / "480p" / project.seq
    truths.mkdir(parents=True)
    for index in range(project.clip.frame_count):
        write_mask(truths / f"{index:05d}.png", project.clip.truth(index))
    return made


def test_a_variant_annotates_as_many_frames_as_it_says(root: Path, tmp_path: Path) -> None:
    clip = open_clip(root, "toy")
    for count in (1, 2, 4, 8):
        path = ablations.scribble(clip, tmp_path / "drawn", ablations.Variant("x", annotated=count))
        drawn = read_scribbles(path, "toy", len(clip.frames))
        assert len(drawn.annotated) == count
        assert 3 in drawn.annotated
        assert all(drawn.frame(index).object_ids for index in drawn.annotated)


def test_a_table_leaves_out_what_is_not_known() -> None:
    text = ablations._table("row", {"a": {"J": 0.5, "s": 1.0}, "b": {"J": 0.25}})
    assert text == "| row | J | s |\n|---|---|---|\n| a | 0.500 | 1.000 |\n| b | 0.250 |  |\n"


@pytest.mark.slow
def test_the_papers_claims_as_a_table(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablations, "_PROJECT", root.parents[1])
    bench = ablations.Bench(root, tmp_path, ["toy"], [])
    base = ablations.Variant("all of it", annotated=4)
    whole = ablations.evaluate(bench, base, "toy")
    forward = ablations.forward_only(bench, base, "toy")
    coarse = ablations.evaluate(bench, ablations.Variant("coarse", ("--refiner", "none"), 4, base=base.title), "toy")
    assert whole["J"] > 0.6
    assert forward["J"] < whole["J"]
    assert coarse["J"] != whole["J"]
    log = (tmp_path / "coarse" / "toy" / "log.txt").read_text()
    assert log.count("tracks/") == (tmp_path / "all-of-it" / "toy" / "log.txt").read_text().count("tracks/")
    before = (tmp_path / "log.txt").stat().st_size
    assert ablations.evaluate(bench, base, "toy") == whole
    assert " done in " not in (tmp_path / "log.txt").read_text()[before:]
    assert json.loads((tmp_path / "forward-only" / "toy.json").read_text()) == forward


def test_figures_are_made_from_finished_results(labelled_once: Project) -> None:
    clip = figures.open_labelled(labelled_once.folder / "data" / "set", labelled_once.folder / "outputs", "toy")
    assert clip.farthest == 0
    pair, rows = figures.coarse_above_refined([clip, clip]), figures.rows_of_frames([clip], 3)
    assert pair.shape[0] > 2 * 270 and pair.shape[1] > 2 * 480
    assert rows.shape[0] < 2 * 270 and rows.shape[1] > 3 * 480
    picture = np.array(Image.fromarray(clip.frames[0]).resize((480, 270)))
    assert not np.array_equal(rows[10:280, 10:490], picture)


def test_unfinished_results_are_named(project: Project, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished result"):
        figures.open_labelled(project.folder / "data" / "set", tmp_path, "toy")
