"""A second dataset brings a sequence of the same name: what was asked for, painted and made stays where it is."""

import json
import shutil

import pytest
from PIL import Image

from stages.core.palette import davis_palette
from tests.conftest import Project


def paint(project: Project, index: int) -> None:
    """Over the picture to paint on: a stroke through the first object."""
    picture = Image.open(project.root / "requests" / f"{index:05d}.png").convert("RGB")
    x, y = project.clip.centres(index)[0]
    for dx in range(-9, 10):
        for dy in range(-1, 2):
            picture.putpixel((x + dx, y + dy), tuple(davis_palette()[1].tolist()))
    picture.save(project.root / "requests" / f"{index:05d}.strokes.png")


@pytest.mark.slow
def test_what_people_painted_is_read_after_another_dataset_came(project: Project) -> None:
    """Each has its own folder, in a night, too; the night names both as the list does."""
    project.run(expect=20)
    for index in (2, 5, 8, 11):
        paint(project, index)
    other = project.folder / "data" / "another" / "JPEGImages" / "480p" / "toy"
    shutil.copytree(project.frames, other)
    for path in other.iterdir():
        Image.open(path).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(path)
    said = project.run(expect=30)
    assert "another, set" in said
    assert "--dataset another" in said
    (project.folder / "night.txt").write_text("set/toy\nanother/toy\n")
    project.run("BulkRefine", "--list", "night.txt", expect=20)
    assert json.loads(project.scribble_file.read_text())["annotated_frames"] == [2, 5, 8, 11]
    assert (project.root / "masks" / "00011.png").exists()
    (summary,) = (project.folder / "outputs" / "bulk").glob("*_*/summary.json")
    states = {each["sequence"]: each["state"] for each in json.loads(summary.read_text())["sequences"]}
    assert states == {"set/toy": "done", "another/toy": "waiting"}
    assert (project.folder / "outputs" / "another" / "toy" / "requests" / "00002.png").exists()
