"""`sheet.png` of an export: frames that were kept, left out, or have pixels of which nobody knows what they show."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from stages.core.types import Frame
from stages.exchange.outgoing.doubtful import Verdict
from stages.exchange.outgoing.format import UNKNOWN
from stages.exchange.outgoing.label_maps import Labelled, LabelMaps, judged_frames
from stages.exchange.outgoing.material import Material
from stages.exchange.outgoing.own_files import SHEET
from stages.exchange.outgoing.terms import Terms
from stages.formats.frames import read_frame
from stages.formats.pictures import write_picture
from stages.steps.render import Tile, contact_sheet, overlay, shrink

_MOST_SEQUENCES: Final = 20
_OF_EACH: Final = 3
_CELL_WH: Final = (240, 180)
"""Pictures of other proportions leave a margin; smaller ones too."""
_LONGEST_NAME: Final = 28
_UNKNOWN_RGB: Final = (255, 0, 255)


def write_sheet(folder: Path, sequences: Sequence[tuple[Material, Sequence[Verdict]]], terms: Terms) -> None:
    """Draw a row for each sequence, of very many for evenly chosen ones: frames that are kept, and the worst others.

    Args:
        folder: of the export.
        sequences: each with what became of its frames.
        terms: of the export; limits of doubt are numbers.
    """
    step = max(1, len(sequences) / _MOST_SEQUENCES)
    shown = [sequences[int(place * step)] for place in range(min(len(sequences), _MOST_SEQUENCES))]
    sheet = contact_sheet([_row(material, verdicts, terms) for material, verdicts in shown])
    write_picture(folder / SHEET, Image.fromarray(sheet), "PNG")


def _row(material: Material, verdicts: Sequence[Verdict], terms: Terms) -> list[Tile]:
    maps = LabelMaps(material, terms, judged_frames(material))
    kept = [index for index, each in enumerate(verdicts) if each.is_kept]
    dropped = [index for index, each in enumerate(verdicts) if not each.is_kept]
    worst = sorted(dropped, key=lambda index: -verdicts[index].doubt)[:_OF_EACH]
    count = min(_OF_EACH, len(kept))
    evenly = [kept[place * (len(kept) - 1) // max(1, count - 1)] for place in range(count)]
    indices = sorted({*evenly, *worst})
    labelled = zip(indices, maps.of(indices), strict=True)
    name = Tile(_in_cell(np.zeros((0, 0, 3), np.uint8)), material.name[:_LONGEST_NAME])
    return [name, *(_tile(material, index, verdicts[index], each) for index, each in labelled)]


def _tile(material: Material, index: int, verdict: Verdict, labelled: Labelled) -> Tile:
    picture: Frame = labelled.picture if labelled.picture is not None else _read(material, index)
    height, width = labelled.labels.shape
    long_side = round(max(height, width) * min(_CELL_WH[0] / width, _CELL_WH[1] / height))
    labels = shrink(labelled.labels, long_side)
    shown = overlay(shrink(picture, long_side), np.where(labels == UNKNOWN, 0, labels).astype(np.uint8))
    shown[labels == UNKNOWN] = _UNKNOWN_RGB
    if not verdict.is_kept:
        shown = (shown // 3 + 150).astype(np.uint8)
    unknown = np.count_nonzero(labelled.labels == UNKNOWN) / labelled.labels.size
    what = "left out" if not verdict.is_kept else f"{unknown:.0%} unknown" if unknown else "kept"
    return Tile(_in_cell(shown), f"{index}: {what}, doubt {verdict.doubt:.2f}")


def _in_cell(picture: Frame) -> Frame:
    """On white, at the foot of a cell, so that sequences of all sizes fit on one sheet."""
    cell = np.full((_CELL_WH[1], _CELL_WH[0], 3), 255, np.uint8)
    height, width = min(picture.shape[0], _CELL_WH[1]), min(picture.shape[1], _CELL_WH[0])
    cell[_CELL_WH[1] - height :, :width] = picture[:height, :width]
    return cell


def _read(material: Material, index: int) -> Frame:
    return read_frame(material.pictures / material.names[index])
