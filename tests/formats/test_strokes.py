import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from stages.core.centre_lines import longest_paths
from stages.core.drawing import BACKGROUND_RGB, draw_strokes, rasterise, stroke_rgb
from stages.core.errors import InputError
from stages.core.strokes import FrameScribbles, Line, path_pixels
from stages.formats.frames import read_frame
from stages.formats.strokes import strokes_from_png

SIZE_WH = (400, 240)
WIDTH, HEIGHT = SIZE_WH


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A frame with pure white and pure stroke colours of its own, as bright skies and cartoons have them."""
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    pixels[:20] = BACKGROUND_RGB
    pixels[-20:] = stroke_rgb(2)
    pixels[:, -60:] = 0
    Image.fromarray(pixels).save(tmp_path / "00012.png")
    return tmp_path / "00012.png"


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    return tmp_path / "00012.strokes.png"


def arc(object_id: int, centre_xy: tuple[float, float], radius_px: float, start: float, length: float) -> Line:
    angles = np.linspace(start, start + length, 30)
    x, y = centre_xy[0] + radius_px * np.cos(angles), centre_xy[1] + radius_px * np.sin(angles)
    return Line(object_id, tuple(zip((x / WIDTH).tolist(), (y / HEIGHT).tolist(), strict=True)))


def straight(object_id: int, *points_xy: tuple[float, float]) -> Line:
    return Line(object_id, tuple((x / WIDTH, y / HEIGHT) for x, y in points_xy))


def points_along(lines: list[Line]) -> np.ndarray:
    pieces = []
    for line in lines:
        points = path_pixels(line, SIZE_WH)
        for start, end in pairwise(points):
            pieces.append(start + (end - start) * np.linspace(0, 1, 2 + 2 * int(np.hypot(*(end - start))))[:, None])
    return np.concatenate(pieces)


def farthest_px(ours: list[Line], theirs: list[Line]) -> float:
    """How far a point of one set of lines can be from the other (Hausdorff)."""
    a, b = points_along(ours), points_along(theirs)
    return float(max(cKDTree(b).query(a)[0].max(), cKDTree(a).query(b)[0].max()))


STROKES = FrameScribbles(
    (
        arc(1, (90, 80), 45, 0.3, 4.0),
        straight(1, (30, 170), (140, 190)),
        arc(2, (200, 60), 25, 2.0, 2.5),
        arc(3, (250, 150), 50, 5.0, 3.0),
        straight(254, (180, 200), (230, 180)),
        straight(0, (150, 30), (150, 120)),
    )
)


def paint(path: Path, clean: Path, scribbles: FrameScribbles = STROKES, thickness_px: int = 3) -> None:
    Image.fromarray(draw_strokes(read_frame(clean), scribbles, thickness_px)).save(path)


# There and back


@pytest.mark.parametrize("thickness_px", [1, 2, 3, 5, 8])
def test_painted_lines_come_back_within_two_pixels(painted: Path, clean: Path, thickness_px: int) -> None:
    paint(painted, clean, thickness_px=thickness_px)
    lines = strokes_from_png(painted, clean)
    assert [line.object_id for line in lines] == [0, 1, 1, 2, 3, 254]
    for object_id in (0, 1, 2, 3, 254):
        drawn = [line for line in STROKES.lines if line.object_id == object_id]
        found = [line for line in lines if line.object_id == object_id]
        assert farthest_px(drawn, found) <= 2.0 + 0.01
    assert all(0 <= value <= 1 for line in lines for point in line.path for value in point)


def test_a_transparent_layer_says_the_same(painted: Path, clean: Path) -> None:
    paint(painted, clean)
    expected = strokes_from_png(painted, clean)
    labels = rasterise(STROKES, SIZE_WH, 3)
    layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    layer[..., :3] = draw_strokes(np.zeros((HEIGHT, WIDTH, 3), np.uint8), STROKES, 3)
    layer[..., 3] = np.where(labels >= 0, 255, 0)
    Image.fromarray(layer).save(painted)
    assert strokes_from_png(painted, clean) == expected


def test_on_a_layer_the_frame_s_own_colours_do_not_matter(painted: Path, clean: Path) -> None:
    layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    layer[9:12, 100:200] = (*BACKGROUND_RGB, 255)  # white over the white sky
    layer[8, 100:200] = (*BACKGROUND_RGB, 128)  # half transparent: the edge of a soft brush
    Image.fromarray(layer).save(painted)
    assert [line.object_id for line in strokes_from_png(painted, clean)] == [0]


def test_the_frame_s_own_colours_are_no_strokes(painted: Path, clean: Path) -> None:
    only = FrameScribbles((straight(1, (50, 60), (120, 60)),))
    paint(painted, clean, only)
    assert [line.object_id for line in strokes_from_png(painted, clean)] == [1]


def test_an_opaque_alpha_channel_and_an_indexed_picture_are_read(painted: Path, clean: Path) -> None:
    paint(painted, clean)
    expected = strokes_from_png(painted, clean)
    Image.open(painted).convert("RGBA").save(painted)
    assert strokes_from_png(painted, clean) == expected
    Image.new("RGB", SIZE_WH, (90, 90, 90)).save(clean)
    paint(painted, clean)
    expected = strokes_from_png(painted, clean)
    Image.open(painted).quantize(16).save(painted)
    assert strokes_from_png(painted, clean) == expected


@pytest.mark.parametrize("ground", [(0, 0, 0), (90, 140, 60), (255, 255, 255)])
def test_a_brush_with_a_soft_edge_makes_no_other_objects(
    painted: Path, clean: Path, ground: tuple[int, int, int]
) -> None:
    frame = np.full((HEIGHT, WIDTH, 3), ground, np.uint8)
    Image.fromarray(frame).save(clean)
    large = frame.repeat(4, axis=0).repeat(4, axis=1)  # soft edges: drawn four times as large, then averaged
    strokes = [arc(1, (100, 100), 60, 0, 4.5), arc(2, (240, 120), 70, 3, 4), straight(1, (220, 30), (300, 230))]
    for line in strokes:
        points = np.rint(path_pixels(line, SIZE_WH) * 4).astype(np.int32)
        cv2.polylines(large, [points], False, stroke_rgb(line.object_id), 20, cv2.LINE_AA)
    soft = cv2.resize(large, SIZE_WH, interpolation=cv2.INTER_AREA)
    Image.fromarray(soft).save(painted)
    lines = strokes_from_png(painted, clean)
    assert {line.object_id for line in lines} == {1, 2}
    first = [line for line in lines if line.object_id == 1]
    assert farthest_px([strokes[0], strokes[2]], first) <= 2.5


# The shapes of strokes


@pytest.mark.parametrize("thickness_px", [2, 3, 5, 9])
@pytest.mark.parametrize("degrees", range(0, 180, 20))
def test_thinning_does_not_shorten_strokes(painted: Path, clean: Path, thickness_px: int, degrees: int) -> None:
    x, y = 50 * np.cos(np.radians(degrees)), 50 * np.sin(np.radians(degrees))
    line = straight(1, (150 - x, 120 - y), (150 + x, 120 + y))
    paint(painted, clean, FrameScribbles((line,)), thickness_px)
    lines = strokes_from_png(painted, clean)
    assert len(lines) == 1
    assert farthest_px([line], list(lines)) <= 2.0


def test_a_thick_stroke_with_square_ends_is_one_line(painted: Path, clean: Path) -> None:
    frame = read_frame(clean)
    frame[100:117, 50:200] = stroke_rgb(1)
    Image.fromarray(frame).save(painted)
    (line,) = strokes_from_png(painted, clean)
    x, y = path_pixels(line, SIZE_WH).T
    assert np.ptp(x) > 130
    assert np.abs(y - 108).max() <= 8


@pytest.mark.parametrize("thickness_px", [1, 3, 7])
def test_branches_become_lines_of_their_own(painted: Path, clean: Path, thickness_px: int) -> None:
    tee = (straight(1, (40, 60), (240, 60)), straight(1, (120, 60), (120, 150)))
    paint(painted, clean, FrameScribbles(tee), thickness_px)
    lines = strokes_from_png(painted, clean)
    assert len(lines) == 2
    assert farthest_px(list(tee), list(lines)) <= 2.0 + thickness_px / 2  # the branch begins at the stem's edge


def test_bumps_of_an_uneven_brush_are_no_branches(painted: Path, clean: Path) -> None:
    line = arc(1, (150, 120), 80, 0.5, 4.0)
    paint(painted, clean, FrameScribbles((line,)), thickness_px=9)
    frame = read_frame(painted)
    for number, angle in enumerate(np.linspace(0.7, 4.3, 14)):
        radius_px = 80 + (6 if number % 2 else -6)
        centre_xy = round(150 + radius_px * np.cos(angle)), round(120 + radius_px * np.sin(angle))
        cv2.circle(frame, centre_xy, 2, stroke_rgb(1), -1)
    Image.fromarray(frame).save(painted)
    lines = strokes_from_png(painted, clean)
    assert len(lines) == 1
    assert farthest_px([line], list(lines)) <= 4.0


def test_a_ring_is_traced_all_around(painted: Path, clean: Path) -> None:
    ring = arc(1, (150, 110), 60, 0, 2 * np.pi)
    paint(painted, clean, FrameScribbles((ring,)))
    lines = strokes_from_png(painted, clean)
    assert len(lines) == 1
    assert farthest_px([ring], list(lines)) <= 3.0


@pytest.mark.parametrize("radius_px", [1, 4, 9])
@pytest.mark.parametrize("centre_xy", [(100, 100), (0, 60), (339, 100)])
def test_a_dot_becomes_a_short_line(painted: Path, clean: Path, radius_px: int, centre_xy: tuple[int, int]) -> None:
    frame = read_frame(clean)
    cv2.circle(frame, centre_xy, radius_px, stroke_rgb(3), -1)
    Image.fromarray(frame).save(painted)
    (line,) = strokes_from_png(painted, clean)
    points = path_pixels(line, SIZE_WH)
    assert line.object_id == 3 and len(points) >= 2
    assert np.abs(points - centre_xy).max() <= max(2, radius_px)
    assert 1 <= np.hypot(*(points[-1] - points[0])) <= 2 * radius_px + 2


def test_the_longest_path_of_a_skeleton_runs_from_end_to_end() -> None:
    skeleton = np.zeros((20, 30), bool)
    skeleton[10, 2:28] = True
    skeleton[5:10, 14] = True
    skeleton[18, 3] = True
    paths = longest_paths(np.argwhere(skeleton))
    assert sorted(len(path) for path in paths) == [1, 26]
    longest = max(paths, key=len)
    assert {tuple(longest[0]), tuple(longest[-1])} == {(10, 2), (10, 27)}
    assert np.abs(np.diff(longest, axis=0)).max() == 1


def test_reading_is_deterministic(painted: Path, clean: Path) -> None:
    paint(painted, clean)
    assert strokes_from_png(painted, clean) == strokes_from_png(painted, clean)


# Refusals


def blank(painted: Path, clean: Path) -> None:
    Image.open(clean).save(painted)


def resized(painted: Path, clean: Path) -> None:
    paint(painted, clean)
    Image.open(painted).resize((200, 120)).save(painted)


def blurred(painted: Path, clean: Path) -> None:
    Image.new("RGB", SIZE_WH, (90, 90, 90)).save(clean)
    paint(painted, clean, thickness_px=1)
    Image.fromarray(cv2.GaussianBlur(np.array(Image.open(painted)), (5, 5), 0)).save(painted)


def one_pixel(painted: Path, clean: Path) -> None:
    frame = read_frame(clean)
    frame[100, 100] = stroke_rgb(3)
    Image.fromarray(frame).save(painted)


def as_jpeg(painted: Path, clean: Path) -> None:
    paint(painted, clean)
    Image.open(painted).save(painted, format="JPEG", quality=100)


def as_deep_grey(painted: Path, clean: Path) -> None:
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint16)).save(painted)


def flattened(painted: Path, clean: Path) -> None:
    Image.fromarray(draw_strokes(np.full((HEIGHT, WIDTH, 3), 255, np.uint8), STROKES)).save(painted)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (blank, ["no stroke", "00012.empty.png", "(128, 0, 0)", "(255, 255, 255)"]),
        (lambda painted, _: Image.new("RGBA", SIZE_WH).save(painted), ["no stroke", "00012.empty.png"]),
        (resized, ["200x120", "400x240", "00012.empty.png"]),
        (blurred, ["changed pixels", "hard brush"]),
        (one_pixel, ["1 changed pixels", "4 pixels or more", "00012.empty.png"]),
        (as_jpeg, ["format JPEG", "compression", "PNG"]),
        (as_deep_grey, ["16 bits", "RGB"]),
        (flattened, ["% of the picture", "transparen"]),
        (lambda painted, _: painted.write_bytes(b"rubbish"), ["no readable picture"]),
    ],
)
def test_pictures_that_say_nothing_are_refused(
    painted: Path, clean: Path, make: Callable[[Path, Path], object], words: list[str]
) -> None:
    make(painted, clean)
    with pytest.raises(InputError) as error:
        strokes_from_png(painted, clean)
    assert all(word in str(error.value) for word in ["00012.strokes.png", *words]), error.value


def spoil(painted: Path, clean: Path, change: Callable[[np.ndarray], np.ndarray]) -> str:
    """Paint, change the picture, read it; what is said."""
    paint(painted, clean)
    Image.fromarray(change(read_frame(painted)).astype(np.uint8)).save(painted)
    with pytest.raises(InputError) as error:
        strokes_from_png(painted, clean)
    return str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: np.minimum(picture.astype(int) + 1, 255),
        lambda picture: picture.mean(axis=2, keepdims=True).repeat(3, axis=2),
        lambda picture: picture[::-1, ::-1],
        lambda picture: cv2.resize(cv2.resize(picture, (600, 360)), SIZE_WH),
    ],
    ids=["brighter", "grey", "turned", "scaled there and back"],
)
def test_a_picture_that_differs_from_its_frame_is_refused_with_the_share(
    painted: Path, clean: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    Image.fromarray(read_frame(clean) // 2 + 60).save(clean)
    said = spoil(painted, clean, change)
    assert 60 < float(said.partition(" %")[0].rpartition(" ")[2]) <= 100
    assert "differs from the frame 00012.png" in said and "save it as PNG" in said


def test_a_stroke_in_a_wrong_colour_is_named_with_its_size_and_the_nearest_colour(painted: Path, clean: Path) -> None:
    def change(picture: np.ndarray) -> np.ndarray:
        picture[100:104, 300:330] = (250, 5, 0)
        return picture

    Image.new("RGB", SIZE_WH, (90, 90, 90)).save(clean)
    said = spoil(painted, clean, change)
    assert "120 pixels of the colour (250, 5, 0)" in said
    assert "(224, 0, 0), object 73 (of those in this picture: (128, 0, 0), object 1)" in said


def test_the_pure_colours_that_people_reach_for_first_are_told_as_the_first_objects(tmp_path: Path) -> None:
    Image.new("RGB", SIZE_WH, (90, 90, 90)).save(clean := tmp_path / "00012.png")
    painted = Image.open(clean)
    painted.paste((255, 0, 0), (300, 100, 330, 104))
    painted.save(tmp_path / "00012.strokes.png")
    with pytest.raises(InputError, match=re.escape("(of the first 7: (128, 0, 0), object 1)")):
        strokes_from_png(tmp_path / "00012.strokes.png", clean)


def test_grey_strokes_on_a_grey_frame_may_be_colours_that_were_lost(painted: Path, clean: Path) -> None:
    """The brightest channel of (128, 0, 0) is that of object 7."""
    Image.new("RGB", SIZE_WH, (90, 90, 90)).save(clean)
    only_red = FrameScribbles(STROKES.lines[:1])
    paint(painted, clean, only_red)
    Image.fromarray(read_frame(painted).max(axis=2, keepdims=True).repeat(3, axis=2)).save(painted)
    with pytest.raises(InputError, match="no colour at all"):
        strokes_from_png(painted, clean)
    layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    layer[50:60, 50:90] = (*stroke_rgb(7), 255)
    Image.fromarray(layer).save(painted)
    assert [line.object_id for line in strokes_from_png(painted, clean)] == [7]


def test_specks_are_passed_over_and_told(painted: Path, clean: Path) -> None:
    paint(painted, clean)
    frame = read_frame(painted)
    frame[210, 20] = stroke_rgb(63)
    frame[212, 300] = frame[212, 301] = (1, 2, 3)
    Image.fromarray(frame).save(painted)
    said: list[str] = []
    assert 63 not in {line.object_id for line in strokes_from_png(painted, clean, said.append)}
    (line,) = said
    assert "2 specks" in line and "(20, 210)" in line and "(300, 212)" in line


# Drawing


def test_rasterised_strokes_carry_ids_and_later_ones_lie_above() -> None:
    lines = (straight(7, (10, 50), (60, 50)), straight(0, (30, 20), (30, 80)), straight(254, (200, 100)))
    labels = rasterise(FrameScribbles(lines), SIZE_WH)
    assert (labels.shape, labels.dtype) == ((HEIGHT, WIDTH), np.int16)
    assert set(np.unique(labels)) == {-1, 0, 7, 254}
    assert labels[50, 10] == labels[50, 60] == 7
    assert labels[50, 30] == 0
    assert np.argwhere(labels == 254).tolist() == [[100, 200]]
    assert (rasterise(FrameScribbles(lines), SIZE_WH, 5) == 7).sum() > 4 * (labels == 7).sum()


def test_drawing_leaves_the_frame_alone() -> None:
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame.flags.writeable = False
    drawn = draw_strokes(frame, FrameScribbles((straight(1, (0, 0), (400, 240)),)))
    assert not frame.any()
    assert drawn[0, 0].tolist() == list(stroke_rgb(1)) and drawn[HEIGHT - 1, WIDTH - 1].any()
