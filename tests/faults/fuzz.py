"""Files of people's, spoilt at random: each is read, or refused in a line of ours. Nothing else, no hang, no hoard.

Half of the cases spoil bytes (flipped, cut, doubled, moved, thrown in), half know the form: another value in a JSON, a
line of a list, a key of a setting. A child reads them, with a limit on its memory and an alarm on its clock.
"""

import configparser
import json
import os
import pickle
import random
import resource
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import torch
from safetensors.torch import save

from stages.core.errors import InputError, LisError
from stages.formats.anchor_masks import AnchorMasks
from stages.formats.checkpoints import read_checkpoint
from stages.formats.disagreement import read_disagreement
from stages.formats.scribbles import read_scribbles
from stages.formats.strokes import strokes_from_png
from stages.formats.tracks import read_tracks
from tests.exchange.good_files import good_files
from tests.faults.scene import ANCHORS, FRAMES, REPOSITORY, SEQ, Case

_MEMORY_BYTES: Final = 3 << 30
"""What a reader may take on top of what it had."""
_SECONDS: Final = 20
_BATCH: Final = 250
_ODD: Final = (
    *(None, True, -1, 0, 255, 2**31, 2**63, 1e308, -0.0, "", "a" * 5000, "\ud800", "../../x", [], {}, [[]], [1, 2, 3]),
    *({"a": {"a": {}}}, [[0.5, 0.5]], "NaN", 0.5),
)


def fuzz(finished: Case, folder: Path, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Spoil and read so many files, of every kind in turn."""
    place = folder / "fuzz"
    place.mkdir(exist_ok=True)
    readers = _readers(finished, place)
    for first in range(0, count, _BATCH):
        yield from _in_a_child(readers, place, range(first, min(count, first + _BATCH)), seed)


def _readers(finished: Case, place: Path) -> Mapping[str, tuple[list[bytes], Callable[[Path], object]]]:
    """Good files of a kind, and what reads them."""
    from tasks.choice import choose

    painted = [(finished.root / "requests" / f"{index:05d}.strokes.png").read_bytes() for index in ANCHORS]
    clean = finished.pictures / f"{ANCHORS[0]:05d}.png"
    tensors = {"a.weight": torch.ones(3, 4), "b": torch.zeros(2, dtype=torch.float16)}
    zipped, old = place / "zipped.pth", place / "old.pth"
    torch.save(tensors, zipped)
    torch.save(tensors, old, _use_new_zipfile_serialization=False)
    listed = f"{SEQ}\nset/{SEQ} # first\n\n# none\nelsewhere/{SEQ}\n".encode()
    data_root = str(finished.folder / "data")
    return {
        "scribbles.json": (
            [path.read_bytes() for path in finished.scribbles.glob("001.json")],
            lambda path: read_scribbles(path, SEQ, FRAMES),
        ),
        "strokes.png": (painted, lambda path: strokes_from_png(path, clean)),
        "net.safetensors": ([save(tensors)], read_checkpoint),
        "net.pth": ([zipped.read_bytes(), old.read_bytes(), pickle.dumps({"a": 1})], read_checkpoint),
        "tracks.h5": (
            [path.read_bytes() for path in finished.root.rglob("tracks.h5")],
            lambda path: [*read_tracks(path.parent)],
        ),
        "disagreement.h5": (
            [path.read_bytes() for path in finished.root.rglob("disagreement.h5")],
            lambda path: [*read_disagreement(path.parent, range(FRAMES))],
        ),
        "probabilities.h5": (
            [path.read_bytes() for path in finished.root.rglob("probabilities.h5")],
            lambda path: AnchorMasks.read(path.parent),
        ),
        "list.txt": ([listed], lambda path: choose(str(path), "", data_root)),
        "luigi.cfg": ([(REPOSITORY / "luigi.cfg").read_bytes()], _read_settings),
        **good_files(),
    }


def _read_settings(path: Path) -> None:
    """As a command does that begins in the folder; what it would refuse with a line and code 40 is an error of ours."""
    from luigi.configuration import LuigiConfigParser, get_config
    from luigi.parameter import ParameterException

    from tasks import RefineSequence
    from tasks.runtime.settings import check_settings, unknown_settings

    os.chdir(path.parent)
    LuigiConfigParser._instance = None
    try:
        path.read_text(encoding="utf-8")
        get_config()
        check_settings()
        [*unknown_settings()]
        RefineSequence(seq=SEQ)
    except (configparser.Error, UnicodeDecodeError, ParameterException) as error:
        raise InputError(str(error).replace("\n", " ")) from None


def _in_a_child(
    readers: Mapping[str, tuple[list[bytes], Callable[[Path], object]]], place: Path, numbers: range, seed: int
) -> Iterator[dict[str, Any]]:
    """What the child says, line by line; where it dies, the case is to blame."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _limit_memory()
        with os.fdopen(writing, "w") as told:
            for number in numbers:
                told.write(json.dumps(_one(readers, place, number, seed)) + "\n")
                told.flush()
        os._exit(0)
    os.close(writing)
    done = 0
    with os.fdopen(reading) as heard:
        for line in heard:
            done += 1
            yield json.loads(line)
    _, status = os.waitpid(child, 0)
    if done < len(numbers):
        number = numbers[done]
        kind = [*readers][number % len(readers)]
        problem = f"the process ends: {os.waitstatus_to_exitcode(status)}"
        yield {"kind": kind, "at": number, "outcome": "died", "problems": [problem]}
        yield from _in_a_child(readers, place, numbers[done + 1 :], seed)


def _one(
    readers: Mapping[str, tuple[list[bytes], Callable[[Path], object]]], place: Path, number: int, seed: int
) -> dict[str, Any]:
    rng = random.Random(f"{seed} fuzz {number}")
    kind = [*readers][number % len(readers)]
    good, read = readers[kind]
    path = place / kind
    path.write_bytes(spoil(rng.choice(good), kind, rng))
    outcome, problems, told = "read", [], ""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_SECONDS)
    try:
        read(path)
    except LisError as error:
        outcome = "refused"
        if "\n" in str(error).strip():
            problems.append(f"more than a line: {error}")
    except BaseException as error:
        outcome = "fails"
        problems.append(f"{type(error).__name__}: {str(error)[:300]}")
        told = traceback.format_exc()[-3000:]
    finally:
        signal.alarm(0)
    return {"kind": kind, "at": number, "outcome": outcome, "problems": problems, "told": told}


def spoil(good: bytes, kind: str, rng: random.Random) -> bytes:
    """Another file that is nearly this one."""
    if kind.endswith(".json") and rng.random() < 0.5:
        return _spoil_json(good, rng)
    if kind in ("list.txt", "luigi.cfg") and rng.random() < 0.5:
        return _spoil_lines(good, rng)
    if kind.endswith(".h5") and rng.random() < 0.3:
        return _spoil_hdf5(good, rng)
    content = bytearray(good)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 50))):
        at = rng.randrange(len(content) + 1)
        what = rng.randrange(6)
        if what == 0 and content:
            content[at % len(content)] ^= 1 << rng.randrange(8)
        elif what == 1:
            del content[at:]
        elif what == 2:
            content[at:at] = content[at : at + rng.randrange(1, 200)]
        elif what == 3:
            content[at : at + 8] = rng.choice((b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7, b"\x00\x00\x00\x80"))
        elif what == 4:
            del content[at : at + rng.randrange(1, 100)]
        else:
            content[at:at] = rng.randbytes(rng.randrange(1, 64))
    return bytes(content)


def _spoil_json(good: bytes, rng: random.Random) -> bytes:
    value = json.loads(good)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not value:
            break
        holder, key = _somewhere(value, rng)
        what = rng.random()
        if what < 0.7:
            holder[key] = deepcopy(rng.choice(_ODD))
        elif isinstance(holder, dict):
            key = rng.choice(("frame_digests", "corrects", "annotated_frame", "sequence", "more"))
            holder[key] = deepcopy(rng.choice(_ODD))
        else:
            holder *= rng.choice((0, 2, 50))
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _somewhere(value: Any, rng: random.Random) -> tuple[Any, Any]:
    holder, key = value, next(iter(value))
    while isinstance(holder, dict | list) and holder:
        key = rng.choice([*holder]) if isinstance(holder, dict) else rng.randrange(len(holder))
        below = holder[key]
        if not isinstance(below, dict | list) or not below or rng.random() < 0.25:
            break
        holder = below
    return holder, key


def _spoil_lines(good: bytes, rng: random.Random) -> bytes:
    lines = good.split(b"\n")
    odd = (
        b"[",
        b"[lis",
        b"a",
        b"= 3",
        b"%(x)s = 1",
        b"requests = %",
        b"\xff\xfe",
        b"../../etc",
        b"x/y/z",
        b"  - ",
        b"a" * 9000,
    )
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(lines))
        what = rng.random()
        if what < 0.5:
            lines.insert(at, rng.choice(odd))
        elif what < 0.8:
            name = lines[at].partition(b"=")[0]
            lines[at] = (
                name + b"= " + rng.choice((b"-1", b"nan", b"1e9", b"", b"x y", b"%d", b"${HOME}", b"\x00", b"true"))
            )
        else:
            lines.append(lines[at])
    return b"\n".join(lines)


def _spoil_hdf5(good: bytes, rng: random.Random) -> bytes:
    """A good file in which something is another thing."""
    import io

    buffer = io.BytesIO(good)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = rng.choice(names)
        del file[name]
        file[name] = rng.choice(
            (
                *(np.zeros((0,), np.uint8), np.zeros((3, 3, 3), np.int64), np.array(["a"], dtype="S1"), np.array(1.5)),
                *(h5py.SoftLink("/"), h5py.ExternalLink("/etc/hostname", "/"), np.array([-1, 2**31]), np.array(np.nan)),
            )
        )
        if rng.random() < 0.3:
            file.attrs["size_wh"] = rng.choice(([0, 0], [2**31, 2**31], [-1, 5], [1], "x"))
        if rng.random() < 0.2:
            file.attrs["schema"] = rng.choice((0, -1, 99, "x", 2.5))
    return buffer.getvalue()


def _limit_memory() -> None:
    has = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + _MEMORY_BYTES, has + _MEMORY_BYTES))


def _too_long(*_: object) -> None:
    raise TimeoutError(f"longer than {_SECONDS} s")
