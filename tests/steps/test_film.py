"""What a report plays: videos that browsers play, and masks that its page can draw."""

import json
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from stages.core.errors import StageError
from stages.core.types import Frame
from stages.steps.film import CHUNK, encoded, run_lengths, write_film

GREY = 100


def grey(height: int, width: int) -> Frame:
    return np.full((height, width, 3), GREY, np.uint8)


def decode(path: Path) -> list[Frame]:
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]


def write_video(path: Path, frames: Iterable[Frame], count: int, fps: float) -> None:
    with encoded(path, count, fps) as add:
        for frame in frames:
            add(frame)


def masks_of(folder: Path) -> Iterator[tuple[int, list[list[int]]]]:
    """The first frame of each file of masks, and its run lengths."""
    for path in sorted(folder.iterdir()):
        first, _, runs = path.read_text().removeprefix("takeMasks(").removesuffix(");\n").partition(", ")
        assert path.name == f"{int(first):05d}.js"
        yield int(first), json.loads(runs)


def moving_square(count: int, height: int = 48, width: int = 64) -> Iterator[Frame]:
    for index in range(count):
        frame = grey(height, width)
        frame[10:30, index : index + 20] = (200, 40, 40)
        yield frame


def test_video_decodes_to_the_same_frames(tmp_path: Path) -> None:
    write_video(tmp_path / "overlay.mp4", moving_square(30), 30, fps=24)
    decoded = decode(tmp_path / "overlay.mp4")
    originals = list(moving_square(30))
    assert len(decoded) == 30
    for index, (one, other) in enumerate(zip(decoded, originals, strict=True)):
        difference = np.abs(one.astype(int) - other.astype(int))
        assert difference.mean() < 4
        assert difference[14:26, index + 4 : index + 16].max() < 15, "the square is there, in its colour"


def test_video_is_what_browsers_play(tmp_path: Path) -> None:
    path = tmp_path / "overlay.mp4"
    write_video(path, moving_square(50), 50, fps=29.97)
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat"), (
        "the index comes first, so that playing starts before the file is read"
    )
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == pytest.approx(29.97, abs=0.001)
        assert stream.codec_context.colorspace == 1, "BT.709, said and not guessed"
        keys = [picture.key_frame for picture in container.decode(stream)]
    assert keys[0]
    assert sum(keys) >= 3, "seeking needs key frames"


@pytest.mark.parametrize(("height", "width"), [(47, 63), (48, 63), (47, 64), (1, 1)])
def test_odd_sides_grow_by_one(tmp_path: Path, height: int, width: int) -> None:
    write_video(tmp_path / "odd.mp4", [grey(height, width)] * 3, 3, fps=10)
    decoded = decode(tmp_path / "odd.mp4")
    assert len(decoded) == 3
    assert decoded[0].shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(decoded[0].astype(int) - GREY).max() < 8


def test_video_keeps_no_frames(tmp_path: Path) -> None:
    alive: weakref.WeakSet[Frame] = weakref.WeakSet()
    most = 0

    class Counted(np.ndarray):
        __hash__ = object.__hash__

    def counted() -> Iterator[Frame]:
        nonlocal most
        for frame in moving_square(60):
            seen = frame.view(Counted)
            alive.add(seen)
            most = max(most, len(alive))
            yield seen

    write_video(tmp_path / "overlay.mp4", counted(), 60, fps=24)
    assert most <= 3


def test_video_without_frames_or_of_two_sizes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no frame"):
        write_video(tmp_path / "none.mp4", [], 0, fps=24)
    with pytest.raises(StageError, match="frame 1 of shape"):
        write_video(tmp_path / "mixed.mp4", [grey(8, 8), grey(8, 10)], 2, fps=24)


def test_a_film_has_every_frame_plain_and_laid_over_and_its_masks(tmp_path: Path) -> None:
    count = CHUNK + 5
    labels = [(frame[..., 0] == 200).astype(np.uint8) * 2 for frame in moving_square(count, 48, 96)]
    write_film(tmp_path, zip(moving_square(count, 48, 96), labels, strict=True), count, 24)
    plain, laid_over = decode(tmp_path / "frames.mp4"), decode(tmp_path / "overlay.mp4")
    assert len(plain) == len(laid_over) == count
    inside = slice(14, 26), slice(count + 3, count + 15)
    assert np.abs(plain[-1][inside].astype(int) - (200, 40, 40)).max() < 15
    assert (laid_over[-1][inside][..., 1] > plain[-1][inside][..., 1] + 15).all(), "object 2 is green"
    found = dict(masks_of(tmp_path / "masks"))
    assert list(found) == [0, CHUNK]
    assert [len(found[first]) for first in found] == [CHUNK, 5]
    for first, masks in found.items():
        for index, runs in enumerate(masks, start=first):
            assert (np.repeat(runs[::2], runs[1::2]).reshape(48, 96) == labels[index]).all()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([[0, 0], [0, 0]], [0, 4]), ([[255, 0], [0, 3]], [255, 1, 0, 2, 3, 1]), ([[1, 1], [1, 0]], [1, 3, 0, 1])],
)
def test_run_lengths_go_row_by_row(labels: list[list[int]], expected: list[int]) -> None:
    assert run_lengths(np.array(labels, np.uint8)) == expected
