"""`outputs/<seq>/requests/`: pictures to paint on, and what people made of them.

    00012.png           a frame, laid out to paint on; painted over in place, it is a person's
    00012.strokes.png   what was painted on frame 12, under a name of its own
    00012.mask.png      the mask of frame 12, of all its objects; it goes before strokes
    00012.empty.png     says that nothing is on frame 12, whatever it shows
    legend.png          the colours of the objects and their names; nobody reads it
    read.json           digests of the painted pictures that were read into a scribble set
    .laid_out.json      digests of the pictures that LIS has laid out: any other content is a person's

What a person painted is never overwritten and never deleted.
"""

import hashlib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from stages.core.errors import InputError, StageError
from stages.core.words import and_more
from stages.formats import files
from stages.formats.files import sha256, write_json
from stages.formats.frames import read_frame
from stages.formats.json_files import read_json

FOLDER: Final = "requests"
REQUESTS_JSON: Final = "requests.json"
"""Beside the folder: what waits; see `stages.formats.requests`."""
LEGEND: Final = "legend.png"
_READ_JSON: Final = "read.json"
_LAID_OUT_JSON: Final = ".laid_out.json"
_NAME: Final = re.compile(r"(?P<index>\d{5,})(?P<kind>|\.strokes|\.mask|\.empty)\.png", re.IGNORECASE)
_PICTURE: Final = re.compile(
    r"\.(a?png|jpe?g|jfif|webp|bmp|dib|tga|tiff?|gif|hei[cf]|avif|jxl|jp2|pdf)$", re.IGNORECASE
)
_PERHAPS: Final = re.compile(r"stroke|mask|empty|paint|\d", re.IGNORECASE)
_MOST_NAMED: Final = 6


def picture_to_paint_on(root: Path, index: int) -> Path:
    """The picture of a frame that a person copies, or paints over."""
    return root / FOLDER / f"{index:05d}.png"


def paint_on(index: int) -> str:
    """The same as people are told it, from the sequence's folder of results on."""
    return picture_to_paint_on(Path(), index).as_posix()


def is_declared_empty(painted: Path) -> bool:
    """Whether a picture says that nothing is on its frame, whatever it shows."""
    return painted.name.lower().endswith(".empty.png")


def is_mask(painted: Path) -> bool:
    """Whether a picture is the mask of its frame."""
    return painted.name.lower().endswith(".mask.png")


# --- laying out ------------------------------------------------------------------------------------------------------


def lay_out(root: Path, index: int, content: bytes | memoryview) -> bool:
    """Lay out a picture to paint on; one that a person has painted on stays as it is.

    Args:
        root: the sequence's folder of results.
        index: the frame.
        content: the picture as a PNG.

    Returns:
        Whether the picture shows this content now.

    Raises:
        OSError: the disk refuses.
    """
    return _put(picture_to_paint_on(root, index), content)


def lay_out_legend(root: Path, content: bytes | memoryview) -> None:
    """Lay out the legend, a PNG; it goes with the last picture to paint on. One that is not ours stays as it is.

    Raises:
        OSError: the disk refuses.
    """
    _put(root / FOLDER / LEGEND, content)


def _put(picture: Path, content: bytes | memoryview) -> bool:
    files.make_folder(picture.parent)
    noted, digest = _noted(picture.parent), hashlib.sha256(content).hexdigest()
    known = noted.get(picture.name, [])
    if digest not in known:  # noted first: a picture of ours that is not noted would look like a person's
        write_json(picture.parent / _LAID_OUT_JSON, {**noted, picture.name: [*known, digest]})
    if picture.exists():
        if sha256(picture) == digest:
            return True
        if not take_away(picture, known):
            return False
    files.replace(picture, content)
    return True


def clear_away(root: Path, still_asked: Container[int] = ()) -> None:
    """Delete the pictures that were laid out and that nobody is asked for any more, but for those painted on.

    The legend goes with the last of them.

    Raises:
        OSError: the disk refuses.
    """
    noted = _noted(root / FOLDER)
    kept = {name for name in noted if name != LEGEND and int(Path(name).stem) in still_asked}
    for name, digests in noted.items():
        picture = root / FOLDER / name
        if picture.exists() and not (name in kept or (kept and name == LEGEND)):
            take_away(picture, digests)


def withdraw(root: Path, index: int) -> None:
    """Delete the picture that was laid out of one frame, unless it was painted on.

    Raises:
        OSError: the disk refuses.
    """
    picture = picture_to_paint_on(root, index)
    if picture.exists():
        take_away(picture, _laid_out(root).get(picture.name, ()))


def take_away(picture: Path, digests: Sequence[str]) -> bool:
    """Delete a picture that has one of these digests; looked at under another name: no saving comes in between.

    Returns:
        Whether it was deleted.

    Raises:
        OSError: the disk refuses.
    """
    if sha256(picture) not in digests:
        return False
    aside = files.beside(picture)
    files.disk.rename(picture, aside)
    if sha256(aside) in digests:
        files.delete(aside)
        return True
    files.disk.rename(aside, picture)
    return False


def _laid_out(root: Path) -> dict[str, list[str]]:
    """The pictures to paint on that LIS has laid out, by name."""
    return {name: digests for name, digests in _noted(root / FOLDER).items() if name != LEGEND}


def _noted(folder: Path) -> dict[str, list[str]]:
    """All that LIS has laid out; damage is as good as none, since a picture that equals its frame is clean."""
    try:
        noted = read_json(folder / _LAID_OUT_JSON)
        return {
            name: [str(digest) for digest in digests]
            for name, digests in noted.items()
            if name == LEGEND or ((match := _NAME.fullmatch(name)) and not match["kind"])
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _equals_frame(picture: Path, frames: Sequence[Path]) -> bool:
    """Whether a picture shows its frame and nothing else, however it was saved."""
    index = int(picture.stem)
    try:
        return index < len(frames) and bool((read_frame(picture) == read_frame(frames[index])).all())
    except (InputError, ValueError):  # unreadable, or of another size
        return False


# --- what people painted ---------------------------------------------------------------------------------------------


def painted_pictures(root: Path, annotated: Container[int], frames: Sequence[Path]) -> dict[int, list[Path]]:
    """Everything that people painted or declared empty, by frame index: masks first, then what was saved last.

    Args:
        root: the sequence's folder of results.
        annotated: the frames that the scribbles annotate. A picture that the first version laid out for one of them is
            passed over: it kept no note of pictures, and wrote `requests.json` after them.
        frames: the video's pictures, in order.

    Raises:
        InputError: a picture is there twice, under names that differ in capitals only.
        StageError: it cannot be told what was read before.
    """
    named = _named(root / FOLDER)
    clean = _clean([path for _, kind, path in named if not kind], root, annotated, frames)
    found: dict[int, list[Path]] = {}
    for index, _, path in named:
        if path in clean:
            continue
        same = found.setdefault(index, [])
        if twin := [other.name for other in same if other.name.lower() == path.name.lower()]:
            raise InputError(
                f"{path.parent}: found {twin[0]} and {path.name}, expected one of them; remove or rename one"
            )
        same.append(path)
    return {index: sorted(paths, key=_counts_first) for index, paths in sorted(found.items())}


def _named(folder: Path) -> list[tuple[int, str, Path]]:
    """The pictures of frames: index, kind (nothing, `.strokes`, `.mask` or `.empty`) and file, by name."""
    found = [(_NAME.fullmatch(path.name), path) for path in sorted(folder.glob("*.[pP][nN][gG]"))]
    return [(int(match["index"]), match["kind"].lower(), path) for match, path in found if match and _is_read(match)]


def _is_read(match: re.Match[str]) -> bool:
    """Whether a name counts: no zero too many, and capitals only where the name alone says that it is a painting."""
    right = f"{int(match['index']):05d}{match['kind']}.png"
    return match[0] == right or bool(match["kind"] and match[0].lower() == right.lower())


def _clean(pictures: Sequence[Path], root: Path, annotated: Container[int], frames: Sequence[Path]) -> frozenset[Path]:
    """Those of the pictures to paint on that nobody has painted on: as they were laid out, or equal to their frames."""
    if not pictures:
        return frozenset()
    laid_out, asked_ns = _laid_out(root), _written_ns(root / REQUESTS_JSON)
    paintings = {digest for read in _read_before(root / FOLDER).values() for digest in read.values()}

    def is_clean(picture: Path) -> bool:
        if not laid_out and int(picture.stem) in annotated and _written_ns(picture) <= asked_ns:
            return True
        digest = sha256(picture)
        ours = digest in laid_out.get(picture.name, ())
        return ours or (digest not in paintings and _equals_frame(picture, frames))

    return frozenset(picture for picture in pictures if is_clean(picture))


def _written_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _counts_first(path: Path) -> tuple[bool, int, int]:
    return not is_mask(path), -path.stat().st_mtime_ns, -len(path.name)


def set_of(root: Path, scribble_set: str, asked_by: Mapping[int, str], index: int, picture: Path) -> str:
    """The scribble set that a painting belongs to: that which has read it, else that which waits for its frame.

    Args:
        root: the sequence's folder of results.
        scribble_set: the set that asks; a painting that several have read, or that nobody claims, is its own.
        asked_by: see `stages.formats.requests.asked_by`.
        index: the frame.
        picture: the painting.

    Raises:
        OSError: it cannot be read.
        StageError: it cannot be told what was read before.
    """
    read = _read_before(root / FOLDER)
    asks = asked_by.get(index, scribble_set)
    if {asks, *read} == {scribble_set}:
        return scribble_set
    digest = sha256(picture)
    readers = [name for name, pictures in read.items() if pictures.get(picture.name) == digest]
    if scribble_set in readers:
        return scribble_set
    return readers[0] if readers else asks


def of_set(
    root: Path, scribble_set: str, annotated: Container[int], frames: Sequence[Path], asked_by: Mapping[int, str]
) -> dict[int, list[Path]]:
    """What people painted for a scribble set, read already or not; arguments and errors as of `pending`."""
    found = {
        index: [path for path in paths if set_of(root, scribble_set, asked_by, index, path) == scribble_set]
        for index, paths in painted_pictures(root, annotated, frames).items()
    }
    return {index: paths for index, paths in found.items() if paths}


def pending(
    root: Path,
    scribble_set: str,
    annotated: Container[int],
    frames: Sequence[Path],
    asked_by: Mapping[int, str] = MappingProxyType({}),
) -> dict[int, tuple[Path, ...]]:
    """Paintings of this scribble set that were not read into it yet, or have changed since; not those of other sets.

    Args:
        root: the sequence's folder of results.
        scribble_set: the set's name.
        annotated: the frames that the set annotates; a picture of another frame is read (again) in any case.
        frames: the video's pictures, in order.
        asked_by: frame index -> the set that waits for it, see `stages.formats.requests.asked_by`.

    Returns:
        Frame index -> its pictures, the one that counts first.

    Raises:
        InputError: see `painted_pictures`.
        StageError: a picture cannot be opened, or it cannot be told what was read before.
    """
    try:
        painted = painted_pictures(root, annotated, frames)
        read = _read_before(root / FOLDER).get(scribble_set, {}) if painted else {}
        waiting = {
            index: tuple(
                path
                for path in paths
                if (index not in annotated or read.get(path.name) != sha256(path))
                and set_of(root, scribble_set, asked_by, index, path) == scribble_set
            )
            for index, paths in painted.items()
        }
    except OSError as error:
        raise StageError(
            f"{error.filename or root / FOLDER}: what was painted cannot be read: {error.strerror or error}; allow it, "
            "or, if it was just being saved, run the command again"
        ) from None
    return {index: paths for index, paths in waiting.items() if paths}


def contradiction(paths: Sequence[Path]) -> tuple[Path, Path] | None:
    """Two pictures among those of a frame that say the contrary of one another, if there are any."""
    empty = [path for path in paths if is_declared_empty(path)]
    strokes = [path for path in paths if not is_declared_empty(path)]
    return (strokes[0], empty[0]) if strokes and empty else None


def digests_of(pictures: Iterable[Path]) -> dict[str, str]:
    """Name -> digest of painted pictures; taken before they are read, so that what is saved meanwhile counts as new."""
    return {path.name: sha256(path) for path in pictures}


def note_read(root: Path, scribble_set: str, digests: Mapping[str, str]) -> None:
    """Remember that these painted pictures are in a scribble set.

    Raises:
        OSError: the disk refuses.
        StageError: it cannot be told what was read before.
    """
    folder = root / FOLDER
    read = _read_before(folder)
    read.setdefault(scribble_set, {}).update(digests)
    write_json(folder / _READ_JSON, read)


def _read_before(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / _READ_JSON
    try:
        read: Mapping[str, Mapping[str, str]] = read_json(path)
        return {str(name): dict(files) for name, files in read.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise StageError(
            f"{path}: found no readable list of the painted pictures that are in the scribbles already ({error}); "
            "delete it to have all of them read again, in the place of what the scribbles say of their frames"
        ) from None


# --- names that nobody reads -----------------------------------------------------------------------------------------


def check_names(root: Path, frame_count: int) -> None:
    """Refuse pictures whose names are nearly those of painted ones: they would be passed over.

    Raises:
        InputError: names them, and what was expected.
    """
    try:
        names = sorted(path.name for path in (root / FOLDER).iterdir() if path.is_file())
    except OSError:
        return
    misnamed = [f"{name} (expected {_expected(name)})" for name in names if _is_near_miss(name)]
    if misnamed:
        raise InputError(
            f"{root / FOLDER}: found {and_more(misnamed, _MOST_NAMED)}, which nobody would read; frames are "
            f"00000 to {frame_count - 1:05d}. Save what was painted under the expected name, as PNG (other forms "
            "change colours, or are not read), or move it out of the folder"
        )


def _is_near_miss(name: str) -> bool:
    suffix = _PICTURE.search(name)
    stem = name[: suffix.start()] if suffix else name
    if name.startswith(".") or not (suffix or re.search(r"\.(strokes?|masks?|empty)$", name, re.IGNORECASE)):
        return False
    if not _PERHAPS.search(stem):
        return False
    match = _NAME.fullmatch(name)
    return match is None or not _is_read(match)


def _expected(name: str) -> str:
    number = re.search(r"\d+", name)
    kind = next((f".{each}" for each in ("empty", "mask") if re.search(each, name, re.IGNORECASE)), ".strokes")
    return f"{int(number[0]):05d}{kind}.png" if number else f"<frame>{kind}.png"
