"""The label maps of a sequence as an export has them: cut where an object cannot be, unknown where nobody knows."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from stages.core.errors import InputError, StageError
from stages.core.states import Source
from stages.core.types import Frame, LabelMap
from stages.exchange.outgoing import doubtful
from stages.exchange.outgoing.at_source import at_source, source_frames
from stages.exchange.outgoing.material import Material
from stages.exchange.outgoing.soft import SoftFrame, soft_masks
from stages.exchange.outgoing.terms import Terms
from stages.formats.frames_csv import read_frames_csv
from stages.formats.masks import read_mask
from stages.formats.report_data import JudgedFrame
from stages.formats.results import result_file
from stages.steps.assess import judge


def judged_frames(material: Material) -> list[JudgedFrame]:
    """The doubt in every mask of a sequence.

    Raises:
        StageError: its table cannot be read.
    """
    return judge(read_frames_csv(material.masks), material.anchors, material.names)


class Labelled(NamedTuple):
    """A frame of an export."""

    labels: LabelMap
    """(H, W) uint8 ids, with `UNKNOWN` where nobody knows."""
    picture: Frame | None
    """The source's, where masks are as large as that; else it is read when it is wanted."""
    cut_px: int
    """Pixels of objects that cannot be there, by a person's word."""


class LabelMaps:
    """Reads them."""

    def __init__(self, material: Material, terms: Terms, judged: Sequence[JudgedFrame]) -> None:
        self._material = material
        self._terms = terms
        self.rows: Mapping[int, list[JudgedFrame]] = defaultdict(list)
        for row in judged:
            self.rows[row.frame].append(row)

    def of(self, indices: Sequence[int]) -> Iterator[Labelled]:
        """Those of some frames, ascending, one after the other.

        Raises:
            LisError: a mask, a soft mask or the source cannot be read.
        """
        softs: Iterator[SoftFrame | None] = self._soft(indices) if self._terms.reads_soft_masks else repeat(None)
        pictures: Iterator[Frame | None] = repeat(None)
        if self._material.source is not None:
            source = self._material.source
            pictures = source_frames(source.path, [source.indices[index] for index in indices])
        for index, soft, picture in zip(indices, softs, pictures, strict=False):
            yield self._one(index, soft, picture)

    def _soft(self, indices: Sequence[int]) -> Iterator[SoftFrame]:
        wanted = iter(indices)
        following = next(wanted, None)
        for soft in soft_masks(self._material.anchor_masks, self._material.tracks):
            if soft.index == following:
                yield soft
                following = next(wanted, None)
        if following is not None:
            raise StageError(f"found no soft mask of frame {following} of {self._material.name!r}; refine it again")

    def _one(self, index: int, soft: SoftFrame | None, picture: Frame | None) -> Labelled:
        labels = self._read(index)
        if picture is not None and soft is not None:
            is_given = any(row.source == Source.GIVEN for row in self.rows[index])
            labels = at_source(labels, soft, picture, is_given=is_given)
        absent = [each.id for each in self._material.objects if not each.may_be_on(index)]
        is_cut = np.isin(labels, absent)
        cut_px = int(np.count_nonzero(is_cut))
        if cut_px:
            labels = np.where(is_cut, np.uint8(0), labels)
        if self._terms.makes_unknown:
            labels = doubtful.with_unknown(labels, self.rows[index], self._terms, soft)
        return Labelled(labels, picture, cut_px)

    def _read(self, index: int) -> LabelMap:
        path = result_file(self._material.masks, self._material.names[index])
        labels = read_mask(path)
        width, height = self._material.masks_wh
        if labels.shape != (height, width):
            raise InputError(
                f"{path}: found {labels.shape[1]}x{labels.shape[0]} pixels, expected {width}x{height} as the pictures "
                "have; refine the sequence again"
            )
        return labels
