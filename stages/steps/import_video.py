"""Videos and folders of pictures, brought into the layout that everything else reads: one picture a frame."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import av
from PIL import Image

from stages.core.errors import InputError, StageError
from stages.formats import files
from stages.formats.files import publishing, sha256, sweep_beside
from stages.formats.frames import Frames, list_frames
from stages.formats.manifest import Json, publish, read_manifest
from stages.formats.pictures import write_picture

JPEG_SUFFIXES = (".jpg", ".jpeg")


def import_sequence(source: Path, folder: Path, short_side: int | None) -> int:
    """Import a video file or a folder of pictures; the folder appears complete or not at all.

    Args:
        source: the video or the folder.
        folder: where the frames go: data/<dataset>/JPEGImages/480p/<seq>. What an earlier import put there is replaced.
        short_side: larger pictures are scaled down until their short side has this many pixels; None keeps the size.

    Returns:
        The number of frames.

    Raises:
        InputError: the source cannot be used, or the folder holds pictures that no import has put there.
        StageError: the frames cannot be written.
    """
    key = _key(source, short_side)
    if folder.is_dir() and any(folder.iterdir()) and read_manifest(folder) is None:
        raise InputError(
            f"{folder}: found files that no import has put there (or has finished), expected an empty place for "
            f"{source.name}; choose another name, or remove that folder"
        )
    sweep_beside(folder)
    try:
        with publishing(folder) as temporary:
            bring_in = import_images if source.is_dir() else import_video
            count = bring_in(source, temporary, short_side)
            run = {"source": str(source), "frames": count}
            publish(temporary, folder, stage="import", key=key, weights={}, objects=[], run=run)
    except OSError as error:
        raise StageError(f"{folder}: the frames cannot be written: {error}; make room or allow it") from error
    return count


def imported(folder: Path, source: Path, short_side: int | None) -> bool:
    """Whether the folder holds the frames that this source, by its content, gives with this short side.

    Raises:
        InputError: the source cannot be read.
    """
    manifest = read_manifest(folder)
    return manifest is not None and manifest.key == _key(source, short_side)


def import_video(source: Path, target: Path, short_side: int | None = None) -> int:
    """Write every frame of a video, in the order of presentation, as 00000.jpg, 00001.jpg, ... (quality 95).

    Frames are decoded one by one, none is skipped or doubled to keep a rate; a rotation that a camera noted is applied.

    Returns:
        The number of frames.

    Raises:
        InputError: no video can be read, it breaks off, has no picture in it, or changes its size.
    """
    count = 0
    size_wh = (0, 0)
    for count, picture in enumerate(_decode(source), start=1):
        if count == 1:
            size_wh = picture.size
        if picture.size != size_wh:
            raise InputError(
                f"{source}: found {_by(picture.size)} pixels in frame {count - 1}, expected {_by(size_wh)} as in "
                "frame 0; cut the video where its size changes"
            )
        _save(_scaled(picture, short_side), target / f"{count - 1:05d}.jpg")
    if count == 0:
        raise InputError(f"{source}: found a video stream without a single frame; export the video again")
    return count


def import_images(source: Path, target: Path, short_side: int | None = None) -> int:
    """Write every picture of a folder under its own stem; the bytes are copied where no scaling is needed.

    Scaled JPEGs stay JPEGs (quality 95), all else becomes PNG.

    Returns:
        The number of frames.

    Raises:
        InputError: the folder has no pictures, a gap in their numbers, or one that is damaged or of another size.
    """
    paths = list_frames(source)
    for path, frame in zip(paths, Frames(paths), strict=True):
        picture = Image.fromarray(frame)
        scaled = _scaled(picture, short_side)
        if scaled.size == picture.size:
            files.copy(path, target / path.name)
        else:
            _save(scaled, target / (path.name if path.suffix.lower() in JPEG_SUFFIXES else f"{path.stem}.png"))
    return len(paths)


def _decode(source: Path) -> Iterator[Image.Image]:
    count = 0
    try:
        with av.open(str(source)) as container:
            if not container.streams.video:
                raise InputError(f"{source}: found no video stream, expected a video file or a folder of pictures")
            for frame in container.decode(container.streams.video[0]):
                picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
                yield picture.rotate(frame.rotation, expand=True)  # both count counterclockwise
                count += 1
    except av.FFmpegError as error:
        raise InputError(
            f"{source}: found no readable video after {count} frames ({error.strerror}), expected a complete video "
            "file; copy or export it again"
        ) from None


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


def _key(source: Path, short_side: int | None) -> Json:
    if short_side is not None and short_side < 1:
        raise InputError(f"found a short side of {short_side} pixels, expected a positive number")
    if source.is_dir():
        lines = [f"{path.name} {sha256(path)}" for path in list_frames(source)]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    elif source.is_file():
        digest = sha256(source)
    else:
        raise InputError(f"{source}: found neither a file nor a folder, expected a video or a folder of pictures")
    return {"source": digest, "short_side": short_side}


def _by(size_wh: tuple[int, int]) -> str:
    return f"{size_wh[0]}x{size_wh[1]}"
