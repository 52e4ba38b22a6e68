from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError, StageError
from stages.core.palette import davis_palette
from stages.formats.masks import read_mask, write_mask

IDS = np.arange(255, dtype=np.uint8).reshape(15, 17)


def test_the_palette_is_the_one_of_davis() -> None:
    palette = davis_palette()
    assert palette[:9].tolist() == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128],
        [128, 0, 128], [0, 128, 128], [128, 128, 128], [64, 0, 0],
    ]  # fmt: skip
    assert palette[255].tolist() == [224, 224, 192]
    assert len(np.unique(palette, axis=0)) == 256


@pytest.mark.parametrize("labels", [IDS, np.zeros((1, 1), np.uint8), IDS[::2, ::3], np.asfortranarray(IDS)])
def test_ids_survive_the_file(tmp_path: Path, labels: np.ndarray) -> None:
    path = tmp_path / "mask.png.tmp-1"
    write_mask(path, labels)
    assert np.array_equal(read_mask(path), labels)
    with Image.open(path) as picture:
        assert (picture.format, picture.mode) == ("PNG", "P")
        assert np.array_equal(np.array(picture.convert("RGB")), davis_palette()[labels])


@pytest.mark.parametrize(
    "labels",
    [np.zeros((4, 4), np.int32), np.zeros((4, 4), bool), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8)],
)
def test_only_label_maps_are_written(tmp_path: Path, labels: np.ndarray) -> None:
    with pytest.raises(StageError, match="label map"):
        write_mask(tmp_path / "mask.png", labels)


def test_a_mask_of_255_is_no_label_map(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"the id 255 .* ids in 0\.\.254"):
        write_mask(tmp_path / "mask.png", np.array([[0, 255]], np.uint8))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_noticed() -> None:
    with pytest.raises(StageError, match="room"):
        write_mask(Path("/dev/full"), IDS)


def test_grey_pictures_are_ids_or_one_object(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).save(path)
    assert read_mask(path).tolist() == [[0, 1], [1, 0]]
    Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8)).save(path)
    assert read_mask(path).tolist() == [[0, 1], [2, 0]]
    Image.fromarray(np.array([[False, True]])).save(path)
    assert read_mask(path).tolist() == [[0, 1]]


def test_pixels_to_ignore_stay_in_indexed_annotations(tmp_path: Path) -> None:
    picture = Image.frombytes("P", (2, 1), bytes([3, 255]))
    picture.putpalette(davis_palette().tobytes())
    picture.save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[3, 255]]


def truncated(path: Path) -> None:
    write_mask(path, np.random.default_rng(0).integers(0, 9, (60, 60)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:-400])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: Image.new("RGB", (4, 4)).save(path), ["mode RGB", "indexed PNG"]),
        (lambda path: Image.new("RGBA", (4, 4)).save(path), ["mode RGBA"]),
        (lambda path: Image.new("I;16", (4, 4)).save(path), ["mode I;16"]),
        (lambda path: Image.fromarray(np.array([[0, 7, 255]], np.uint8)).save(path), ["3 values", "indexed PNG"]),
        (lambda path: path.write_bytes(b"no picture"), ["no readable picture"]),
        (truncated, ["no readable picture"]),
        (lambda path: None, ["no such file"]),
    ],
)
def test_what_holds_no_ids_is_refused(tmp_path: Path, make: Callable[[Path], object], words: list[str]) -> None:
    path = tmp_path / "mask.png"
    make(path)
    with pytest.raises(InputError) as error:
        read_mask(path)
    assert all(word in str(error.value) for word in [str(path), "expected", *words]), error.value


# --- palettes that other programs wrote anew -------------------------------------------------------------------------


def write_indexed(path: Path, numbers: np.ndarray, colours: list[tuple[int, int, int]], **options: object) -> None:
    picture = Image.frombytes("P", numbers.shape[::-1], numbers.tobytes())
    picture.putpalette([value for colour in colours for value in colour])
    picture.save(path, **options)


BLACK, RED, GREEN, OTHER = (0, 0, 0), (128, 0, 0), (0, 128, 0), (250, 10, 10)
OBJECTS = np.array([[0, 0, 1, 1], [0, 2, 2, 1], [0, 0, 0, 0]], np.uint8)


@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_our_palette_in_another_order_is_read_by_its_colours(tmp_path: Path, order: tuple[int, ...]) -> None:
    numbers = np.argsort(order).astype(np.uint8)[OBJECTS]
    colours = [(BLACK, RED, GREEN)[object_id] for object_id in order]
    write_indexed(tmp_path / "a.png", numbers, colours)
    assert (read_mask(tmp_path / "a.png") == OBJECTS).all()
    assert not (np.array(Image.open(tmp_path / "a.png")) == OBJECTS).all()


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 1, 0)])
def test_colours_that_colour_management_has_moved_are_ours(tmp_path: Path, order: tuple[int, ...]) -> None:
    numbers = np.argsort(order).astype(np.uint8)[OBJECTS]
    moved = [((0, 1, 3), (126, 3, 1), (2, 131, 0))[object_id] for object_id in order]
    write_indexed(tmp_path / "a.png", numbers, moved)
    assert (read_mask(tmp_path / "a.png") == OBJECTS).all()


@pytest.mark.parametrize("number", [1, 2, 127, 128])
def test_a_palette_of_greys_shows_the_numbers(tmp_path: Path, number: int) -> None:
    write_indexed(tmp_path / "a.png", np.uint8(number) * (OBJECTS > 0), [(value,) * 3 for value in range(256)])
    assert (read_mask(tmp_path / "a.png") == number * (OBJECTS > 0)).all()


def test_two_bits_and_a_transparent_background_change_nothing(tmp_path: Path) -> None:
    write_indexed(tmp_path / "a.png", OBJECTS, [BLACK, RED, GREEN], bits=2, transparency=0)
    assert (read_mask(tmp_path / "a.png") == OBJECTS).all()


def test_colours_that_are_not_ours_say_nothing(tmp_path: Path) -> None:
    write_indexed(tmp_path / "a.png", OBJECTS, [OTHER, (1, 2, 3), (9, 9, 9)])
    assert (read_mask(tmp_path / "a.png") == OBJECTS).all()


def test_an_order_that_is_half_ours_is_refused(tmp_path: Path) -> None:
    write_indexed(tmp_path / "a.png", OBJECTS, [BLACK, GREEN, OTHER])
    with pytest.raises(InputError, match=r"a\.png: found a palette in which number 1 has the colour of 2, beside"):
        read_mask(tmp_path / "a.png")


@pytest.mark.parametrize("colours", [[BLACK, BLACK, BLACK], [BLACK, RED, RED]])
def test_a_palette_with_one_of_our_colours_twice_makes_no_object_vanish(
    tmp_path: Path, colours: list[tuple[int, int, int]]
) -> None:
    write_indexed(tmp_path / "a.png", OBJECTS, colours)
    with pytest.raises(
        InputError, match=r"a\.png: found a palette in which .*, and two numbers have one colour, expec"
    ):
        read_mask(tmp_path / "a.png")


def test_a_jpeg_is_no_mask(tmp_path: Path) -> None:
    Image.fromarray(OBJECTS).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(InputError, match=r"a\.png: found a JPEG, whose compression invents ids; save as PNG"):
        read_mask(tmp_path / "a.png")
