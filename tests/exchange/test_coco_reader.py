import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from stages.core.errors import InputError
from stages.exchange.incoming.composing import Objects, compose
from stages.exchange.incoming.protocol import Picture
from stages.exchange.readers.coco import READER, decompress

WIDTH, HEIGHT = 30, 20
Y, X = np.mgrid[:HEIGHT, :WIDTH]
SQUARE = (X >= 4) & (X < 12) & (Y >= 3) & (Y < 9)
RING = ((X - 20) ** 2 + (Y - 10) ** 2 <= 64) & ((X - 20) ** 2 + (Y - 10) ** 2 >= 16)


def compressed(mask: np.ndarray) -> dict[str, Any]:
    packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()}


def listed(mask: np.ndarray) -> dict[str, Any]:
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *edges, mask.size]).tolist()}


def annotation(number: int, image: int, segmentation: Any, **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": 1, "segmentation": segmentation, "iscrowd": 0, **more}


def content(*annotations: dict[str, Any], images: int = 3, **more: Any) -> dict[str, Any]:
    listed = [
        {"id": at + 1, "file_name": f"dog/{at:05d}.jpg", "width": WIDTH, "height": HEIGHT} for at in range(images)
    ]
    categories = [{"id": 1, "name": "dog"}]
    return {"images": listed, "annotations": [*annotations], "categories": categories, **more}


def write(folder: Path, what: Any) -> Path:
    path = folder / "instances.json"
    path.write_text(what if isinstance(what, str) else json.dumps(what))
    return path


def labels_of(picture: Picture, known: frozenset[int] = frozenset(range(1, 255))) -> np.ndarray:
    done = compose(picture, Objects(known), (WIDTH, HEIGHT), "00000.jpg")
    assert done is not None
    return done.labels


def refusal(folder: Path, what: Any) -> str:
    path = write(folder, what)
    with pytest.raises(InputError) as told:
        [*READER.pictures(path)]
    assert "\n" not in str(told.value)
    return str(told.value).replace(str(folder), "")


@pytest.mark.parametrize("spelled", [compressed, listed])
def test_run_lengths_are_exact(tmp_path: Path, spelled: Any) -> None:
    path = write(
        tmp_path,
        content(
            annotation(1, 1, spelled(SQUARE), instance_id=2),
            annotation(2, 1, spelled(RING), track_id=5),
            annotation(3, 2, spelled(np.ones_like(SQUARE)), instance_id=5),
            annotation(4, 3, spelled(np.zeros_like(SQUARE)), instance_id=5),
        ),
    )
    one, two, three = READER.pictures(path)
    assert (one.name, one.size_wh) == ("dog/00000.jpg", (WIDTH, HEIGHT))
    assert (labels_of(one) == np.where(RING, 5, np.where(SQUARE, 2, 0))).all()
    assert (labels_of(two) == 5).all()
    assert (labels_of(three) == 0).all()


def test_polygons_are_filled_by_pixel_edges_and_cut_by_the_picture(tmp_path: Path) -> None:
    square = [4, 3, 12, 3, 12, 9, 4, 9]
    beyond = [-50, 10, 3, 10, 3, 90, -50, 90]
    path = write(tmp_path, content(annotation(1, 1, [square, beyond], instance_id=1)))
    picture = next(READER.pictures(path))
    assert (labels_of(picture) == (SQUARE | ((X < 3) & (Y >= 10)))).all()


def test_without_ids_the_order_on_the_only_picture_counts(tmp_path: Path) -> None:
    path = write(tmp_path, content(annotation(1, 2, compressed(SQUARE)), annotation(2, 2, compressed(RING))))
    _, picture, _ = READER.pictures(path)
    assert (labels_of(picture) == np.where(RING, 2, np.where(SQUARE, 1, 0))).all()
    said = refusal(tmp_path, content(annotation(1, 1, compressed(SQUARE)), annotation(2, 2, compressed(SQUARE))))
    assert said.startswith("/instances.json: found 2 annotations on 2 images, and neither 'instance_id' nor 'track_id'")
    said = refusal(
        tmp_path, content(annotation(1, 1, compressed(SQUARE)), annotation(2, 2, compressed(SQUARE), track_id=1))
    )
    assert "annotation 1: found no 'instance_id', nor 'track_id', which others have" in said


def test_a_crowd_without_an_id_is_what_nobody_knows(tmp_path: Path) -> None:
    crowd = annotation(2, 1, listed(X >= 28), iscrowd=1)
    path = write(tmp_path, content(annotation(1, 1, compressed(SQUARE), instance_id=1), crowd))
    done = compose(next(READER.pictures(path)), Objects(frozenset({1})), (WIDTH, HEIGHT), "00000.jpg")
    assert done is not None
    assert (done.unknown_px, done.labels.max()) == (2 * HEIGHT, 1)
    path = write(tmp_path, content(annotation(1, 1, compressed(RING), instance_id=3, iscrowd=1)))
    assert (labels_of(next(READER.pictures(path))) == np.where(RING, 3, 0)).all()  # how some write holes


def test_wrong_totals_and_sizes_are_named_all_at_once(tmp_path: Path) -> None:
    short = listed(SQUARE)
    short["counts"][-1] -= 60
    long = compressed(np.ones((HEIGHT, WIDTH + 1), bool))
    turned = {**listed(SQUARE), "size": [WIDTH, HEIGHT]}
    said = refusal(
        tmp_path,
        content(
            annotation(1, 1, compressed(SQUARE), instance_id=1),
            annotation(2, 2, short, instance_id=1),
            annotation(3, 3, turned, instance_id=1),
            annotation(4, 3, {**long, "size": [HEIGHT, WIDTH]}, instance_id=2),
        ),
    )
    assert said == (
        "/instances.json, annotation 2 (dog/00001.jpg): found 540 pixels, expected 20 x 30 = 600; "
        "annotation 3 (dog/00002.jpg): found the size [30, 20], expected [20, 30] (height first); "
        "annotation 4 (dog/00002.jpg): found 620 pixels, expected 20 x 30 = 600; export it again"
    )


def test_annotations_of_pictures_that_are_not_there_are_named(tmp_path: Path) -> None:
    said = refusal(tmp_path, content(*(annotation(k, 2 * k, compressed(SQUARE), track_id=1) for k in range(1, 4))))
    assert (
        "found the image ids 4, 6, which the annotations 2, 3 ask for and which are not among 'images' (1 to 3)" in said
    )


def test_rings_that_are_none_are_named(tmp_path: Path) -> None:
    said = refusal(
        tmp_path,
        content(
            annotation(13, 1, [[40, 20, 20, 16]], instance_id=1),
            annotation(14, 2, [[1, 1, 5, 1, 5, 5, 1]], instance_id=1),
        ),
    )
    assert "annotation 13 (dog/00000.jpg): found a polygon of 2 points, expected 3 at least" in said
    assert "annotation 14 (dog/00001.jpg): found a polygon of 7 numbers, expected an even number" in said


HUGE = 10**400


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([], "as 'segmentation', expected run lengths or polygons"),
        (None, "as 'segmentation', expected run lengths or polygons"),
        ({"size": [HEIGHT, WIDTH]}, "found no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": ""}, "found no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": "a0230\u00e9"}, "found no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": "h"}, "found no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": "o" * 60}, "found no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": "oooooooooooo0"}, "found no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": [-1, 601]}, "found no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": [True, 599]}, "found no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": [HUGE]}, "found no run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": []}, "found 0 pixels"),
        ({"size": [HEIGHT, WIDTH, 3], "counts": [600]}, "found the size"),
        ([[1, 1, 5, 1, 5, "5"]], "as a polygon, expected a list of numbers"),
        ([[1, 1, 5, 1, HUGE, 5]], "found a point at 1"),
        ([1, 1, 5, 1, 5, 5], "as a polygon"),
    ],
)
def test_what_cannot_be_decoded_is_refused_without_being_tried(tmp_path: Path, segmentation: Any, words: str) -> None:
    assert words in refusal(tmp_path, content(annotation(1, 1, segmentation, instance_id=1)))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("[" * 100_000, "found no readable JSON"),
        ('{"images": [NaN]}', "found no readable JSON (found NaN, expected a finite number)"),
        ("[]", "found a list, expected an object with 'images' and 'annotations'"),
        ({"images": []}, "found no image"),
        ({"images": [{"id": 1}], "annotations": []}, "image number 0 (from 0): found {'id': 1}, expected"),
        (content(images=0), "found no image"),
        (content({"id": 1}), "annotation number 0 (from 0): found {'id': 1}, expected"),
        ({**content(), "annotations": None}, "found nothing as 'annotations', expected a list"),
        (content(annotation(1, 1, [], instance_id=255)), "found 255 as 'instance_id', expected an object's id"),
        (content(annotation(1, 1, [], track_id="1")), "found '1' as 'track_id', expected an object's id"),
        ({**content(), "images": [*content()["images"], content()["images"][0]]}, "found the image id 1 twice"),
    ],
)
def test_a_file_of_another_form_is_refused_where_it_goes_wrong(tmp_path: Path, what: Any, words: str) -> None:
    assert words in refusal(tmp_path, what)


def test_the_text_of_run_lengths_is_read_as_the_reference_reads_it() -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        mask = np.asfortranarray(rng.random(rng.integers(1, 90, 2)) < rng.random(), np.uint8)
        counts = decompress(coco.encode(mask)["counts"].decode())
        assert counts is not None
        assert (np.repeat(np.arange(len(counts)) % 2, counts) == mask.ravel(order="F")).all()


def test_an_exports_folder_is_recognised_by_its_only_file(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    write(tmp_path / "annotations", content(annotation(1, 1, compressed(SQUARE), instance_id=1)))
    (tmp_path / "other.json").write_text('{"schema": 1}')
    assert READER.recognises(tmp_path)
    assert len([*READER.pictures(tmp_path)]) == 3
    (tmp_path / "second.json").write_text(json.dumps(content()))
    with pytest.raises(InputError, match=r"found 2 files of COCO instances .*, expected one; give the file"):
        [*READER.pictures(tmp_path)]
