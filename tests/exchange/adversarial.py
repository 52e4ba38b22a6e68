"""Masks, names and sequences that formats stumble over, generated: what every writer and reader is tried on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from stages.core.states import Source
from stages.core.types import Frame, LabelMap
from stages.exchange.outgoing.format import UNKNOWN, ExportedClass, ExportedFrame, ExportedObject, ExportedSequence
from stages.formats.frames_csv import FrameQuality

QUOTES: Final = "<b>&\"'"
"""A name that whoever forgets to quote stumbles over."""
SCRIPTS: Final = "Größe 猫 кот قط חתול 🐈 é"
"""Latin, Chinese, Cyrillic, two from right to left, one beyond 16 bits, one with a combining accent."""
ANIMAL: Final = ExportedClass(1, "dog", "animal")
THING: Final = ExportedClass(2, f"ball: {QUOTES} #1")


@dataclass(frozen=True)
class Sample:
    """A sequence with its masks."""

    sequence: ExportedSequence
    maps: tuple[LabelMap | None, ...]
    """A label map a frame; None of a frame that is dropped."""

    def frames(self) -> Iterator[ExportedFrame]:
        """As an exporter hands them out: one after the other."""
        number = 0
        for index, labels in enumerate(self.maps):
            present = [] if labels is None else [int(i) for i in np.unique(labels) if i not in (0, UNKNOWN)]
            yield ExportedFrame(
                index=index,
                number=number,
                name=f"{index:05d}.jpg",
                is_kept=labels is not None,
                labels=labels,
                doubt=0.25,
                qualities={i: _quality(index, i, labels) for i in present if labels is not None},
                picture=None if labels is None else partial(picture, self.sequence.size_wh, index),
            )
            number += labels is not None

    @property
    def kept(self) -> list[LabelMap]:
        """The label maps of the frames that are not dropped."""
        return [labels for labels in self.maps if labels is not None]

    def object_mask(self, number: int, object_id: int) -> np.ndarray:
        """(H, W) bool: an object on the kept frame of that number."""
        return self.kept[number] == object_id


def picture(size_wh: tuple[int, int], index: int) -> Frame:
    """The picture of a frame: (H, W, 3) uint8, no two pixels of a row alike."""
    rows, columns = np.indices(size_wh[::-1])
    return np.stack([columns % 256, (rows + columns // 256) % 256, np.full_like(rows, 40 + index % 200)], 2).astype(
        np.uint8
    )


def _quality(index: int, object_id: int, labels: LabelMap) -> FrameQuality:
    area = int(np.count_nonzero(labels == object_id))
    return FrameQuality(index, object_id, 0.5, 0.75, Source.ANCHOR, None, "", area)


def sample(
    name: str,
    maps: Sequence[LabelMap | None],
    names: Mapping[int, str] | None = None,
    classes: Sequence[ExportedClass] = (ANIMAL, THING),
) -> Sample:
    """A sequence of label maps; odd objects are of the first class, even ones of the last.

    Args:
        name: of the sequence.
        maps: (H, W) uint8 a frame, or None where it is dropped.
        names: of objects that are not called by class and id, and of objects that have no pixel.
        classes: the export's list.
    """
    kept = [labels for labels in maps if labels is not None]
    height, width = kept[0].shape
    names = names or {}
    ids = {int(i) for labels in kept for i in np.unique(labels)} - {0, UNKNOWN} | set(names)
    objects = [(i, classes[0] if i % 2 else classes[-1]) for i in sorted(ids)]
    return Sample(
        ExportedSequence(
            name=name,
            size_wh=(width, height),
            objects=tuple(
                ExportedObject(i, names.get(i, f"{category.name} {i}"), category, f"#{i:06x}")
                for i, category in objects
            ),
            frame_count=len(maps),
            kept_count=len(kept),
            classes=tuple(classes),
            frame_rate=24.0,
        ),
        tuple(maps),
    )


# --- the samples ---------------------------------------------------------------------------------------------------


def tiny(*, unknown: bool = False) -> Sample:
    """Two objects on 4 rows of 6 columns, small enough for checking by hand; object 2 is absent from the last frame.

    Args:
        unknown: whether nobody knows the pixel in the corner at the bottom left.
    """
    both = np.array(
        [[0, 1, 1, 0, 0, 0], [0, 1, 1, 0, 2, 0], [0, 1, 1, 0, 2, 2], [UNKNOWN * unknown, 0, 0, 0, 0, 2]], np.uint8
    )
    only = np.where(both == 2, 0, both).astype(np.uint8)
    dog = ExportedClass(1, "dog")
    return sample("tiny", [both, both, only], classes=[dog])


def one_object() -> Sample:
    """A disc that moves and grows."""
    return sample("one", [_disc((48, 36), (10 + 4 * i, 18), 5 + i) * np.uint8(1) for i in range(4)])


def two_objects() -> Sample:
    """Two that touch, one of two parts with a hole, absent in the middle; a third has no pixel. Names are awkward."""
    maps = []
    for i in range(5):
        labels = np.zeros((41, 67), np.uint8)
        if i != 2:
            labels[5:25, 4 + i : 30] = 1
            labels[10:18, 12:20] = 0
            labels[30:38, 8:14] = 1
        labels[3:33, 30:50] = 2
        maps.append(labels)
    return sample(f"mein Hund {SCRIPTS}", maps, {1: QUOTES, 2: SCRIPTS, 3: "never seen"})


def specks() -> Sample:
    """An object of one pixel in each corner, and one of two in the middle."""
    labels = np.zeros((11, 17), np.uint8)
    labels[0, 0], labels[0, -1], labels[-1, 0], labels[-1, -1] = 1, 2, 3, 4
    labels[5, 8:10] = 5
    return sample("specks", [labels])


def lines() -> Sample:
    """Lines one pixel wide: across, down, aslant, a staircase, a frame around all, and a comb."""
    labels = np.zeros((40, 60), np.uint8)
    labels[[0, -1], :] = labels[:, [0, -1]] = 1
    labels[3, 3:50] = 2
    labels[5:35, 3] = 3
    at = np.arange(20)
    labels[10 + at, 10 + at] = 4
    labels[10 + at // 2, 35 + at - at // 2] = 5
    labels[32, 20:50] = labels[33:38, 20:50:2] = 6
    return sample("lines", [labels])


def holes() -> Sample:
    """Holes in holes: an object within its own hole, one within another one's, a hole of one pixel, one at a corner."""
    labels = np.zeros((50, 70), np.uint8)
    for depth, value in enumerate((1, 0, 1, 0, 1, 0)):
        labels[2 + 4 * depth : 48 - 4 * depth, 2 + 4 * depth : 40 - 4 * depth] = value
    labels[5:45, 42:68] = 2
    labels[10:40, 47:63] = 3
    labels[15:35, 52:58] = 2
    labels[7, 44] = labels[41, 66] = labels[42, 65] = labels[22, 54] = 0
    return sample("holes", [labels])


def crowd() -> Sample:
    """All 254 objects, of 4x3 pixels less a corner each, side by side, and the other way round on the second frame."""
    block = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0]], np.uint8)
    ids = np.concatenate([np.arange(1, 255), [0, 0]]).astype(np.uint8)
    maps = [np.kron(order.reshape(16, 16), block).astype(np.uint8) for order in (ids, ids[::-1])]
    return sample("crowd", maps)


def filling() -> Sample:
    """An object that covers the picture, then one beside another so that no background is left, then one but a dot."""
    full = np.ones((20, 30), np.uint8)
    halves = full.copy()
    halves[:, 15:] = 2
    dotted = full.copy()
    dotted[7, 9] = 0
    return sample("filling", [full, halves, dotted])


def come_and_go() -> Sample:
    """Objects that come, go and return, and frames without any: the first, the last, and one between."""
    seen = [(), (3,), (1, 3), (1, 2, 3), (), (2,), (1, 2), ()]
    maps = []
    for ids in seen:
        labels = np.zeros((24, 32), np.uint8)
        for i in ids:
            labels[4:14, 10 * i - 8 : 10 * i] = i
        maps.append(labels)
    return sample("come and go", maps)


def dropped() -> Sample:
    """As `come_and_go`, without the first frame, the last, and one between that has an object."""
    whole = come_and_go()
    maps = [None if index in (0, 3, 7) else labels for index, labels in enumerate(whole.maps)]
    sequence = replace(whole.sequence, name="dropped", kept_count=len(maps) - 3)
    return Sample(sequence, tuple(maps))


def scattered() -> Sample:
    """A chessboard, which hangs together at corners only, and noise of three objects."""
    board = (np.indices((15, 21)).sum(axis=0) % 2).astype(np.uint8)
    noise = np.random.default_rng(7).integers(0, 4, (15, 21)).astype(np.uint8)
    return sample("scattered", [board, noise])


def islands() -> Sample:
    """Two objects of a usual size with wavy borders, holes, and parts near each other: what tolerances hold for."""
    rows, columns = np.indices((240, 320))

    def island(x: int, y: int, radius: float) -> np.ndarray:
        waves = 3 * np.sin(7 * np.arctan2(rows - y, columns - x))
        return np.hypot(columns - x, rows - y) <= radius + waves * min(1, radius / 20)

    maps = []
    for shift in (0, 3, 6):
        first = island(90 + shift, 110, 60) & ~island(80 + shift, 95, 9) & ~island(120 + shift, 140, 1)
        first |= island(90 + shift, 195, 17)
        second = island(225, 110 + shift, 55) & ~island(240, 110 + shift, 14)
        second |= island(240, 110 + shift, 6)
        maps.append((first + 2 * (second & ~first)).astype(np.uint8))
    return sample("islands", maps)


def odd_sizes() -> list[Sample]:
    """Pictures of one pixel, one row, one column, and of primes."""
    found = []
    for height, width in ((1, 1), (1, 9), (13, 1), (31, 53)):
        labels = np.zeros((height, width), np.uint8)
        labels[: (height + 1) // 2, : (width + 1) // 2] = 1
        labels[(height + 1) // 2 :, :] = 2
        found.append(sample(f"{width}x{height}", [labels]))
    return found


SAMPLES: Final[Sequence[Callable[[], Sample]]] = (
    tiny,
    one_object,
    two_objects,
    specks,
    lines,
    holes,
    crowd,
    filling,
    come_and_go,
    dropped,
    scattered,
    islands,
    *(lambda index=index: odd_sizes()[index] for index in range(4)),
)
"""Makers of all samples; `ids=sample_id` names their tests."""


def sample_id(make: Callable[[], Sample]) -> str:
    """For pytest's `ids`."""
    return make().sequence.name.split(" ")[0]


def _disc(size_wh: tuple[int, int], centre_xy: tuple[float, float], radius: float) -> np.ndarray:
    rows, columns = np.indices(size_wh[::-1])
    return np.hypot(columns - centre_xy[0], rows - centre_xy[1]) <= radius
