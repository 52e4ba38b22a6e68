"""`disagreement.h5`: where the directions differ comes back pixel by pixel, and what rotted is refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from stages.core.errors import StageError
from stages.formats.disagreement import DisagreementWriter, read_disagreement
from stages.formats.results import DISAGREEMENT

HEIGHT, WIDTH = 35, 61
RNG = np.random.default_rng(5)


def differing() -> np.ndarray:
    """Two objects: a noisy box at the border, and one pixel."""
    layers = np.zeros((2, HEIGHT, WIDTH), np.bool_)
    layers[0, 20:, 33:] = RNG.random((15, 28)) > 0.5
    layers[1, 0, 60] = True
    return layers


FRAMES = {4: differing(), 5: np.zeros((2, HEIGHT, WIDTH), np.bool_), 7: differing()[::-1], 8: ~differing()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    writer = DisagreementWriter(tmp_path, (3, 9))
    for index, layers in FRAMES.items():
        writer.append(index, layers)
    writer.close()
    return tmp_path


def test_every_pixel_comes_back_and_nothing_is_known_of_other_frames(folder: Path) -> None:
    for asked in (range(3, 10), (5, 8)):
        found = list(read_disagreement(folder, asked))
        for index, layers in zip(asked, found, strict=True):
            np.testing.assert_array_equal(layers, FRAMES.get(index))


def test_what_is_nowhere_known_has_no_file(tmp_path: Path) -> None:
    DisagreementWriter(tmp_path, (1,)).close()
    no_object = DisagreementWriter(tmp_path, ())
    no_object.append(0, np.zeros((0, HEIGHT, WIDTH), np.bool_))
    no_object.close()
    assert not list(tmp_path.iterdir())
    assert list(read_disagreement(tmp_path, range(2))) == [None, None]


def test_it_takes_a_bit_a_pixel_at_most(tmp_path: Path) -> None:
    writer = DisagreementWriter(tmp_path, (1,))
    noise = np.zeros((1, 480, 854), np.bool_)
    noise[0, 100:300, 200:500] = RNG.random((200, 300)) > 0.5
    for index in range(20):
        writer.append(index, noise)
    writer.close()
    assert (tmp_path / DISAGREEMENT).stat().st_size < 20 * (200 * 300 / 8 + 50) + 6000


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: file.attrs.__setitem__("schema", 2), "newer version of LIS"),
        (lambda file: file["box_xyxy"].__setitem__((0, 0, 2), WIDTH + 1), "a box"),
        (lambda file: file["box_xyxy"].__setitem__((0, 0, 1), 0), "bytes for a box of"),
        (lambda file: file["box_xyxy"].__setitem__((0, 0, 1), 34), "bytes for a box of"),
        (lambda file: file["bits"].__setitem__(slice(0, 9), 255), "as LIS writes it"),
        (lambda file: file["offset"].__setitem__(1, 1 << 40), "as LIS writes it"),
        (lambda file: file.__delitem__("bits"), "as LIS writes it"),
    ],
)
def test_what_is_damaged_is_refused(folder: Path, spoil, said: str) -> None:
    with h5py.File(folder / DISAGREEMENT, "r+") as file:
        spoil(file)
    with pytest.raises(StageError, match=rf"disagreement\.h5: .*{said}"):
        list(read_disagreement(folder, FRAMES))
