"""Clicks and boxes as strokes, by the rules of EXPORT.md."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.core.correction import correction
from stages.core.errors import InputError, StageError
from stages.core.plan import Plan
from stages.core.strokes import FrameScribbles, Line, Point
from stages.formats.files import publishing, sha256
from stages.formats.given_masks import read_seen, write_given
from stages.formats.manifest import publish
from stages.formats.masks import write_mask
from stages.formats.objects_json import Objects
from stages.formats.prompts_json import Box, Prompt
from stages.formats.requests import note_requests
from stages.formats.scribbles import ScribbleSet, read_scribbles, write_scribbles
from stages.steps.amend import Amendment, Drawn
from stages.steps.carry_out import carry_out
from stages.steps.prompts import draw, draw_all
from stages.steps.seen import A_CORRECTION, seen_in

SIZE_WH = (200, 100)
TERMS = {"scribbles": "001", "requests": 2, "placement": "eq1", "frame_count": 3}
BOX: Box = (0.2, 0.2, 0.6, 0.7)


def prompt(object_id: int, *positive: Point, negative: tuple[Point, ...] = (), box: Box | None = None) -> Prompt:
    return Prompt(object_id, positive, negative, box)


def corners(lines: tuple[Line, ...]) -> list[list[float]]:
    return [[round(value, 4) for point in line.path for value in point] for line in lines if line.object_id == 0]


def test_a_point_is_a_line_of_one_point_and_a_negative_one_is_background() -> None:
    drawing = draw([prompt(2, (0.4, 0.5), (0.5, 0.5), negative=((0.1, 0.1),))], SIZE_WH)
    assert drawing.lines == (Line(0, ((0.1, 0.1),)), Line(2, ((0.4, 0.5),)), Line(2, ((0.5, 0.5),)))
    assert drawing.from_boxes == ()


def test_a_box_is_a_rectangle_around_it_and_a_line_over_the_middle_third_of_its_longer_side() -> None:
    drawing = draw([prompt(1, box=BOX)], SIZE_WH)
    assert corners(drawing.lines) == [
        [0.196, 0.195, 0.604, 0.195],
        [0.196, 0.705, 0.604, 0.705],
        [0.196, 0.195, 0.196, 0.705],
        [0.604, 0.195, 0.604, 0.705],
    ]
    (line,) = (line for line in drawing.lines if line.object_id == 1)
    assert np.allclose(line.path, [(0.4 - 0.4 / 6, 0.45), (0.4 + 0.4 / 6, 0.45)]), "80 px wide, 50 px high"
    (line,) = (line for line in draw([prompt(1, box=BOX)], (100, 100)).lines if line.object_id == 1)
    assert np.allclose(line.path, [(0.4, 0.45 - 0.5 / 6), (0.4, 0.45 + 0.5 / 6)]), "40 px wide, 50 px high"
    assert drawing.from_boxes == (1,)


def test_a_box_with_a_point_is_no_guess() -> None:
    drawing = draw([prompt(1, (0.4, 0.5), box=BOX)], SIZE_WH)
    assert [line for line in drawing.lines if line.object_id] == [Line(1, ((0.4, 0.5),))]
    assert drawing.from_boxes == ()


def test_no_background_is_drawn_into_another_box_or_out_of_the_picture() -> None:
    right = (0.5, 0.4, 0.9, 0.9)
    lines = draw([prompt(1, box=BOX), prompt(2, box=right)], SIZE_WH).lines
    assert corners(lines) == [
        [0.196, 0.195, 0.604, 0.195],
        [0.196, 0.705, 0.5, 0.705],
        [0.196, 0.195, 0.196, 0.705],
        [0.604, 0.195, 0.604, 0.4],
        [0.6, 0.395, 0.904, 0.395],
        [0.496, 0.905, 0.904, 0.905],
        [0.496, 0.7, 0.496, 0.905],
        [0.904, 0.395, 0.904, 0.905],
    ]
    assert corners(draw([prompt(1, box=(0.0, 0.0, 1.0, 1.0))], SIZE_WH).lines) == []
    assert corners(draw([prompt(1, box=(0.0, 0.0, 0.5, 1.0))], SIZE_WH).lines) == [[0.505, 0, 0.505, 1]]
    assert [line.object_id for line in draw([prompt(1, box=BOX), prompt(2, box=BOX)], SIZE_WH).lines if line.object_id]


def test_objects_are_drawn_over_background() -> None:
    drawing = draw([prompt(1, (0.604, 0.5), box=BOX), prompt(2, (0.1, 0.1), negative=((0.9, 0.9),))], SIZE_WH)
    assert [line.object_id > 0 for line in drawing.lines] == sorted(line.object_id > 0 for line in drawing.lines)


@pytest.mark.parametrize(("x_px", "refused"), [(100, True), (101.9, True), (102.1, False)])
def test_a_negative_point_on_a_point_of_another_object_is_refused(x_px: float, refused: bool) -> None:
    clicked = [prompt(1, (0.2, 0.5), negative=((x_px / 200, 0.5),)), prompt(2, (0.5, 0.5))]
    if not refused:
        draw(clicked, SIZE_WH)
        return
    with pytest.raises(InputError, match=r"negative point \[.*\] of object 1 .* of object 2, expected more than 2 px"):
        draw(clicked, SIZE_WH)


class Video:
    def __getitem__(self, index: int) -> Any:
        return np.full((100, 200, 3), index, np.uint8)

    def __len__(self) -> int:
        return 3


def test_prompts_take_the_place_of_what_was_drawn_and_that_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "001.json"
    write_scribbles(file, ScribbleSet("dog", 3, {index: FrameScribbles((Line(5, ((0.5, 0.5),)),)) for index in (0, 1)}))
    write_given(file, 2, np.ones((100, 200), np.uint8))
    before = file.read_bytes()
    drawn = Drawn(file, read_scribbles(file, "dog", 3), Objects(), [])
    clicked = {1: (prompt(1, box=BOX),), 2: (prompt(1, (0.5, 0.5)),)}
    change = draw_all(drawn, clicked, Video())  # type: ignore[arg-type]
    assert change.said == (
        "frame 1: 0 points and 1 box; from a box, look at it: object 1; in the place of what was drawn there before",
        "frame 2: 1 point and 0 boxes; not used, since a mask was given there",
    )
    copies = carry_out(tmp_path / "outputs", TERMS, drawn, change)
    assert copies is not None and (copies / "001.json").read_bytes() == before
    after = read_scribbles(file, "dog", 3)
    assert (after.annotated, after.from_boxes) == ((0, 1, 2), {1: (1,)})
    assert after.strokes_digest(0) == drawn.scribbles.strokes_digest(0)
    assert 1 in after.frame_digests
    again = draw_all(Drawn(file, after, Objects(), []), clicked, Video())  # type: ignore[arg-type]
    assert again.frames == (), "the same once more is nothing"


def test_strokes_that_take_the_place_of_a_guess_are_none(tmp_path: Path) -> None:
    drawn = Drawn(tmp_path / "001.json", ScribbleSet("dog", 3), Objects(), [])
    guessed = draw_all(drawn, {1: (prompt(1, box=BOX),)}, Video())  # type: ignore[arg-type]
    assert not guessed.takes_away
    later = Drawn(drawn.file, guessed.scribbles, Objects(), [])
    clicked = draw_all(later, {1: (prompt(1, (0.5, 0.5)),)}, Video())  # type: ignore[arg-type]
    assert clicked.scribbles.from_boxes == {}


def published(root: Path, folder: str, names: list[str], **options: str) -> Path:
    """Masks of these frames that people see: object 1 on the left, object 2 on the right."""
    ids = np.full((100, 200), 2, np.uint8)
    ids[:, :60] = 1
    root.mkdir(exist_ok=True)
    with publishing(root / folder) as place:
        for name in names:
            write_mask(place / name, ids)
        run = {"options": {"scribbles": "001", **options}}
        publish(place, root / folder, stage=folder, key={"names": names}, weights={}, objects=[1, 2], run=run)
    return root / folder


NAMES = ["00000.png", "00001.png", "00002.png"]


@pytest.mark.parametrize("folder", ["masks", "provisional"])
def test_prompts_on_a_frame_of_what_people_see_correct_it(tmp_path: Path, folder: str) -> None:
    root, file = tmp_path / "outputs", tmp_path / "001.json"
    masks = published(root, folder, NAMES)
    write_scribbles(file, ScribbleSet("dog", 3, {0: FrameScribbles((Line(1, ((0.5, 0.5),)),))}))
    clicked = {index: (prompt(1, (0.5, 0.5)),) for index in (0, 1)}

    def once_more() -> Amendment:
        drawn = Drawn(file, read_scribbles(file, "dog", 3), Objects(), [])
        return draw_all(drawn, clicked, Video(), seen_in(root, "001", NAMES))  # type: ignore[arg-type]

    change = once_more()
    former = "frame 0: 1 point and 0 boxes; in the place of what was drawn there before"
    assert change.said == (former, f"frame 1: 1 point and 0 boxes; {A_CORRECTION}")
    carry_out(root, TERMS, Drawn(file, read_scribbles(file, "dog", 3), Objects(), []), change)
    after = read_scribbles(file, "dog", 3)
    assert after.corrects == {1: sha256(masks / "00001.png")}
    seen = read_seen(file, 1, after.corrects[1], SIZE_WH)
    assert correction(after.frame(1), seen, heeds_masks=True).kept == (2,), "nobody has said anything of object 2"
    write_mask(masks / "00001.png", np.zeros((100, 200), np.uint8))
    with pytest.raises(StageError, match="found another content than was published"):
        once_more()
    shutil.rmtree(masks)
    published(root, folder, NAMES, more="another one")
    assert once_more().frames == (), "the same once more is nothing, whatever was made of it"


def test_prompts_on_a_frame_that_was_asked_for_annotate_it(tmp_path: Path) -> None:
    root = tmp_path / "outputs"
    published(root, "provisional", NAMES)
    note_requests(root, TERMS, Plan(3, (0, 1), (1,)), NAMES)
    drawn = Drawn(tmp_path / "001.json", ScribbleSet("dog", 3), Objects(), [])
    change = draw_all(drawn, {1: (prompt(1, (0.5, 0.5)),)}, Video(), seen_in(root, "001", NAMES))  # type: ignore[arg-type]
    assert change.scribbles.corrects == {}


def test_the_surroundings_of_a_box_say_nothing_of_masks_that_stay(tmp_path: Path) -> None:
    seen = np.zeros((100, 200), np.uint8)
    seen[10:90, 110:150] = 2
    lines = draw([prompt(1, box=BOX)], SIZE_WH, seen).lines
    assert corners(lines) == [
        [0.196, 0.195, 0.55, 0.195],
        [0.196, 0.705, 0.55, 0.705],
        [0.196, 0.195, 0.196, 0.705],
    ]


@pytest.mark.parametrize(("x_px", "refused"), [(101.9, True), (102.1, False)])
def test_points_of_two_objects_on_one_place_are_refused(x_px: float, refused: bool) -> None:
    clicked = [prompt(1, (x_px / 200, 0.5), (0.2, 0.2)), prompt(2, (0.5, 0.5))]
    if not refused:
        draw(clicked, SIZE_WH)
        return
    with pytest.raises(InputError, match=r"positive point \[.*\] of object 1 1.9 px .* of object 2, expected more"):
        draw(clicked, SIZE_WH)
