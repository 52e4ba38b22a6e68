"""What the quality benchmark gives to the pipeline: strokes made from ground truth, and videos of two objects."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.clips import Clip, clip_names, mosaic, open_clip
from benchmarks.quality import Run, annotate, evaluate, run_pipeline, summarise
from benchmarks.strokes import centre_lines
from stages.core.errors import InputError, StageError
from stages.core.strokes import Line
from stages.formats.frames import read_frame
from stages.formats.masks import read_mask, write_mask
from stages.formats.scribbles import ScribbleSet, merge, read_scribbles, write_scribbles

SIZE_WH = (320, 200)


def ellipse(centre_xy: tuple[int, int], radii: tuple[int, int]) -> NDArray[np.bool_]:
    x, y = np.arange(SIZE_WH[0]), np.arange(SIZE_WH[1])[:, None]
    return ((x - centre_xy[0]) / radii[0]) ** 2 + ((y - centre_xy[1]) / radii[1]) ** 2 <= 1


def ring(centre_xy: tuple[int, int], outer: int, inner: int) -> NDArray[np.bool_]:
    return ellipse(centre_xy, (outer, outer)) & ~ellipse(centre_xy, (inner, inner))


def pixels(line: Line) -> NDArray[np.int64]:
    """(N, 2) x, y."""
    return np.rint(np.array(line.path) * SIZE_WH).astype(np.int64)


def label_map(**objects: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """`o1=mask, o3=mask`: object ids where the masks are, later ones on top."""
    truth = np.zeros(SIZE_WH[::-1], np.uint8)
    for name, mask in objects.items():
        truth[mask] = int(name.removeprefix("o"))
    return truth


TWO_PARTS = ellipse((80, 60), (60, 20)) | ellipse((240, 150), (30, 40))
MANY = label_map(o1=TWO_PARTS, o3=ring((230, 55), 45, 30), o7=ellipse((60, 150), (40, 30)))


def test_strokes_lie_inside_their_own_object() -> None:
    lines = centre_lines(MANY)
    assert {line.object_id for line in lines} == {1, 3, 7}
    for line in lines:
        x, y = pixels(line).T
        assert (MANY[y, x] == line.object_id).all()


def test_strokes_are_the_same_every_time_whatever_was_drawn_before() -> None:
    first = centre_lines(MANY)
    np.random.default_rng().random(3)
    assert centre_lines(MANY) == first


def test_each_separate_part_gets_one_stroke_the_longest_first() -> None:
    lines = centre_lines(label_map(o1=TWO_PARTS))
    assert len(lines) == 2
    assert [pixels(line)[:, 0].max() < 160 for line in lines] == [True, False]
    assert len(lines[0].path) > len(lines[1].path)


def test_a_stroke_runs_along_the_whole_object_without_a_jump() -> None:
    (line,) = centre_lines(label_map(o1=ellipse((160, 100), (120, 25))))
    path = pixels(line)
    assert np.abs(np.diff(path, axis=0)).max() == 1
    assert np.ptp(path[:, 0]) > 180, "of 240 pixels"
    assert np.abs(path[:, 1] - 100).max() <= 10, "near the centre line"


def test_a_ring_is_cut_open_and_not_walked_for_ever() -> None:
    (line,) = centre_lines(label_map(o1=ring((160, 100), 80, 50)))
    path = pixels(line)
    assert len(np.unique(path, axis=0)) == len(path), "no pixel twice"
    assert len(path) > 0.8 * 2 * np.pi * 65 / np.sqrt(2), "most of the way round"


def test_branches_are_left_out_of_the_longest_path() -> None:
    cross = np.zeros(SIZE_WH[::-1], bool)
    cross[95:106, 40:281] = True
    cross[60:141, 155:166] = True
    (line,) = centre_lines(label_map(o1=cross))
    path = pixels(line)
    assert np.ptp(path[:, 0]) > 200
    assert np.ptp(path[:, 1]) <= 12, "the short bar is no part of it"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_an_object_of_a_few_pixels_is_not_forgotten(size: int) -> None:
    truth = np.zeros(SIZE_WH[::-1], np.uint8)
    truth[50 : 50 + size, 70 : 70 + size] = 4
    (line,) = centre_lines(truth)
    x, y = pixels(line).T
    assert (truth[y, x] == 4).all()


def test_nothing_there_is_nothing_drawn() -> None:
    assert centre_lines(np.zeros(SIZE_WH[::-1], np.uint8)) == ()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A DAVIS root with two clips of a moving ellipse: one of 12 frames, one of 9."""
    for name, count, radius in (("long", 12, 30), ("short", 9, 20)):
        for folder in ("JPEGImages/480p", "Annotations/480p", "Scribbles"):
            (tmp_path / "davis" / folder / name).mkdir(parents=True)
        for index in range(count):
            mask = ellipse((60 + 10 * index, 100), (radius, radius))
            picture = np.where(mask[..., None], np.uint8((200, 30, 30)), np.uint8((20, 60, 20)))
            Image.fromarray(picture).save(tmp_path / f"davis/JPEGImages/480p/{name}/{index:05d}.jpg", quality=95)
            write_mask(tmp_path / f"davis/Annotations/480p/{name}/{index:05d}.png", mask.astype(np.uint8))
        strokes = merge(ScribbleSet(name, count), 4, [Line(1, ((0.3, 0.5), (0.32, 0.5)))])
        write_scribbles(tmp_path / f"davis/Scribbles/{name}/001.json", strokes)
    return tmp_path / "davis"


@pytest.fixture
def pair(root: Path, tmp_path: Path) -> tuple[Clip, Clip, Clip]:
    """Left, right, and both side by side."""
    left, right = (open_clip(root, name) for name in clip_names(root))
    return left, right, mosaic(left, right, tmp_path / "mosaics")


def test_a_mosaic_has_the_exact_ground_truth_of_both_halves(pair: tuple[Clip, Clip, Clip]) -> None:
    left, right, both = pair
    assert len(both.frames) == 9, "as long as the shorter clip"
    assert both.object_ids() == (1, 2)
    for index, truth in enumerate(both.read_truths()):
        hidden = 3 <= index < 6
        np.testing.assert_array_equal(truth[:, :320], read_mask(left.truths[index]))
        np.testing.assert_array_equal(truth[:, 320:], 0 if hidden else 2 * read_mask(right.truths[index]))


def test_a_hidden_object_is_truly_absent_from_the_picture(pair: tuple[Clip, Clip, Clip]) -> None:
    left, right, both = pair
    for index, path in enumerate(both.frames):
        picture = read_frame(path).astype(int)
        original = np.hstack([read_frame(left.frames[index]), read_frame(right.frames[index])]).astype(int)
        if 3 <= index < 6:
            original[:, 320:] = 128
        assert np.abs(picture - original)[:, 330:].max() <= 60, "compressed once more, nothing else"
        assert np.abs(picture - original).mean() < 1
        if 3 <= index < 6:
            assert picture[:, 330:].std() < 1


def test_every_anchor_is_annotated_and_absence_is_said(pair: tuple[Clip, Clip, Clip], tmp_path: Path) -> None:
    _, _, both = pair
    anchors = annotate(both, tmp_path / "data")
    folder = tmp_path / "data" / "benchmark"
    scribbles = read_scribbles(folder / "Scribbles" / both.name / "001.json", both.name, len(both.frames))
    assert scribbles.annotated == anchors
    assert len(anchors) == 8
    for index in anchors:
        assert scribbles.frame(index).object_ids == ((1,) if 3 <= index < 6 else (1, 2))
    copies = sorted((folder / "JPEGImages" / "480p" / both.name).iterdir())
    assert [copy.read_bytes() for copy in copies] == [frame.read_bytes() for frame in both.frames]
    assert not (folder / "Annotations").exists(), "the pipeline never sees ground truth"


def test_as_many_anchors_are_annotated_as_are_asked_for(root: Path, tmp_path: Path) -> None:
    clip = open_clip(root, "long")
    assert annotate(clip, tmp_path / "one", requests=0) == (4,)
    spread = annotate(clip, tmp_path / "spread", requests=3, placement="spread")
    assert len(spread) == 4
    assert 4 in spread


def test_an_object_that_is_nowhere_on_an_anchor_leaves_it_annotated_and_empty(root: Path, tmp_path: Path) -> None:
    for index in range(5, 12):
        write_mask(root / f"Annotations/480p/long/{index:05d}.png", np.zeros(SIZE_WH[::-1], np.uint8))
    anchors = annotate(open_clip(root, "long"), tmp_path / "data")
    scribbles = read_scribbles(tmp_path / "data/benchmark/Scribbles/long/001.json", "long", 12)
    assert scribbles.annotated == anchors
    assert {index: bool(scribbles.frame(index).lines) for index in anchors} == {index: index < 5 for index in anchors}


def test_the_set_001_keeps_its_own_lines(root: Path, tmp_path: Path) -> None:
    clip = open_clip(root, "long")
    annotate(clip, tmp_path / "data")
    drawn = read_scribbles(tmp_path / "data/benchmark/Scribbles/long/001.json", "long", 12)
    assert drawn.frame(4) == read_scribbles(clip.scribbles, "long", 12).frame(4)


def test_results_are_scored_per_object_against_all_frames(pair: tuple[Clip, Clip, Clip], tmp_path: Path) -> None:
    """Object 1 is perfect, but for anchor 8; object 2 is never found, which is right while it is hidden."""
    _, _, both = pair
    (tmp_path / "masks").mkdir()
    for index, truth in enumerate(both.read_truths()):
        write_mask(tmp_path / "masks" / f"{index:05d}.png", np.where(truth == 1, truth, 0))
        (tmp_path / "anchor_masks" / f"{index:05d}").mkdir(parents=True)
        write_mask(tmp_path / "anchor_masks" / f"{index:05d}" / "mask.png", np.where(index == 8, 0, truth))
    result = evaluate(both, (0, 4, 8), tmp_path, Run(seconds=3, cpu_seconds=4.5, peak_memory_mib=100))
    assert [result["objects"][name]["J"] for name in "12"] == [1, pytest.approx(3 / 9)]
    assert [result["objects"][name]["F"] for name in "12"] == [1, pytest.approx(3 / 9)]
    assert [result["objects"][name]["anchor_J"] for name in "12"] == [pytest.approx(2 / 3), pytest.approx(2 / 3)]
    assert result["J&F"] == pytest.approx((1 + 3 / 9) / 2)
    assert result["frames_per_second"] == 3
    assert result["cpu_seconds_per_frame"] == 0.5


def test_means_weigh_objects_alike_and_times_by_frames() -> None:
    one, two = ({"J": j, "F": 0.5, "J&F": (j + 0.5) / 2, "anchor_J": 1.0} for j in (0.9, 0.3))
    cost = {"cpu_seconds": 10.0, "peak_memory_mib": 100.0}
    mean = summarise(
        {
            "a": {"objects": {"1": one}, "frames": 10, "seconds": 1.0, **cost},
            "b": {"objects": {"1": two, "2": two}, "frames": 30, "seconds": 9.0, **cost},
        }
    )
    assert mean["J"] == pytest.approx(0.5)
    assert mean["frames_per_second"] == 4
    assert mean["cpu_seconds_per_frame"] == 0.5
    assert mean["peak_memory_mib"] == 100


def test_a_failing_run_is_named_with_the_end_of_its_output(tmp_path: Path) -> None:
    arguments = ["--data-root", str(tmp_path), "--outputs-root", str(tmp_path / "outputs"), "--refiner", "sandpaper"]
    with pytest.raises(StageError, match=r"run of 'nowhere' ended with exit code \d+") as failure:
        run_pipeline("nowhere", arguments, tmp_path / "log")
    assert "sandpaper" in str(failure.value).split("The end of its output:")[1]


def test_incomplete_roots_are_refused(root: Path, tmp_path: Path) -> None:
    (root / "Annotations/480p/long/00007.png").unlink()
    with pytest.raises(InputError, match=r"long/00007\.png: found no such file"):
        open_clip(root, "long")
    strokes = merge(ScribbleSet("short", 9), 4, [Line(5, ((0.3, 0.5),))])
    write_scribbles(root / "Scribbles/short/001.json", strokes)
    with pytest.raises(InputError, match=r"strokes of the objects \[5\], expected those of the ground truth: \[1\]"):
        annotate(open_clip(root, "short"), tmp_path / "data")
    with pytest.raises(InputError, match="no sequence with ground truth"):
        clip_names(tmp_path / "data")
