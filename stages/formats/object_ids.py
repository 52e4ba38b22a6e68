"""Which ids mean something in a sequence: those that are listed, drawn, or in masks that were given."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np

from stages.core.errors import InputError
from stages.core.palette import IGNORE
from stages.core.types import LabelMap
from stages.core.words import and_so_on
from stages.formats.given_masks import given_frames
from stages.formats.masks import read_mask
from stages.formats.objects_json import OBJECTS_JSON
from stages.formats.scribbles import ScribbleSet

_NAMED_AT_MOST: Final = 12


def ids_in_use(scribble_file: Path, scribbles: ScribbleSet, listed: Collection[int]) -> frozenset[int]:
    """The ids of the objects of a sequence; none at all: nobody has said yet which objects there are.

    Args:
        scribble_file: of the set, beside which masks were given.
        scribbles: the set.
        listed: the ids in `objects.json`.

    Raises:
        InputError: a given mask cannot be read.
    """
    drawn = {object_id for frame in scribbles.frames.values() for object_id in frame.object_ids}
    given = {each for path in given_frames(scribble_file).values() for each in ids_of(read_mask(path))}
    return frozenset({*listed, *drawn, *given} - {0, IGNORE})


def ids_of(labels: LabelMap) -> list[int]:
    """The values of a label map, ascending."""
    there = np.zeros(256, np.bool_)
    there[labels] = True  # half the time that counting them takes
    return [int(each) for each in np.flatnonzero(there)]


def check_ids(where: object, labels: LabelMap, known: frozenset[int], listed_in: str = OBJECTS_JSON) -> None:
    """Refuse ids that mean nothing: soft edges of a brush show as a few pixels of odd ids.

    Args:
        where: the picture, for the message.
        labels: (H, W) uint8; 0 and 255 mean no object.
        known: see `ids_in_use`; if there are none, all ids are taken.
        listed_in: where people find out which ones are known.

    Raises:
        InputError: there are some.
    """
    odd = sorted({*ids_of(labels)} - {0, IGNORE, *known}) if known else []
    if odd:
        pixels = int(np.count_nonzero(np.isin(labels, odd)))
        raise InputError(
            f"{where}: found the id{'s' * (len(odd) > 1)} {_list(odd)} on {pixels:,} pixel{'s' * (pixels > 1)}, "
            f"expected {expected_ids(known, listed_in)}; correct the picture, or list them"
        )


def expected_ids(known: frozenset[int], listed_in: str = OBJECTS_JSON) -> str:
    """`objects 1, 2 (objects.json)`."""
    return f"objects {_list(sorted(known)) or 'that are listed'} ({listed_in})"


def _list(ids: Collection[int]) -> str:
    return and_so_on([*ids], _NAMED_AT_MOST)
