"""The report of a finished sequence: who made its masks, and that it is the same whenever it is made."""

import shutil

import pytest

from stages.engines import registry
from stages.formats.manifest import read_manifest
from tests.conftest import CHEAP, Project


def test_says_which_engines_made_the_masks_and_when(labelled_once: Project) -> None:
    page = (labelled_once.root / "report" / "index.html").read_text()
    for plug, name in CHEAP.items():
        assert f"<td>{plug}</td><td>{name}, version {registry.find(plug, name).version}</td>" in page
    masks = read_manifest(labelled_once.root / "masks")
    assert masks is not None and f"made on</td><td>{masks.run['finished_at'][:10]} by LIS" in page


@pytest.mark.slow
def test_is_the_same_to_the_byte_when_it_is_made_again(finished: Project) -> None:
    def made() -> dict[str, bytes]:
        folder = finished.root / "report"
        paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}

    before = made()
    shutil.rmtree(finished.root / "report")
    finished.run("ReportSequence")
    assert finished.ran() == ["report"]
    assert made() == before
