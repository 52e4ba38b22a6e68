"""Where both directions disagree, from the tracks to an export; and results that were made before it was stored."""

import json
import shutil
from pathlib import Path

import pytest
from luigi.task import flatten

from stages.formats.disagreement import read_disagreement
from stages.formats.manifest import MANIFEST, load_manifest, publish
from stages.formats.masks import read_mask
from stages.formats.results import DISAGREEMENT
from tasks import ExportSequence, ReportSequence
from tasks.clean import clean
from tasks.runtime import runs
from tasks.runtime.snapshot import paths_of
from tasks.tracks import TrackSegment
from tasks.verify import Kept
from tests.conftest import Project


def run(task) -> list[str]:
    """Make a task and all that it rests on, what those need first; the names of what was made."""
    made = []
    try:
        if not task.complete():
            for each in flatten(task.requires()):
                made += run(each)
            task.run()
            made.append(task.name_of_result())
    finally:
        runs.leave_all()
    return made


def as_before(tracks: Path) -> None:
    """The folder as former versions published it."""
    manifest = load_manifest(tracks)
    stripped = tracks.with_name("stripped")
    shutil.copytree(tracks, stripped)
    for name in (DISAGREEMENT, MANIFEST):
        (stripped / name).unlink(missing_ok=True)
    rest = {name: getattr(manifest, name) for name in ("stage", "key", "weights", "objects", "run")}
    publish(stripped, tracks, **rest)


@pytest.fixture
def former(finished: Project) -> Project:
    for tracks in sorted((finished.root / "tracks").iterdir()):
        as_before(tracks)
    return finished


def exported(project: Project, **options) -> ExportSequence:
    return project.task(ExportSequence, format="png", pictures="none", **options)


def unknown(project: Project, index: int):
    return read_mask(project.root / f"export/png/train/masks/toy/{index:05d}.png") == 255


def test_pixels_where_directions_disagree_are_unknown_in_the_export(finished: Project) -> None:
    run(exported(finished, unknown_soft="0.000001"))
    differing_px = 0
    for stretch, frames in (("00002-00005", (3, 4)), ("00005-00008", (6, 7)), ("00008-00011", (9, 10))):
        told = read_disagreement(finished.root / "tracks" / stretch, frames)
        for index, layers in zip(frames, told, strict=True):
            differing = layers.any(axis=0)
            assert (unknown(finished, index) >= differing).all()
            differing_px += differing.sum()
    assert differing_px > 20


def test_former_tracks_hold_and_an_export_says_where_it_knows_less(
    former: Project, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert former.task().complete()
    run(former.task(ReportSequence))
    assert "disagree is not known" not in caplog.text
    task = exported(former, unknown_soft="0.1")
    assert [name for name in run(task) if not name.startswith("export")] == []
    said = [record.message for record in caplog.records if "disagree is not known" in record.message]
    assert len(said) == 1
    assert "disagree is not known on 6 frames (toy: 6), since a former version" in said[0]

    # Cleaned away, soft masks are made again and tell; what was made of them holds.
    clean(
        Kept("toy", former.root, paths_of(former.task().place)),
        str(former.folder / "data"),
        str(former.folder / "outputs"),
        really=True,
    )
    shutil.rmtree(former.root / "export")
    caplog.clear()
    made = run(exported(former, unknown_soft="0.1"))
    assert len([name for name in made if name.startswith("tracks/")]) == 4
    assert not [name for name in made if name.startswith(("refined", "masks"))]
    assert "disagree is not known" not in caplog.text
    assert former.task().complete()
    assert former.task(ReportSequence).complete()
    assert former.task(TrackSegment, start=2, stop=5).tells_disagreement()


def test_an_export_that_asks_for_no_soft_pixels_does_not_heed_disagreement(former: Project) -> None:
    task = exported(former, unknown_band=1)
    run(task)
    assert task.parts[0].frames_untold() == 0
    assert json.loads((former.root / "export/png/export.json").read_text())["terms"]["unknown_band"] == 1
