"""`Scribbles/<seq>/<set>.masks/pictures.json`: which pictures of the video the masks beside it were given for.

    {"schema": 1, "masks": {"12": {"mask": "<sha256 of 00012.png>", "frame_digest": "<digest of frame 12>"}}}

`frame_digest` is what it is in scribble files (`pixel_digest` in `stages/formats/frames.py`). Imports write it; of a
mask that is not named, or is another file now than the one that is named, nobody knows the picture: none is compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from stages.core.errors import InputError, StageError
from stages.core.types import Frame
from stages.formats import files
from stages.formats.frames import pixel_digest
from stages.formats.given_masks import given_frames, masks_folder
from stages.formats.json_files import read_json
from stages.formats.scribbles import Digest, FrameIndex

PICTURES_JSON: Final = "pictures.json"
SCHEMA: Final = 1


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True)

    mask: Digest
    frame_digest: Digest


class _File(BaseModel):
    masks: dict[FrameIndex, _Entry]


def given_for(scribble_file: Path) -> Mapping[int, str]:
    """The digests of the pictures that given masks are for, by frame, as far as they are known.

    Raises:
        InputError: the file cannot be used.
    """
    given = given_frames(scribble_file)
    noted = _read(scribble_file)
    return {
        index: entry.frame_digest
        for index, entry in noted.items()
        if index in given and files.sha256(given[index]) == entry.mask
    }


def note_given_for(scribble_file: Path, frame_digests: Mapping[int, str]) -> None:
    """Note which pictures masks are for that lie there now; what is known of others stays.

    Args:
        scribble_file: the set's.
        frame_digests: by frame, see `pixel_digest`.

    Raises:
        InputError: the file that is there cannot be used.
        StageError: the disk refuses.
    """
    given = given_frames(scribble_file)
    noted: dict[int, Any] = {i: each.model_dump() for i, each in _read(scribble_file).items() if i in given}
    noted |= {i: {"mask": files.sha256(given[i]), "frame_digest": digest} for i, digest in frame_digests.items()}
    path = masks_folder(scribble_file) / PICTURES_JSON
    try:
        files.write_json(path, {"schema": SCHEMA, "masks": dict(sorted(noted.items()))})
    except OSError as error:
        raise StageError(f"{path}: it cannot be written: {error.strerror or error}; make room or allow it") from error


def check_given_for(scribble_file: Path, sequence: str, video: Sequence[Frame], frames: Iterable[int]) -> None:
    """Check that frames are the pictures that their masks were given for, as far as that is known.

    Args:
        scribble_file: the set's.
        sequence: its name, for the message.
        video: its frames, (H, W, 3) uint8 RGB each.
        frames: the indices in question.

    Raises:
        InputError: one is another picture; the message names all of which that is so.
    """
    known = given_for(scribble_file)

    def differs(index: int) -> bool:
        return index in known and known[index] != pixel_digest(video[index])

    if any(differs(index) for index in frames):
        others = [str(index) for index in known if index < len(video) and differs(index)]
        folder = masks_folder(scribble_file)
        raise InputError(
            f"{folder}: found masks of another video: on the frames {', '.join(others)} they were given for other "
            f"pictures than those of {sequence!r}, expected the same. Bring back the video, give masks of this one, "
            f"or, if they fit all the same, remove {folder / PICTURES_JSON}"
        )


def _read(scribble_file: Path) -> dict[int, _Entry]:
    path = masks_folder(scribble_file) / PICTURES_JSON
    try:
        said = read_json(path)
        found = said.get("schema") if isinstance(said, dict) else None
        if found != SCHEMA:
            raise ValueError(f"found version {found!r}, expected {SCHEMA}")
        # Keys of JSON are text: strict numbers are none.
        return _File.model_validate(said).masks
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise InputError(
            f"{path}: it cannot be used: {why}. If the masks beside it are for the pictures of this video, remove it"
        ) from None
