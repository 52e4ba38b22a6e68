"""Masks that other tools made, or corrected, become given masks of a sequence: anchors of full trust."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

import luigi

from stages.core.errors import InputError
from stages.exchange.incoming.formats import READERS, guess, reader_of
from stages.formats import results
from stages.formats.given_masks import masks_folder
from stages.formats.manifest import read_manifest
from stages.formats.names import normal
from stages.formats.object_ids import ids_in_use
from stages.formats.objects_json import OBJECTS_JSON
from tasks.export import EXPORTS
from tasks.runtime import luigi_command, luigi_hooks
from tasks.runtime.luigi_hooks import logger
from tasks.runtime.options import ChoiceParameter, setting
from tasks.runtime.sequence import ScribbledTask

if TYPE_CHECKING:
    from stages.exchange.incoming.composing import Objects
    from stages.exchange.incoming.importing import Target, Wishes

_GUESSED: Final = "auto"
_FRAMES: Final = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")


class ImportMasks(ScribbledTask):
    """Take masks of another tool for the frames on which they differ from the result: each becomes an anchor."""

    source = luigi.Parameter(description="a file or folder with the masks", significant=False)
    format = ChoiceParameter(
        default=_GUESSED,
        choices=(_GUESSED, *READERS),
        significant=False,
        description=f"of the masks: {_GUESSED} (as it looks), {', '.join(READERS)}",
    )
    name_prefix = luigi.Parameter(
        default="", significant=False, description="what the pictures' names have before those of the frames"
    )
    new_objects = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,
        description="take objects, too, that nobody has listed or drawn; those without an id get the next free one",
    )
    all = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,
        description="take every frame, also those that do not differ from the result",
    )
    frames = luigi.Parameter(
        default="", significant=False, description="take these frames and no others: 12,40 or 12-20"
    )
    list = luigi.BoolParameter(
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        significant=False,
        description="say which frames would come in, and change nothing",
    )

    _is_done = False
    reads_frozen = False

    @property
    def only_looks(self) -> bool:
        """Whether it changes nothing: then it may run beside others."""
        return bool(self.list)

    @property
    def next_step(self) -> str:
        """The command that makes the result from what came in."""
        other_set = ["--scribbles", self.scribbles] * (self.scribbles != setting("scribbles"))
        return shlex.join(["lis", "refine", *other_set, *["--"] * self.seq.startswith("-"), self.seq])

    def modules(self) -> tuple[str, ...]:
        """The work."""
        return ("stages.exchange.incoming.importing",)

    def is_complete(self) -> bool:
        """Whether it has run: what a source holds is found out when it is read."""
        return self._is_done

    def run(self) -> None:
        """Read the source, and write what comes in beside the scribble set."""
        from stages.exchange.incoming.importing import for_programs, give, listing, look, outcome

        luigi_hooks.end_with_parent()
        self.enter()
        source = Path(self.source)
        reader = guess(source) if self.format == _GUESSED else reader_of(self.format)
        if self.format == _GUESSED:
            logger.info("%s: taken for the format %s", self.seq, reader.name)
        target = self._target()
        found = look(reader, source, target, self._wishes(), self.progress)
        for line in found.said:
            logger.info("%s: %s", self.seq, line)
        if self.list:
            for line in listing(found, target):
                logger.info("%s: %s", self.seq, line)
            logger.info("%s: %s (--list: nothing was changed)", self.seq, outcome(found))
        else:
            give(found, target, self.snapshot.video, self.progress)
            self.note(outcome(found) + f"; run `{self.next_step}`" * bool(found.arrivals or found.given))
        luigi_command.tell_command(for_programs(found, target, 0 if self.list else len(found.arrivals)))
        self._is_done = True

    def _target(self) -> "Target":
        from stages.exchange.incoming.importing import Target
        from stages.exchange.incoming.matching import FrameNames
        from stages.exchange.outgoing.handed_out import read_handed_out

        now = self.snapshot
        shown = (self.root / stage for stage in (results.MASKS, results.PROVISIONAL))
        exports = [*(self.root / results.EXPORT).glob("*"), *(Path(self.outputs_root) / EXPORTS).glob("*")]
        before = masks_folder(now.scribble_file)
        return Target(
            frames=FrameNames(now.paths.name, tuple(path.name for path in now.frame_files)),
            size_wh=now.video.size_wh,
            scribble_file=now.scribble_file,
            result=next((folder for folder in shown if read_manifest(folder)), None),
            objects=self._objects(),
            handed_out=read_handed_out([*exports, before], now.paths.name),
        )

    def _objects(self) -> "Objects":
        """Those that are listed, drawn, or given before."""
        from stages.exchange.incoming.composing import Objects

        now = self.snapshot
        listed = now.objects.listed
        return Objects(
            known=ids_in_use(now.scribble_file, now.scribbles, listed),
            names={normal(each.name): object_id for object_id, each in listed.items()},
            listed_in=OBJECTS_JSON if listed else f"of {now.scribble_file.stem}; {OBJECTS_JSON} lists others",
            takes_new=self.new_objects,
        )

    def _wishes(self) -> "Wishes":
        from stages.exchange.incoming.importing import Wishes

        return Wishes(self.name_prefix, everything=self.all, frames=frames_named(self.frames))


def frames_named(text: str) -> frozenset[int]:
    """The frames that `12,40` or `12-20` names; none if it is empty.

    Raises:
        InputError: it is something else.
    """
    found: set[int] = set()
    for part in filter(None, text.replace(" ", "").split(",")):
        match = _FRAMES.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last:
            raise InputError(f"found --frames {text!r}, expected numbers of frames, from 0: 12,40 or 12-20")
        found |= {*range(first, last + 1)}
    return frozenset(found)
