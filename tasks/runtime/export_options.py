"""The options of exports: the fields of `Terms`, as the command line has them."""

import operator
from dataclasses import fields
from typing import Any, Final

import luigi
from luigi.parameter import ParameterException

from stages.exchange.outgoing import formats
from stages.exchange.outgoing.terms import Terms
from tasks.runtime.options import ChoiceParameter, NumberParameter

_AUTO: Final = "auto"


def _switch(description: str) -> Any:
    return luigi.BoolParameter(default=False, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description=description)


def _choice(choices: tuple[str, ...], description: str) -> Any:
    """One of a few words; the first is what goes without saying."""
    return ChoiceParameter(default=choices[0], choices=choices, description=description)


class LimitParameter(luigi.Parameter):
    """A number in [0, 1], or between 0 and `below`, or nothing; or, where that has a meaning, `auto`."""

    def __init__(self, *args: Any, below: float | None = None, has_auto: bool = False, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.below = below
        self.has_auto = has_auto

    def parse(self, x: str) -> str:
        """Accept what is one, and keep its digits."""
        try:
            is_one = not x or (x == _AUTO and self.has_auto) or self._permits(float(x))
        except ValueError:
            is_one = False
        if not is_one:
            name = getattr(self, "_attribute_name", None) or "a parameter"
            numbers = "from 0 to 1" if self.below is None else f"above 0 and below {self.below:g}"
            auto = ", or auto" * self.has_auto
            raise ParameterException(f"{name}: {x!r} is not permitted: expected a number {numbers}{auto}")
        return x

    def _permits(self, number: float) -> bool:
        return 0 <= number <= 1 if self.below is None else 0 < number < self.below


def _limit(description: str, **rules: Any) -> Any:
    return LimitParameter(default="", description=description, **rules)


def _number(default: float, most: float, description: str) -> Any:
    return NumberParameter(
        default=default,
        var_type=type(default),
        min_value=0,
        max_value=most,
        right_op=operator.le,
        description=description,
    )


class ExportOptions:
    """What an export is asked for; see `Terms`, whose fields these are."""

    format = ChoiceParameter(choices=formats.names(), description=", ".join(formats.names()))
    size = _choice(("frames", "source"), "masks and pictures as imported, or as the source")
    pictures = _choice(
        ("auto", "link", "copy", "none", "convert"),
        "auto, link, copy, none (masks alone), convert (JPEG)",
    )
    only_reviewed = _switch("only frames that people have approved as they are now")
    max_doubt = _limit("leave out frames with a doubt above it: 0 to 1, or auto", has_auto=True)
    unknown_objects = _limit("objects with a doubt above it become unknown: 0 to 1")
    unknown_band = _number(0, 10_000, "pixels so near to a boundary become unknown")
    unknown_soft = _limit("pixels whose soft mask is so near to 0.5: above 0, below 0.5", below=0.5)
    band = _number(Terms.band, 10_000, "pixels around --unknown-objects that are unknown, too")
    unknown = _choice(
        ("auto", "crowd", "none"),
        "what this becomes; none leaves its frames out: auto, crowd (coco), none",
    )
    segmentation = _choice(("rle", "counts", "polygon"), "coco: runs as text, as a list, or polygons")
    tolerance = _number(0.0, 100.0, "of outlines: by how many pixels they may be simplified")
    shape = _choice(("mask", "polygon"), "cvat, labelme: what objects are drawn as")
    renumber = _switch("davis, youtube-vos: ids in the order of first appearance")
    resolution_name = luigi.Parameter(default=Terms.resolution_name, description="davis: the folder's name")
    mots_class = luigi.Parameter(default="", description="mots: the class that is written as number 2")
    results = _switch("youtube-vis: what an evaluation server takes, too")
    tasks_as = _choice(("predictions", "annotations"), "labelstudio: a guess, or people's work")
    for_correction = _number(
        0,
        100_000,
        "only so many frames of each sequence, those whose correction helps most, for a tool to draw in; 0: all",
    )
    url_prefix = luigi.Parameter(default=Terms.url_prefix, description="labelstudio: before pictures")

    @property
    def export_terms(self) -> Terms:
        """What was asked for."""
        found = {each.name: getattr(self, each.name) for each in fields(Terms)}
        for name in ("pictures", "unknown"):
            found[name] = "" if found[name] == _AUTO else found[name]
        if self.for_correction and not found["pictures"]:
            found["pictures"] = "copy"  # they go to a tool, often on another machine
        for name in ("max_doubt", "unknown_objects", "unknown_soft"):
            found[name] = found[name] if found[name] == _AUTO else float(found[name]) if found[name] else None
        return Terms(**found)
