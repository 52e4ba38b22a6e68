from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.formats.frame_names import in_order
from stages.formats.frames import Frames, inspect_frames, list_frames, read_frame

RANDOM = np.random.default_rng(0)


def picture(path: Path, size_wh: tuple[int, int] = (16, 12), value: int | None = None) -> Path:
    shape = (size_wh[1], size_wh[0], 3)
    pixels = RANDOM.integers(0, 256, shape) if value is None else np.full(shape, value)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])


# Listing


@pytest.mark.parametrize(
    "names",
    [
        ["frame_2.png", "frame_3.png", "frame_4.png"],
        [f"{index}.png" for index in range(8, 12)],
        ["00000.png", "00005.png", "00010.png", "00015.png"],
        ["a.png", "b.png", "d.png"],
        ["1403636579763555584.png", "1403636579813555456.png", "1403636579863555584.png", "1403636580263555584.png"],
        ["x1.png", "y2.png", "y4.png", "y5.png"],
        ["only7.png"],
        ["take1_09.png", "take1_10.png", "take1_11.png"],
    ],
)
def test_frames_are_listed_in_natural_order(tmp_path: Path, names: list[str]) -> None:
    for name in reversed(names):
        picture(tmp_path / name)
    assert [path.name for path in list_frames(tmp_path)] == names


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    picture(tmp_path / "1.JPG")
    picture(tmp_path / ".2.jpg")
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "3.png").mkdir()
    (tmp_path / "preview.gif").touch()
    (tmp_path / "1.cr2").touch()
    assert [path.name for path in list_frames(tmp_path)] == ["1.JPG"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ["no picture"]),
        (["notes.txt"], ["no picture", ".jpg"]),
        (["1.jpg", "1.png", "2.jpg"], ["1.jpg", "1.png"]),
        (["frame_0006.jpg", "frame_0008.jpg", "frame_0009.jpg"], ["frame_0007.jpg is missing", "frame_0006.jpg"]),
        (["0.png", "5.png", "15.png", "25.png", "30.png"], ["10.png is missing", "2 missing in all"]),
        (["9.png", "10.png", "12.png"], ["11.png is missing"]),
        (["1.png", "01.png", "2.png"], ["1.png", "01.png", "one number"]),
        (["IMG_1.jpg", "IMG_2.heic", "IMG_3.jpg"], ["IMG_2.heic", "convert it"]),
    ],
)
def test_unusable_folders_are_refused(tmp_path: Path, names: list[str], words: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(InputError) as error:
        list_frames(tmp_path)
    assert all(word in str(error.value) for word in [str(tmp_path), "expected", *words]), error.value


# The order of names


@pytest.mark.parametrize(
    "names",
    [
        "0.0 0.033 0.067 0.1 0.133 0.9 0.967 1.0 1.033 1.1",
        "0.0 0.25 0.5 0.75 1.0 1.25",
        "0,0 0,25 0,5 0,75",
        "t-1.5 t-0.75 t0.0 t0.75",
        "-1.5 -0.5 0.5 1.5",
        "-2 -1 0 1 2",
        "0.0 5e-05 1e-04 0.02",
        "cam1_0.0_left cam1_0.033_left cam1_0.1_left",
        "9.99 10.0 10.01 10.1",
        "1.8 1.9 1.10 1.11",
        "take1.1 take1.2 take1.10 take2.1",
        "1.1.8 1.1.9 1.1.10",
        "take-8 take-9 take-10",
        "2024-01-09 2024-01-10 2024-02-01",
        "1403636579.0000 1403636579.0333 1403636580.0000",
        "2026-11-26-0.033 2026-11-26-0.067 2026-11-26-0.1",
        "cam1-0.25 cam1-0.5 cam1-0.75 cam1-1.0 cam2-0.25 cam2-0.5",
        "scene.0.967 scene.1.0 scene.1.033",
        "0.067_b 0.1_a 0.133_c",
        "take1-1.8_x take1-1.9_y take1-1.10_z",
        "frame_0001_0.5 frame_0002_0.25 frame_0003_1",
        "2026.11.3-0.067 2026.11.3-0.1 2026.11.26-0.033",
    ],
)
def test_decimal_numbers_and_counters_are_told_apart(names: str) -> None:
    paths = [Path(f"{name}.png") for name in names.split()]
    assert in_order(Path(), paths[::-1]).paths == paths


@pytest.mark.parametrize(
    "names",
    [
        "0.5 0.25 0.3",
        "1.9 1.11 1.12",
        "-1 -2 -3",
        "2.05 2.1 2.10",
        "cam1-0.25 cam1-0.5 cam1-1.0",
        "scene.0.25 scene.0.5",
        "0.5-a 0.25-b 1-c",
        "frame_0.5_hash1 frame_0.25_hash2",
    ],
)
def test_an_order_that_could_be_another_one_is_refused(names: str) -> None:
    with pytest.raises(InputError, match=r"(?s)two readings.*comes before.*number the frames anew"):
        in_order(Path("in"), [Path(f"{name}.png") for name in names.split()])


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        list_frames(tmp_path / "nowhere")


# Reading


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("0.tif" if mode == "CMYK" else "0.png")
    Image.new("RGB", (5, 3), (255, 255, 255)).convert(mode).save(path)
    frame = read_frame(path)
    assert (frame.shape, frame.dtype) == ((3, 5, 3), np.uint8)
    assert (frame == 255).all()


def test_colours_come_as_red_green_blue(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (200, 100, 50)).save(tmp_path / "0.png")
    assert read_frame(tmp_path / "0.png")[0, 0].tolist() == [200, 100, 50]


def test_a_turned_camera_is_noticed(tmp_path: Path) -> None:
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    Image.fromarray(pixels).save(tmp_path / "0.jpg", exif=exif, quality=100)
    frame = read_frame(tmp_path / "0.jpg")
    assert frame.shape == (16, 8, 3)
    assert frame[:6].min() > 200 and frame[10:].max() < 50


def deep(path: Path) -> None:
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_short, ["no readable picture"]),
        (lambda path: path.write_bytes(b"\xff\xd8 rubbish"), ["no readable picture"]),
        (lambda path: path.write_bytes(b""), ["no readable picture"]),
        (lambda path: path.unlink(), ["no such file"]),
    ],
)
def test_damaged_pictures_are_named(
    tmp_path: Path, suffix: str, damage: Callable[[Path], object], words: list[str]
) -> None:
    paths = [picture(tmp_path / f"{index}{suffix}", (64, 48)) for index in range(3)]
    damage(paths[1])
    with pytest.raises(InputError) as error:
        inspect_frames(paths)
    assert all(word in str(error.value) for word in [str(paths[1]), *words])


def test_sixteen_bits_are_refused(tmp_path: Path) -> None:
    deep(tmp_path / "0.png")
    with pytest.raises(InputError, match="8 bits"):
        read_frame(tmp_path / "0.png")


def test_frames_are_inspected_once_each(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{index}.png") for index in range(5)]
    seen: list[int] = []

    def note(items, total):
        assert total == 5
        for item in items:
            seen.append(item)
            yield item

    assert inspect_frames(paths, note) == (16, 12)
    assert seen == [0, 1, 2, 3, 4]


def test_a_frame_of_another_size_is_named_with_both_sizes(tmp_path: Path) -> None:
    paths = [picture(tmp_path / "0.png"), picture(tmp_path / "1.png"), picture(tmp_path / "2.png", (17, 12))]
    with pytest.raises(InputError, match=r"2\.png.*17x12.*16x12"):
        inspect_frames(paths)
    frames = Frames(paths)
    with pytest.raises(InputError, match=r"17x12"):
        frames[2]


# The video as a sequence


@pytest.fixture
def frames(tmp_path: Path) -> Frames:
    files = [picture(tmp_path / f"{index:05d}.png", value=10 * index) for index in range(10)]
    return Frames(files, kept_bytes=4 * 16 * 12 * 3)


def test_frames_are_found_by_index(frames: Frames) -> None:
    assert (len(frames), frames.size_wh) == (10, (16, 12))
    assert [int(frame[0, 0, 0]) for frame in frames] == list(range(0, 100, 10))
    assert frames[-1][0, 0, 0] == 90
    assert [int(frame[0, 0, 0]) for frame in frames[7:2:-2]] == [70, 50, 30]
    for index in (10, -11):
        with pytest.raises(IndexError):
            frames[index]


def test_frames_cannot_be_changed_by_who_reads_them(frames: Frames) -> None:
    with pytest.raises(ValueError, match="read-only"):
        frames[0][0, 0, 0] = 1


def test_only_the_frames_read_last_are_kept(frames: Frames) -> None:
    first, second = frames[0], frames[1]
    for index in (2, 3, 0, 4):
        frames[index]
    assert frames[0] is first
    assert frames[1] is not second
