"""What of the results can go without anything being lost, and its deletion."""

from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from stages.core.states import State
from stages.formats import results
from stages.formats.manifest import read_manifest
from stages.steps.clean import Removable, delete_removable, key_text, removable
from tasks.export import EXPORTS
from tasks.refine import RefineSequence
from tasks.runtime import locks
from tasks.status import standing
from tasks.verify import Kept


@dataclass
class Cleaned:
    """What can go, or went, in one folder of results."""

    kept: Kept
    busy: bool = False
    """A run works on it: not looked at."""
    removable: list[Removable] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        return sum(one.bytes for one in self.removable)


def clean(kept: Kept, data_root: str, outputs_root: str, *, really: bool) -> Cleaned:
    """Find what can be deleted in a sequence's folder of results, and delete it if that is wanted.

    Raises:
        OSError: the disk refuses.
    """
    found = Cleaned(kept)
    if kept.refused or not kept.root.is_dir() or not kept.is_sequence:
        return found
    with locks.held(kept.root) if really else nullcontext(not locks.is_taken(kept.root)) as is_ours:
        found.busy = not is_ours
        if is_ours:
            finished = kept.paths is not None and _is_finished(kept, data_root, outputs_root)
            exported = _exported(kept.root, Path(outputs_root))
            found.removable = [*removable(kept.root, finished=finished, exported=exported)]
            for one in found.removable if really else []:
                delete_removable(one)
    return found


def _exported(root: Path, outputs_root: Path) -> set[str]:
    """The parts of a sequence, and of others, that finished exports were made of, by their keys."""
    folders = [*outputs_root.glob(f"{EXPORTS}/[!.]*"), *(root / results.EXPORT).glob("[!.]*")]
    exports = filter(None, map(read_manifest, folders))
    return {key_text(part) for export in exports for part, _ in export.key["parts"]}


def _is_finished(kept: Kept, data_root: str, outputs_root: str) -> bool:
    assert kept.paths is not None
    task = RefineSequence(
        seq=kept.paths.name, dataset=kept.paths.dataset, data_root=data_root, outputs_root=outputs_root
    )
    return standing(task).state is State.DONE
