"""Videos and folders of pictures, brought into the layout that everything else reads: one picture a frame."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from stages.core.errors import InputError, StageError
from stages.core.excerpt import Excerpt, Taking
from stages.core.spans import in_short, spans_of
from stages.core.words import and_more
from stages.formats import files
from stages.formats.belongings import Belongings
from stages.formats.files import opened, publishing, sha256, sweep_beside
from stages.formats.frame_names import gap_in
from stages.formats.frames import Frames, pictures_in
from stages.formats.import_record import source_digest
from stages.formats.manifest import Json, Manifest, publish, read_manifest
from stages.formats.pictures import is_picture, read_pages, write_picture
from stages.formats.videos import Damage, Video

JPEG_SUFFIXES = (".jpg", ".jpeg")
READER = 2
"""Raised when a source may give other frames than before; those of earlier imports stay where they are."""
WHOLE = Excerpt()
_SPANS_TOLD = 12


@dataclass
class Imported:
    """What an import brought in."""

    taken: range
    """The frames of the source that are frames now."""
    size_wh: tuple[int, int]
    """Of the source, in pixels."""
    gone_through: int
    """Frames of the source that were looked at."""
    of: int | None = None
    """Frames that the source has; None: nobody went to its end, and it does not say."""
    remarks: list[str] = field(default_factory=list)
    """What a person should know."""
    damage: list[Damage] = field(default_factory=list)
    """What was imported although it is damaged."""
    frame_rate: float | None = None
    """Frames of the source a second; None: it does not say."""
    set_aside: Path | None = None
    """Where people's work on the former frames lies now."""

    @property
    def count(self) -> int:
        """Frames that were brought in."""
        return len(self.taken)


def import_sequence(
    source: Path,
    folder: Path,
    short_side: int | None,
    *,
    excerpt: Excerpt = WHOLE,
    replace: Belongings | None = None,
    allow_damaged: bool = False,
) -> Imported:
    """Import a video file, a picture with several pages, or a folder of pictures; all of it appears, or nothing.

    Args:
        source: the file or the folder.
        folder: where the frames go: data/<dataset>/JPEGImages/480p/<seq>.
        short_side: larger pictures are scaled down until their short side has this many pixels; None keeps the size.
        excerpt: which frames of it.
        replace: other frames that an import put there may go; what people made for them is set aside. None: they stay.
        allow_damaged: import what can be read of a damaged file, and record the damage.

    Raises:
        InputError: the source cannot be used, or the folder holds other frames that are not to be replaced.
        StageError: the frames cannot be written.
    """
    key = _key(source, short_side, excerpt)
    _check_place(folder, read_manifest(folder), key, source, replace)
    sweep_beside(folder)
    try:
        with publishing(folder) as temporary:
            done = _bring_in(source, temporary, short_side, excerpt, allow_damaged)
            with _alone_in(folder.parent):
                # Decoding takes its time: another import may have been faster.
                former = read_manifest(folder)
                if not _holds_the_same(former, temporary):
                    if former is not None and _same_source(former.key, key) and replace is None:
                        raise InputError(_differs(folder, former, source, "which reads differently by now"))
                    _check_place(folder, former, key, source, replace)
                    if former is not None and replace is not None:
                        done.set_aside = replace.set_aside(folder)
                run = _record(source, done)
                publish(temporary, folder, stage="import", key=key, weights={}, objects=[], run=run)
    except OSError as error:
        raise StageError(f"{folder}: the frames cannot be written: {error}; make room or allow it") from error
    return done


def imported(folder: Path, source: Path, short_side: int | None, excerpt: Excerpt = WHOLE) -> bool:
    """Whether the folder holds the frames that this source, by its content, gives with this short side and excerpt.

    Raises:
        InputError: the source cannot be read.
    """
    manifest = read_manifest(folder)
    return manifest is not None and manifest.key == _key(source, short_side, excerpt)


def _record(source: Path, done: Imported) -> Json:
    """What the manifest says of the source, see `stages.formats.import_record`."""
    run: Json = {
        "source": str(source.absolute()),
        "source_size_wh": done.size_wh,
        "frames": done.count,
        "taken": {"first": done.taken.start, "every": done.taken.step, "of": done.of},
        "remarks": done.remarks,
    }
    if done.frame_rate is not None:
        run["source_frame_rate"] = done.frame_rate
    if done.damage:
        run["damage"] = [each._asdict() for each in done.damage]
    return run


def import_video(
    source: Path,
    target: Path,
    short_side: int | None = None,
    *,
    excerpt: Excerpt = WHOLE,
    allow_damaged: bool = False,
) -> Imported:
    """Write frames of a video, in the order of presentation, as 00000.jpg, 00001.jpg, ... (quality 95).

    Frames are decoded one by one, none is skipped or doubled to keep a rate; see `Video` for what is shown. Those
    before the excerpt are decoded, too, since others rest on them; those behind it are not.

    Raises:
        InputError: no video can be read, it is damaged, has no picture in it, or changes its size.
    """
    taking = Taking(excerpt)
    with Video(source) as video:
        # Once damage was met, the rest is read only to tell of all of it.
        wanted = (None if video.damaged and not allow_damaged else picture for picture in video.frames(taking))
        size_wh = _write(wanted, taking, source, target, short_side, ".jpg")
        damage, count = video.damage(), video.frame_count
        if damage and not (allow_damaged and size_wh):
            raise InputError(
                f"{source}: found {count} frames; {told(damage, count)}; expected a whole video; copy or export it "
                "again, or import what is there with --allow-damaged"
            )
        if count == 0:
            raise InputError(f"{source}: found a video stream without a single frame; export the video again")
        if size_wh is None:
            raise InputError(_nothing(source, count, excerpt))
        of = count if video.is_at_end else video.promised_count or None
        return Imported(taking.taken, size_wh, count, of, video.remarks, damage, video.frame_rate)


def import_pages(
    source: Path,
    target: Path,
    short_side: int | None = None,
    *,
    excerpt: Excerpt = WHOLE,
    allow_damaged: bool = False,
) -> Imported:
    """Write pages of a picture, or frames of an animation, as 00000.png, 00001.png, ...

    Raises:
        InputError: the file is damaged, or its pages have several sizes.
    """
    errors: list[InputError] = []
    taking = Taking(excerpt)
    count, of = 0, None

    def pages() -> Iterator[Image.Image]:
        nonlocal count, of
        try:
            for page in read_pages(source):
                if taking.is_over(count):
                    return
                count += 1
                if taking.takes(count - 1):
                    yield page
            of = count
        except InputError as error:
            errors.append(error)

    size_wh = _write(pages(), taking, source, target, short_side, ".png")
    if errors and not (allow_damaged and size_wh):
        raise errors[0]
    if size_wh is None:
        raise InputError(_nothing(source, count, excerpt))
    return Imported(taking.taken, size_wh, count, of, damage=[Damage(count, str(error)) for error in errors])


def import_images(source: Path, target: Path, short_side: int | None = None, *, excerpt: Excerpt = WHOLE) -> Imported:
    """Write pictures of a folder under their own stems; the bytes are copied where no scaling is needed.

    Scaled JPEGs stay JPEGs (quality 95), all else becomes PNG. A gap in their numbers is told, and stays.

    Raises:
        InputError: the folder has no pictures, or one that is damaged or of another size.
    """
    paths, gap = pictures_in(source)
    taking = Taking(excerpt)
    chosen = [path for index, path in enumerate(paths) if not taking.is_over(index) and taking.takes(index)]
    if not chosen:
        raise InputError(_nothing(source, len(paths), excerpt))
    frames = Frames(chosen)
    for path, frame in zip(chosen, frames, strict=True):
        picture = Image.fromarray(frame)
        scaled = _scaled(picture, short_side)
        if scaled.size == picture.size:
            files.copy(path, target / path.name)
        else:
            _save(scaled, target / (path.name if path.suffix.lower() in JPEG_SUFFIXES else f"{path.stem}.png"))
    # What is missing before the part that was taken, or behind it, is none of its gaps.
    gap = gap and gap_in(paths[taking.taken[0] : taking.taken[-1] + 1])
    remarks = [f"{gap}: taken in the order of their numbers, and called as they are"] if gap else []
    return Imported(taking.taken, frames.size_wh, len(paths), len(paths), remarks)


def _bring_in(source: Path, target: Path, short_side: int | None, excerpt: Excerpt, allow_damaged: bool) -> Imported:
    is_folder = source.is_dir()
    has_pictures = is_folder or is_picture(source)
    if has_pictures and excerpt.has_times:
        raise InputError(f"{source}: found pictures, which have no times, expected {excerpt} as numbers of frames")
    if is_folder:
        return import_images(source, target, short_side, excerpt=excerpt)
    read = import_pages if has_pictures else import_video
    return read(source, target, short_side, excerpt=excerpt, allow_damaged=allow_damaged)


def _nothing(source: Path, count: int, excerpt: Excerpt) -> str:
    return f"{source}: found {count:,} frames, and none of them {excerpt}; expected one at least: give another part"


# What is there already


def _check_place(folder: Path, former: Manifest | None, key: Json, source: Path, replace: Belongings | None) -> None:
    """Refuse to put frames in the place of others that did not come from this source."""
    if folder.is_symlink():
        raise InputError(
            f"{folder}: found a link, expected a folder that an import has made, or none; choose another name"
        )
    if former is None and folder.is_dir() and any(folder.iterdir()):
        raise InputError(
            f"{folder}: found files that no import has put there (or has finished), expected an empty place for "
            f"{source.name}; choose another name, or remove that folder"
        )
    if former is not None and replace is None and not _same_source(former.key, key):
        raise InputError(_differs(folder, former, source, "with other content or short side, or another part of it"))


def _differs(folder: Path, former: Manifest, source: Path, why: str) -> str:
    part = former.key.get("part", {})
    of = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in part.items())
    there = f"{former.run.get('source', 'another source')}{f' ({of})' if of else ''}"
    return (
        f"{folder}: found the frames of {there}, expected none, or those of "
        f"{source}, {why}; choose another name, or exchange them with --replace: what people drew on them is set aside"
    )


def _same_source(one: Json, other: Json) -> bool:
    return all(one.get(name) == other.get(name) for name in ("source", "short_side", "part"))


def _holds_the_same(former: Manifest | None, temporary: Path) -> bool:
    if former is None:
        return False
    return former.digests == {path.name: sha256(path) for path in temporary.iterdir()}


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No other import publishes into the folder meanwhile; file systems that lock no folders leave it to chance."""
    with opened(folder, os.O_RDONLY) as descriptor:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


# Pictures


def _write(
    pictures: Iterator[Image.Image | None],
    taking: Taking,
    source: Path,
    target: Path,
    short_side: int | None,
    suffix: str,
) -> tuple[int, int] | None:
    """Write pictures of one size, numbered, and give their size; None among them is not written."""
    size_wh: tuple[int, int] | None = None
    first = 0
    for number, picture in enumerate(pictures):
        if picture is None:
            continue
        if size_wh is None:
            size_wh, first = picture.size, taking.taken[-1]
        if picture.size != size_wh:
            raise InputError(
                f"{source}: found {_by(picture.size)} pixels in frame {taking.taken[-1]}, expected {_by(size_wh)} as "
                f"in frame {first}; cut it where its size changes"
            )
        _save(_scaled(picture, short_side), target / f"{number:05d}{suffix}")
    return size_wh


def _scaled(picture: Image.Image, short_side: int | None) -> Image.Image:
    scale = 1.0 if short_side is None else short_side / min(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _save(picture: Image.Image, path: Path) -> None:
    if path.suffix.lower() in JPEG_SUFFIXES:
        write_picture(path, picture, "JPEG", quality=95, subsampling=0)
    else:
        write_picture(path, picture, "PNG", compress_level=1)


# Words


def what_was_taken(done: Imported, excerpt: Excerpt) -> str:
    """`132 frames`, or `240 of 7,200 frames, every 30th, from 00:10`."""
    of = f" of {done.of:,}" if done.of and done.of != done.count else ""
    return ", ".join(filter(None, [f"{done.count:,}{of} frame{'s' * (done.count > 1 or bool(of))}", str(excerpt)]))


def told(damage: Sequence[Damage], count: int) -> str:
    """The damage of a file that gave so many frames, for people."""
    parts = [f"after frame {count - 1}: {each.what}" if count else each.what for each in damage if each.frame >= count]
    if hurt := [each for each in damage if each.frame < count]:
        spans = and_more(in_short(spans_of(each.frame for each in hurt)), _SPANS_TOLD)
        frames = f"frame{'s' * (len(hurt) > 1)} {spans}"
        parts.insert(0, f"damage in {frames} ({hurt[0].what})")
    return "; ".join(parts)


def _key(source: Path, short_side: int | None, excerpt: Excerpt) -> Json:
    if short_side is not None and short_side < 1:
        raise InputError(f"found a short side of {short_side} pixels, expected a positive number")
    try:
        digest = source_digest(source)
    except OSError as error:
        raise InputError(
            f"{source}: found a source that cannot be read ({error.strerror}), expected a video or a folder of "
            "pictures; allow it, or copy it"
        ) from None
    part = excerpt.as_key()
    return {"source": digest, "short_side": short_side, "reader": READER, **({"part": part} if part else {})}


def _by(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
