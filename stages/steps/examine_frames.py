"""Every frame of a sequence decoded, to name all that are damaged, not the first one alone."""

import gc
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stages.core.errors import InputError
from stages.formats.frames import SMALLEST_SIDE_PX, read_frame

_FRAMES_AT_ONCE: Final = 8


@dataclass(frozen=True)
class FrameCheck:
    """What was found."""

    size_wh: tuple[int, int]
    """Of the first frame that can be read, in pixels; (0, 0) if none can."""
    faults: tuple[str, ...]
    """A sentence for each frame that cannot be used."""


@contextmanager
def decoders(count: int) -> Iterator[Executor]:
    """So many processes that decode."""
    gc.collect()  # what is needed no longer goes here: its threads, for which it waits, are not in a fork
    with ProcessPoolExecutor(count, multiprocessing.get_context("fork")) as pool:
        pool.submit(int).result()  # all of them are forked now, before anybody starts threads
        yield pool


def examine_frames(files: Sequence[Path], pool: Executor, done: Callable[[int], object] = lambda _: None) -> FrameCheck:
    """Decode every frame.

    Args:
        files: the pictures, in order; at least one.
        pool: decodes them.
        done: is told how many more frames are done.
    """
    size_wh, faults = (0, 0), []
    for path, found in zip(files, pool.map(_look_at, files, chunksize=_FRAMES_AT_ONCE), strict=True):
        done(1)
        if isinstance(found, str):
            faults.append(found)
            continue
        size_wh = found if size_wh == (0, 0) else size_wh
        if found != size_wh:
            faults.append(f"{path}: found {_said(found)} pixels, expected {_said(size_wh)} as before it")
    if size_wh != (0, 0) and min(size_wh) < SMALLEST_SIDE_PX:
        faults.append(f"{files[0]}: found {_said(size_wh)} pixels, expected {SMALLEST_SIDE_PX} at least on each side")
    return FrameCheck(size_wh, tuple(faults))


def _look_at(path: Path) -> tuple[int, int] | str:
    """Width and height, or what is wrong."""
    try:
        height, width = read_frame(path).shape[:2]
    except InputError as error:
        return str(error)
    return width, height


def _said(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
