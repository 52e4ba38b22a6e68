from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.exchange.incoming.composing import Objects, compose
from stages.exchange.readers.binary import READER, binary_mask

WIDTH, HEIGHT = 20, 12
Y, X = np.mgrid[:HEIGHT, :WIDTH]
MASK = (X - 9) ** 2 + (Y - 5) ** 2 <= 16
GREY = np.where(MASK, np.uint8(255), np.uint8(0))


def grey(values: np.ndarray) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(values).save(path)


def one_bit(path: Path) -> None:
    Image.fromarray(GREY).convert("1").save(path)


NUMBERS = MASK.astype(np.uint8)


def palette(*colours: tuple[int, int, int], numbers: np.ndarray = NUMBERS) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        picture = Image.frombytes("P", (WIDTH, HEIGHT), np.ascontiguousarray(numbers).tobytes())
        picture.putpalette([value for colour in colours for value in colour])
        picture.save(path)

    return save


def with_alpha(colour: np.ndarray, alpha: np.ndarray) -> Callable[[Path], None]:
    return grey(np.dstack([colour, colour, colour, alpha]))


def soft(path: Path) -> None:
    """Edges from 0 to 255: half and more is the object."""
    values = np.where(MASK, np.uint8(128), np.uint8(127))
    values[0, 0], values[5, 9] = 3, 255
    Image.fromarray(values).save(path)


BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (128, 0, 0)
OPAQUE = np.full_like(GREY, 255)


@pytest.mark.parametrize(
    "save",
    [
        pytest.param(grey(GREY), id="8 bits"),
        pytest.param(one_bit, id="1 bit"),
        pytest.param(grey(MASK.astype(np.uint8)), id="0 and 1"),
        pytest.param(grey(np.where(MASK, np.uint8(7), np.uint8(5))), id="two values"),
        pytest.param(grey(np.where(MASK, np.uint16(65280), np.uint16(0))), id="16 bits, low byte empty"),
        pytest.param(grey(np.where(MASK, np.uint16(65535), np.uint16(0))), id="16 bits"),
        pytest.param(grey(np.where(MASK, np.uint16(40000), 2 * X.astype(np.uint16))), id="16 bits, soft"),
        pytest.param(palette(BLACK, WHITE), id="palette"),
        pytest.param(palette(WHITE, BLACK, numbers=(~MASK).astype(np.uint8)), id="palette turned round"),
        pytest.param(palette(BLACK, RED), id="palette of an object"),
        pytest.param(grey(np.dstack([GREY] * 3)), id="colour"),
        pytest.param(with_alpha(GREY, OPAQUE), id="opaque alpha"),
        pytest.param(soft, id="soft edges"),
    ],
)
def test_white_is_the_object_however_it_is_spelled(tmp_path: Path, save: Callable[[Path], None]) -> None:
    save(tmp_path / "a.png")
    assert (binary_mask(tmp_path / "a.png") == MASK).all()


@pytest.mark.parametrize(
    ("save", "words"),
    [
        (with_alpha(OPAQUE, GREY), "found an alpha channel in which 191 pixels are transparent"),
        (grey(np.dstack([OPAQUE, GREY])), "found an alpha channel"),
        (grey(np.full_like(GREY, 1)), "found the value 1 and none that is white"),
        (grey((X % 3).astype(np.uint8)), r"found values up to 2 and none that is white, .*--format png"),
        (palette(BLACK, RED, (0, 128, 0), numbers=(X % 3).astype(np.uint8)), "found 3 colours"),
        (palette(RED, (0, 128, 0)), r"found the colours \(0, 128, 0\) and \(128, 0, 0\)"),
        (lambda path: Image.fromarray(GREY).save(path, "JPEG"), "found a JPEG"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "found no readable picture"),
    ],
)
def test_what_would_vanish_or_fill_the_frame_is_refused(
    tmp_path: Path, save: Callable[[Path], None], words: str
) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(InputError, match=rf"a\.png: {words}"):
        binary_mask(tmp_path / "a.png")


def test_all_black_and_all_white_are_what_they_are(tmp_path: Path) -> None:
    for value in (0, 255):
        grey(np.full_like(GREY, value))(tmp_path / "a.png")
        assert (binary_mask(tmp_path / "a.png") == bool(value)).all()


def test_folders_are_ids_or_names(tmp_path: Path) -> None:
    for folder in ("2", "10", "Rex", ".hidden", "empty"):
        (tmp_path / folder).mkdir()
    other = np.roll(MASK, 5, axis=1)
    for folder, mask in (("2", MASK), ("10", other), ("Rex", np.roll(MASK, -5, axis=1)), (".hidden", ~MASK)):
        Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).save(tmp_path / folder / "00001.png")
    Image.fromarray(GREY).save(tmp_path / "10" / "00004.png")
    one, four = READER.pictures(tmp_path)
    objects = Objects(frozenset({2, 3, 10}), {"Rex": 3})
    done = compose(one, objects, (WIDTH, HEIGHT), "00001.jpg")
    assert done is not None
    assert done.claimed_twice_px == np.count_nonzero(MASK & other) + np.count_nonzero(MASK & np.roll(MASK, -5, axis=1))
    assert np.unique(done.labels).tolist() == [0, 2, 3, 10]
    assert ((done.labels == 10) == other).all()
    done = compose(four, objects, (WIDTH, HEIGHT), "00004.jpg")
    assert done is not None
    assert np.unique(done.labels).tolist() == [0, 10]
    assert READER.recognises(tmp_path / "2") is False


def test_a_folder_of_plain_pngs_is_no_folder_of_objects(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "00001.png")
    with pytest.raises(InputError, match=r"found 00001\.png in no object's folder, expected a folder of <id>/<stem>"):
        [*READER.pictures(tmp_path)]


def test_of_an_export_of_several_sequences_names_have_their_folder(tmp_path: Path) -> None:
    for folder in ("dog/1", "dog/2", "cat/1"):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(GREY).save(tmp_path / folder / "00001.png")
    assert [picture.name for picture in READER.pictures(tmp_path)] == ["cat/00001.png", "dog/00001.png"]
    assert READER.recognises(tmp_path / "dog")
