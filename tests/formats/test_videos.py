"""Every frame that a good player shows, once, in order; what is damaged, with its number."""

import gc
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stages.core.errors import InputError
from stages.formats.containers import missing_bytes
from stages.formats.videos import Video

X264 = {"bf": "2", "crf": "18", "x264-params": "log=-1"}
COUNT = 40
KINDS = {
    "a.mp4": ("libx264", X264),
    "a.mkv": ("libx264", {**X264, "x264-params": "log=-1:open-gop=1:bframes=3"}),
    "a.ts": ("libx264", X264),
    "pyramid.ts": ("libx264", {**X264, "x264-params": "log=-1:bframes=7:b-adapt=0:b-pyramid=normal"}),
    "a.avi": ("mpeg4", {"q": "3"}),
    "a.webm": ("libvpx", {"deadline": "realtime", "auto-alt-ref": "1", "lag-in-frames": "10"}),
    "a.mov": ("prores_ks", {}),
    "a.mpg": ("mpeg2video", {"bf": "2"}),
    "a.m1v": ("mpeg1video", {}),
    "a.wmv": ("wmv2", {}),
    "a.flv": ("flv1", {"q": "3"}),
    "checked.mkv": ("ffv1", {"slicecrc": "1", "level": "3"}),
}


def numbered(number: int, size_wh: tuple[int, int] = (96, 64)) -> np.ndarray:
    """A frame that shows its number: six white or black bars."""
    frame = np.full((size_wh[1], size_wh[0], 3), 90, np.uint8)
    frame[::5, number % 7 :: 7] = 120
    for bit in range(6):
        frame[4:36, 2 + 15 * bit : 15 + 15 * bit] = 240 if number >> bit & 1 else 15
    return frame


def number_of(frame: np.ndarray) -> int:
    return sum(int(frame[12:28, 6 + 15 * bit : 11 + 15 * bit].mean() > 128) << bit for bit in range(6))


def make(path: Path, times: Sequence[int] = range(COUNT), form: str = "", rate: int = 25) -> Path:
    """A video of numbered frames at these times, in twenty-fifths of a second (or parts of that rate)."""
    codec, options = KINDS[path.name]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=dict(options))
        stream.width, stream.height, stream.gop_size = 96, 64, 12
        stream.pix_fmt = form or ("yuv422p10le" if codec == "prores_ks" else "yuv420p")
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def remux(source: Path, target: Path, shift: int = 0, **options: object) -> Path:
    with av.open(str(source)) as given, av.open(str(target), "w", **options) as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.pts += shift
                packet.dts = None if packet.dts is None else packet.dts + shift
                packet.stream = stream
                container.mux(packet)
    return target


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in KINDS:
        make(folder / name)
    return folder


def look(path: Path) -> tuple[list[int], list[tuple[int, str]]]:
    """The numbers that the frames show, and the damage."""
    with Video(path) as video:
        numbers = [number_of(np.array(picture)) for picture in video.frames()]
        return numbers, [(each.frame, each.what) for each in video.damage()]


# Every frame, in order


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_is_shown_once_in_order(made: Path, name: str) -> None:
    assert look(made / name) == ([*range(COUNT)], [])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_frames_of_uneven_rate_are_shown_once_each(tmp_path: Path, name: str) -> None:
    times = [0, 1, 2, 5, 6, 7, 20, 21, 22, 23, 24, 40, 41, 42, 43, 60]
    assert look(make(tmp_path / name, times)) == ([*range(16)], [])


def test_what_an_edit_list_cuts_off_is_not_shown(made: Path, tmp_path: Path) -> None:
    path = remux(made / "a.mp4", tmp_path / "edited.mp4", shift=-5 * 512)
    assert look(path) == ([*range(5, COUNT)], [])


def test_reading_a_video_leaves_no_threads_that_a_fork_would_miss(made: Path) -> None:
    gc.collect()
    before = count_of_threads()
    with Video(made / "a.mp4") as video:
        frames = video.frames()
        next(frames)
        assert count_of_threads() == before


def count_of_threads() -> int:
    """Of the system, not of Python alone."""
    return len([*Path("/proc/self/task").iterdir()])


@pytest.mark.parametrize("form", ["yuv420p10le", "yuvj420p", "gray", "yuv444p"])
def test_every_depth_and_form_of_pixels_is_read(tmp_path: Path, form: str) -> None:
    if form == "gray":
        path = make(tmp_path / "checked.mkv", range(8), form)
    else:
        path = make(tmp_path / "a.mp4", range(8), form)
    assert look(path) == ([*range(8)], [])


def test_colours_follow_the_matrix_and_range_that_the_stream_names(tmp_path: Path) -> None:
    colour = np.full((32, 32, 3), (200, 60, 30), np.uint8)
    for name, matrix, limits in (("ITU709", 1, 1), ("ITU601", 5, 2)):
        path = tmp_path / f"{name}.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
            stream.codec_context.colorspace, stream.codec_context.color_range = matrix, limits
            frame = av.VideoFrame.from_ndarray(colour, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=name, dst_color_range="JPEG" if limits == 2 else "MPEG"
            )
            frame.colorspace, frame.color_range = matrix, limits
            container.mux([*stream.encode(frame), *stream.encode()])
        with Video(path) as video:
            shown = np.array(next(video.frames()))
        assert np.abs(shown.astype(int) - colour).max() <= 3, name


# Which stream


def several(path: Path, *streams: tuple[int, int, bool]) -> Path:
    """A video with a stream of eight frames for each width, height, and whether it is the default."""
    with av.open(str(path), "w") as container:
        added = []
        for width, height, default in streams:
            stream = container.add_stream("libx264", rate=25, options=dict(X264))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
            added.append(stream)
        for number in range(8):
            for stream in added:
                frame = av.VideoFrame.from_ndarray(numbered(number, (stream.width, stream.height)), format="rgb24")
                container.mux(stream.encode(frame))
        for stream in added:
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("streams", "taken"),
    [
        ([(92, 44, False), (160, 90, True)], "160x90"),
        ([(160, 90, True), (192, 108, False)], "160x90"),
        ([(92, 44, True), (160, 90, True)], "160x90"),
    ],
)
def test_the_stream_that_is_meant_is_taken_and_told(
    tmp_path: Path, streams: list[tuple[int, int, bool]], taken: str
) -> None:
    with Video(several(tmp_path / "a.mkv", *streams)) as video:
        pictures = [*video.frames()]
        assert (len(pictures), "{}x{}".format(*pictures[0].size)) == (8, taken)
        assert any(taken in remark and "of 2 video streams" in remark for remark in video.remarks)


def with_cover(path: Path, film: bool) -> Path:
    """A cover, and a film or a sound."""
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 60, 60, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        if film:
            stream = container.add_stream("libx264", rate=25, options=dict(X264))
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            frames = [av.VideoFrame.from_ndarray(numbered(number), format="rgb24") for number in range(8)]
        else:
            stream = container.add_stream("aac", rate=8000, layout="mono")
            frames = [av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")]
            frames[0].sample_rate = 8000
        picture = av.VideoFrame.from_ndarray(np.full((60, 60, 3), 200, np.uint8), format="rgb24")
        container.mux([*cover.encode(picture), *cover.encode()])
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_cover_is_no_film(tmp_path: Path) -> None:
    assert look(with_cover(tmp_path / "film.mp4", film=True)) == ([*range(8)], [])
    with pytest.raises(InputError, match=r"no video stream \(audio, video as cover art\)"):
        look(with_cover(tmp_path / "song.mp4", film=False))


# Damage


@pytest.mark.parametrize(
    "name", ["a.mp4", "a.mkv", "a.avi", "a.webm", "a.mov", "a.wmv", "a.flv", "a.mpg", "checked.mkv"]
)
def test_a_video_cut_anywhere_is_refused_or_says_where_it_ends(made: Path, tmp_path: Path, name: str) -> None:
    content, path = (made / name).read_bytes(), tmp_path / name
    whole, _ = look(made / name)
    for part in range(3, 20):
        path.write_bytes(content[: len(content) * part // 20])
        try:
            numbers, damage = look(path)
        except InputError as error:
            assert name in str(error)
            continue
        assert numbers == whole or damage, f"{part}/20: {len(numbers)} frames, not a word"
        assert all(frame <= len(numbers) for frame, _ in damage)


@pytest.mark.parametrize("name", ["a.ts", "pyramid.ts"])
def test_a_transport_stream_cut_anywhere_shows_its_first_frames_or_says_what_is_missing(
    made: Path, tmp_path: Path, name: str
) -> None:
    content, path = (made / name).read_bytes(), tmp_path / name
    for packets in range(20, len(content) // 188, 3):
        path.write_bytes(content[: 188 * packets])
        numbers, damage = look(path)
        assert damage or numbers == [*range(len(numbers))], f"cut behind {packets} packets"
    path.write_bytes(content[:-50])
    assert look(path)[1]


def test_a_stream_without_times_of_its_own_has_no_holes(tmp_path: Path) -> None:
    assert look(make(tmp_path / "a.m1v", range(12))) == ([*range(12)], [])


@pytest.mark.parametrize("times", [[*range(10), 23.5, 24.5], [*range(20), 33.5], [*range(20), 50], [*range(9), 11, 12]])
def test_a_pause_near_the_end_of_a_transport_stream_is_no_cut(tmp_path: Path, times: list[float]) -> None:
    path = make(tmp_path / "a.ts", [round(2 * time) for time in times], rate=50)
    assert look(path) == ([*range(len(times))], [])


def test_flipped_bits_are_told_with_the_numbers_of_frames(made: Path, tmp_path: Path) -> None:
    content, path = bytearray((made / "checked.mkv").read_bytes()), tmp_path / "a.mkv"
    with av.open(str(made / "checked.mkv")) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for number in (3, 17):
        at, size = packets[number]
        content[at + size // 2] ^= 16
    path.write_bytes(content)
    numbers, damage = look(path)
    assert len(numbers) == COUNT
    assert [frame for frame, _ in damage] == [3, 17]
    assert "CRC" in damage[0][1]


def test_a_header_that_promises_more_frames_is_told(made: Path, tmp_path: Path) -> None:
    content = bytearray((made / "a.avi").read_bytes())
    at = content.index(b"avih") + 8 + 16
    stream = content.index(b"strh") + 8 + 32
    for place in (at, stream):
        content[place : place + 4] = (COUNT + 5).to_bytes(4, "little")
    (tmp_path / "a.avi").write_bytes(content)
    numbers, damage = look(tmp_path / "a.avi")
    assert (len(numbers), damage) == (COUNT, [(COUNT, "5 frames more are promised by the header")])


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.mov", "a.wmv", "a.flv"])
def test_a_container_knows_how_long_it_should_be(made: Path, tmp_path: Path, name: str) -> None:
    content, path = (made / name).read_bytes(), tmp_path / name
    assert missing_bytes(made / name) == 0
    for missing in (1, 2, 100):
        path.write_bytes(content[:-missing])
        assert abs(missing_bytes(path) - missing) <= 1
    path.write_bytes(content[:40])
    missing_bytes(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.flv", "a.avi", "a.mkv", "a.wmv"])
@pytest.mark.parametrize("junk", [b"junk" * 50, bytes(100), b"\x09\xff\xff\xff" * 20])
def test_what_somebody_appended_is_no_part_that_is_missing(made: Path, tmp_path: Path, name: str, junk: bytes) -> None:
    (tmp_path / name).write_bytes((made / name).read_bytes() + junk)
    assert missing_bytes(tmp_path / name) == 0


def test_a_flash_video_without_a_length_is_whole_as_long_as_its_last_tag_is(made: Path, tmp_path: Path) -> None:
    live = remux(made / "a.flv", tmp_path / "live.flv", options={"flvflags": "no_duration_filesize"})
    content = live.read_bytes()
    assert look(live) == ([*range(COUNT)], [])
    for cut in (5, 100):
        live.write_bytes(content[:-cut])
        assert 0 < missing_bytes(live) <= cut, "of the tag that was cut"


def test_a_recording_that_does_not_know_its_length_is_whole(made: Path, tmp_path: Path) -> None:
    live = remux(made / "a.mkv", tmp_path / "live.mkv", options={"live": "1"})
    assert missing_bytes(live) == 0
    assert look(live) == ([*range(COUNT)], [])


# Names and other files


@pytest.mark.parametrize(
    "name",
    ["2026-11-26T03:15:00.mp4", "-dash.mp4", "concat:a|b.mp4", "pipe:0.mp4", "%d.mp4", "a?b#c.mp4", "ü é.mp4"],
)
def test_a_name_is_a_name_whatever_is_in_it(
    made: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(made / "a.mp4", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(look(Path(name))[0]) == COUNT


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.6,\n{}\n#EXT-X-ENDLIST\n"),
        ("a.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.6,\n{}\n#EXT-X-ENDLIST\n"),
        ("a.ffconcat", "ffconcat version 1.0\nfile '{}'\n"),
        ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
    ],
)
def test_files_that_lead_to_others_are_refused(made: Path, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text.format(made / "a.ts"))
    with pytest.raises(InputError, match="no readable video after 0 frames"):
        look(tmp_path / name)


def test_a_picture_in_a_video_s_clothes_is_refused(made: Path, tmp_path: Path) -> None:
    content = bytearray((made / "a.mp4").read_bytes())
    content[8:12] = b"heic"
    (tmp_path / "a.heic").write_bytes(content)
    with pytest.raises(InputError, match=r"'heic'.*convert it"):
        look(tmp_path / "a.heic")


# Absurd sizes


def raw(path: Path) -> Path:
    """A picture stream whose head claims 20000 x 20000."""
    path.write_bytes(b"YUV4MPEG2 W20000 H20000 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + bytes(1000))
    return path


def container(path: Path) -> Path:
    """A container that claims so, for a codec that says nothing of its own."""
    content = bytearray(make(path.with_name("a.avi"), range(2)).read_bytes())
    at = content.index(b"strf") + 8
    content[at + 4 : at + 12] = (20_000).to_bytes(4, "little") * 2
    content[at + 16 : at + 20] = b"MJPG"
    path.write_bytes(content)
    return path


def stream(path: Path) -> Path:
    """An MPEG-2 stream whose own head claims 16383 x 16383."""
    content = bytearray(make(path.with_name("a.mpg"), range(2)).read_bytes())
    at = content.index(b"\x00\x00\x01\xb3") + 4
    content[at : at + 3] = b"\xff\xff\xff"  # 4095 x 4095; the extension adds two bits to each
    extension = content.index(b"\x00\x00\x01\xb5") + 4
    content[extension + 1] |= 0x01
    content[extension + 2] |= 0xE0
    path.write_bytes(content)
    return path


READ_IT = """
import resource, sys
from pathlib import Path
from stages.core.errors import InputError
from stages.formats.videos import Video
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    with Video(Path(sys.argv[1])) as video:
        print({picture.size for picture in video.frames()}, bool(video.damage()))
except InputError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(
    ("make_it", "name", "words"),
    [
        (raw, "bomb.y4m", "20000x20000 is invalid"),
        (container, "bomb.avi", "set() True"),
        (stream, "bomb.mpg", "16383x16383 pixels, expected 178,956,970"),
    ],
)
def test_absurd_videos_are_refused_before_memory(
    tmp_path: Path, make_it: Callable[[Path], Path], name: str, words: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ_IT, make_it(tmp_path / name)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=two_gibibytes,
    )
    said, grown_mib = done.stdout.splitlines()
    assert words in said
    assert int(grown_mib) < 100


def two_gibibytes() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))


def test_frames_that_grow_beyond_the_limit_later_are_never_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [several(tmp_path / f"{side}.h264", (side, 64, True)).read_bytes() for side in (96, 960)]
    (tmp_path / "grows.h264").write_bytes(b"".join(parts))
    monkeypatch.setattr("stages.formats.videos.MOST_PIXELS", 200 * 64)
    with Video(tmp_path / "grows.h264") as video:
        assert {picture.size for picture in video.frames()} == {(96, 64)}
        assert video.damage()
