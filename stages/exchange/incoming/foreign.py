"""What the files of annotation tools have in common: bounded sizes, checked JSON, numbers of objects."""

import re
import reprlib
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from stages.core.errors import InputError
from stages.core.palette import MAX_OBJECT_ID
from stages.formats.files import stat_of_file

MOST_BYTES: Final = 512 << 20
"""Of a file, unpacked: about 80,000 masks of 480 lines in CVAT's XML."""
MOST_POINTS: Final = 1_000_000
"""Of one outline."""
UNKNOWN_LABEL: Final = "unknown"
"""What we call pixels of which nobody knows what is there, where a format has labels."""
_NUMBERED: Final = re.compile(r"(?P<label>.*) #(?P<id>\d{1,9})", re.DOTALL)

Model = TypeVar("Model", bound=BaseModel)


def read_bounded(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        InputError: it is missing, unreadable or too large.
    """
    try:
        size = stat_of_file(path).st_size
        if size > MOST_BYTES:
            raise too_large(str(path), size)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: it cannot be read: {error.strerror or error}; correct --source") from None


def too_large(where: str, size: int) -> InputError:
    """What is said of a file that is too large."""
    return InputError(f"{where}: found {size:,} bytes, expected at most {MOST_BYTES:,}; export fewer pictures at once")


def parsed(model: type[Model], content: bytes, where: str) -> Model:
    """A file of JSON, checked.

    Raises:
        InputError: it is no JSON, or not what the model says.
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        found = "" if first["type"] in ("json_invalid", "missing") else f"found {reprlib.repr(first['input'])}: "
        raise InputError(f"{where}{key and f', {key}'}: {found}{first['msg']}; export it again") from None


def object_of(said: int | None, where: str) -> int | None:
    """The object that a shape's number means; 0 says nothing, as it is what tools fill in.

    Raises:
        InputError: the number is none of an object.
    """
    if said is not None and not 0 <= said <= MAX_OBJECT_ID:
        raise InputError(f"{where}: found the object {said}, expected 1..{MAX_OBJECT_ID}; correct its number")
    return said or None


def split_label(label: str) -> tuple[str, int | None]:
    """A label such as "dog #2" as its name and the object's number."""
    found = _NUMBERED.fullmatch(label)
    return (found["label"], int(found["id"])) if found else (label, None)


def ring_of(points: Any, where: str) -> NDArray[np.float64]:
    """The points of an outline that people drew.

    Args:
        points: pairs of numbers, or of what says one.
        where: for the message.

    Returns:
        (points, 2) finite numbers, three different ones in a row at least.

    Raises:
        InputError: they are none.
    """
    try:
        ring = np.array(points, np.float64)
    except ValueError:
        ring = np.empty(0)
    if ring.ndim != 2 or ring.shape[1] != 2 or not np.isfinite(ring).all():
        raise InputError(f"{where}: found no points of two numbers each; export it again")
    if not 3 <= len([*groupby(ring.tolist())]) <= MOST_POINTS:
        raise InputError(
            f"{where}: found {len(ring)} points, expected 3 to {MOST_POINTS:,}; delete it, or draw it again"
        )
    return ring


def whole(value: Any, what: str, where: str) -> int:
    """A whole number that may have been through floating point: 12, "12", "12.0", 15.999999999.

    Raises:
        InputError: it is none.
    """
    try:
        number = float(value)
        if abs(number - round(number)) < 1e-3 and abs(number) < 1 << 40:
            return round(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{where}: found {what} {reprlib.repr(value)}, expected a whole number; export it again")


def placed(
    patch: NDArray[np.bool_], left_top: tuple[int, int], size_wh: tuple[int, int]
) -> tuple[NDArray[np.bool_], int]:
    """A mask of a part of a picture on the whole of it; what lies outside of the picture is cut off.

    Args:
        patch: (h, w) bool.
        left_top: where its first pixel lies; may be negative.
        size_wh: of the picture.

    Returns:
        (H, W) bool, and how many pixels were cut off.
    """
    width, height = size_wh
    left, top = left_top
    mask = np.zeros((height, width), bool)
    x0, x1 = max(left, 0), min(left + patch.shape[1], width)
    y0, y1 = max(top, 0), min(top + patch.shape[0], height)
    if x0 < x1 and y0 < y1:
        mask[y0:y1, x0:x1] = patch[y0 - top : y1 - top, x0 - left : x1 - left]
    return mask, int(np.count_nonzero(patch)) - int(np.count_nonzero(mask))
