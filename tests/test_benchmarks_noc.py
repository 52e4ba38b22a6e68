"""Clicks are counted by the protocol, on any folder, and a stopped benchmark goes on."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks import noc
from stages.core.errors import InputError
from stages.engines.segmenters.fbrs.clicks import Click
from stages.formats.masks import write_mask

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two pictures: two objects in an indexed mask, one in a grey mask."""
    images, masks = tmp_path / "images" / "clip", tmp_path / "masks" / "clip"
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(images / f"{name}.jpg")
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[5:15, 5:15], labels[20:35, 10:50] = 1, 2
    write_mask(masks / "a.png", labels)
    grey = np.zeros((HEIGHT, WIDTH), np.uint8)
    grey[:20], grey[20:22] = 255, 128
    Image.fromarray(grey).save(masks / "b.png")
    return images.parent, masks.parent


def half_planes(_frame: NDArray[np.uint8]) -> noc.Predict:
    """Everything above the lowest positive click, so that the grey mask's object takes a few clicks."""

    def predict(clicks: list[Click]) -> NDArray[np.float32]:
        found = np.zeros((HEIGHT, WIDTH), np.float32)
        found[: int(max(click.row for click in clicks if click.is_positive)) + 1] = 1
        return found

    return predict


def test_every_object_of_every_mask_is_a_sample(folders: tuple[Path, Path]) -> None:
    chosen = noc.pairs(*folders)
    found = [(mask.name, object_id) for _, mask in chosen for object_id, _ in noc.objects(mask)]
    assert found == [("a.png", 1), ("a.png", 2), ("b.png", 1)]
    (_, truth), *_ = noc.objects(chosen[1][1])
    assert [int((truth == value).sum()) for value in (1, -1, 0)] == [20 * WIDTH, 2 * WIDTH, 18 * WIDTH]


def test_clicks_are_counted_up_to_each_target(folders: tuple[Path, Path]) -> None:
    samples = list(noc.measure(noc.pairs(*folders)[1:], "net", "NoBRS", half_planes, set()))
    (sample,) = samples
    assert sample.ious[0] < 0.85 <= sample.ious[-1]
    row = noc.figures(samples)
    assert row["NoC@85"] == 1 + sum(iou < 0.85 for iou in sample.ious)
    assert row[">=20@90"] == 0
    assert row["curve"][-1] == sample.ious[-1]


def test_an_object_that_is_never_reached_takes_20(folders: tuple[Path, Path]) -> None:
    def nothing(_frame: NDArray[np.uint8]) -> noc.Predict:
        return lambda _clicks: np.zeros((HEIGHT, WIDTH), np.float32)

    row = noc.figures(list(noc.measure(noc.pairs(*folders), "net", "NoBRS", nothing, set())))
    assert (row["NoC@85"], row[">=20@85"], row["objects"]) == (20, 3, 3)


def test_a_stopped_benchmark_goes_on(folders: tuple[Path, Path], tmp_path: Path) -> None:
    chosen, path = noc.pairs(*folders), tmp_path / "samples.csv"
    samples = list(noc.measure(chosen, "net", "NoBRS", half_planes, set()))
    noc.write_samples(path, samples)
    assert noc.read_samples(path) == samples
    path.write_bytes(path.read_bytes()[:-20])
    kept = noc.read_samples(path)
    assert kept == samples[:2]
    done = {(one.network, one.mode, one.picture, one.object_id) for one in kept}
    (again,) = noc.measure(chosen, "net", "NoBRS", half_planes, done)
    assert again.ious == samples[2].ious
    assert "| `net` | NoBRS | 3 |" in noc.write_results(tmp_path, [*kept, again])


def test_a_picture_without_a_mask_is_named(folders: tuple[Path, Path]) -> None:
    (folders[1] / "clip" / "b.png").unlink()
    with pytest.raises(InputError, match=r"no mask for .*b\.jpg"):
        noc.pairs(*folders)
