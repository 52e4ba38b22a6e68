"""Video files, read frame by frame: every frame that a good player shows, once, in order, and what is damaged."""

import re
import struct
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

import av
import av.logging
from PIL import Image

from stages.core.errors import InputError
from stages.core.excerpt import Excerpt, Taking
from stages.formats.containers import missing_bytes
from stages.formats.pictures import MOST_PIXELS

_CONTAINERS: Final = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,flv,live_flv,asf,ogg,mxf,nut,wtv,dv,rm,gxf,"
    "mjpeg,yuv4mpegpipe,h261,h263,vc1,cavsvideo,dirac,dhav,flic,smk,nsv"
)
"""What a file may be. Playlists and the like are not among them: they lead to other files, or into the network."""
_STILL_BRANDS: Final = {"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "avif", "avis", "jpeg"}
"""Pictures in an ISO file; tiles of theirs would pass for videos."""
_HARMLESS: Final = re.compile(r"SEI type|at [\d.]+ seconds|Last message repeated")
"""What FFmpeg reports as an error, and no picture suffers from; and the second lines of reports."""
_TURNS: Final = {
    (1, 0, 0, 1): None,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}
"""What the signs of a display matrix (a, b, c, d) ask for: x' = ax + cy, y' = bx + dy, with y downwards."""


Log = list[tuple[int, str, str]]
"""What FFmpeg reported: level, who reports, message."""


class Damage(NamedTuple):
    """Something in a video that cannot be read as it was written."""

    frame: int
    """The frame that shows it; where the frame itself is lost, the one that would come next."""
    what: str


class Video:
    """An open video; use it in a `with` block.

    Colours: as the stream's own matrix and range say (BT.601, limited, where it says nothing), in 8 bits; brightness of
    HDR is not mapped, transparency is dropped. Pixels that are not square stay as they are stored, so that masks fit
    them. Interlaced frames are both fields, woven. What an edit list cuts off is not shown.
    """

    def __init__(self, path: Path) -> None:
        """Open it and choose the stream that a player would show.

        Raises:
            InputError: it is none that can be read, it has no video, or its frames are absurdly large.
        """
        self.path = path
        self.frame_count = 0
        """Of the frames shown so far, whether they were taken or not."""
        self.is_at_end = False
        """Whether all of it was shown: what is not taken at the end is not decoded."""
        self._losses: list[tuple[int | None, int, str]] = []  # time stamp, frames shown before, what
        self._times: list[int] = []  # of the frames shown
        self._packet_count = 0
        with self._reading():
            # An absolute path behind `file:` is no protocol and no option, whatever letters it has.
            self._container = av.open(
                f"file:{path.absolute()}",
                options={
                    "max_pixels": str(MOST_PIXELS),
                    "protocol_whitelist": "file",
                    "format_whitelist": _CONTAINERS,
                },
            )
        try:
            self._stream = self._choose()
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._container.close()

    @property
    def damaged(self) -> bool:
        """Whether damage was met so far."""
        return bool(self._losses)

    @property
    def remarks(self) -> list[str]:
        """What a person should know of the choice that was made."""
        stream, count = self._stream, len(self._candidates())
        remarks = []
        if count > 1:
            remarks.append(f"stream {stream.index} ({stream.width}x{stream.height}) of {count} video streams was taken")
        ratio = stream.sample_aspect_ratio
        if ratio and abs(ratio - 1) > _VISIBLE:
            remarks.append(f"its pixels are not square ({ratio}) and stay as they are")
        return remarks

    @property
    def promised_count(self) -> int:
        """How many frames the header promises; 0 if it says nothing."""
        return int(self._stream.frames)

    @property
    def frame_rate(self) -> float | None:
        """Frames a second, on average; None if the stream does not say."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(rate) if rate else None

    def frames(self, taking: Taking | None = None) -> Iterator[Image.Image]:
        """Every frame in the order of presentation, or those that are taken, upright, RGB; to be called once.

        What is damaged is shown as the decoder mends it, and told by `damage`.

        Raises:
            InputError: nothing can be read, or times are asked for of a stream that has none.
        """
        taking = taking or Taking(Excerpt())
        with self._reading() as log:
            for packet in self._packets(log):
                self._packet_count += packet.size > 0
                try:
                    shown = packet.decode()
                except av.FFmpegError as error:
                    shown = []
                    self._lose(packet.pts, _said(error))
                if packet.is_corrupt:
                    self._lose(packet.pts, "incomplete data")
                for frame in shown:
                    if frame.is_corrupt:
                        self._lose(frame.pts, "missing data")
                    index, seconds = self.frame_count, self._seconds(frame) if taking.has_times else None
                    if taking.is_over(index, seconds):
                        self._lose_what_was_logged(log, packet.pts)
                        return
                    self._times.append(self.frame_count if frame.pts is None else frame.pts)
                    self.frame_count += 1
                    if taking.takes(index, seconds):
                        yield _upright(frame)
                self._lose_what_was_logged(log, packet.pts)
        self.is_at_end = True

    def damage(self) -> list[Damage]:
        """What is damaged in what was shown, by frame; and at the end, if that was reached."""
        found: dict[int, str] = {}
        for time, frames_before, what in self._losses:
            found.setdefault(frames_before if time is None else bisect_left(self._times, time), what)
        end = self.frame_count
        if not self.is_at_end:
            return [Damage(frame, what) for frame, what in sorted(found.items()) if frame < end]
        if missing := missing_bytes(self.path):
            found[end] = f"the file ends {missing:,} bytes too early"
        elif (lacking := self._lacking_frames()) > 0:
            found.setdefault(end, f"{lacking} frames more are promised by the header")
        elif hole := self._hole_at_the_end():
            found.setdefault(hole, "frames are missing before it, as where a recording was cut")
        return [Damage(frame, what) for frame, what in sorted(found.items())]

    def _candidates(self) -> list[Any]:
        """The streams that are films: no cover art, thumbnails or stills."""
        never = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
        return [
            each
            for each in self._container.streams.video
            if not each.disposition & never and each.codec_context is not None  # None: nobody can decode it
        ]

    def _choose(self) -> Any:
        brand = self._container.metadata.get("major_brand", "").strip()
        if brand in _STILL_BRANDS:
            raise InputError(
                f"{self.path}: found a picture of the kind {brand!r} (HEIC, AVIF), expected a video or a picture that "
                "can be read; convert it to PNG or JPEG"
            )
        streams = self._candidates()
        if not streams:
            others = ", ".join(sorted({each.type for each in self._container.streams})) or "nothing"
            cover = " as cover art" if self._container.streams.video else ""
            raise InputError(
                f"{self.path}: found no video stream ({others}{cover}), expected a video file or a folder of pictures"
            )
        default = av.stream.Disposition.default
        stream = max(streams, key=lambda each: (bool(each.disposition & default), each.width * each.height))
        if stream.width * stream.height > MOST_PIXELS:
            raise InputError(
                f"{self.path}: found frames of {stream.width}x{stream.height} pixels, expected {MOST_PIXELS:,} pixels "
                "at most; scale the video down"
            )
        context = stream.codec_context
        context.thread_count = 1  # a thread that reports damage would wait for the interpreter
        context.options = {"max_pixels": str(MOST_PIXELS)}
        return stream

    @contextmanager
    def _reading(self) -> Iterator[Log]:
        """Collect what FFmpeg reports, and say so if it gives up."""
        level, skip = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)
        log: Log = []
        try:
            with av.logging.Capture() as log:
                yield log
        except av.FFmpegError as error:
            said = [message.strip() for _, _, message in log] or [_said(error)]
            why = "a playlist, or another kind of file that is not read" if "whitelist" in said[0] else said[0]
            raise InputError(
                f"{self.path}: found no readable video after {self.frame_count} frames ({why}), expected a complete "
                "video file; copy or export it again"
            ) from None
        finally:
            av.logging.set_level(level)
            av.logging.set_skip_repeated(skip)

    def _packets(self, log: Log) -> Iterator[Any]:
        """The stream's packets, with an empty one at the end that makes the decoder give all it has."""
        try:
            yield from self._container.demux(self._stream)
        except av.FFmpegError as error:  # the file cannot be read any further
            if not self._packet_count:
                raise
            end = av.Packet()
            end.stream = self._stream
            yield end
            self._lose(None, _said(error))
            log.clear()

    def _seconds(self, frame: Any) -> Fraction:
        """From the first frame to this one."""
        stream = self._stream
        if frame.pts is not None and stream.time_base:
            return Fraction((frame.pts - (self._times[0] if self._times else frame.pts)) * stream.time_base)
        if rate := stream.average_rate or stream.guessed_rate:
            return Fraction(self.frame_count / rate)
        raise InputError(f"{self.path}: found a stream that says no times, expected numbers of frames; give those")

    def _lose(self, time: int | None, what: str) -> None:
        self._losses.append((time, self.frame_count, what))

    def _lose_what_was_logged(self, log: Log, time: int | None) -> None:
        """Decoders mend much without a word in the frame (checksums that do not fit, for one), but report it."""
        ours = {self._stream.codec_context.name, self._container.format.name}
        for _, name, message in log:
            if name in ours and not _HARMLESS.search(message):
                self._lose(time, message.strip())
        log.clear()

    def _lacking_frames(self) -> int:
        """How many frames the header promises beyond those that are there."""
        lacking = int(self._stream.frames) - self._packet_count
        if lacking <= 0 or "mov" in self._container.format.name:
            # In ISO files edit lists may leave packets out; that they are cut shows in the structure.
            return 0
        if self._times and self._container.format.name == "avi":
            lacking = int(self._stream.frames) - (self._times[-1] + 1)  # empty chunks: the frame before stays
        return lacking

    def _hole_at_the_end(self) -> int:
        """The frame before which frames are missing; 0 if none are.

        A transport or program stream knows no length. Cut behind a frame that others are predicted from, it shows that
        one without some of those before it: of all steps, the last ones alone are longer, by whole frames. A pause of
        the camera has any length.
        """
        steps = [after - before for before, after in pairwise(self._times)]
        if self._container.format.name not in _STREAMS_WITH_TIMES or not self._stream.codec_context.has_b_frames:
            return 0
        frames = [step / max(1, min(steps)) for step in steps]
        holes = [at for at, count in enumerate(frames, start=1) if count > _LONGER]
        lost = sum(frames[at - 1] - 1 for at in holes)
        whole = all(abs(frames[at - 1] - round(frames[at - 1])) < _ROUNDED for at in holes)
        at_the_end = holes == [*range(len(steps) - len(holes) + 1, len(steps) + 1)]
        return holes[0] if holes and at_the_end and whole and lost <= _REORDERED else 0


_VISIBLE: Final = 0.01
"""Encoders round sizes to whole pixels, and make up for it with pixels that are not quite square."""
_STREAMS_WITH_TIMES: Final = {"mpegts", "mpeg"}
"""Those of MPEG that tell when a frame is shown; in bare ones (m1v, m2v) times are guessed."""
_LONGER: Final = 1.5
"""Frames; a step of as many or more leaves one out."""
_ROUNDED: Final = 0.1
"""Frames, by which rounded times are off."""
_REORDERED: Final = 16
"""The most frames that are decoded before they are shown."""


def _said(error: av.FFmpegError) -> str:
    return error.strerror or type(error).__name__


def _upright(frame: Any) -> Image.Image:
    """A frame as people see it: turned or mirrored as the camera noted."""
    # A process that is forked would wait for a frame's threads, which it has not, when it frees the frame.
    picture = Image.fromarray(frame.to_ndarray(format="rgb24", threads=1))
    noted = frame.side_data.get("DISPLAYMATRIX")
    if noted is None:
        return picture
    a, b, _, c, d = struct.unpack("<5i", bytes(noted)[:20])
    signs = tuple((value > 0) - (value < 0) for value in (a, b, c, d))
    if signs in _TURNS:
        turn = _TURNS[signs]
        return picture if turn is None else picture.transpose(turn)
    return picture.rotate(frame.rotation, expand=True)  # both count counterclockwise
