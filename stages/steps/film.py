"""What a report plays: the frames, the frames with masks laid over, and the masks for its page to draw.

`frames.mp4` and `overlay.mp4` are videos. `masks/00048.js` hands the masks of `CHUNK` frames from there on to the page,
each as run lengths, row by row: `[id, pixels, id, pixels, ...]`. They are scripts, since a page that was opened without
a server may load those, and cannot read any other file.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

from stages.core.errors import StageError
from stages.core.types import Frame, LabelMap
from stages.formats import files
from stages.steps.render import overlay

CHUNK: Final = 48
"""Frames whose masks are in one file."""
_INDEX_BYTES: Final = 4096
_INDEX_BYTES_PER_FRAME: Final = 32
"""What an mp4's index is given at the beginning of the file; it needs about 800 bytes, and 12 for each frame."""


def write_film(folder: Path, shown: Iterable[tuple[Frame, LabelMap]], count: int, fps: float) -> None:
    """Write `frames.mp4`, `overlay.mp4` and `masks/`, one frame after the other, so that memory does not grow.

    Args:
        folder: where to write; it exists.
        shown: (H, W, 3) uint8 RGB and (H, W) uint8 ids of every frame, all of one size.
        count: how many there are.
        fps: frames per second.

    Raises:
        StageError: there is no frame, or a frame has another size than the first.
    """
    files.make_folder(folder / "masks")
    chunk: list[list[int]] = []
    plain, laid_over = (encoded(folder / name, count, fps) for name in ("frames.mp4", "overlay.mp4"))
    with plain as add_plain, laid_over as add_laid_over:
        for index, (frame, labels) in enumerate(shown):
            add_plain(frame)
            add_laid_over(overlay(frame, labels))
            chunk.append(run_lengths(labels))
            if len(chunk) == CHUNK or index == count - 1:
                first = index + 1 - len(chunk)
                rows = ",\n".join(json.dumps(runs, separators=(",", ":")) for runs in chunk)
                files.write(folder / "masks" / f"{first:05d}.js", f"takeMasks({first}, [\n{rows}\n]);\n")
                chunk = []


def run_lengths(labels: LabelMap) -> list[int]:
    """Ids (H, W) row by row: an id, how many pixels have it, the next id, ..."""
    flat = labels.ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(starts, append=flat.size)
    return np.stack([flat[starts], lengths], axis=1).ravel().tolist()


@contextmanager
def encoded(path: Path, count: int, fps: float) -> Iterator[Callable[[Frame], None]]:
    """Encode frames as an mp4 that browsers play while it loads: H.264, yuv420p, index first.

    Frames are encoded as they come, so memory does not grow with the video. Odd sides are made even (the format halves
    the colour's resolution) by repeating the last row or column. Key frames are close together: seeking is fast.

    Args:
        path: the file.
        count: how many frames there are, at most.
        fps: frames per second.

    Yields:
        What takes the frames, (H, W, 3) uint8 RGB, all of one size.

    Raises:
        StageError: there was no frame, or a frame had another size than the first.
    """
    index_bytes = str(_INDEX_BYTES + count * _INDEX_BYTES_PER_FRAME)
    with files.growing(path) as file, av.open(file, "w", format="mp4", options={"moov_size": index_bytes}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        # Without these tags players guess the colour matrix, by the size of the picture.
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = (
            Colorspace.ITU709, ColorPrimaries.BT709, ColorTrc.BT709,
        )  # fmt: skip
        context.thread_count = 1
        context.gop_size = 24
        context.pix_fmt = "yuv420p"
        context.options = {"preset": "veryfast", "crf": "21"}
        shapes: list[tuple[int, ...]] = []

        def add(frame: Frame) -> None:
            if not shapes:
                stream.height, stream.width = (side + side % 2 for side in frame.shape[:2])
            shapes.append(frame.shape)
            height, width, _ = shapes[0]
            if frame.shape != shapes[0]:
                raise StageError(
                    f"{path}: found frame {len(shapes) - 1} of shape {frame.shape}, expected {shapes[0]} like the first"
                )
            even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            picture = av.VideoFrame.from_ndarray(even, format="rgb24")
            converted = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, threads=1)
            container.mux(stream.encode(converted))

        yield add
        if not shapes:
            raise StageError(f"{path}: found no frame to encode, expected at least one")
        container.mux(stream.encode(None))
