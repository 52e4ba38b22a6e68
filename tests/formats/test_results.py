"""What the folders of results are called, and which of them the plan still has."""

from pathlib import Path

from stages.core.plan import Plan
from stages.formats import results


def test_folders_carry_frame_indices_and_results_the_names_of_the_source() -> None:
    assert results.of_frame(results.ANCHOR_MASKS, 12) == Path("anchor_masks/00012")
    assert results.of_frame(results.REFINED, 123456) == Path("refined/123456")
    assert results.of_segment(results.TRACKS, 0, 12) == Path("tracks/00000-00012")
    assert results.result_file(Path("masks"), "shot 7.v2.jpg") == Path("masks/shot 7.v2.png")


def test_what_the_plan_no_longer_has_is_swept_and_nothing_else(tmp_path: Path) -> None:
    kept = ["anchor_masks/00004", "tracks/00004-00009", "refined/00004", "refined/00004-00009", "masks", "report/00003"]
    gone = ["anchor_masks/00003", "tracks/00003-00004", "refined/00003", "refined/00000-00003", "anchor_masks/00004-1"]
    for name in (*kept, *gone, "refined/notes"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    results.sweep_parts(tmp_path, results.parts_of_plan(Plan(10, (4,), ())))
    left = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("file")}
    assert left == {*kept, "refined/notes"}
    assert not list(tmp_path.rglob(".*"))
