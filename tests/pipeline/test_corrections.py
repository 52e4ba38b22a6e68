"""A stroke on a frame of the result corrects the object that it belongs to, and leaves everything else as it is."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from stages.formats.json_files import read_json
from stages.formats.masks import read_mask
from tests.conftest import Project
from tests.pipeline.test_lazy import paint

FRAME = 6
TOUCHED = ["anchor_masks/00006", "anchors", "masks", "refined/00006", "refined/00006-00008", "tracks/00006-00008"]
"""There is no frame between it and the anchor before."""


def correct(project: Project, colour: tuple[int, int, int], rows: slice, columns: slice) -> None:
    """Paint a stroke on the frame as a person would."""
    picture = project.clip.frame(FRAME)
    picture[rows, columns] = colour
    (project.root / "requests").mkdir(exist_ok=True)
    Image.fromarray(picture).save(project.root / "requests" / f"{FRAME:05d}.strokes.png")


def mask(project: Project) -> np.ndarray:
    return read_mask(project.root / "masks" / f"{FRAME:05d}.png")


def masks(project: Project) -> list[bytes]:
    return [path.read_bytes() for path in sorted((project.root / "masks").glob("0*.png"))]


def scribbles(project: Project) -> dict:
    return json.loads(project.scribble_file.read_text())


@pytest.mark.slow
def test_one_stroke_on_one_of_two_objects(finished: Project) -> None:
    before, all_before = mask(finished), masks(finished)
    assert "changed" not in read_json(finished.root / "masks" / "manifest.json")["run"], "there was no result before"
    seen = (finished.root / "masks" / f"{FRAME:05d}.png").read_bytes()
    correct(finished, (128, 0, 0), slice(20, 23), slice(40, 70))
    output = finished.run()
    assert "a correction: objects without a stroke keep the masks that they have" in output
    assert finished.ran() == TOUCHED
    after = mask(finished)
    assert np.array_equal(after == 2, before == 2) and (before == 2).any()
    assert (after[21, 42:68] == 1).all(), "what the stroke said"
    assert not np.array_equal(after, before)
    rows = [line.split(",") for line in (finished.root / "masks" / "frames.csv").read_text().splitlines()]
    assert {row[1]: row[4] for row in rows if row[0] == str(FRAME)} == {"1": "anchor", "2": "given"}

    spans = read_json(finished.root / "masks" / "manifest.json")["run"]["changed"]
    changed = [index for index, pair in enumerate(zip(all_before, masks(finished), strict=True)) if pair[0] != pair[1]]
    assert [index for first, last in spans for index in range(first, last + 1)] == changed
    assert {FRAME} <= {*changed} <= {FRAME, FRAME + 1}

    drawn = scribbles(finished)
    assert [*drawn["corrects"]] == [str(FRAME)]
    [copy] = finished.scribble_file.with_name("001.seen").iterdir()
    assert copy.read_bytes() == seen

    drawn["absent"] = {str(FRAME): [2]}
    finished.scribble_file.write_text(json.dumps(drawn))
    finished.run()
    assert finished.ran() == [name for name in TOUCHED if name != "anchors"]
    assert not (mask(finished) == 2).any()
    assert (mask(finished)[21, 42:68] == 1).all()


@pytest.mark.slow
def test_a_correction_is_repeatable_and_can_be_corrected_itself(finished: Project) -> None:
    correct(finished, (128, 0, 0), slice(20, 23), slice(40, 70))
    finished.run()
    first = mask(finished)
    shutil.rmtree(finished.root)
    finished.run()
    assert np.array_equal(mask(finished), first), "what was seen lies beside the set"

    correct(finished, (0, 128, 0), slice(80, 83), slice(70, 90))
    finished.run()
    assert np.array_equal(mask(finished) == 1, first == 1), "the first correction is what was seen then"
    assert (mask(finished)[81, 72:88] == 2).all()
    assert {line["object_id"] for line in scribbles(finished)["scribbles"][FRAME]} == {2}

    [kept] = [path for path in finished.scribble_file.with_name("001.seen").iterdir()
              if scribbles(finished)["corrects"][str(FRAME)].startswith(path.stem.partition("-")[2])]  # fmt: skip
    kept.unlink()
    finished.run()  # what is finished stays so
    shutil.rmtree(finished.root / "anchor_masks" / f"{FRAME:05d}")
    assert "expected the mask that the strokes on frame 6 correct" in finished.run(expect=30)


@pytest.mark.slow
def test_what_people_were_asked_for_is_no_correction(finished: Project) -> None:
    finished.run("RefineSequence", "--requests", "5", expect=20)
    asked = [each["frame"] for each in json.loads((finished.root / "requests.json").read_text())["waiting"]]
    paint(finished, asked[0])
    finished.run("RefineSequence", "--requests", "5", expect=20)
    assert "corrects" not in scribbles(finished)


@pytest.mark.slow
def test_a_click_on_a_frame_of_the_result_corrects_it(finished: Project) -> None:
    before = mask(finished)
    prompt = {"id": 1, "points": [[55 / 128, 21 / 96, 1]]}
    content = {"schema": 1, "sequence": "toy", "frames": [{"frame": FRAME, "objects": [prompt]}]}
    (finished.folder / "clicks.json").write_text(json.dumps(content))
    output = finished.run("ImportPrompts", "--source", "clicks.json")
    assert "a correction: objects without a stroke keep the masks that they have" in output
    finished.run()
    assert np.array_equal(mask(finished) == 2, before == 2) and (before == 2).any()
    assert finished.run("ImportPrompts", "--source", "clicks.json").count("nothing to do, all of it is drawn already")


@pytest.mark.slow
def test_a_stroke_on_provisional_masks_corrects_them(project: Project) -> None:
    project.scribble(5, 8)
    project.run(expect=20)
    before = read_mask(project.root / "provisional" / f"{FRAME:05d}.png")
    correct(project, (128, 0, 0), slice(20, 23), slice(40, 70))
    assert "a correction: objects without a stroke keep" in project.run(expect=20)
    after = read_mask(project.root / "provisional" / f"{FRAME:05d}.png")
    assert np.array_equal(after == 2, before == 2) and (before == 2).any()
    assert (after[21, 42:68] == 1).all()
    shutil.rmtree(project.root)
    project.run(expect=20)
    again = read_mask(project.root / "provisional" / f"{FRAME:05d}.png")
    assert np.array_equal(again, after), "what was seen lies beside the set"
