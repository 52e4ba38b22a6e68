"""Clicks and boxes of another tool become strokes of a scribble set."""

from pathlib import Path

import luigi

from tasks.inputs import ImportScribbles
from tasks.runtime import luigi_hooks
from tasks.runtime.luigi_hooks import logger
from tasks.runtime.sequence import ScribbledTask


class ImportPrompts(ScribbledTask):
    """Take clicks and boxes from a file: they become strokes, in the place of what was drawn on their frames before."""

    source = luigi.Parameter(description="a JSON file of clicks and boxes", significant=False)

    _is_done = False
    reads_frozen = False

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.steps.prompts",)

    def requires(self) -> list[luigi.Task]:
        """What was painted before is read before."""
        return [self.clone(ImportScribbles)]

    def is_complete(self) -> bool:
        """Whether it has run: what a file says is found out when it is read."""
        return self._is_done

    def run(self) -> None:
        """Read the file, and draw what it says."""
        from stages.formats.prompts_json import read_prompts
        from stages.steps.carry_out import carry_out
        from stages.steps.prompts import draw_all
        from stages.steps.seen import seen_in
        from tasks.scribbles import drawn_in

        luigi_hooks.end_with_parent()
        self.enter()
        now = self.snapshot
        prompts = read_prompts(Path(self.source), now.paths.name, now.frame_count)
        known, fault = now.names
        drawn, names = drawn_in(now, known), [path.name for path in now.frame_files]
        change = draw_all(drawn, prompts, now.video, seen_in(self.root, self.scribbles, names))
        if fault:
            self.note(f"warning: {fault}")
        if change.frames:
            removed = carry_out(self.root, now.request_terms, drawn, change)
            for line in change.said:
                self.note(line)
            self.note(f"{len(change.frames)} frame{'s' * (len(change.frames) > 1)} drawn into {now.scribble_file}")
            if removed:
                self.note(f"as it was: {removed}")
        else:
            logger.info("%s: nothing to do, all of it is drawn already", self.seq)
        self._is_done = True
