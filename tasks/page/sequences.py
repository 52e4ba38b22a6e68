"""The sequences behind the page: what an address names, and where its files lie. Everything here touches files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stages.core.errors import InputError
from stages.formats import results
from stages.formats.draft_json import Draft
from stages.formats.drafts import read_drafts
from stages.formats.files import takes_files
from stages.formats.import_record import recorded_source
from stages.formats.layout import datasets_in, find_sequence
from stages.formats.manifest import read_manifest
from stages.formats.objects_json import as_json
from stages.formats.scribble_sets import sets_in
from stages.steps.page.masks import frames_made
from stages.steps.page.pictures import size_of, version_of
from tasks.choice import Chosen, of_dataset
from tasks.refine import RefineSequence
from tasks.runtime import locks
from tasks.runtime.snapshot import SequenceSnapshot, home_of
from tasks.status import as_last_run, standing_of_last_run


class NotThereError(InputError):
    """What an address names is not there."""


@dataclass(frozen=True)
class Sequences:
    """All sequences of a folder of datasets."""

    options: Mapping[str, str]
    """Of the tasks, as text: `data_root`, `outputs_root` and so on."""

    @cached_property
    def data_root(self) -> Path:
        """The folder of the datasets."""
        return Path(self.options["data_root"])

    def all(self) -> list[Chosen]:
        """Every one, with what beside them has a name that cannot be worked with.

        Raises:
            InputError: there is no folder of datasets.
        """
        home_of.cache_clear()  # another dataset may have come, with the same names
        return [one for name in datasets_in(self.data_root).names for one in of_dataset(name, str(self.data_root))]

    def task(self, seq: str, dataset: str = "", **options: str) -> RefineSequence:
        """The task of a sequence's masks.

        Raises:
            NotThereError: there is no such sequence, or there are several.
        """
        try:
            paths = find_sequence(self.data_root, seq, dataset or None)
        except InputError as error:
            raise NotThereError(str(error)) from None
        named = {**self.options, **options, "seq": paths.name, "dataset": paths.dataset}
        task: RefineSequence = RefineSequence.from_str_params(named)
        return task

    def any_task(self) -> RefineSequence:
        """A task that knows the options alone, of no sequence that there is."""
        task: RefineSequence = RefineSequence.from_str_params({**self.options, "seq": ""})
        return task

    def frame(self, seq: str, dataset: str, index: int) -> tuple[RefineSequence, Path]:
        """A sequence, and the picture of one of its frames.

        Raises:
            NotThereError: there is no such sequence or frame.
            InputError: its frames cannot be used.
        """
        task = self.task(seq, dataset)
        return task, frame_of(task.snapshot, index)


def frame_of(snapshot: SequenceSnapshot, index: int) -> Path:
    """The picture of a frame.

    Raises:
        NotThereError: there is no such frame.
    """
    if index >= snapshot.frame_count:
        raise NotThereError(
            f"found frame {index} asked for, expected one of 0..{snapshot.frame_count - 1}, counted from 0"
        )
    return snapshot.frame_files[index]


def described(task: RefineSequence, scribble_set: str = "") -> dict[str, Any]:
    """What the page has to know of a sequence before it shows a frame, with the options of its last run.

    Args:
        task: the sequence's.
        scribble_set: which set is meant; empty: that of the last run.

    Raises:
        InputError: frames or scribbles cannot be used.
    """
    task = as_last_run(task, scribble_set)
    snapshot, found = task.snapshot, standing_of_last_run(task)
    known, fault = snapshot.names
    plan, root = snapshot.plan, task.root
    drafts = read_drafts(snapshot.scribble_file).values()
    in_drafts = {line.object_id for draft in drafts for line in draft.lines if line.object_id}
    return {
        "sequence": snapshot.paths.name,
        "dataset": snapshot.paths.dataset,
        "state": str(found.state),
        "why": found.reason.partition("\n")[0],
        "frame_count": snapshot.frame_count,
        "size": size_of(snapshot.frame_files[0]),
        "names": [path.name for path in snapshot.frame_files],
        "version": version_of(*snapshot.frame_files),
        "anchors": plan.anchors,
        "requested": plan.requested,
        "annotated": snapshot.annotated,
        "given": [*snapshot.given],
        "painted": [*snapshot.painted],
        "drafts": [*map(head_of, drafts)],
        "set": task.scribbles,
        "sets": sets_in(snapshot.scribble_file.parent),
        "rate": _rate_of(snapshot),
        "objects": [as_json(each) for each in known.listed.values()],
        "objects_fault": fault,
        "drawn": sorted(in_drafts.union(snapshot.scribbles.object_ids)),
        "writable": takes_files(snapshot.scribble_file.parent),
        "holder": locks.holder(root) if locks.is_taken(root) else "",
        "contents": _contents(root, plan.anchors),
        "made": {
            "coarse": frames_made(root / results.TRACKS, plan),
            "refined": frames_made(root / results.REFINED, plan),
        },
    }


def head_of(draft: Draft) -> dict[str, Any]:
    """What lists say of a draft."""
    return {"frame": draft.frame, "state": str(draft.state), "author": draft.author}


def _rate_of(snapshot: SequenceSnapshot) -> float | None:
    source = recorded_source(snapshot.frame_files[0].parent)
    return source.frame_rate if source else None


def _contents(root: Path, anchors: Sequence[int]) -> dict[str, str]:
    """What was published: the folder -> a digest that changes with what is in it."""
    folders = [results.MASKS, results.PROVISIONAL, *(str(results.of_frame(results.ANCHOR_MASKS, i)) for i in anchors)]
    manifests = {folder: read_manifest(root / folder) for folder in folders}
    return {folder: manifest.content for folder, manifest in manifests.items() if manifest}
