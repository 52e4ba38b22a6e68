"""DAVIS and YouTube-VOS, read back with Pillow and with our own reader."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.core.palette import davis_palette
from stages.exchange.outgoing.format import UNKNOWN, Format
from stages.exchange.outgoing.terms import Terms
from stages.exchange.writers.davis import Davis
from stages.exchange.writers.youtube_vos import YoutubeVos
from stages.formats.masks import read_mask
from tests.exchange.adversarial import QUOTES, SAMPLES, Sample, come_and_go, dropped, sample_id, tiny, two_objects
from tests.exchange.driver import export, tree

FOLDERS = {"davis": "Annotations/480p", "youtube-vos": "train/Annotations"}
PICTURES = {"davis": "JPEGImages/480p", "youtube-vos": "train/JPEGImages"}
both = pytest.mark.parametrize("form", [Davis(), YoutubeVos()], ids=lambda form: form.name)


def _masks(form: Format, folder: Path, name: str) -> list[Path]:
    return sorted((folder / FOLDERS[form.name] / name).iterdir())


def _objects(folder: Path) -> list[dict[str, str]]:
    with (folder / "objects.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_worked_example(tmp_path: Path) -> None:
    folder = export(YoutubeVos(), {"train": [tiny()]}, tmp_path / "vos")
    assert json.loads((folder / "train/meta.json").read_text()) == {
        "videos": {
            "tiny": {
                "objects": {
                    "1": {"category": "dog", "frames": ["00000", "00001", "00002"]},
                    "2": {"category": "dog", "frames": ["00000", "00001"]},
                }
            }
        }
    }
    folder = export(Davis(), {"train": [tiny(unknown=True)], "val": [two_objects()]}, tmp_path / "davis")
    assert (folder / "ImageSets/2017/train.txt").read_text() == "tiny\n"
    assert (folder / "ImageSets/2017/val.txt").read_text(encoding="utf-8") == f"{two_objects().sequence.name}\n"
    with Image.open(folder / "Annotations/480p/tiny/00000.png") as picture:
        assert (picture.mode, picture.size) == ("P", (6, 4))
        assert np.array_equal(np.array(picture), tiny(unknown=True).kept[0])
        assert picture.getpalette() == davis_palette().ravel().tolist()


@pytest.mark.parametrize("name", ["../../x", "..", "a/b", ""])
def test_a_resolution_is_called_as_a_folder_can_be(name: str) -> None:
    with pytest.raises(InputError, match="as the name of a resolution, which"):
        Davis().check(Terms(resolution_name=name))


@both
@pytest.mark.parametrize("make", SAMPLES, ids=sample_id)
def test_masks_come_back_exactly(form: Format, make: Callable[[], Sample], tmp_path: Path) -> None:
    sample = make()
    folder = export(form, {"train": [sample]}, tmp_path / "out", pictures=True)
    masks = _masks(form, folder, sample.sequence.name)
    assert [path.stem for path in masks] == [f"{number:05d}" for number in range(len(sample.kept))]
    assert all(np.array_equal(read_mask(path), labels) for path, labels in zip(masks, sample.kept, strict=True))
    pictures = sorted((folder / PICTURES[form.name] / sample.sequence.name).iterdir())
    assert [path.name for path in pictures] == [f"{path.stem}.jpg" for path in masks]


@both
def test_renumbered_ids_follow_first_appearance(form: Format, tmp_path: Path) -> None:
    """Object 3 is seen first, then 1, then 2; what is unknown stays so."""
    sample = come_and_go()
    sample.maps[1][0, 0] = UNKNOWN
    folder = export(form, {"train": [sample]}, tmp_path / "out", Terms(renumber=True))
    table = np.arange(256, dtype=np.uint8)
    table[[3, 1, 2]] = 1, 2, 3
    found = [read_mask(path) for path in _masks(form, folder, "come and go")]
    assert all(np.array_equal(mask, table[labels]) for mask, labels in zip(found, sample.kept, strict=True))
    rows = [(row["object"], row["exported_as"], row["first_frame"]) for row in _objects(folder)]
    assert rows == [("1", "2", "2"), ("2", "3", "3"), ("3", "1", "1")]


@both
def test_objects_that_come_late_or_never_are_listed(form: Format, tmp_path: Path) -> None:
    folder = export(form, {"train": [dropped(), two_objects()]}, tmp_path / "out")
    rows = _objects(folder)
    assert [(row["object"], row["exported_as"], row["first_frame"]) for row in rows] == [
        *(("1", "1", "1"), ("2", "2", "3"), ("3", "3", "0")),
        *(("1", "1", "0"), ("2", "2", "0"), ("3", "", "")),
    ]
    assert rows[3]["name"] == QUOTES


def test_frames_of_objects_that_come_and_go(tmp_path: Path) -> None:
    folder = export(YoutubeVos(), {"train": [come_and_go(), two_objects()]}, tmp_path / "out")
    videos = json.loads((folder / "train/meta.json").read_text(encoding="utf-8"))["videos"]
    assert {key: each["frames"] for key, each in videos["come and go"]["objects"].items()} == {
        "1": ["00002", "00003", "00006"],
        "2": ["00003", "00005", "00006"],
        "3": ["00001", "00002", "00003"],
    }
    assert sorted(videos[two_objects().sequence.name]["objects"]) == ["1", "2"]


def test_the_folder_of_another_resolution(tmp_path: Path) -> None:
    files = tree(export(Davis(), {"train": [tiny()]}, tmp_path / "out", Terms(resolution_name="Full-Resolution")))
    assert "Annotations/Full-Resolution/tiny/00000.png" in files


@both
def test_crowds_are_refused(form: Format) -> None:
    with pytest.raises(InputError, match=f"--unknown crowd with the format {form.name}"):
        form.check(Terms(unknown="crowd", unknown_band=1))
    form.check(Terms(unknown="none", unknown_band=1))


@both
def test_bytes_repeat(form: Format, tmp_path: Path) -> None:
    first, second = (tree(export(form, {"train": [two_objects()]}, tmp_path / name)) for name in "ab")
    assert first == second
