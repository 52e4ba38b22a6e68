"""Sharper boundaries: engines for the plug point `Refiner`."""

from stages.core.types import Frame, Probability


class Unrefined:
    """The refiner `none`: masks stay as they are."""

    def refine(self, frame: Frame, probability: Probability) -> Probability:
        """Return the soft mask (H, W) float32 in [0, 1] itself."""
        return probability
