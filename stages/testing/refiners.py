"""What every `Refiner` must pass."""

# ruff: noqa: D102
# The name of a test says what it shows.

from collections.abc import Sequence

import numpy as np

from stages.core.types import Frame, Probability
from stages.engines.protocols import Refiner, RefinesTogether
from stages.testing.checks import check_range, check_same, draw_random_numbers, unchanged
from stages.testing.scenes import ODD_SIZES_HW, Scene, frozen, mirrored

ROUNDING = 1e-3
"""How far a probability may differ if a network sees several masks at once."""


class RefinerContract:
    """Tests of an engine that sharpens boundaries; a subclass says which one."""

    sizes_hw: Sequence[tuple[int, int]] = ODD_SIZES_HW
    """Height and width of the frames that show that any size will do; a slow engine may try fewer."""

    def engine(self) -> Refiner:
        """A new engine at every call; one that is dear to make may be the same."""
        raise NotImplementedError(f"{type(self).__name__} does not say which engine it tests: define engine(self)")

    def test_a_soft_mask(self) -> None:
        scene = Scene()
        check_refine(self.engine(), scene.frame(0), scene.masks(0)[0], "a soft mask")

    def test_an_empty_mask_stays_empty(self) -> None:
        scene = Scene()
        nothing = frozen(np.zeros((scene.height, scene.width), np.float32))
        refined = check_refine(self.engine(), scene.frame(0), nothing, "an empty mask")
        assert not refined.any(), f"an empty mask did not stay empty: {np.count_nonzero(refined)} pixels are not 0"

    def test_faint_masks(self) -> None:
        scene, engine = Scene(), self.engine()
        for level in (0.2, 0.5):
            faint = frozen(np.float32(level) * scene.masks(0)[0])
            check_refine(engine, scene.frame(0), faint, f"a mask that is nowhere above {level}")

    def test_a_full_mask(self) -> None:
        scene = Scene()
        full = frozen(np.ones((scene.height, scene.width), np.float32))
        check_refine(self.engine(), scene.frame(0), full, "a mask that fills the frame")

    def test_tiny_masks(self) -> None:
        scene, engine = Scene(), self.engine()
        for side in (1, 2):
            tiny = np.zeros((scene.height, scene.width), np.float32)
            tiny[20 : 20 + side, 30 : 30 + side] = 1
            check_refine(engine, scene.frame(0), frozen(tiny), f"a mask of {side}x{side} pixels")
        specks = np.zeros((scene.height, scene.width), np.float32)
        specks[0, 0] = specks[-1, -1] = 1
        check_refine(engine, scene.frame(0), frozen(specks), "single pixels in two corners")

    def test_masks_at_the_border(self) -> None:
        scene, engine = Scene(), self.engine()
        for rows in (slice(0, 20), slice(-20, None)):
            for columns in (slice(0, 20), slice(-20, None), slice(None)):
                corner = np.zeros((scene.height, scene.width), np.float32)
                corner[rows, columns] = 1
                check_refine(engine, scene.frame(0), frozen(corner), f"a mask on the rows {rows}, columns {columns}")

    def test_any_size_of_frame(self) -> None:
        engine = self.engine()
        for height, width in self.sizes_hw:
            scene = Scene(height, width)
            check_refine(engine, scene.frame(0), scene.masks(0)[0], f"a frame of {width}x{height}")

    def test_a_frame_of_one_colour(self) -> None:
        scene, engine = Scene(), self.engine()
        for level in (0, 128, 255):
            frame = frozen(np.full((scene.height, scene.width, 3), level, np.uint8))
            check_refine(engine, frame, scene.masks(0)[0], f"a frame that is all {level}")

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        scene, other, engine = Scene(), Scene(36, 50), self.engine()
        draw_random_numbers(1)
        first = np.array(engine.refine(scene.frame(0), scene.masks(0)[0]))
        engine.refine(other.frame(1), other.masks(1)[0])
        draw_random_numbers(2)
        check_same(first, engine.refine(scene.frame(0), scene.masks(0)[0]), "the same engine, after another frame")
        draw_random_numbers(3)
        check_same(first, self.engine().refine(scene.frame(0), scene.masks(0)[0]), "another engine of the kind")

    def test_masks_that_it_sees_together_are_refined_as_one_by_one(self) -> None:
        engine, scenes = self.engine(), [Scene(objects=3), Scene(36, 50, objects=2)]
        if not isinstance(engine, RefinesTogether):
            return
        assert engine.at_once >= 1, f"at_once is {engine.at_once}, expected a number of masks"
        shown = [(scene.frame(index), mask) for scene in scenes for index in range(3) for mask in scene.masks(index)]
        together = list(engine.refine_all(shown))
        assert len(together) == len(shown), f"got {len(together)} masks for {len(shown)}"
        for number, ((frame, mask), refined) in enumerate(zip(shown, together, strict=True)):
            check_range(refined, mask.shape, f"mask {number} of several")
            differs = float(abs(refined - engine.refine(frame, mask)).max())
            assert differs <= ROUNDING, f"mask {number} of several differs by {differs} from what it is alone"

    def test_views_of_larger_arrays_give_the_same_bytes(self) -> None:
        scene, engine = Scene(), self.engine()
        frame, mask = scene.frame(0), scene.masks(0)[0]
        expected = np.array(engine.refine(frame, mask))
        stepped = np.repeat(frame, 2, axis=1)[:, ::2], np.repeat(mask, 2, axis=1)[:, ::2]
        columns = np.asfortranarray(frame), np.asfortranarray(mask)
        for name, views in (
            ("every other column", stepped),
            ("mirrored", (mirrored(frame), mirrored(mask))),
            ("column by column", columns),
        ):
            with unchanged(frame=views[0], probability=views[1]):
                check_same(expected, engine.refine(*views), f"arrays that lie in memory as {name}")


def check_refine(engine: Refiner, frame: Frame, probability: Probability, what: str) -> Probability:
    """Refine, and check what comes back, and that nothing that was given has changed.

    Args:
        engine: the engine.
        frame: (H, W, 3) uint8 RGB.
        probability: (H, W) float32 in [0, 1].
        what: said if something is wrong.

    Returns:
        The refined mask.
    """
    with unchanged(frame=frame, probability=probability):
        refined = engine.refine(frame, probability)
    check_range(refined, probability.shape, what)
    return refined
