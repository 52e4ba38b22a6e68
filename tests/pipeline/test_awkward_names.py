"""Names that real data sets have go through the whole pipeline: scripts, spaces, signs, and bytes that are no text."""

import json
import os
import subprocess
import unicodedata
from pathlib import Path

import pytest

from stages.formats.frames import read_frame
from stages.formats.names import LONGEST_BYTES
from tests.conftest import LUIGI, Clip, Project, write_settings

SIGNS = "100% {x} #2 <b>?&'"
MUELLER = "Müller 東京"
LONGEST = "-" + "x" * (LONGEST_BYTES - 1)
LIS = LUIGI.with_name("lis")


@pytest.fixture
def projects(tmp_path: Path) -> dict[str, Project]:
    """Three short sequences; one as a Mac spells it, one with frames that are named in Latin-1."""
    write_settings(tmp_path)
    made = {}
    for name in (SIGNS, MUELLER, LONGEST):
        on_disk = unicodedata.normalize("NFD", name)
        project = Project(tmp_path, Clip(frame_count=2), seq=on_disk)
        project.write_frames()
        project.scribble(0, 1)
        made[name] = Project(tmp_path, project.clip, seq=name)
    for path in sorted((tmp_path / "data" / "set" / "JPEGImages" / "480p" / SIGNS).iterdir()):
        path.rename(path.with_name(os.fsdecode(b"bild_\xfc_" + path.name.encode())))
    return made


@pytest.mark.slow
def test_a_night_takes_names_as_they_are(projects: dict[str, Project]) -> None:
    signs = projects[SIGNS]
    signs.run("BulkRefine", "--list", "", "--dataset", "set")
    for name, project in projects.items():
        masks = sorted(path.name for path in (project.root / "masks").glob("*.png"))
        assert len(masks) == 2, name
    assert (signs.root / "masks" / os.fsdecode(b"bild_\xfc_00001.png")).exists()

    signs.run("ReportSequence")
    assert "bild_\\udcfc_00001.png" in (signs.root / "report" / "quality.csv").read_text()
    page = (signs.root / "report" / "index.html").read_text()
    assert "100% {x} #2 &lt;b&gt;?&amp;&#39;" in page

    said = subprocess.run(
        [str(LIS), "status", "--json"], cwd=signs.folder, capture_output=True, text=True, check=True
    ).stdout
    assert {row["sequence"] for row in json.loads(said)} == set(projects)

    for way in (["--", LONGEST], [f"--seq={LONGEST}"]):
        done = subprocess.run(
            [str(LIS), "refine", "--requests=3", *way], cwd=signs.folder, capture_output=True, text=True, check=False
        )
        assert "nothing to do" in done.stderr, done.stderr


@pytest.mark.slow
def test_frames_with_names_that_are_no_text_are_asked_for_and_imported(projects: dict[str, Project]) -> None:
    signs = projects[SIGNS]
    signs.scribble_file.unlink()
    assert "waiting for scribbles" in signs.run(expect=20)
    asked = json.loads((signs.root / "requests.json").read_text())
    assert asked["waiting"][0]["name"] == "bild_\udcfc_00000.png"
    source = str(signs.frames)
    copy = Project(signs.folder, signs.clip, seq="copy")
    copy.run("ImportSequence", "--source", source)
    imported = signs.folder / "data" / "my" / "JPEGImages" / "480p" / "copy"
    assert read_frame(imported / "bild_\udcfc_00001.png").shape == (96, 128, 3)
