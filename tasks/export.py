"""Masks out: parts of sequences, joined; a sequence alone, or many together."""

import json
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import luigi
from luigi.parameter import ParameterException

from stages.core.errors import InputError
from stages.core.states import State
from stages.core.words import and_more, and_so_on
from stages.exchange.outgoing import formats, splits
from stages.exchange.outgoing.format import ExportedClass
from stages.formats import results
from stages.formats.files import sweep_beside
from stages.formats.frames_json import FramesJson
from stages.formats.layout import list_datasets
from stages.formats.manifest import Json, load_manifest
from stages.formats.names import check_name
from tasks.choice import Chosen, check_named, choose, of_dataset
from tasks.export_part import AnyExport, ExportPart, classes_of, objects_of
from tasks.refine import RefineSequence
from tasks.runtime import locks
from tasks.runtime.luigi_hooks import abstract
from tasks.runtime.options import NameParameter
from tasks.runtime.published import PublishedTask
from tasks.runtime.sequence import StageTask
from tasks.runtime.snapshot import Place, paths_of, root_of
from tasks.status import standing_of_last_run

if TYPE_CHECKING:
    from stages.formats.objects_json import NamedObject

EXPORTS: Final = "exports"
"""The folder below the root of results in which exports of several sequences lie."""
_LISTED: Final = 10


class Wanted(NamedTuple):
    """A sequence that is exported."""

    name: str
    """In the export."""
    seq: str
    dataset: str
    result: str
    """The folder of masks that is taken: `masks`, or `provisional`."""


class LeftOut(NamedTuple):
    """A sequence that is not."""

    name: str
    why: str


@abstract
class ExportTask(AnyExport, PublishedTask):
    """An export: parts, joined."""

    split = ""
    """A sequence alone is not split."""
    provisional = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="take provisional masks where there are no others",
    )
    report = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="a contact sheet of what is kept and left out: sheet.png",
    )
    stage = results.EXPORT

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.exchange.outgoing.joining",)

    def chosen(self) -> Sequence[Chosen]:
        """The sequences that are asked for."""
        raise NotImplementedError

    @cached_property
    def found(self) -> tuple[list[Wanted], list[LeftOut]]:
        """The sequences that can be exported, and the others, with the reason.

        Raises:
            InputError: none can.
        """
        wanted, left_out = [], []
        chosen = self.chosen()
        twice = {seq for seq, count in Counter(one.seq for one in chosen if not one.refused).items() if count > 1}
        for one in chosen:
            result, why = ("", one.refused) if one.refused else self._result_of(one)
            if result and not load_manifest(root_of(self._place(one)) / result).objects:
                result, why = "", "it has no object"
            name = f"{one.dataset}_{one.seq}" if one.seq in twice else one.seq
            if result:
                wanted.append(Wanted(name, one.seq, one.dataset, result))
            else:
                left_out.append(LeftOut(one.name, why))
        if not wanted:
            raise InputError(f"found no finished sequence to export: {_listed(left_out)}; finish one with `lis refine`")
        if len({one.name for one in wanted}) < len(wanted):
            names = ", ".join(sorted(one.name for one in wanted))
            raise InputError(f"found two sequences of one name among {names}, expected each once; export them apart")
        return sorted(wanted), left_out

    def _result_of(self, one: Chosen) -> tuple[str, str]:
        """The folder of masks to take, or "" and why there is none."""
        refine = RefineSequence(
            seq=one.seq,
            dataset=one.dataset,
            scribbles_root=self.scribbles_root,
            **{name: getattr(self, name) for name in ("data_root", "outputs_root", "weights_root")},
        )
        found = standing_of_last_run(refine)
        if found.state is State.DONE:
            return results.MASKS, ""
        if found.state is State.PROVISIONAL and self.provisional:
            return results.PROVISIONAL, ""
        hint = " (--provisional takes them)" if found.state is State.PROVISIONAL else ""
        return "", f"{found.state}{hint}: {found.reason}" if found.reason else str(found.state)

    @property
    def wanted(self) -> list[Wanted]:
        """The sequences that are exported."""
        return self.found[0]

    @cached_property
    def class_list(self) -> tuple[ExportedClass, ...]:
        """The export's classes."""
        from stages.exchange.outgoing.material import class_list

        fixed = {place.dataset: classes_of(place) for place in map(self._place, self.wanted)}
        if len({each.digest if each else "" for each in fixed.values()}) > 1:
            raise InputError(
                f"found different classes.json in the data sets {', '.join(sorted(fixed))}, expected one list of "
                "classes for an export; give them the same file, or export them one by one"
            )
        return class_list([(one.name, self._objects(one)) for one in self.wanted], next(iter(fixed.values())))

    def _place(self, one: Wanted | Chosen) -> Place:
        return Place(self.data_root, self.outputs_root, one.dataset, one.seq)

    def _objects(self, one: Wanted) -> "tuple[NamedObject, ...]":
        root = root_of(self._place(one))
        count = len(FramesJson.read(root / results.FRAMES).digests)
        return objects_of(self._place(one), self.scribbles_root, load_manifest(root / one.result), count)

    @cached_property
    def parts(self) -> list[ExportPart]:
        """The parts, by the sequences' names.

        Raises:
            InputError: what was asked for cannot be.
        """
        from stages.exchange.outgoing.joining import check_called
        from stages.exchange.outgoing.pictures import check_endings, way_of

        terms = self.export_terms
        formats.check(self.form, terms)
        if self.for_correction and self.format not in formats.CORRECTED_IN:
            raise InputError(
                f"found --for-correction with the format {self.format}, expected one of a tool to draw in, which "
                f"`lis import-masks` takes back: {', '.join(formats.CORRECTED_IN)}"
            )
        self.form.check_classes(self.class_list, terms)
        classes = json.dumps([[each.id, each.name, each.supercategory] for each in self.class_list])
        parts = [
            self.clone(
                ExportPart, seq=one.seq, dataset=one.dataset, called=one.name, result=one.result, classes=classes
            )
            for one in self.wanted
        ]
        if self.source and self.size != "source":
            raise InputError("found --source without --size source, expected both; a source is read for its size alone")
        if self.source and not any(part.is_imported for part in parts):
            called = and_so_on([part.called for part in parts], _LISTED)
            raise InputError(
                f"found --source {self.source} for {called}, expected a sequence that `lis import` has brought "
                "in; no other has a source besides its pictures: leave --source out"
            )
        if self.only_reviewed and not any(part.approved for part in parts):
            called = and_more([part.called for part in parts], _LISTED, "; ")
            raise InputError(
                f"found no frame of {called} that anybody has approved as it is now, expected one at least; approve "
                "some, with `lis annotate` or `lis approve SEQ`, or leave --only-reviewed out"
            )
        for part in parts:
            check_called(part.called)
            check_endings(self.form, way_of(self.form, terms), part.seq, part.described.names)
        if terms.max_doubt != "auto":
            return parts
        return [part.clone(max_doubt=f"{self._auto(parts):.6f}") for part in parts]

    def _auto(self, parts: Sequence[ExportPart]) -> float:
        """The limit of doubt that `auto` stands for: found on all sequences together."""
        from stages.exchange.outgoing.doubtful import auto_max_doubt, verdicts
        from stages.exchange.outgoing.label_maps import judged_frames

        materials = [part.described for part in parts]
        judged = [verdicts(judged_frames(each), len(each.names), None) for each in materials]
        return auto_max_doubt(verdict.doubt for each in judged for verdict in each)

    def requires(self) -> list[luigi.Task]:
        """The parts, unless the export is there: what they were may be cleaned away then."""
        from stages.exchange.outgoing.drawn_in import check_nobodys_work

        if self.is_complete():
            return []
        check_nobodys_work(self.target())
        self._check_room()
        return [*self.parts]

    def _check_room(self) -> None:
        from stages.exchange.outgoing.joining import check_room

        to_encode = [part.material for part in self.parts if not part.is_complete()]
        materials = [part.material for part in self.parts]
        check_room(self.target(), materials, to_encode, self.form, self.export_terms)

    def splits(self) -> dict[str, str]:
        """Sequence, as the export calls it -> its split."""
        return dict.fromkeys((one.name for one in self.wanted), splits.ONLY)

    def absent(self) -> Sequence[Json]:
        """Sequences that have been in the export and are not now, with the splits that they are to come back to."""
        return []

    def uses(self) -> Json:
        """The parts, and what joining them depends on."""
        assigned = self.splits()
        return {
            "format": [self.format, self.form.version],
            "terms": self.export_terms.given(),
            "parts": [[part.key(), assigned[part.called]] for part in self.parts],
            "report": self.report,
        }

    def work(self, folder: Path) -> list[int]:
        """Write the export."""
        from stages.exchange.outgoing.export import verdicts_of
        from stages.exchange.outgoing.handed_out import write_handed_out
        from stages.exchange.outgoing.joining import Asked, join_parts, masks_of
        from stages.exchange.outgoing.sheet import write_sheet

        assigned = self.splits()
        shares = [part.share(assigned[part.called]) for part in self.parts]
        for one in self.found[1]:
            self.note(f"left out: {one.name} ({one.why})")
        notes = [*self._noteworthy()]
        for line in notes:
            self.note(line)
        said = {
            "classes": [vars(each) for each in self.class_list],
            "split": self.split,
            "absent": self.absent(),
            "left_out": {one.name: one.why for one in self.found[1]},
            "max_doubt": self.parts[0].export_terms.max_doubt,
        }
        for line in join_parts(folder, shares, self.form, Asked(self.export_terms, said, notes), self.progress).notes:
            self.note(line)
        if self.for_correction:
            write_handed_out(folder, masks_of(shares), self.target())
        if self.report:
            sequences = [(part.material, verdicts_of(part.target())) for part in self.parts]
            write_sheet(folder, sequences, self.parts[0].terms_of_part)
        return []

    def _noteworthy(self) -> Iterator[str]:
        """What `auto` came to, what becomes of the classes' numbers and the like, a line each."""
        if untold := {part.called: count for part in self.parts if (count := part.frames_untold())}:
            counts = and_more([f"{name}: {count}" for name, count in untold.items()], _LISTED, "; ")
            yield (
                f"where both directions disagree is not known on {sum(untold.values())} frames ({counts}), "
                "since a former version of LIS made their tracks, or an engine that does not tell; there "
                "--unknown-soft goes by soft masks alone (docs/export.md says how to have it)"
            )
        if self.max_doubt == "auto":
            yield (f"--max-doubt auto: frames with a doubt above {self.parts[0].max_doubt} are left out")
        if self.size == "source" and (are_all := [part.called for part in self.parts if not part.is_imported]):
            yield (f"--size source: as their pictures are, which no import has put there: {', '.join(are_all)}")
        numbered = ", ".join(f"{each.id} {each.name}" for each in self.class_list)
        if all(classes_of(self._place(one)) is None for one in self.wanted):
            yield (
                f"classes: {numbered}, in the order of their names; one that is added later renumbers those behind it, "
                "unless a classes.json of the data set fixes the numbers"
            )
        elif [each.id for each in self.class_list] != [*range(1, len(self.class_list) + 1)]:
            yield (f"classes: {numbered}, as classes.json has them; yolo and mots close the gaps")
        if self.for_correction:
            seq = self.parts[0].seq if len(self.parts) == 1 else "SEQ"
            command = shlex.join(["lis", "import-masks", *["--"] * seq.startswith("-"), seq, "CORRECTED"])
            yield f"for correction: `{command}` takes back what the tool saved, a file or a folder"

    def known_digest(self, path: Path) -> str | None:
        """Of a linked picture, as the results were made from it."""
        if not path.is_symlink():
            return None
        folder, name = os.path.split(path.readlink())
        frames = self._frames_of.get(os.path.realpath(path.parent / folder))
        return self._digests_in(frames).get(name) if frames else None

    @cached_property
    def _digests_in(self) -> Callable[[Path], Mapping[str, str]]:
        """Those of a sequence's pictures; an export's links are met sequence by sequence."""
        return lru_cache(maxsize=2)(lambda frames: dict(FramesJson.read(frames).digests))

    @cached_property
    def _frames_of(self) -> dict[str, Path]:
        """A sequence's folder of pictures -> what its results say of them."""
        return {os.path.realpath(paths_of(p.place).frames): p.root / results.FRAMES for p in self.parts}


class ExportSequence(ExportTask, StageTask):
    """The masks of a sequence in a format that others read: outputs/<seq>/export/<format>."""

    def chosen(self) -> Sequence[Chosen]:
        """The one."""
        return [Chosen(self.seq, self.seq, paths_of(self.place).dataset)]

    def folder(self) -> Path:
        """One a format."""
        return Path(results.EXPORT) / (f"{self.format}-for-correction" if self.for_correction else self.format)


class ExportDataset(ExportTask):
    """The masks of many sequences in a format that others read, for instance a training set: outputs/exports/<name>."""

    name = NameParameter(description="of the export: the folder below outputs/exports")
    seq = NameParameter(default="", description="one sequence alone")
    list = luigi.Parameter(default="", description="text file of sequences: <seq> or <dataset>/<seq> a line")
    all = luigi.BoolParameter(
        default=False, parsing=luigi.BoolParameter.EXPLICIT_PARSING, description="every sequence of every dataset"
    )
    split = luigi.Parameter(default="", description="of whole sequences: 0.8/0.1/0.1, or train=a.txt,val=b.txt")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Luigi's, and a look at the name."""
        super().__init__(*args, **kwargs)
        try:
            check_name(self.name, "export")
        except InputError as error:
            raise ParameterException(str(error)) from None

    def chosen(self) -> Sequence[Chosen]:
        """As it was asked for, each once."""
        given = {"SEQ": self.seq, "--list": self.list, "--all": self.all}
        if len([name for name, value in given.items() if value]) > 1:
            raise InputError(f"found {' and '.join(n for n, v in given.items() if v)}, expected one of them")
        if self.seq:
            place = Place(self.data_root, self.outputs_root, self.dataset, self.seq)
            return [Chosen(self.seq, self.seq, paths_of(place).dataset)]
        if self.all:
            datasets = [self.dataset] if self.dataset else list_datasets(Path(self.data_root))
            return [one for each in datasets for one in of_dataset(each, self.data_root)]
        if not self.list and not self.dataset and "=" in self.split:
            paths = splits.paths_of(self.split)
            return [*{(one.dataset, one.seq): one for path in paths for one in self._of_list(path)}.values()]
        return self._of_list(self.list) if self.list else choose("", self.dataset, self.data_root)

    def _of_list(self, path: str) -> Sequence[Chosen]:
        """What does not exist is a mistake of the list's, while what is not finished is left out."""
        chosen = choose(path, self.dataset, self.data_root)
        check_named(chosen, path, self.data_root)
        return chosen

    def splits(self) -> dict[str, str]:
        """As it was asked for; by shares, sequences keep the split that they have in the export that lies there."""
        names = {(one.dataset, one.seq): one.name for one in self.wanted}
        listed = splits.listed_in(
            self.split,
            lambda path: [
                names[one.dataset, one.seq] for one in self._of_list(path) if (one.dataset, one.seq) in names
            ],
        )
        before = {names[each]: split for each, split in self._splits_before().items() if each in names}
        return splits.assign([one.name for one in self.wanted], self.split, listed, before)

    def absent(self) -> Sequence[Json]:
        """By data set and name."""
        there = {(one.dataset, one.seq) for one in self.wanted}
        gone = sorted((*each, split) for each, split in self._splits_before().items() if each not in there)
        return [{"sequence": seq, "dataset": dataset, "split": split} for dataset, seq, split in gone]

    def _splits_before(self) -> Mapping[tuple[str, str], str]:
        """By shares, what the export of this name has; lists say it anew each time."""
        from stages.exchange.outgoing.joining import splits_of_export

        return {} if "=" in self.split or not self.split else splits_of_export(self.target(), self.split)

    def target(self) -> Path:
        """Beside other exports."""
        return Path(self.outputs_root) / EXPORTS / self.name

    def enter(self) -> None:
        """One process at a time."""
        locks.require(lock_of(self.target()), shared=False)
        sweep_beside(self.target())


def lock_of(export: Path) -> Path:
    """The folder whose lock says that an export among others is being made."""
    return export.parent / ".locks" / export.name


def _listed(left_out: Sequence[LeftOut]) -> str:
    return and_more([f"{one.name} ({one.why})" for one in left_out], _LISTED, "; ")
