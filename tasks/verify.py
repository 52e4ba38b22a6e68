"""Every sequence's results and inputs, checked against what was written down about them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from stages.core.errors import InputError
from stages.formats import results
from stages.formats.layout import RESERVED, SequencePaths, list_datasets, list_sequences
from stages.formats.manifest import MANIFEST
from stages.formats.own_network import FOLDER as OWN
from stages.steps.verify import Fault, Finding, Looked, repair, verify_folder, verify_inputs, verify_results
from tasks.export import lock_of
from tasks.runtime import locks
from tasks.runtime.snapshot import Place, paths_of, root_of


@dataclass(frozen=True)
class Kept:
    """A folder of results, and whose it is."""

    name: str
    root: Path
    paths: SequencePaths | None
    """None: no sequence of the data sets has it, or it belongs to none."""
    is_sequence: bool = True
    refused: str = ""
    """Why nobody can say where the results of this sequence lie; empty if that is known."""


class Verdict(StrEnum):
    """What is to be said of a folder of results."""

    CLEAN = "clean"
    DAMAGED = "damaged"
    REPAIRED = "repaired"
    """What was damaged is removed; a run makes it again."""
    BUSY = "busy"
    """A run works on it: not looked at."""
    REFUSED = "refused"
    """No run can work on this sequence: not looked at."""


@dataclass
class Checked:
    """What came of looking at one."""

    kept: Kept
    verdict: Verdict = Verdict.CLEAN
    files: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)


def kept_of(place: Place) -> Kept:
    """The results of one sequence.

    Raises:
        InputError: it is not there.
    """
    paths = paths_of(place)
    return Kept(paths.name, root_of(place), paths)


def everything_kept(data_root: str, outputs_root: str, weights_root: str, dataset: str = "") -> Iterator[Kept]:
    """The results of every sequence of the data sets, or of one; without one, whatever else is published, too.

    Raises:
        InputError: there is no such data set.
    """
    roots = set()
    for each in [dataset] if dataset else list_datasets(Path(data_root)):
        for seq in list_sequences(Path(data_root), each):
            try:
                kept = kept_of(Place(data_root, outputs_root, each, seq))
            except InputError as error:  # the others are looked at all the same
                kept = Kept(seq, Path(outputs_root, each, seq), None, refused=str(error))
            roots.add(kept.root)
            yield kept
    if not dataset:
        yield from _others(Path(outputs_root), roots)
        yield from _without_sequence([*(Path(outputs_root) / name for name in RESERVED), Path(weights_root) / OWN])


def check(kept: Kept, *, repairs: bool, looked: Looked, found: Callable[[Finding], None]) -> Checked:
    """Look at everything of one, and remove what is damaged if that is wanted.

    Args:
        kept: which.
        repairs: whether damaged results are removed.
        looked: is told of every file that is read.
        found: is told of every finding at once.
    """
    checked = Checked(kept)
    if kept.refused:
        checked.verdict = Verdict.REFUSED
        checked.findings.append(Finding(Fault.REFUSED, kept.root, kept.refused))
        found(checked.findings[0])
        return checked

    def count(path: Path) -> None:
        checked.files += 1
        checked.bytes += path.stat().st_size if path.is_file() else 0
        looked(path)

    with _alone(kept, repairs) as is_alone:
        for finding in _findings(kept, count) if is_alone else []:
            if finding.folder is not None and not _still(finding):
                continue  # a run has published another one meanwhile
            checked.findings.append(finding)
            found(finding)
        damage = [finding for finding in checked.findings if finding.fault.is_damage]
        if not is_alone or (damage and not repairs and locks.is_taken(kept.root)):
            checked.verdict = Verdict.BUSY
        elif damage:
            removed = [repair(each) for each in _one_a_folder(damage)] if repairs else [False]
            checked.verdict = Verdict.REPAIRED if all(removed) else Verdict.DAMAGED
    return checked


def _findings(kept: Kept, looked: Looked) -> Iterator[Finding]:
    if not kept.is_sequence:
        yield from verify_folder(kept.root, looked)
        return
    yield from verify_results(kept.root, looked)
    if kept.paths is not None:
        yield from verify_inputs(kept.paths, kept.root, looked)


def _alone(kept: Kept, repairs: bool) -> AbstractContextManager[bool]:
    """Whether no run works on it; who only looks leaves no trace, and keeps no run from beginning."""
    if not kept.is_sequence:  # the lock of a training lies beside its result, that of an export has a place of its own
        return nullcontext(not any(map(locks.is_taken, (kept.root.parent, lock_of(kept.root)))))
    if repairs and kept.root.is_dir():
        return locks.held(kept.root)
    return nullcontext(not locks.is_taken(kept.root))


def _still(finding: Finding) -> bool:
    assert finding.folder is not None
    return any(
        (again.fault, again.path) == (finding.fault, finding.path)
        for again in verify_folder(finding.folder, lambda _: None)
    )


def _one_a_folder(damage: list[Finding]) -> list[Finding]:
    """A folder is removed once, whatever the number of its damaged files."""
    return [*{finding.folder or finding.path: finding for finding in damage}.values()]


def _others(outputs_root: Path, roots: set[Path]) -> Iterator[Kept]:
    """Results of sequences that are in no data set any more."""
    if not outputs_root.is_dir():
        return
    for path in sorted(outputs_root.iterdir()):
        if path in roots or path.name in RESERVED or not path.is_dir() or path.name.startswith("."):
            continue
        below = [each for each in sorted(path.iterdir()) if (each / results.FRAMES / MANIFEST).exists()]
        if (path / results.FRAMES / MANIFEST).exists():
            yield Kept(path.name, path, None)
        for each in below:
            if each not in roots:
                yield Kept(f"{path.name}/{each.name}", each, None)


def _without_sequence(folders: list[Path]) -> Iterator[Kept]:
    """Exports, trainings and networks of one's own."""
    for folder in folders:
        for manifest in sorted(folder.rglob(MANIFEST)) if folder.is_dir() else []:
            yield Kept(manifest.parent.relative_to(folder.parent).as_posix(), manifest.parent, None, is_sequence=False)
