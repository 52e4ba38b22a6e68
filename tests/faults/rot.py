"""What rots: every results' JSON cut at every byte, and with every byte changed; a thousand flips of the rest.

A changed file has to be found: by the next run, which makes it again or says in one line what is wrong, or by `lis
verify`. What must never be: a wrong mask, and nobody says so.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from stages.core.errors import LisError
from stages.formats.anchor_masks import AnchorMasks
from stages.formats.dataset_json import read_owner
from stages.formats.disagreement import read_disagreement
from stages.formats.frames_json import FramesJson
from stages.formats.manifest import read_manifest
from stages.formats.masks import read_mask
from stages.formats.paintings import pending
from stages.formats.requests import issued_anchors
from stages.formats.tracks import read_tracks
from stages.steps.verify import verify_results
from tests.faults.judge import differences
from tests.faults.runs import run
from tests.faults.scene import RUN, SEQ, Case

FLIPS: Final = 1000
_TERMS: Final = {"scribbles": "001", "requests": 1, "placement": "eq1", "frame_count": 4}


def rot(finished: Case, folder: Path, every: int, seed: int) -> Iterator[dict[str, Any]]:
    """Damage files of a finished sequence in every way, one at a time; or one case of so many."""
    case = finished.copy(folder / "rotting")
    for path in sorted(case.root.rglob("*.json")):
        yield from _json(case, path, every, random.Random(f"{seed} {path.name}"))
    for suffix in (".h5", ".png"):
        paths = sorted(path for path in case.root.rglob(f"*{suffix}") if "requests" not in path.parts)
        yield from _binary(case, paths, FLIPS // every, random.Random(f"{seed} {suffix}"), suffix)


def _json(case: Case, path: Path, every: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Each damage is read by what reads the file; once in a while a whole run looks at it."""
    written = path.read_bytes()
    right = _read(case, path)
    damaged = [("cut", at, written[:at]) for at in range(len(written))]
    damaged += [
        ("changed", at, written[:at] + bytes([written[at] ^ rng.randrange(1, 256)]) + written[at + 1 :])
        for at in range(len(written))
    ]
    for what, at, content in damaged[::every]:
        path.write_bytes(content)
        problems = []
        try:
            found = _read(case, path)
            if found not in (None, right) and not _is_found(case, path):
                problems.append(f"read as another one: {str(found)[:200]}")
        except LisError:
            pass
        except Exception as error:
            problems.append(f"{type(error).__name__}: {error}")
        yield _told(case, path, f"JSON {what}", at, problems)
    path.write_bytes(written)


def _binary(case: Case, paths: list[Path], count: int, rng: random.Random, suffix: str) -> Iterator[dict[str, Any]]:
    """Flips of one bit; reading must not end in anything but an error of ours, and `verify` has to see each of them."""
    for number in range(count):
        path = rng.choice(paths)
        written = path.read_bytes()
        at, bit = rng.randrange(len(written)), rng.randrange(8)
        path.write_bytes(written[:at] + bytes([written[at] ^ (1 << bit)]) + written[at + 1 :])
        problems = [] if _is_found(case, path) else ["verify does not see it"]
        try:
            _read_picture_or_masks(path)
        except LisError:
            pass
        except Exception as error:
            problems.append(f"{type(error).__name__}: {str(error)[:200]}")
        path.write_bytes(written)
        yield _told(case, path, f"{suffix[1:]} flipped", number, problems)


def _read(case: Case, path: Path) -> Any:
    """What the program makes of a file of JSON; None: as good as absent."""
    if path.name == "manifest.json":
        manifest = read_manifest(path.parent)
        return None if manifest is None else {**vars(manifest)}
    if path.name == "frames.json":
        found = FramesJson.read(path.parent)
        return found.size_wh, [*found.digests]
    if path.name == "requests.json":
        return issued_anchors(case.root, _TERMS) or None
    if path.name == "read.json":
        pending(case.root, "001", {1, 3}, sorted(case.pictures.iterdir()))
        return None  # what is read once more replaces itself
    if path.name == "dataset.json":
        return read_owner(case.root)
    return None  # written for people: read by nobody


def _is_found(case: Case, path: Path) -> bool:
    return any(
        finding.path == path and finding.fault.is_damage for finding in verify_results(case.root, lambda _: None)
    )


def _read_picture_or_masks(path: Path) -> None:
    if path.name == "tracks.h5":
        for _ in read_tracks(path.parent):
            pass
    elif path.name == "disagreement.h5":
        for _ in read_disagreement(path.parent, range(*map(int, path.parent.name.split("-")))):
            pass
    elif path.suffix == ".h5":
        AnchorMasks.read(path.parent)
    else:
        read_mask(path)


def rerun(finished: Case, expected: dict[str, bytes], folder: Path, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Flip a byte of any file of the results, and let a run, `verify --repair` and another run follow."""
    from stages.steps.verify import repair

    for number in range(count):
        rng = random.Random(f"{seed} rerun {number}")
        case = finished.copy(folder / "rerun")
        path = rng.choice([each for each in sorted(case.root.rglob("*")) if _is_result(each)])
        written = path.read_bytes()
        at = rng.randrange(len(written))
        path.write_bytes(written[:at] + bytes([written[at] ^ rng.randrange(1, 256)]) + written[at + 1 :])
        problems = []
        ended = run(case, RUN)
        if "Traceback" in ended.output:
            problems.append("stack trace")
        for finding in [*verify_results(case.root, lambda _: None)]:
            if finding.fault.is_damage:
                repair(finding)
        again = run(case, RUN)
        if again.code:
            problems.append(f"after the repair, a run ends with {again.code}")
        problems += differences(case.outcome(), expected)
        yield {
            **_told(case, path, "rerun", at, problems),
            "code": ended.code,
            "told": ended.output[-2000:] * bool(problems),
        }


def _is_result(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.name != "log.txt" and "requests" not in path.parts


def _told(case: Case, path: Path, kind: str, at: int, problems: list[str]) -> dict[str, Any]:
    name = path.relative_to(case.root).as_posix()
    return {"kind": kind, "at": at, "file": name, "sequence": SEQ, "problems": problems}
