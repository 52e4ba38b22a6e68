"""Every format is read by its own reader, and gives the masks back: `make readers`.

Run lengths and PNG come back exactly; polygons at tolerance 0, too, where the reader takes pixels whose centres lie
inside, and but for a border where it draws outlines.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stages.core.metrics import score_sequence
from stages.exchange.encodings.outlines import filled
from stages.exchange.outgoing import formats
from stages.exchange.outgoing.terms import Terms
from tests.exchange import adversarial
from tests.exchange.adversarial import Sample
from tests.exchange.driver import export
from tests.readers.environments import python_of
from tests.readers.found import Shape, load

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("LIS_READERS" not in os.environ, reason="make readers builds their environments"),
]
HERE = Path(__file__).parent
SAMPLES = [make() for make in adversarial.SAMPLES if make is not adversarial.tiny]
"""Of one class list, as those of one export are."""


def run(reader: str, *arguments: object) -> None:
    """Run a reader's script in its environment."""
    script = HERE / f"read_{reader.removesuffix('-sdk').replace('-', '_')}.py"
    command = [python_of(Path(os.environ["LIS_READERS"]).absolute(), reader), script, *arguments]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=HERE)
    assert done.returncode == 0, done.stderr[-3000:]


def read(reader: str, form: str, folder: Path) -> dict[str, list[Shape]]:
    """What a reader finds in an export: picture -> shapes."""
    out = folder.with_suffix(".npz")
    run(reader, form, folder, out)
    return load(out)


def exported(form: str, folder: Path, samples: list[Sample], terms: Terms | None = None) -> Path:
    """An export with pictures, as the exporter makes it."""
    return export(formats.find(form), {"train": samples}, folder, terms, pictures=True)


def frames(samples: list[Sample], name: Callable[[Sample, int, int], str]) -> Iterator[tuple[str, Sample, np.ndarray]]:
    """The name of every kept frame in a format, by its index and its number among those kept; and its label map."""
    for sample in samples:
        for frame in sample.frames():
            if frame.labels is not None:
                yield name(sample, frame.index, frame.number), sample, frame.labels


def compare(
    found: dict[str, list[Shape]],
    expected: Iterator[tuple[str, Sample, np.ndarray]],
    same: Callable[[np.ndarray, np.ndarray], bool] = np.array_equal,
    *,
    knows_ids: bool = True,
) -> int:
    """Compare what was found with the label maps, in order where no ids are known; gives the count of masks."""
    count = 0
    expected = list(expected)
    assert set(found) == {name for name, _, _ in expected}
    for name, sample, labels in expected:
        present = [each for each in sample.sequence.objects if (labels == each.id).any()]
        shapes = sorted(found[name], key=lambda shape: shape.object_id) if knows_ids else found[name]
        if knows_ids:
            assert [shape.object_id for shape in shapes] == [each.id for each in present], name
        assert [shape.category for shape in shapes] == [each.category.name for each in present], name
        for shape, each in zip(shapes, present, strict=True):
            assert same(_pixels(shape, sample), labels == each.id), f"{name}, object {each.id}"
            count += 1
    return count


def _pixels(shape: Shape, sample: Sample) -> np.ndarray:
    if shape.pixels.dtype == bool:
        return shape.pixels
    width, height = sample.sequence.size_wh
    mask = np.zeros((height, width), bool)
    for number in np.unique(shape.pixels[:, 0]):
        mask |= filled(shape.pixels[shape.pixels[:, 0] == number, 1:], (width, height))
    return mask


def by_name(sample: Sample, index: int, number: int) -> str:
    return f"{sample.sequence.name}/{index:05d}.jpg"


# --- COCO ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("segmentation", ["rle", "counts"])
def test_coco_by_supervision(segmentation: str, tmp_path: Path) -> None:
    folder = exported("coco", tmp_path / "out", SAMPLES, Terms(segmentation=segmentation))
    assert compare(read("supervision", "coco", folder), frames(SAMPLES, by_name), knows_ids=False) > 500


@pytest.mark.parametrize("segmentation", ["rle", "counts", "polygon"])
def test_coco_by_datumaro(segmentation: str, tmp_path: Path) -> None:
    folder = exported("coco", tmp_path / "out", SAMPLES, Terms(segmentation=segmentation))
    stems = frames(SAMPLES, lambda *frame: by_name(*frame).removesuffix(".jpg"))
    assert compare(read("datumaro", "coco", folder), stems, knows_ids=False) > 500


def test_coco_polygons_by_labelformat(tmp_path: Path) -> None:
    folder = exported("coco", tmp_path / "out", SAMPLES, Terms(segmentation="polygon"))
    assert compare(read("labelformat", "coco", folder), frames(SAMPLES, by_name), knows_ids=False) > 500


# --- YOLO ----------------------------------------------------------------------------------------------------------


def test_yolo_by_supervision(tmp_path: Path) -> None:
    """One part without holes exactly; of others all pixels, and bridges between parts."""

    def covered(found: np.ndarray, mask: np.ndarray) -> bool:
        borders, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        return np.array_equal(found, mask) if len(borders) == 1 else bool(found[mask].all())

    folder = exported("yolo", tmp_path / "out", SAMPLES)
    names = frames(SAMPLES, lambda sample, index, number: f"{sample.sequence.name}_{index:05d}.jpg")
    assert compare(read("supervision", "yolo", folder), names, covered, knows_ids=False) > 500


POLYGONS = Terms(segmentation="polygon", tolerance=0.5)


@pytest.mark.parametrize(("form", "terms", "least"), [("coco", POLYGONS, 0.995), ("yolo", Terms(), 0.99)])
def test_outlines_within_their_tolerance(form: str, terms: Terms, least: float, tmp_path: Path) -> None:
    """Objects of a usual size with holes and parts: by datumaro, and by supervision as trainers fill."""

    def near(found: np.ndarray, mask: np.ndarray) -> bool:
        return bool((found & mask).sum() >= least * (found | mask).sum())

    samples = [adversarial.islands()]
    folder = exported(form, tmp_path / "out", samples, terms)
    if form == "coco":
        names = frames(samples, lambda *frame: by_name(*frame).removesuffix(".jpg"))
        compare(read("datumaro", form, folder), names, near, knows_ids=False)
    else:
        names = frames(samples, lambda sample, index, number: f"{sample.sequence.name}_{index:05d}.jpg")
        compare(read("supervision", form, folder), names, near, knows_ids=False)


# --- videos --------------------------------------------------------------------------------------------------------


def test_youtube_vis_by_labelformat(tmp_path: Path) -> None:
    folder = exported("youtube-vis", tmp_path / "out", SAMPLES)
    found = read("labelformat", "youtube-vis", folder)
    names = frames(SAMPLES, lambda sample, index, number: f"{sample.sequence.name}/{number}")
    assert compare(found, names, knows_ids=False) > 500


def test_youtube_vis_against_itself_by_trackeval(tmp_path: Path) -> None:
    """The results, as an evaluation server takes them, against the ground truth: HOTA 1."""
    samples = [sample for sample in SAMPLES if len(sample.kept) > 1]
    folder = exported("youtube-vis", tmp_path / "out", samples, Terms(results=True))
    truth, results = tmp_path / "gt/youtube_vis_train", tmp_path / "trackers/youtube_vis_train/self/data"
    truth.mkdir(parents=True)
    results.mkdir(parents=True)
    shutil.copy(folder / "train.json", truth)
    shutil.copy(folder / "train_results.json", results)
    run("trackeval", "youtube-vis", f"{tmp_path}/gt/", f"{tmp_path}/trackers/", tmp_path / "measures.json")
    measures = json.loads((tmp_path / "measures.json").read_text())
    assert set(measures) == {sample.sequence.name for sample in samples} | {"COMBINED_SEQ"}
    for category in samples[0].sequence.classes:
        assert np.mean(measures["COMBINED_SEQ"][category.name]["HOTA"]["HOTA"]) == pytest.approx(1)


def test_mots_against_itself_by_trackeval(tmp_path: Path) -> None:
    """Text against itself, of the class that is judged: HOTA and MOTA 1; what is unknown costs nothing."""
    samples = [*SAMPLES, adversarial.tiny(unknown=True)]
    folder = exported("mots", tmp_path / "out", samples, Terms(mots_class="dog"))
    data = tmp_path / "trackers/MOTS-train/self/data"
    data.mkdir(parents=True)
    for sample in samples:
        lines = (folder / f"MOTS-train/{sample.sequence.name}/gt/gt.txt").read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.split(" ")[2] != "10"]
        (data / f"{sample.sequence.name}.txt").write_text("".join(kept))
    run("trackeval", "mots", folder, tmp_path / "trackers", tmp_path / "measures.json")
    measures = json.loads((tmp_path / "measures.json").read_text())
    assert set(measures) == {sample.sequence.name for sample in samples} | {"COMBINED_SEQ"}
    of_all = measures["COMBINED_SEQ"]["pedestrian"]
    assert np.mean(of_all["HOTA"]["HOTA"]) == pytest.approx(1)
    assert of_all["CLEAR"]["MOTA"] == pytest.approx(1)
    dogs = [(each.id, s.kept) for s in samples for each in s.sequence.objects if each.category.name == "dog"]
    count = sum((labels == object_id).any() for object_id, kept in dogs for labels in kept)
    assert of_all["Count"]["GT_Dets"] == of_all["Count"]["Dets"] == count


def test_mots_pictures_by_datumaro(tmp_path: Path) -> None:
    folder = exported("mots", tmp_path / "out", SAMPLES)
    names = frames(SAMPLES, lambda sample, index, number: f"{sample.sequence.name}/{number + 1:06d}")
    assert compare(read("datumaro", "mots", folder / "MOTS-train"), names) > 500


def test_davis_by_trackeval_measures_what_we_measure(tmp_path: Path) -> None:
    """A result that is a little off, against the truth: J and F as our own evaluation has them; itself has 1."""
    truth = [adversarial.one_object(), adversarial.two_objects()]
    off = [replace(each, maps=tuple(np.roll(labels, (1, 2), (0, 1)) for labels in each.kept)) for each in truth]
    folder = exported("davis", tmp_path / "truth", truth)
    expected = {}
    for result, samples in (("perfect", truth), ("off", off)):
        masks = exported("davis", tmp_path / result, samples) / "Annotations/480p"
        shutil.copytree(masks, tmp_path / f"trackers-{result}/self/data")
        run("trackeval", "davis", folder, tmp_path / f"trackers-{result}", tmp_path / f"{result}.json")
        measures = json.loads((tmp_path / f"{result}.json").read_text())
        for one, other in zip(truth, samples, strict=True):
            ids = [each.id for each in one.sequence.objects if any((labels == each.id).any() for labels in one.kept)]
            scores = score_sequence(other.kept, one.kept, ids)
            found = measures[one.sequence.name]["general"]["JAndF"]
            assert found["J-Mean"] == pytest.approx(scores.region.mean())
            assert found["F-Mean"] == pytest.approx(scores.boundary.mean())
            expected[result] = scores.region.mean()
    assert expected["off"] < expected["perfect"] == 1


# --- tools ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", ["cvat-sdk", "datumaro"])
def test_cvat(reader: str, tmp_path: Path) -> None:
    samples = SAMPLES if reader == "cvat-sdk" else [adversarial.two_objects()]  # datumaro takes one file at a time
    folder = exported("cvat", tmp_path / "out", samples)
    if reader == "cvat-sdk":
        assert compare(read(reader, "cvat", folder), frames(samples, by_name)) > 500
    else:
        names = frames(samples, lambda sample, index, number: f"{index:05d}")
        compare(read(reader, "cvat", folder / samples[0].sequence.name), names)


def test_labelme(tmp_path: Path) -> None:
    folder = exported("labelme", tmp_path / "out", SAMPLES)
    assert compare(read("labelme", "labelme", folder), frames(SAMPLES, by_name)) > 500


def test_labelme_draws_outlines_half_a_pixel_wider(tmp_path: Path) -> None:
    """Its rasteriser takes the border, too: all of a mask is there, and at most a pixel around it."""

    def wider(found: np.ndarray, mask: np.ndarray) -> bool:
        around = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        return bool(found[mask].all() and not found[~around].any())

    samples = [adversarial.one_object(), adversarial.filling()]
    folder = exported("labelme", tmp_path / "out", samples, Terms(shape="polygon"))
    compare(read("labelme", "labelme", folder), frames(samples, by_name), wider)


def test_label_studio(tmp_path: Path) -> None:
    folder = exported("labelstudio", tmp_path / "out", SAMPLES)
    names = frames(SAMPLES, lambda sample, index, number: f"{sample.sequence.name}/{index}")
    assert compare(read("label-studio-sdk", "labelstudio", folder), names) > 500
