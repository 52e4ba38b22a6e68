"""Sets of pictures to learn from: folders `<set>/images` and `<set>/masks` with files of the same stems, `ABOUT.md`.

A set of clips is in the DAVIS layout, `<set>/JPEGImages/480p/<clip>` and `<set>/Annotations/480p/<clip>`; whole clips
are held out.

A mask holds 0 for background and 1.. for objects. What 255 means is told by the set: where its masks hold nothing but 0
and 255, it is the object; beside other ids it is what nobody knows.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.core.errors import InputError
from stages.core.palette import IGNORE
from stages.formats.files import sha256
from stages.formats.frames import SUFFIXES, read_frame
from stages.formats.pictures import load_picture
from stages.training.pictures import HELD_OUT, Picture, counted, rank

Unknown = Literal["auto", "255", "none"]
"""Whether 255 in a mask is what nobody knows: the set tells, yes, no (then it is an object)."""
_ENOUGH_FOR_TWO: Final = 8
_LONGEST_SIDE_PX: Final = 1024
"""Larger pictures are reduced when they are read: the networks look at crops of some 200 pixels."""
_CLIPS: Final = Path("JPEGImages", "480p")
_CLIP_MASKS: Final = Path("Annotations", "480p")
_LOSSY: Final = frozenset({".jpg", ".jpeg"})


@dataclass(frozen=True)
class PictureSet:
    """A set, and how much of a batch comes from it."""

    name: str
    folder: Path
    share: float

    @property
    def is_clips(self) -> bool:
        """Whether it is in the DAVIS layout: `JPEGImages/480p/<clip>/*`, `Annotations/480p/<clip>/*.png`."""
        return (self.folder / _CLIPS).is_dir()

    def name_of(self, picture: Path) -> str:
        """A picture's name: its stem, behind that of its clip if it is a frame."""
        return f"{picture.parent.name}/{picture.stem}" if self.is_clips else picture.stem

    def files(self) -> list[tuple[Path, Path]]:
        """Every picture with its mask, by name.

        Raises:
            InputError: there is no picture, two of one name, or one without a mask that can be used.
        """
        if self.is_clips:
            clips = sorted(path for path in (self.folder / _CLIPS).iterdir() if path.is_dir())
            return [pair for clip in clips for pair in _pairs(clip, self.folder / _CLIP_MASKS / clip.name)]
        return _pairs(self.folder / "images", self.folder / "masks")

    def digest(self) -> str:
        """Of all its pictures and masks."""
        content = hashlib.sha256()
        for picture, mask in self.files():
            shown = f"{picture.parent.name}/{picture.name}" if self.is_clips else picture.name
            content.update(f"{shown} {_digest(picture)} {mask.name} {_digest(mask)}\n".encode())
        return content.hexdigest()

    def terms(self) -> str:
        """The licence that its ABOUT.md states, in one line."""
        about = self.folder / "ABOUT.md"
        text = about.read_text(encoding="utf-8") if about.is_file() else ""
        found = re.search(r"^Licence:\s*(.+?)(?=^\w+:|\Z)", text, re.MULTILINE | re.DOTALL)
        return " ".join(found.group(1).split()).replace("|", "/") if found else "not stated"


def choose_sets(
    root: Path, shares: Mapping[str, float], usual: Mapping[str, float], tell: Callable[[str], None] = lambda _: None
) -> tuple[PictureSet, ...]:
    """Which sets are learnt from.

    Args:
        root: folder of the sets, or a set itself.
        shares: those that are asked for; empty: the usual ones, or, if one of these is not there, all that are.
        usual: those of the recipe.
        tell: is told what was chosen in the place of the usual ones.

    Raises:
        InputError: there is no set, or not the one that is asked for.
    """
    if _is_set(root):
        there = {root.resolve().name: root}
    else:
        there = {path.name: path for path in sorted(root.glob("*")) if _is_set(path)}
    if not there:
        raise InputError(
            f"{root}: found no set of pictures, expected folders `images` and `masks` in it, or folders that hold "
            "these; correct --train-root"
        )
    if not shares:
        shares = usual if set(usual) <= set(there) else dict.fromkeys(there, 1.0)
        if shares is not usual and len(there) > 1:
            tell(f"learning from {', '.join(there)}, in equal shares; --sets NAME:SHARE,... chooses otherwise")
    for name in shares:
        if name not in there:
            raise InputError(
                f"{root / name}: found no folder `images`, expected pictures (images/*) and masks (masks/*.png) of the "
                f"set {name!r}; sets in {root}: {', '.join(there)}. Correct --train-root or --sets"
            )
    return tuple(PictureSet(name, there[name], share) for name, share in shares.items())


def _is_set(folder: Path) -> bool:
    return (folder / "images").is_dir() or (folder / _CLIPS).is_dir()


def read_set(chosen: PictureSet, unknown: Unknown, clips: Collection[str] = ()) -> tuple[list[Picture], str]:
    """Read all pictures of a set, or some of its clips, into memory, the longer side at most 1024 pixels.

    Returns:
        The pictures, and what 255 means in their masks: "object", "unknown", or "-" where none holds it.

    Raises:
        InputError: a file cannot be read, is no mask, or a picture and its mask differ in size; a clip is not there.
    """
    files = chosen.files()
    if clips:
        files = [pair for pair in files if pair[0].parent.name in clips]
        if missing := set(clips) - {picture.parent.name for picture, _ in files}:
            raise InputError(f"{chosen.folder / _CLIPS}: found no clip {', '.join(sorted(missing))}")
    masks = [_read_ids(mask) for _, mask in files]
    found = np.unique(np.concatenate([np.unique(mask) for mask in masks]))
    is_binary = set(found.tolist()) <= {0, IGNORE}
    is_object = unknown == "none" or (unknown == "auto" and is_binary)
    pictures = []
    for (file, path), ids in zip(files, masks, strict=True):
        rgb = read_frame(file)
        if rgb.shape[:2] != ids.shape:
            raise InputError(f"{file}: found {rgb.shape[:2]} (rows, columns), expected {ids.shape} as in its mask")
        labels = _with_an_object(path, ids) if is_object else ids
        pictures.append(Picture(chosen.name, chosen.name_of(file), *_reduced(rgb, labels)))
    return pictures, "-" if IGNORE not in found else "object" if is_object else "unknown"


def split(
    pictures: Sequence[Picture], suits: Callable[[Picture], bool], wanted: str
) -> tuple[list[Picture], list[Picture]]:
    """Keep some pictures for validation: one in sixteen by their names, but two at least, or one of fewer than eight.

    Args:
        pictures: all of them.
        suits: whether an example can be made of a picture.
        wanted: what those that suit have, in words.

    Returns:
        Those to train on and those held out, in the order given; there are some that suit among both.

    Raises:
        InputError: there are not two that suit.
    """
    pool = sorted(filter(suits, pictures), key=lambda picture: rank(picture.set_name, picture.name))
    if len(pool) < 2:
        raise InputError(
            f"found {counted(len(pictures), 'picture')}, {len(pool)} of them with {wanted}; expected "
            "two at least, one to learn from and one to be tested on. Add pictures with masks of their objects (and "
            "see --unknown, if the masks hold 255)"
        )
    least = 1 if len(pool) < _ENOUGH_FOR_TWO else 2
    ranks = sorted({rank(picture.set_name, picture.name) for picture in pool})  # one for all frames of a clip
    highest = max(ranks[min(least, len(ranks)) - 1], HELD_OUT)
    if len(ranks) == 1:  # a single clip: its first frame is better than nothing
        held_out = {id(pool[0])}
    else:
        held_out = {id(p) for p in pictures if rank(p.set_name, p.name) <= min(highest, ranks[-2])}
    parts: tuple[list[Picture], list[Picture]] = [], []
    for picture in pictures:
        parts[id(picture) in held_out].append(picture)
    return parts


def counts(pictures: Sequence[Picture]) -> tuple[Counter[str], Counter[str]]:
    """Pictures and objects, by set."""
    objects: Counter[str] = Counter()
    for picture in pictures:
        objects[picture.set_name] += len(picture.areas)
    return Counter(picture.set_name for picture in pictures), objects


# ---------------------------------------------------------------------------------------------- files


def _pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    pictures = _by_stem(images)
    if not pictures:
        raise InputError(
            f"{images}: found no picture ({', '.join(sorted(SUFFIXES))}), expected pictures with "
            f"masks beside them in {masks}; correct --train-root or --sets"
        )
    found = _by_stem(masks)
    return [(picture, _mask_for(picture, found, masks)) for picture in pictures.values()]


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            if path.stem in found:
                raise InputError(
                    f"{folder}: found {found[path.stem].name} and {path.name}, expected one file of that name; remove "
                    "one of the two"
                )
            found[path.stem] = path
    return found


def _mask_for(picture: Path, masks: Mapping[str, Path], folder: Path) -> Path:
    if picture.stem not in masks:
        raise InputError(
            f"{folder / picture.stem}.png: found no mask, expected one for every picture of the set; draw it, or take "
            f"{picture} away"
        )
    path = masks[picture.stem]
    if path.suffix.lower() in _LOSSY:
        raise InputError(
            f"{path}: found a mask in JPEG, which changes numbers when it is saved, so that ids and contours are lost; "
            "expected PNG or another lossless format. Export the masks again from where they were drawn"
        )
    return path


def _digest(path: Path) -> str:
    stat = path.stat()
    return _digest_of(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1 << 17)
def _digest_of(path: Path, _mtime_ns: int, _size: int) -> str:
    return sha256(path)


def _read_ids(path: Path) -> NDArray[np.uint8]:
    """A mask as it stands: (H, W) uint8."""
    picture = load_picture(path)
    if picture.info.get("compression") == "jpeg" or (path.suffix.lower() == ".webp" and not _is_lossless_webp(path)):
        raise InputError(f"{path}: found a mask with lossy compression, expected a lossless one; save it as PNG")
    if picture.mode in ("L", "P", "1"):
        return np.array(picture, np.uint8)
    if picture.mode in ("RGB", "RGBA", "LA"):  # grey that was saved as colour, by WebP always
        channels = np.array(picture.convert("RGB"))
        if (channels == channels[..., :1]).all() and _is_opaque(picture):
            return channels[..., 0].copy()
    raise InputError(
        f"{path}: found a picture of mode {picture.mode} whose colours would have to be guessed, expected object ids: "
        "8 bits, grey or indexed (mode L or P), 0 background, 1.. objects"
    )


def _is_opaque(picture: Image.Image) -> bool:
    return "A" not in picture.mode or picture.getchannel("A").getextrema() == (255, 255)


def _is_lossless_webp(path: Path) -> bool:
    """Whether its pixels are in a chunk VP8L: at once, or behind those of the extended format."""
    content = path.read_bytes()
    place = 12
    while place + 8 <= len(content):
        kind, size = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        place += 8 + size + size % 2
    return False


def _with_an_object(path: Path, ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """255 as an id like others: the first that is free."""
    free = np.setdiff1d(np.arange(1, IGNORE), ids)
    if not len(free):
        raise InputError(f"{path}: found 255 objects, expected 254 at most; leave --unknown as it is")
    return np.where(ids == IGNORE, np.uint8(free[0]), ids)


def _reduced(rgb: NDArray[np.uint8], labels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    scale = _LONGEST_SIDE_PX / max(labels.shape)
    if scale >= 1:
        return rgb, labels
    size = [max(1, round(scale * side)) for side in labels.shape[::-1]]
    smaller = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    fewer = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(smaller, np.uint8), np.asarray(fewer, np.uint8)
