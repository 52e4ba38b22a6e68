"""Masks that people gave are anchors: exactly, without an engine, and only what rests on them is made again."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.formats.frames import pixel_digest
from stages.formats.given_for import note_given_for
from stages.formats.given_masks import write_given
from stages.formats.masks import read_mask
from tasks import RefineSequence
from tests.conftest import Project


def give(project: Project, index: int, labels: np.ndarray | None = None) -> Path:
    truth = project.clip.truth(index)
    return write_given(project.scribble_file, index, truth if labels is None else labels)


def rows_of(project: Project, index: int) -> list[str]:
    lines = (project.root / "masks" / "frames.csv").read_text().splitlines()
    return [line for line in lines if line.startswith(f"{index},")]


def key_of(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())["key"]


def test_masks_alone_make_a_result_without_any_segmenter(project: Project) -> None:
    given = [give(project, index) for index in (2, 8)]
    project.run("RefineSequence", "--placement", "given", "--segmenter", "fbrs:resnet34_dh128")
    for path in given:
        assert (project.root / "masks" / path.name).read_bytes() == path.read_bytes()
        anchor = project.root / "anchor_masks" / path.stem
        assert key_of(anchor).keys() == {"stage", "version", "frame", "given"}
        assert key_of(project.root / "refined" / path.stem).keys() == {"stage", "version", "anchor_mask"}
    assert rows_of(project, 8) == ["8,1,1.000000,,given,,,841,,"], "the disc has left"
    assert not project.scribble_file.exists()
    assert project.task(RefineSequence, placement="given", segmenter="fbrs:resnet34_dh128").complete()


@pytest.mark.slow
def test_masks_that_were_given_for_another_video_are_told(project: Project) -> None:
    give(project, 2)
    note_given_for(project.scribble_file, {2: pixel_digest(project.clip.frame(2))})
    project.run("RefineSequence", "--placement", "given")
    assert "anchor_masks/00002" in project.ran()
    Image.fromarray(project.clip.frame(2)[::-1]).save(project.frames / "00002.png")
    output = project.run("RefineSequence", "--placement", "given", expect=30)
    assert "001.masks: found masks of another video: on the frames 2 they were given for other pictures" in output
    assert "anchor_masks/00002" not in project.ran()


@pytest.mark.slow
def test_masks_beside_the_pictures_to_paint_on_are_picked_up(project: Project) -> None:
    """Without a segmenter, too; grey pictures of 0 and 255 are masks of one object."""
    few = ("RefineSequence", "--requests", "1")
    weightless = (*few, "--segmenter", "fbrs:resnet34_dh128")
    project.run(*few, expect=20)
    asked = [each["frame"] for each in json.loads((project.root / "requests.json").read_text())["waiting"]]
    for index in asked:
        grey = np.where(project.clip.truth(index) == 1, 255, 0).astype(np.uint8)
        Image.fromarray(grey).save(project.root / "requests" / f"{index:05d}.mask.png")
        output = project.run(*weightless, expect=0 if index == asked[-1] else 20)
        if index == asked[0]:
            given = project.scribble_file.with_name("001.masks") / f"{index:05d}.png"
            assert (project.root / "provisional" / given.name).read_bytes() == given.read_bytes()
        assert f"frame {index}: object 1, a whole mask, from {index:05d}.mask.png" in output
    for index in asked:
        given = project.scribble_file.with_name("001.masks") / f"{index:05d}.png"
        assert np.array_equal(read_mask(given), project.clip.truth(index) == 1)
        assert (project.root / "masks" / given.name).read_bytes() == given.read_bytes()
    assert not project.scribble_file.exists()


TOUCHED = ["anchor_masks/00005", "masks", "refined/00002-00005", "refined/00005", "refined/00005-00008",
           "tracks/00002-00005", "tracks/00005-00008"]  # fmt: skip


@pytest.mark.slow
def test_a_given_mask_among_strokes_remakes_what_rests_on_it(finished: Project) -> None:
    path = give(finished, 5)
    output = finished.run()
    assert finished.ran() == TOUCHED
    assert "frame 5: the given mask holds, the strokes on it are kept and not used" in output
    assert (finished.root / "masks" / "00005.png").read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_another_mask_or_none_remakes_what_rests_on_it_the_same_ids_in_another_file_do_not(finished: Project) -> None:
    path = give(finished, 5)
    finished.run()
    finished.ran()
    Image.open(path).save(path, compress_level=9)
    finished.run()
    assert finished.ran() == ["anchor_masks/00005"]
    give(finished, 5, np.roll(finished.clip.truth(5), 3, axis=1))
    finished.run()
    assert finished.ran() == TOUCHED
    path.unlink()
    finished.run()
    assert finished.ran() == TOUCHED
    assert "anchor" in rows_of(finished, 5)[0]
