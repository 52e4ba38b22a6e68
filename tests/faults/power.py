"""Power loss: every call of a real run that changes the disk, as strace saw it. No name may precede its content.

A kernel may keep names and lose what was not synced. So: when a file or folder gets the name that others read, all that
was written below it must have been synced since, and the folders that list it, too; and behind the last rename into a
folder that folder is synced before the run ends.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.faults.scene import RUN, Case

_CALLS: Final = (
    "trace=openat,open,creat,write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat"
)
_DESCRIPTOR: Final = re.compile(r"^(\w+)\(\d+<([^>]*)>")
_NAMES: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_IN_PLACE: Final = ("log.txt", ".progress.jsonl", ".lock")
"""Grow line by line, and nothing is believed that they say."""


def record(case: Case, lines: Path) -> int:
    """Run the pipeline's own command under strace."""
    command = ["strace", "-f", "-y", "-e", _CALLS, "-e", "signal=none", "-o", str(lines)]
    done = subprocess.run(
        [*command, sys.executable, "-m", "luigi", *RUN], cwd=case.folder, capture_output=True, check=False
    )
    return done.returncode


def power(start: Case, folder: Path) -> Iterator[dict[str, Any]]:
    """Record a run and judge it; one case for every name that was given."""
    if shutil.which("strace") is None:
        sys.stderr.write("POWER LOSS IS NOT TRIED: strace is not installed (apt-get install strace)\n")
        return
    case, lines = start.copy(folder / "traced"), folder / "calls.txt"
    code = record(case, lines)
    yield from _judged(case, lines.read_text(encoding="utf-8", errors="replace").splitlines(), code)


def _judged(case: Case, lines: list[str], code: int) -> Iterator[dict[str, Any]]:
    written: dict[str, bool] = {}  # a file, or a folder's list of names -> whether it is synced
    renamed: dict[str, str] = {}  # a folder that a name was given in -> the last such name
    counted: Counter[str] = Counter()
    for call, paths, is_new in _calls(case, lines):
        counted[call] += 1
        path = paths[0]
        if call in ("write", "pwrite64", "writev", "ftruncate"):
            written[path] = False
        elif call in ("openat", "open", "creat", "mkdir", "mkdirat") and is_new:
            written[str(Path(path).parent)] = False
            written.setdefault(path, False)
        elif call in ("fsync", "fdatasync"):
            written[path] = True
            renamed.pop(path, None)
        elif call.startswith("rename"):
            source, target = paths[:2]
            if not Path(target).name.startswith((".old-", ".tmp-")):
                below = [each for each in written if each == source or each.startswith(f"{source}/")]
                unsynced = [each for each in below if not written[each]]
                problems = [f"not synced before it had its name: {Path(each).name}" for each in unsynced]
                yield {"kind": "name given", "at": counted[call], "file": target, "problems": problems}
                renamed[str(Path(target).parent)] = target
            for each in [each for each in written if each == source or each.startswith(f"{source}/")]:
                written[target + each.removeprefix(source)] = written.pop(each)
    for parent, target in renamed.items():
        yield {"kind": "name given", "at": 0, "file": target, "problems": [f"{parent} is not synced afterwards"]}
    in_place = [path for path in written if _is_published_in_place(case, path, lines)]
    problems = [f"written under the name that others read: {path}" for path in in_place]
    problems += [] if code == 0 else [f"the run ended with {code}"]
    yield {"kind": "whole run", "at": sum(counted.values()), "file": str(dict(counted)), "problems": problems}


def _is_published_in_place(case: Case, path: str, lines: list[str]) -> bool:
    inside = Path(path).is_relative_to(case.folder / "outputs") or Path(path).is_relative_to(case.folder / "data")
    if not inside or not Path(path).is_file() or Path(path).name in _IN_PLACE:
        return False
    return any(f'"{Path(path).relative_to(case.folder)}", O_WRONLY' in line for line in lines)


def _calls(case: Case, lines: list[str]) -> Iterator[tuple[str, list[str], bool]]:
    """Call, absolute paths, and whether it may have made a new name; in the order in which they ended."""
    begun: dict[str, str] = {}
    for line in lines:
        process, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            begun[process] = rest.removesuffix("<unfinished ...>")
            if not rest.startswith(("rename", "write", "pwrite", "open")):
                continue  # what makes durable counts when it has ended, what endangers when it begins
        elif rest.startswith("<... "):
            first = begun.pop(process, "")
            if first.startswith(("rename", "write", "pwrite", "open")):
                continue
            rest = first + rest.partition(">")[2]
        if " = -1 " in rest:
            continue
        call = rest.partition("(")[0]
        found = _DESCRIPTOR.match(rest)
        names = [found[2]] if found else [_absolute(case, name) for name in _NAMES.findall(rest)]
        names = [name for name in names if name.startswith(str(case.folder))]
        if names:
            yield call, names, "O_CREAT" in rest or call.startswith(("mkdir", "creat"))


def _absolute(case: Case, name: str) -> str:
    return name if name.startswith("/") else str(case.folder / name)
