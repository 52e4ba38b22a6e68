"""Data sets and results lie where people link them to; what is linked stays a link."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import Project


def link_away(path: Path, elsewhere: Path) -> None:
    """Move a file or folder to another disk, so to say, and leave a link."""
    elsewhere.mkdir(exist_ok=True)
    there = elsewhere / f"{len(list(elsewhere.iterdir()))}-{path.name}"
    shutil.move(path, there)
    path.symlink_to(there)


@pytest.fixture
def linked(finished: Project, tmp_path: Path) -> Project:
    """A finished sequence of which everything is a link: the data set, the sequence, frames, scribbles, results."""
    finished.folder.rename(tmp_path / "linked")
    project = Project(tmp_path / "linked", finished.clip)
    project.ran()
    for path in (project.frames / "00003.png", project.scribble_file, project.frames, project.root / "masks"):
        link_away(path, tmp_path / "elsewhere")
    for path in (project.root / "tracks", project.root, project.folder / "outputs", project.folder / "data" / "set"):
        link_away(path, tmp_path / "elsewhere")
    return project


def links_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink())


@pytest.mark.slow
def test_links_are_followed_and_stay_links(linked: Project, tmp_path: Path) -> None:
    before = links_of(tmp_path)
    assert len(before) == 8
    linked.run()
    assert set(linked.ran()) <= {"frames"}
    linked.scribble(2, 5, 6, 8, 11)
    linked.run()
    assert "masks" in linked.ran()
    assert links_of(tmp_path) == before
    assert linked.litter() == []
    assert [path for path in tmp_path.rglob(".*") if path.name.startswith((".tmp-", ".old-"))] == []


def test_scribbles_are_written_where_the_link_leads(linked: Project) -> None:
    from stages.formats.scribbles import merge, read_scribbles, write_scribbles

    there = linked.scribble_file.resolve()
    drawn = read_scribbles(linked.scribble_file, "toy", 12)
    write_scribbles(linked.scribble_file, merge(drawn, 7, ()))
    assert linked.scribble_file.is_symlink()
    assert read_scribbles(there, "toy", 12).annotated == (2, 5, 7, 8, 11)


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [("outputs", "outputs", "a loop of links"), ("outputs/toy", "unmounted", "a link to .*leads nowhere")],
)
def test_a_broken_link_of_results_is_named(project: Project, name: str, target: str, words: str) -> None:
    link = project.folder / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(project.folder / target)
    said = project.run(expect=30)
    assert "Traceback" not in said
    assert re.search(f"{name}: found {words}", said)


def test_a_frame_that_is_a_broken_link_is_named(project: Project) -> None:
    path = project.frames / "00011.png"
    path.unlink()
    path.symlink_to(project.folder / "unmounted.png")
    said = project.run(expect=30)
    assert "00011.png: found a link to" in said
    assert "Traceback" not in said
