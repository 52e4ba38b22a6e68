"""What is painted comes back as the same objects, whatever the brush; noise never becomes an object."""

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from stages.core.drawing import NO_STROKE, stroke_rgb
from stages.core.painted import find_strokes

HEIGHT, WIDTH = 72, 96
Picture = np.ndarray


def textured(rng: np.random.Generator) -> Picture:
    blobs = cv2.GaussianBlur(rng.normal(128, 300, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 6)
    return np.clip(blobs + rng.normal(0, 2, blobs.shape), 0, 255).astype(np.uint8)


def dark_with_bars(rng: np.random.Generator) -> Picture:
    frame = textured(rng) // 3
    frame[:20] = frame[-20:] = 0
    return frame


def flat(rng: np.random.Generator) -> Picture:
    return np.full((HEIGHT, WIDTH, 3), rng.integers(0, 230, 3), np.uint8)


def black(_rng: np.random.Generator) -> Picture:
    return np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def cover_of(line: list[tuple[int, int]], thickness_px: int, times: int) -> Picture:
    """How much of each pixel a line covers, drawn `times` as large: (H, W, 1) in [0, 1]."""
    large = Image.new("L", (WIDTH * times, HEIGHT * times))
    scaled = [(x * times, y * times) for x, y in line]
    ImageDraw.Draw(large).line(scaled, 255, thickness_px * times, joint="curve")
    return np.array(large.resize((WIDTH, HEIGHT), Image.Resampling.BOX))[..., None] / 255


def hard(picture: Picture, line: list[tuple[int, int]], colour: tuple[int, int, int], thickness_px: int) -> Picture:
    return np.where(cover_of(line, thickness_px, 1) > 0, np.uint8(colour), picture)


def antialiased_by_opencv(
    picture: Picture, line: list[tuple[int, int]], colour: tuple[int, int, int], thickness_px: int
) -> Picture:
    return cv2.polylines(picture.copy(), [np.array(line, np.int32)], False, colour, thickness_px, cv2.LINE_AA)


def antialiased(
    picture: Picture, line: list[tuple[int, int]], colour: tuple[int, int, int], thickness_px: int
) -> Picture:
    cover = cover_of(line, thickness_px, 4)
    return np.rint(picture * (1 - cover) + np.array(colour) * cover).astype(np.uint8)


def blended_in_linear_light(
    picture: Picture, line: list[tuple[int, int]], colour: tuple[int, int, int], thickness_px: int
) -> Picture:
    """As some paint programs do."""
    cover = cover_of(line, thickness_px, 4)
    light = (picture / 255) ** 2.2 * (1 - cover) + (np.array(colour) / 255) ** 2.2 * cover
    return np.rint(255 * light ** (1 / 2.2)).astype(np.uint8)


def wide_and_soft(
    picture: Picture, line: list[tuple[int, int]], colour: tuple[int, int, int], thickness_px: int
) -> Picture:
    away = cv2.distanceTransform((cover_of(line, thickness_px + 2, 1) == 0).astype(np.uint8), cv2.DIST_L2, 5)[..., None]
    cover = np.clip(1 - away / 7, 0, 1)
    return np.rint(picture * (1 - cover) + np.array(colour) * cover).astype(np.uint8)


FRAMES = (textured, dark_with_bars, flat, black)
BRUSHES = (hard, antialiased_by_opencv, antialiased, blended_in_linear_light, wide_and_soft)


def painted(seed: int, brush: Callable[..., Picture]) -> tuple[Picture, Picture, dict[int, list[tuple[int, int]]]]:
    """A frame, the frame with up to three strokes in bands of their own, and the strokes by object id."""
    rng = np.random.default_rng(seed)
    frame = FRAMES[seed % len(FRAMES)](rng)
    picture, strokes = frame, {}
    ids = rng.choice([0, 1, 2, 3, 4, 5, 8, 9, 10, *rng.integers(11, 255, 3).tolist()], 3, replace=False).tolist()
    for band, object_id in enumerate(ids[: rng.integers(1, 4)]):
        ends = rng.integers((10, 24 * band + 9), (WIDTH - 10, 24 * band + 15), (3, 2)).tolist()
        strokes[object_id] = [(x, y) for x, y in sorted(ends)]
        picture = brush(picture, strokes[object_id], stroke_rgb(object_id), int(rng.integers(2, 6)))
    return frame, picture, strokes


def opaque(picture: Picture) -> Picture:
    return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])


@pytest.mark.parametrize("brush", BRUSHES, ids=lambda brush: brush.__name__)
def test_what_is_painted_comes_back_as_the_same_objects_where_it_was_painted(brush: Callable[..., Picture]) -> None:
    for seed in range(16):
        frame, picture, strokes = painted(seed, brush)
        found = find_strokes(opaque(picture), frame)
        assert not found.unexplained.any(), seed
        assert set(np.unique(found.labels)) - {NO_STROKE} == set(strokes), seed
        for object_id, line in strokes.items():
            touched = cv2.dilate(cover_of(line, 5, 1), np.ones((11, 11))) > 0
            assert not (found.labels == object_id)[~touched].any(), (seed, object_id)
            middle = found.labels[tuple(np.array(line[1])[::-1])]
            assert middle == object_id, (seed, object_id)


def through(picture: Picture, kind: str, **options: object) -> Picture:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return np.array(Image.open(file).convert("RGB"))


def scaled(picture: Picture, factor: float, how: Image.Resampling) -> Picture:
    image = Image.fromarray(picture)
    other = image.resize((round(WIDTH * factor), round(HEIGHT * factor)), how)
    return np.array(other.resize(image.size, how))


SPOILT: dict[str, Callable[[Picture], Picture]] = {
    "jpeg 95": lambda picture: through(picture, "JPEG", quality=95),
    "jpeg 100": lambda picture: through(picture, "JPEG", quality=100, subsampling=0),
    "webp 95": lambda picture: through(picture, "WEBP", quality=95),
    "webp 100": lambda picture: through(picture, "WEBP", quality=100),
    "brighter": lambda picture: np.minimum(picture.astype(int) + 1, 255).astype(np.uint8),
    "darker": lambda picture: np.maximum(picture.astype(int) - 1, 0).astype(np.uint8),
    "gamma": lambda picture: np.rint(255 * (picture / 255) ** 1.02).astype(np.uint8),
    "grey": lambda picture: np.array(Image.fromarray(picture).convert("L").convert("RGB")),
    "smaller": lambda picture: scaled(picture, 0.9, Image.Resampling.LANCZOS),
    "larger": lambda picture: scaled(picture, 1.5, Image.Resampling.BICUBIC),
    "64 colours": lambda picture: np.array(Image.fromarray(picture).quantize(64).convert("RGB")),
    "web colours": lambda picture: np.array(Image.fromarray(picture).convert("P").convert("RGB")),
    "turned": lambda picture: picture[::-1, ::-1],
    "shifted": lambda picture: np.roll(picture, 1, axis=1),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_picture_has_no_object_that_nobody_painted(spoil: Callable[[Picture], Picture]) -> None:
    refused = 0
    for seed in range(20):
        frame, picture, strokes = painted(seed, BRUSHES[seed % len(BRUSHES)])
        found = find_strokes(opaque(spoil(picture)), frame)
        refused += found.is_spoilt
        assert found.is_spoilt or set(np.unique(found.labels)) - {NO_STROKE} <= set(strokes), seed
    assert refused >= 10, "textured frames show it"


WRONG = {
    "red between 1 and the background": (1, 0, (255, 0, 0)),
    "orange between 1 and the background": (1, 0, (255, 128, 0)),
    "green between 2 and the background": (2, 0, (0, 255, 0)),
    "brown between 1 and 2": (1, 2, (100, 60, 10)),
    "nearly 1 beside 1": (1, 2, (130, 2, 2)),
}
BETWEEN, ACROSS = [(20, 35), (70, 35)], [(45, 24), (45, 46)]


@pytest.mark.parametrize(("upper", "lower", "wrong"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("brush", [hard, antialiased], ids=lambda brush: brush.__name__)
def test_a_stroke_in_a_wrong_colour_is_no_soft_edge_of_right_ones_nearby(
    brush: Callable[..., Picture], upper: int, lower: int, wrong: tuple[int, int, int]
) -> None:
    for make_frame in (textured, flat, dark_with_bars):
        frame = make_frame(np.random.default_rng(3)) // 3 + 60
        picture = brush(frame, [(20, 24), (70, 24)], stroke_rgb(upper), 4)
        picture = brush(picture, [(20, 46), (70, 46)], stroke_rgb(lower), 4)
        assert not find_strokes(opaque(picture), frame).is_spoilt
        found = find_strokes(opaque(brush(picture, BETWEEN, wrong, 4)), frame)
        middle = cover_of(BETWEEN, 4, 4)[..., 0] == 1
        assert found.unexplained[middle].mean() > 0.9
        assert not (found.labels[middle] != NO_STROKE).any()


def test_a_stroke_in_a_wrong_colour_is_no_soft_edge_where_it_touches_right_ones() -> None:
    frame = textured(np.random.default_rng(3)) // 3 + 60
    for upper, lower, wrong in list(WRONG.values())[:4]:
        picture = hard(frame, [(20, 24), (70, 24)], stroke_rgb(upper), 4)
        picture = hard(picture, [(20, 46), (70, 46)], stroke_rgb(lower), 4)
        crossed = hard(picture, ACROSS, wrong, 4)
        found = find_strokes(opaque(crossed), frame)
        np.testing.assert_array_equal(found.unexplained, (crossed == wrong).all(axis=2))


def test_a_soft_edge_goes_on_where_the_frame_hides_it() -> None:
    """A white line across the frame, as on a road, parts the edge of a white stroke from it."""
    frame = textured(np.random.default_rng(3)) // 3 + 60
    frame[40:42] = 255
    picture = wide_and_soft(frame, [(20, 36), (70, 36)], stroke_rgb(0), 2)
    assert (picture[43] != frame[43]).any()
    found = find_strokes(opaque(picture), frame)
    assert not found.is_spoilt
    assert set(np.unique(found.labels)) == {NO_STROKE, 0}
