"""What an export is asked for: every choice, once."""

from dataclasses import dataclass, fields
from typing import Any, Final, Literal

Size = Literal["frames", "source"]
Pictures = Literal["", "link", "copy", "none", "convert"]
Segmentation = Literal["rle", "counts", "polygon"]


@dataclass(frozen=True)
class Terms:
    """The options of an export, as `lis export` and `ExportDataset` have them."""

    size: Size = "frames"
    """Of masks and pictures: as imported, or as the source has it."""
    pictures: Pictures = ""
    """Linked, copied, left out, or written anew as JPEG (quality 95, 4:4:4); "": as the format does."""
    only_reviewed: bool = False
    """Frames that nobody has approved as they are now are dropped."""
    max_doubt: float | Literal["auto"] | None = None
    """Frames whose most doubtful object is above it are dropped; anchors and given masks never are."""
    unknown_objects: float | None = None
    """The pixels of an object with a doubt above it become unknown, with `band` pixels around it."""
    unknown_band: int = 0
    """All pixels within so many of a boundary between two ids become unknown."""
    unknown_soft: float | None = None
    """Pixels whose soft mask lies within it of one half, or where both directions disagree, become unknown."""
    band: int = 3
    """See `unknown_objects`; pixels."""
    unknown: Literal["", "crowd", "none"] = ""
    """What the unknown becomes where a format has more than one way; "none": frames with such pixels are dropped."""
    segmentation: Segmentation = "rle"
    tolerance: float = 0.0
    """By how many pixels outlines may be simplified."""
    shape: Literal["mask", "polygon"] = "mask"
    """For CVAT and LabelMe."""
    renumber: bool = False
    """DAVIS, YouTube-VOS: ids in order of first appearance."""
    resolution_name: str = "480p"
    """DAVIS: the folder's name."""
    mots_class: str = ""
    """MOTS: the class that is written as number 2, which is what its evaluation judges."""
    results: bool = False
    """YouTube-VIS: what an evaluation server takes, too."""
    tasks_as: Literal["predictions", "annotations"] = "predictions"
    """Label Studio."""
    url_prefix: str = "/data/local-files/?d="
    """Label Studio: what a picture's URL begins with."""

    def given(self) -> dict[str, Any]:
        """Those that differ from their defaults, by name: for keys."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}

    @property
    def reads_soft_masks(self) -> bool:
        """Whether the soft masks that the result was made from are needed."""
        return self.unknown_soft is not None or self.size == "source"

    @property
    def makes_unknown(self) -> bool:
        """Whether pixels may become unknown."""
        return self.unknown_objects is not None or self.unknown_soft is not None or self.unknown_band > 0


OF_EVERY_FORMAT: Final = frozenset(
    {"size", "pictures", "only_reviewed", "max_doubt", "unknown_objects", "unknown_band", "unknown_soft", "band"}
)
"""What the exporter itself heeds."""
