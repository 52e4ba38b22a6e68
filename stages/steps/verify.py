"""Is everything that was published still there, byte for byte? What was it made from, and is that still the same?

Nothing is believed but contents: every file is read. What is found is told as it is found.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from stages.core.errors import InputError, StageError
from stages.formats import paintings, results
from stages.formats.dataset_json import DATASET_JSON
from stages.formats.files import delete, delete_empty, is_litter, sha256
from stages.formats.frames import Frames, list_frames
from stages.formats.frames_json import FramesJson
from stages.formats.given_for import given_for
from stages.formats.given_masks import MASKS, given_frames, read_given, read_seen, seen_copy
from stages.formats.layout import SequencePaths
from stages.formats.log import LOG
from stages.formats.manifest import LIST, MANIFEST, Manifest, digests_of, load_manifest
from stages.formats.objects_json import OBJECTS_JSON
from stages.formats.page_log import PAGE_LOG
from stages.formats.paintings import FOLDER
from stages.formats.pictures import load_picture
from stages.formats.review_json import REVIEW, read_review
from stages.formats.schema import NewerVersionError
from stages.formats.scribbles import ScribbleSet, read_scribbles

Looked = Callable[[Path], None]
"""Told of every file that is read."""


class Fault(StrEnum):
    """What is wrong with a file or folder."""

    ROT = "rot"
    """A published file is another one than was written."""
    MISSING = "missing"
    """A published file is not there."""
    UNREADABLE = "unreadable"
    """A manifest says nothing, or a newer version of LIS wrote it."""
    INPUT = "input"
    """A picture, scribbles, a given mask: gone, changed since results were made from it, or unusable."""
    REFUSED = "refused"
    """A sequence that no run can work on; its results were not looked for."""
    FOREIGN = "foreign"
    """LIS has not put it there."""
    UNPUBLISHED = "unpublished"
    """A stage's folder without a manifest; the next run puts a new one in its place."""
    LITTER = "litter"
    """Left by a run that was killed; the next run sweeps it away."""

    @property
    def is_damage(self) -> bool:
        """Whether something that should be right is not."""
        return self in (Fault.ROT, Fault.MISSING, Fault.UNREADABLE, Fault.INPUT)


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be."""

    fault: Fault
    path: Path
    detail: str
    folder: Path | None = None
    """The published folder that is damaged; the next run makes it again once it is removed."""


_STAGES: Final = {
    *(results.FRAMES, results.ANCHORS, results.MASKS, results.PROVISIONAL, results.REPORT, results.TRUTH),
    results.EVALUATION,
}
_STAGES_OF_PARTS: Final = {
    *(results.ANCHOR_MASKS, results.TRACKS, results.REFINED, results.EXPORT, results.EXPORT_PARTS),
}
_LOOSE: Final = {FOLDER, paintings.REQUESTS_JSON, results.INTERACTIVE, LOG, PAGE_LOG, DATASET_JSON}
"""What lies in a sequence's folder and belongs to no stage; names that begin with a dot do, too."""


def verify_results(root: Path, looked: Looked) -> Iterator[Finding]:
    """Compare everything that is published in a sequence's folder with what its manifests say."""
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if is_litter(path):
            yield Finding(Fault.LITTER, path, "left by a run that was killed")
        elif path.name in _STAGES:
            yield from _stage(path, looked)
        elif path.name in _STAGES_OF_PARTS and path.is_dir():
            for part in sorted(path.iterdir()):
                if is_litter(part):
                    yield Finding(Fault.LITTER, part, "left by a run that was killed")
                elif part.is_dir():
                    yield from _stage(part, looked)
                else:
                    yield Finding(Fault.FOREIGN, part, "LIS has not put it there")
        elif path.name == results.INTERACTIVE:
            for manifest in sorted(path.rglob(MANIFEST)):
                yield from _stage(manifest.parent, looked)
        elif path.name not in _LOOSE and not path.name.startswith("."):
            yield Finding(Fault.FOREIGN, path, "LIS has not put it there")


def verify_folder(folder: Path, looked: Looked) -> Iterator[Finding]:
    """Compare a published folder with its manifest."""
    try:
        manifest = load_manifest(folder)
    except NewerVersionError as error:
        yield Finding(Fault.UNREADABLE, folder / MANIFEST, str(error))
        return
    except (StageError, OSError) as error:
        yield Finding(Fault.UNREADABLE, folder / MANIFEST, str(error), folder)
        return
    yield from _files(folder, manifest, looked)


def verify_inputs(paths: SequencePaths, root: Path, looked: Looked) -> Iterator[Finding]:
    """Compare a sequence's pictures with those that its results were made from, and read what people drew."""
    try:
        pictures = list_frames(paths.frames)
    except InputError as error:
        yield Finding(Fault.INPUT, paths.frames, str(error))
        return
    yield from _pictures(paths, root, looked)
    for path in sorted(paths.scribbles.glob("*.json")):
        if path.name == OBJECTS_JSON:
            continue
        looked(path)
        try:
            if path.name.endswith(REVIEW):
                read_review(path, paths.name)
            else:
                drawn = read_scribbles(path, paths.name, len(pictures))
                yield from _seen_masks(path, drawn, Frames(pictures), looked)
        except InputError as error:
            yield Finding(Fault.INPUT, path, str(error))
    for folder in sorted(paths.scribbles.glob(f"*{MASKS}")):
        yield from _given_masks(folder, Frames(pictures), looked)
    for path in sorted((root / FOLDER).glob("*.strokes.png")):
        looked(path)
        try:
            load_picture(path)
        except InputError as error:
            yield Finding(Fault.INPUT, path, str(error))


def _given_masks(folder: Path, video: Frames, looked: Looked) -> Iterator[Finding]:
    """Read the masks that people gave."""
    try:
        given = given_frames(folder.with_suffix(".json"))
        given_for(folder.with_suffix(".json"))
    except InputError as error:
        yield Finding(Fault.INPUT, folder, str(error))
        return
    for index, path in given.items():
        looked(path)
        try:
            if index >= len(video):
                raise InputError(f"the video has the frames 0 to {len(video) - 1}")
            read_given(path, video.size_wh, frame=video.paths[index].name)
        except InputError as error:
            yield Finding(Fault.INPUT, path, str(error))


def _seen_masks(scribble_file: Path, drawn: ScribbleSet, video: Frames, looked: Looked) -> Iterator[Finding]:
    """Compare the copies of masks that strokes correct with what the scribble set says of them."""
    for index, digest in drawn.corrects.items():
        copy = seen_copy(scribble_file, index, digest)
        looked(copy)
        try:
            read_seen(scribble_file, index, digest, video.size_wh)
        except InputError as error:
            yield Finding(Fault.INPUT, copy, str(error))


def repair(finding: Finding) -> bool:
    """Delete what a damaged folder published, and nothing else in it, so that the next run makes it again.

    Returns:
        Whether there was anything to delete: inputs, what LIS has not written, and what a newer version of LIS has
        written are never touched.
    """
    if finding.folder is None:
        return False
    try:
        names = [name for name, _ in digests_of(finding.folder, load_manifest(finding.folder))]
    except (StageError, OSError):
        names = []  # nobody knows which of the files are LIS's; without a manifest none of them is believed
    if not _inside(finding.folder / MANIFEST, finding.folder):
        return False
    delete(finding.folder / MANIFEST)  # first: from now on nothing here is published
    for name in names:
        if _inside(finding.folder / name, finding.folder):
            delete(finding.folder / name)
    delete_empty(finding.folder)
    return True


def _inside(path: Path, folder: Path) -> bool:
    """Whether a name from a manifest leads nowhere else."""
    return path.parent.resolve().is_relative_to(folder.resolve())


def _stage(folder: Path, looked: Looked) -> Iterator[Finding]:
    if not folder.is_dir():
        yield Finding(Fault.FOREIGN, folder, "LIS has not put it there")
    elif (folder / MANIFEST).exists():
        yield from verify_folder(folder, looked)
    elif any(folder.iterdir()):
        yield Finding(Fault.UNPUBLISHED, folder, "no manifest: the next run makes it again, in its place")


def _files(folder: Path, manifest: Manifest, looked: Looked) -> Iterator[Finding]:
    try:
        listed = dict(digests_of(folder, manifest))
    except (StageError, OSError) as error:
        yield Finding(Fault.UNREADABLE, folder / LIST, str(error), folder)
        return
    for name, written in listed.items():
        path = folder / name
        if name in manifest.cleaned:
            if path.exists():
                yield Finding(Fault.LITTER, path, "cleaned away, and still there: the cleaning was killed")
            continue
        looked(path)
        try:
            found = sha256(path)
        except FileNotFoundError:
            yield Finding(Fault.MISSING, path, "published, and not there", folder)
        except OSError as error:
            yield Finding(Fault.MISSING, path, f"cannot be read: {error.strerror or error}", folder)
        else:
            if found != written:
                yield Finding(
                    Fault.ROT, path, f"its sha256 is {found[:12]}..., published was {written[:12]}...", folder
                )
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name != MANIFEST and not path.is_dir() and name not in listed:
            yield Finding(Fault.FOREIGN, path, "LIS has not put it there")


def _pictures(paths: SequencePaths, root: Path, looked: Looked) -> Iterator[Finding]:
    """The pictures as results were made from them, and as an import wrote them, each read once."""
    written: dict[str, set[str]] = {}
    try:
        for name, digest in FramesJson.read(root / results.FRAMES).digests:
            written.setdefault(name, set()).add(digest)
    except StageError:
        pass  # nothing was made yet, or it is damaged, and told of as a result
    try:
        for name, digest in load_manifest(paths.frames).digests.items():
            written.setdefault(name, set()).add(digest)
    except (StageError, OSError):
        pass  # no import has put them there
    for name, digests in written.items():
        path = paths.frames / name
        looked(path)
        try:
            found = sha256(path)
        except OSError as error:
            yield Finding(Fault.INPUT, path, f"cannot be read: {error.strerror or error}; put it back")
            continue
        if digests != {found}:
            detail = "is another picture than results were made from, or than was imported; put the right one back"
            yield Finding(Fault.INPUT, path, detail)
