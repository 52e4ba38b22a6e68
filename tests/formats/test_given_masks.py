"""Given masks: what a person puts there comes back as it is, or is refused with its place; nothing given is lost."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError, StageError
from stages.formats.files import sha256
from stages.formats.given_masks import (
    given_frames,
    keep_seen,
    masks_folder,
    read_given,
    read_seen,
    seen_copy,
    write_given,
)

IDS = np.kron(np.array([[0, 1], [7, 254]], np.uint8), np.ones((3, 4), np.uint8))
SIZE_WH = (8, 6)


@pytest.fixture
def scribble_file(tmp_path: Path) -> Path:
    return tmp_path / "001.json"


def put(scribble_file: Path, name: str, picture: Image.Image, **options: object) -> Path:
    path = masks_folder(scribble_file) / name
    path.parent.mkdir(exist_ok=True)
    picture.save(path, **options)
    return path


def test_what_is_given_comes_back(scribble_file: Path) -> None:
    assert given_frames(scribble_file) == {}
    path = write_given(scribble_file, 12, IDS)
    write_given(scribble_file, 100_000, IDS * 0)
    assert path == scribble_file.parent / "001.masks" / "00012.png"
    assert [*given_frames(scribble_file)] == [12, 100_000]
    assert np.array_equal(read_given(path, SIZE_WH), IDS)


def indexed(ids: np.ndarray) -> Image.Image:
    picture = Image.fromarray(ids.astype(np.uint8))
    picture.putpalette([value for i in range(256) for value in (i, 255 - i, 3)])
    return picture


@pytest.mark.parametrize("picture", [Image.fromarray(IDS), indexed(IDS)])
def test_ids_count_whatever_the_compression_and_the_palette(scribble_file: Path, picture: Image.Image) -> None:
    path = put(scribble_file, "00003.png", picture, compress_level=9)
    assert np.array_equal(read_given(path, SIZE_WH), IDS)


def test_unknown_pixels_take_the_nearest_id_and_are_told(scribble_file: Path) -> None:
    unknown = IDS.copy()
    unknown[:, 3:5] = 255
    told: list[str] = []
    path = put(scribble_file, "00003.png", indexed(unknown))
    assert np.array_equal(read_given(path, SIZE_WH, told.append), IDS)
    assert told == ["00003.png: 12 pixels are unknown (255); they take the id of the nearest other pixel"]


@pytest.mark.parametrize(
    ("picture", "found"),
    [
        (Image.fromarray(IDS[:, :4]), "found 4x6 pixels, expected 8x6"),
        (Image.fromarray(np.stack([IDS] * 3, axis=2)), "found a picture of mode RGB"),
        (indexed(np.full((6, 8), 255)), "found 255 (unknown) everywhere"),
    ],
)
def test_what_is_no_mask_of_the_frame_is_refused(scribble_file: Path, picture: Image.Image, found: str) -> None:
    path = put(scribble_file, "00003.png", picture)
    with pytest.raises(InputError) as refused:
        read_given(path, SIZE_WH)
    assert str(refused.value).startswith(f"{path}: {found}")


@pytest.mark.parametrize("name", ["3.png", "000003.png", "00003.PNG", "00003.jpg", "mask.png", "00003.mask.png"])
def test_a_picture_that_nobody_would_read_is_refused(scribble_file: Path, name: str) -> None:
    put(scribble_file, name, Image.fromarray(IDS))
    with pytest.raises(InputError, match=r"001\.masks: found .* expected masks named by the number of their frame"):
        given_frames(scribble_file)


def test_files_that_are_no_pictures_are_passed_over(scribble_file: Path) -> None:
    path = write_given(scribble_file, 3, IDS)
    for name in (".DS_Store", "._00004.png", "Thumbs.db", "notes.txt"):
        (path.parent / name).write_text("x")
    assert given_frames(scribble_file) == {3: path}


def test_a_former_mask_is_kept_when_another_is_given(scribble_file: Path) -> None:
    path = write_given(scribble_file, 3, IDS)
    former = path.read_bytes()
    write_given(scribble_file, 3, IDS)
    kept = scribble_file.parent / "removed" / "001.masks"
    assert not kept.exists()
    write_given(scribble_file, 3, IDS.T[:6, :6].copy())
    assert [copy.read_bytes() for copy in kept.iterdir()] == [former]
    with pytest.raises(StageError, match="expected a label map"):
        write_given(scribble_file, 3, IDS.astype(np.int32))


def test_a_seen_mask_is_what_its_digest_says(scribble_file: Path) -> None:
    path = write_given(scribble_file, 3, IDS)
    digest = sha256(path)
    with pytest.raises(InputError, match="found no such file, expected the mask that the strokes on frame 3 correct"):
        read_seen(scribble_file, 3, digest, SIZE_WH)
    keep_seen(scribble_file, 3, path.read_bytes(), digest)
    assert np.array_equal(read_seen(scribble_file, 3, digest, SIZE_WH), IDS)
    write_given(scribble_file, 4, IDS * 0).replace(seen_copy(scribble_file, 3, digest))
    with pytest.raises(InputError, match="found another content"):
        read_seen(scribble_file, 3, digest, SIZE_WH)
