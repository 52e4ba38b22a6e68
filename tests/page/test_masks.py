"""Label maps as raw bytes, and where the masks of a stage lie."""

import gzip
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from stages.core.errors import InputError
from stages.steps.page.masks import MaskStage, mask_files, packed, unpacked

LABELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_what_is_packed_is_unpacked() -> None:
    content = packed(LABELS)
    assert (unpacked(content, (4, 3)) == LABELS).all()
    assert packed(LABELS.copy()) == content, "equal masks give equal bytes"
    assert gzip.decompress(packed(LABELS.T)) == LABELS.T.tobytes(), "row by row, however it lies in memory"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        LABELS.tobytes(),
        zlib.compress(LABELS.tobytes()),
        packed(LABELS)[:-1],
        packed(LABELS) + b"x",
        packed(LABELS[:2]),
        packed(np.zeros((3, 5), np.uint8)),
        packed(np.full((3, 4), 255, np.uint8)),
    ],
)
def test_what_is_no_mask_of_this_size_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="expected"):
        unpacked(content, (4, 3))


def test_a_bomb_takes_no_memory() -> None:
    bomb = gzip.compress(bytes(64 << 20), 1)
    tracemalloc.start()
    with pytest.raises(InputError, match="more than 12 bytes"):
        unpacked(bomb, (4, 3))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_of_two_stretches_over_a_frame_the_narrow_one_counts(tmp_path: Path) -> None:
    for name in ("00000-00020", "00005-00012", "00012-00020", "00010-00030", ".tmp-x", "00010"):
        (tmp_path / "tracks" / name).mkdir(parents=True)
    found = list(mask_files(tmp_path, MaskStage.COARSE, 10, "00010.jpg"))
    stretches = ["00005-00012", "00000-00020", "00010-00030"]
    places = ["anchor_masks/00010/mask.png", *(f"tracks/{name}/masks/00010.png" for name in stretches)]
    assert found == [tmp_path / place for place in places]
    assert list(mask_files(tmp_path, MaskStage.RESULT, 10, "a.b.jpg")) == [tmp_path / "masks" / "a.b.png"]
