"""Strokes as points: where clicks lie along what a person drew."""

import numpy as np
import pytest

from stages.core.errors import InputError
from stages.core.strokes import FrameScribbles, Line, clicks

SIZE_WH = (400, 200)
CURVE = tuple((0.2 + 0.5 * t, 0.5 + 0.3 * float(np.sin(5 * t))) for t in np.linspace(0, 1, 200).tolist())


def positive(*paths: tuple[tuple[float, float], ...], spacing_px: float = 20.0) -> np.ndarray:
    return clicks(FrameScribbles(tuple(Line(1, path) for path in paths)), 1, SIZE_WH, spacing_px).positive_yx


def test_own_strokes_are_positive_all_others_negative() -> None:
    scribbles = FrameScribbles((Line(1, ((0.1, 0.1),)), Line(2, ((0.2, 0.2),)), Line(0, ((0.3, 0.3),))))
    control = clicks(scribbles, 1, SIZE_WH)
    assert control.positive_yx.tolist() == [[20.0, 40.0]]
    assert np.allclose(control.negative_yx, [[40, 80], [60, 120]])
    absent = clicks(scribbles, 5, SIZE_WH)
    assert absent.positive_yx.shape == (0, 2) and absent.negative_yx.shape == (3, 2)


def test_points_lie_on_the_stroke_at_equal_distances() -> None:
    points = positive(((0.1, 0.5), (0.6, 0.5)), spacing_px=50)
    assert np.allclose(points, [[100, 65], [100, 115], [100, 165], [100, 215]])
    assert points.dtype == np.float32


def test_every_stroke_gives_at_least_one_point() -> None:
    assert len(positive(((0.5, 0.5),), ((0.1, 0.1), (0.11, 0.1)), ((0.3, 0.3), (0.3, 0.3)), spacing_px=1000)) == 3


def test_clicks_do_not_depend_on_direction_density_or_other_strokes() -> None:
    expected = positive(CURVE)
    assert len(expected) > 8
    assert np.array_equal(positive(CURVE[::-1]), expected)
    assert np.array_equal(positive(CURVE, CURVE[:50])[: len(expected)], expected)
    doubled = tuple(point for point in CURVE for _ in range(2))
    assert np.allclose(positive(doubled), expected, atol=1e-3)
    halved = tuple((float(x), float(y)) for x, y in (np.array(CURVE)[:-1] + np.array(CURVE)[1:]) / 2)
    denser = tuple(point for pair in zip(CURVE, halved, strict=False) for point in pair) + CURVE[-1:]
    assert np.allclose(positive(denser), expected, atol=1e-3)
    assert np.allclose(positive(CURVE[::4] + CURVE[-1:]), expected, atol=0.5)


def test_clicks_stay_inside_the_frame() -> None:
    points = positive(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))
    assert (points >= 0).all() and (points <= (SIZE_WH[1] - 1, SIZE_WH[0] - 1)).all()
    assert len(positive(((1.0, 1.0),))) == 1


@pytest.mark.parametrize("spacing_px", [0.0, -3.0, float("nan")])
def test_a_spacing_must_be_positive(spacing_px: float) -> None:
    with pytest.raises(InputError, match="spacing"):
        positive(CURVE, spacing_px=spacing_px)


# How long a person drew


@pytest.mark.parametrize(
    ("spans_ms", "drawn_s"),
    [
        ([], 0),
        ([(0, 0), (500, 500)], 0),
        ([(0, 1400)], 1.4),
        ([(0, 1000), (2000, 2500)], 1.5),
        ([(0, 1000), (500, 2000), (600, 700)], 2),
        ([(1.7e12, 1.7e12 + 3000), (1.7e12 + 3000, 1.7e12 + 4000)], 4),
        ([(900, 100), (0, 1000)], 1),
        ([(0, 1000), (0, 86_400_000)], 1),
        ([(-500, 500)], 1),
    ],
    ids=["none", "zero", "one", "apart", "overlaps", "clock", "backwards", "a day", "before"],
)
def test_moments_of_drawing_count_once_and_nonsense_does_not(
    spans_ms: list[tuple[float, float]], drawn_s: float
) -> None:
    lines = tuple(Line(1, ((0.5, 0.5),), start, end) for start, end in spans_ms)
    assert FrameScribbles(lines).drawn_s == pytest.approx(drawn_s)
