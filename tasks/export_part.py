"""A sequence's part of an export: encoded once, and kept for the next export that wants the same."""

import hashlib
import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import luigi

from stages.core.errors import StageError
from stages.core.plan import Segment
from stages.exchange.outgoing import formats
from stages.exchange.outgoing.format import ExportedClass, Format
from stages.exchange.outgoing.terms import Terms
from stages.formats import requests, results
from stages.formats.frames_json import FramesJson
from stages.formats.manifest import Json, Manifest, check_files, load_manifest
from stages.formats.review_json import Approvals, in_runs
from stages.steps import doubt_model
from stages.steps.review import holding
from tasks.anchors import AnchorMask
from tasks.refine import RefineSequence
from tasks.runtime import options
from tasks.runtime.export_options import ExportOptions
from tasks.runtime.luigi_hooks import abstract
from tasks.runtime.published import LisTask
from tasks.runtime.sequence import StageTask
from tasks.runtime.snapshot import Place, paths_of
from tasks.status import as_made
from tasks.tracks import TrackSegment

if TYPE_CHECKING:
    from stages.exchange.outgoing.joining import Share
    from stages.exchange.outgoing.material import Material, Source
    from stages.formats.classes_json import Classes
    from stages.formats.import_record import RecordedSource
    from stages.formats.objects_json import NamedObject


@abstract
class AnyExport(ExportOptions, LisTask):
    """What parts and exports have in common."""

    scribbles_root = options.PlanOptions.scribbles_root
    source = luigi.Parameter(default="", description="with --size source: where the imported video lies")

    @cached_property
    def form(self) -> Format:
        """The format.

        Raises:
            InputError: a library that it needs is not there.
        """
        return formats.find(self.format)


class ExportPart(AnyExport, StageTask):
    """A sequence's part of an export: all but the numbers that count through several sequences."""

    called = luigi.Parameter(description="name of the sequence in the export")
    result = luigi.Parameter(description="folder of masks that is taken")
    classes = luigi.Parameter(description="the export's classes: JSON, a list of id, name, supercategory")
    stage = results.EXPORT_PARTS
    version = 2
    """1 took a part of some names for the split's place."""
    reads_soft_masks = True

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.exchange.outgoing.export",)

    def requires(self) -> list[StageTask]:
        """What the result was made from, if its soft masks are needed; else the result is read as it lies there."""
        anchor_masks, tracks = self._soft_masks
        return [*anchor_masks.values(), *tracks.values()]

    @cached_property
    def _soft_masks(self) -> tuple[dict[int, AnchorMask], dict[Segment, TrackSegment]]:
        """The tasks whose soft masks are needed, by frame and by stretch."""
        if not self.export_terms.reads_soft_masks:
            return {}, {}
        refine = as_made(self.clone(RefineSequence), self.result)
        made = refine if self.result == results.MASKS else refine.provisional_result()
        if made is None:
            raise StageError(f"{self.root / self.result}: found other scribbles than it was made from; refine it again")
        return {task.frame: task for task in made.anchor_masks()}, {
            task.segment: task.track() for task in made.segments()
        }

    @property
    def _declined(self) -> list[int]:
        """Frames that nobody wants to draw on, if the worst ones are to be chosen."""
        if not self.for_correction:
            return []
        refine = as_made(self.clone(RefineSequence), self.result)
        return sorted(requests.declined_frames(self.root, refine.snapshot.request_terms))

    @cached_property
    def approved(self) -> Approvals:
        """What people have approved of the result, if nothing else is to be exported.

        Looked up once, so that what they approve meanwhile is for the next export.

        Raises:
            InputError: their review cannot be read.
        """
        if not self.only_reviewed:
            return {}
        review = as_made(self.clone(RefineSequence), self.result).snapshot.review
        return holding(review.result, results.mask_digests(self.root / self.result, self._result()))

    @property
    def terms_of_part(self) -> Terms:
        """What was asked for, as far as a part depends on it: of pictures, their names."""
        terms = self.export_terms
        return replace(terms, pictures="convert" if terms.pictures == "convert" else "")

    def folder(self) -> Path:
        """One a format and terms: exports that are asked for in turn do not make each other's parts again."""
        said = json.dumps([self.result, self.called, self.for_correction, self.terms_of_part.given()], sort_keys=True)
        digest = hashlib.sha256(said.encode()).hexdigest()
        return Path(results.EXPORT_PARTS) / f"{self.format}-{digest[:10]}"

    def uses(self) -> Json:
        """The masks, the pictures, names and classes, and what was asked for."""
        return {
            "masks": self._result().content,
            "frames": load_manifest(self.root / results.FRAMES).content,
            "names": self.described.digest,
            "doubt": doubt_model.digest(),
            "sequence": self.called,
            "format": [self.format, self.form.version],
            "terms": self.terms_of_part.given(),
            "worst": self.for_correction,
            **({"declined": self._declined} if self._declined else {}),
            **({"approved": in_runs(self.approved)} if self.only_reviewed else {}),
            "soft_masks": self._soft_masks_content(),
            "source": self._recorded.digest if self.size == "source" and self._recorded else "",
        }

    def _soft_masks_content(self) -> list[str]:
        anchor_masks, tracks = self._soft_masks
        seen = [task.manifest().content for task in anchor_masks.values()]
        if self.export_terms.unknown_soft is None:
            return [*seen, *(task.masks_content() for task in tracks.values())]
        return [*seen, *(task.manifest().content for task in tracks.values())]

    def frames_untold(self) -> int:
        """On how many frames directions disagree, and nobody knows where, though pixels become unknown by it."""
        from stages.exchange.outgoing.label_maps import judged_frames

        if self.export_terms.unknown_soft is None:
            return 0
        silent = [part.frames for part, task in self._soft_masks[1].items() if not task.tells_disagreement()]
        rows = judged_frames(self.described) if silent else []
        return len({row.frame for row in rows if row.agreement < 1 and any(row.frame in each for each in silent)})

    @property
    def is_imported(self) -> bool:
        """Whether an import has put the pictures there: others have no other size than their own."""
        return self._recorded is not None

    @property
    def _recorded(self) -> "RecordedSource | None":
        from stages.formats.import_record import recorded_source

        return recorded_source(paths_of(self.place).frames)

    @cached_property
    def found_source(self) -> "Source | None":
        """What the pictures were imported from, if the export is to have its size.

        Raises:
            InputError: it is not where it was, or is another one by now.
        """
        from stages.exchange.outgoing.material import found_source

        if self.size != "source":
            return None
        count = len(FramesJson.read(self.root / results.FRAMES).digests)
        return found_source(paths_of(self.place).frames, count, Path(self.source) if self.source else None)

    @property
    def material(self) -> "Material":
        """The sequence, with the source that its pictures are taken from.

        Raises:
            InputError: see `found_source`.
        """
        return replace(self.described, source=self.found_source)

    @property
    def described(self) -> "Material":
        """The sequence, as far as it is known without its source: what is there already does not need that any more."""
        from stages.exchange.outgoing.material import Material

        paths = paths_of(self.place)
        frames = FramesJson.read(self.root / results.FRAMES)
        manifest = self._result()
        return Material(
            name=self.called,
            masks=self.root / self.result,
            pictures=paths.frames,
            names=tuple(name for name, _ in frames.digests),
            masks_wh=frames.size_wh,
            anchors=tuple(results.anchors_of_result(manifest)),
            objects=objects_of(self.place, self.scribbles_root, manifest, len(frames.digests)),
            classes=tuple(ExportedClass(*each) for each in json.loads(self.classes)),
            anchor_masks={frame: task.target() for frame, task in self._soft_masks[0].items()},
            tracks={segment: task.target() for segment, task in self._soft_masks[1].items()},
            approved=self.approved,
            declined=tuple(self._declined),
        )

    def share(self, split: str) -> "Share":
        """What joining needs to know."""
        from stages.exchange.outgoing.joining import Share

        paths = paths_of(self.place)
        masks = {"result": self.result, "masks": self._result().content}
        said = {"sequence": self.seq, "dataset": paths.dataset, **masks}
        return Share(self.target(), split, paths.frames, said, self.found_source, self.approved)

    def _result(self) -> Manifest:
        return load_manifest(self.root / self.result)

    def work(self, folder: Path) -> list[int]:
        """Write the part."""
        from stages.exchange.outgoing.export import encode_sequence

        check_files(self.root / self.result, self._result())
        material = self.material
        encode_sequence(folder, material, self.form, self.terms_of_part, self.progress, self.for_correction)
        return [each.id for each in material.objects]


def objects_of(place: Place, scribbles_root: str, result: Manifest, frame_count: int) -> "tuple[NamedObject, ...]":
    """The objects of a sequence: those that are listed, and those in its masks.

    Raises:
        InputError: objects.json or classes.json says something that cannot be.
    """
    from stages.formats.objects_json import read_objects

    paths = paths_of(place)
    folder = Path(scribbles_root) / paths.name if scribbles_root else paths.scribbles
    objects = read_objects(folder, paths.name, frame_count, classes_of(place))
    return tuple(objects.of(each) for each in sorted({*objects.listed, *result.objects}))


def classes_of(place: Place) -> "Classes | None":
    """The classes that a sequence's data set fixes; None if it fixes none."""
    from stages.formats.classes_json import read_classes

    return read_classes(paths_of(place).dataset_folder)
