"""The doubt in a mask from the signs that speak against it: 1 minus the J that is to be expected.

    doubt = 1 / (1 + exp(-(base + sum of weight x (sign - mean) / spread)))

One such sum for each kind of mask: of strokes, carried, or none at all. `benchmarks.doubt` fitted base and weights on
clips with ground truth, so that the doubt of many masks is their mean error; they lie beside this module. A sign that
is not known counts as the mean one, and adds nothing.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from stages.formats import files

_FILE: Final = Path(__file__).with_suffix(".json")
_SOUND: Final = 1.0
"""Spreads below the mean, where a sign does not speak against a mask."""
_FARTHEST: Final = 4.0
"""Spreads from the mean: what lies beyond was not seen when the weights were found."""


class Kind(StrEnum):
    """What is doubted."""

    DRAWN = "drawn"
    """A mask made from strokes on its frame."""
    CARRIED = "carried"
    """A mask that was carried to its frame."""
    UNSEEN = "unseen"
    """The same in a result of a former version, that did not look at soft masks."""
    GONE = "gone"
    """None, though an anchor beside has the object."""


@dataclass(frozen=True)
class Weight:
    """How a sign counts."""

    mean: float
    spread: float
    weight: float

    def __call__(self, sign: float) -> float:
        """What it adds; 0 where it is not known."""
        if math.isnan(sign):
            return 0.0
        return self.weight * max(-_FARTHEST, min(_FARTHEST, (sign - self.mean) / self.spread))


@dataclass(frozen=True)
class Formula:
    """The doubt of one kind of mask."""

    base: float
    weights: Mapping[str, Weight]

    def doubt(self, signs: Mapping[str, float]) -> float:
        """In [0, 1]."""
        return _share(self.base + math.fsum(self._parts(signs).values()))

    def strongest(self, signs: Mapping[str, float]) -> tuple[str, float]:
        """The known sign that adds most to the doubt, and how much less that were if it were one of a sound mask.

        No sign, "", where none is known.
        """
        parts = self._parts(signs)
        whole = self.base + math.fsum(parts.values())
        known = (name for name in parts if not math.isnan(signs.get(name, math.nan)))
        added = {name: parts[name] + _SOUND * self.weights[name].weight for name in known}
        name = max(added, key=lambda each: added[each], default="")
        return name, _share(whole) - _share(whole - added.get(name, 0.0))

    def _parts(self, signs: Mapping[str, float]) -> dict[str, float]:
        return {name: weigh(signs.get(name, math.nan)) for name, weigh in self.weights.items()}


def _share(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


@cache
def formulas() -> Mapping[Kind, Formula]:
    """Those in use."""
    found = json.loads(_FILE.read_text(encoding="utf-8"))
    return {
        Kind(kind): Formula(each["base"], {name: Weight(**weight) for name, weight in each["weights"].items()})
        for kind, each in found.items()
    }


@cache
def digest() -> str:
    """Of those in use: what tells doubt is made again when they change."""
    return files.sha256(_FILE)


def write_formulas(found: Mapping[Kind, Formula]) -> None:
    """Put others in their place."""
    files.write(_FILE, json.dumps({str(kind): asdict(each) for kind, each in found.items()}, indent=1) + "\n")
