"""What is believed of an engine: a fault of its must not become a mask."""

from typing import Any

import numpy as np

from stages.core.errors import StageError


def check_soft_masks(masks: Any, shape: tuple[int, ...], engine: object, frame: str = "a frame") -> None:
    """See that an engine gave soft masks.

    Args:
        masks: what it gave.
        shape: what is expected: (H, W) or (objects, H, W).
        engine: the engine, whose class is named.
        frame: what the message calls the frame.

    Raises:
        StageError: it is no array of that shape, or holds anything but numbers in [0, 1].
    """
    found = ""
    if not isinstance(masks, np.ndarray):
        found = f"something of type {type(masks).__name__}"
    elif masks.shape != shape:
        found = f"masks of shape {masks.shape}"
    elif masks.size and not (masks.min() >= 0 and masks.max() <= 1):  # NaN is in no range
        found = f"values from {masks.min()} to {masks.max()}"
    if found:
        raise StageError(
            f"the engine {type(engine).__name__} gave {found} for {frame}, expected soft masks of shape {shape} with "
            "values in [0, 1]. This is a fault of the engine; choose another."
        )


def check_disagreement(found: Any, shape: tuple[int, ...], engine: object, frame: str) -> None:
    """See that an engine said of every pixel whether its directions disagree, if it says so at all.

    Args:
        found: what it gave; None says nothing.
        shape: (objects, H, W).
        engine: the engine, whose class is named.
        frame: what the message calls the frame.

    Raises:
        StageError: it is neither None nor an array of bool of that shape.
    """
    if found is None or (isinstance(found, np.ndarray) and found.dtype == np.bool_ and found.shape == shape):
        return
    what = f"{found.dtype} of shape {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
    raise StageError(
        f"the engine {type(engine).__name__} gave {what} as disagreement for {frame}, expected None, or bool of shape "
        f"{shape}. This is a fault of the engine; choose another."
    )
