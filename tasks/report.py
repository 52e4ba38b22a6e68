"""What people open in the morning."""

from pathlib import Path

import luigi

from stages.core.words import minutes
from stages.engines.spec import PLUGS
from stages.formats import requests, results
from stages.formats.manifest import Json
from stages.steps import doubt_model
from tasks.evaluate import EvaluateSequence
from tasks.inputs import Frames
from tasks.refine import RefineSequence
from tasks.runtime import options
from tasks.runtime.sequence import ScribbledTask, StageTask


class ReportSequence(options.ReportOptions, options.ResultOptions, ScribbledTask, StageTask):
    """The report page with its film, the frames by doubt, and where to scribble next."""

    stage = results.REPORT
    version = 2

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.steps.report",)

    def requires(self) -> list[luigi.Task]:
        """The finished sequence."""
        return [self.clone(Frames), self.clone(RefineSequence)]

    def folder(self) -> Path:
        """One per sequence."""
        return Path(results.REPORT)

    def uses(self) -> Json:
        """Pictures, masks before and after refinement, and the strokes."""
        result = self.clone(RefineSequence)
        names = self.names_shown()
        drawn = minutes(self.snapshot.scribbles.drawn_s)
        return {
            "frames": self.clone(Frames).manifest().content,
            "masks": result.manifest().content,
            "anchor_masks": [task.manifest().content for task in result.anchor_masks()],
            "tracks": [task.track().masks_content() for task in result.segments()],
            "engines": self.engines(),
            "evaluation": evaluation.manifest().content if (evaluation := self.evaluation) else None,
            "doubt": doubt_model.digest(),
            "brush_px": self.brush_px,
            "strokes": [self.snapshot.scribbles.strokes_digest(index) for index in self.snapshot.plan.anchors],
            # Few scribbles say these.
            **({"names": names} if names else {}),
            **({"drawn_minutes": drawn} if drawn else {}),
            **({"from_boxes": self.from_boxes} if self.from_boxes else {}),
            **({"given": [*self.snapshot.given]} if self.snapshot.given else {}),
            **({"declined": self.declined} if self.declined else {}),
        }

    def engines(self) -> list[list[str | int]]:
        """Plug, name and version of every engine that made a part of the masks, as the parts say it."""
        keys = self.clone(RefineSequence).made_by()
        used = {(plug, key[plug], key.get("engine_version", 1)) for key in keys for plug in PLUGS if plug in key}
        return [[*each] for each in sorted(used, key=lambda each: (PLUGS.index(each[0]), *each[1:]))]

    def made(self) -> list[tuple[str, str]]:
        """The same for people, and when it was done. The date is in no key: for another one no report is made again."""
        run = self.clone(RefineSequence).manifest().run
        engines = [(str(plug), f"{name}, version {version}") for plug, name, version in self.engines()]
        day, version = str(run.get("finished_at", ""))[:10], run.get("versions", {}).get("lis", "")
        return [*engines, *([("made on", f"{day} by LIS {version}".rstrip())] if day else [])]

    def names_shown(self) -> list[list[int | str]]:
        """What objects are called and which class they have, if somebody says it: a new name makes the page again."""
        known = self.snapshot.names[0]
        objects = self.clone(RefineSequence).manifest().objects if known.listed else []
        return [[object_id, known.of(object_id).name, known.of(object_id).class_name] for object_id in objects]

    @property
    def from_boxes(self) -> dict[int, tuple[int, ...]]:
        """Objects whose strokes on an anchor were made from a box alone."""
        said, anchors = self.snapshot.scribbles.from_boxes, self.snapshot.plan.anchors
        return {index: ids for index, ids in said.items() if index in anchors}

    @property
    def declined(self) -> list[int]:
        """Frames that nobody wants to scribble on: none of them is suggested."""
        return sorted(requests.declined_frames(self.root, self.snapshot.request_terms))

    @property
    def evaluation(self) -> EvaluateSequence | None:
        """J and F, if they were measured: the page is made without ground truth, too."""
        task: EvaluateSequence = self.clone(EvaluateSequence)
        return task if task.complete() else None

    def work(self, folder: Path) -> list[int]:
        """Write index.html and everything it shows; lay out the frames that it suggests."""
        from stages.formats.evaluation import Evaluation
        from stages.formats.frames_csv import read_frames_csv
        from stages.formats.report_data import read_suggested
        from stages.steps.ask import lay_out_suggested
        from stages.steps.legend import objects_to_paint
        from stages.steps.report import FinishedSequence, coarse_masks, final_masks, write_report

        result, now, names = self.clone(RefineSequence), self.snapshot, self.clone(Frames).names()
        known, fault = now.names
        if fault:
            self.note(f"warning: {fault}")
        anchor_masks = {task.frame: task.target() for task in result.anchor_masks()}
        tracks = {task.segment: task.track().target() for task in result.segments()}
        finished = FinishedSequence(
            sequence=self.seq,
            frames=now.video,
            names=names,
            anchors=now.plan.anchors,
            scribbles={index: now.scribbles.frame(index) for index in now.plan.anchors},
            coarse=coarse_masks(anchor_masks, tracks),
            masks=final_masks(result.target(), names),
            rows=read_frames_csv(result.target()),
            known=known,
            evaluation=Evaluation.read(evaluation.target()) if (evaluation := self.evaluation) else None,
            from_boxes=self.from_boxes,
            given=[*now.given],
            declined=self.declined,
            made=self.made(),
            brush_px=self.brush_px,
        )
        write_report(folder, finished, self.progress)
        to_paint = objects_to_paint(known, now.scribbles.object_ids)
        lay_out_suggested(self.root, self.scribbles, read_suggested(folder), now.frame_files, to_paint)
        return result.manifest().objects
