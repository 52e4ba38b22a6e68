"""The page of a night: one row a sequence, with a thumbnail, what needs a person first.

One file that opens from the disk and asks for nothing else: pictures are inside. Its links lead to the reports, so it
stays where it is; a copy of it shows the same without them.
"""

import base64
import io
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import jinja2

from stages.core.states import State
from stages.core.types import Frame, LabelMap
from stages.core.words import how_long
from stages.formats.night import Outcome, Summary

_THUMBNAIL_PX: Final = 160
_FIRST: Final = (
    *(State.FAILED, State.STOPPED, State.RUNNING),
    *(State.WAITING, State.WAITING_FOR_APPROVAL, State.PROVISIONAL),
)
"""The states that need a look, in this order; what is done follows, the most doubtful first."""


def thumbnail(frame: Frame, labels: LabelMap) -> bytes:
    """A frame with its masks as a small JPEG of a few kB.

    Args:
        frame: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 object ids.
    """
    from PIL import Image  # noqa: PLC0415 - a page of pictures that were made before needs none of these

    from stages.steps.render import overlay, shrink  # noqa: PLC0415

    picture = overlay(shrink(frame, _THUMBNAIL_PX), shrink(labels, _THUMBNAIL_PX))
    content = io.BytesIO()
    Image.fromarray(picture).save(content, format="JPEG", quality=78, optimize=True)
    return content.getvalue()


def night_page(summary: Summary, thumbnails: Mapping[str, bytes], outputs_root: Path, folder: Path) -> str:
    """The page as HTML.

    Args:
        summary: of the night.
        thumbnails: name of a sequence -> a JPEG; those without one are left out.
        outputs_root: what the paths of the reports are relative to.
        folder: where the page will lie, below `outputs_root`.
    """
    up = os.path.relpath(outputs_root, folder)
    rows = [
        {
            **vars(outcome),
            "picture": base64.b64encode(thumbnails[outcome.sequence]).decode()
            if outcome.sequence in thumbnails
            else "",
            "link": quote(os.fsencode(Path(up, outcome.report).as_posix())) if outcome.report else "",
            "took": how_long(outcome.seconds) if outcome.seconds else "",
        }
        for outcome in sorted(summary.outcomes, key=_urgency)
    ]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    return template.render(
        summary=summary,
        rows=rows,
        began=time.strftime("%A, %d %B %Y, %H:%M", time.localtime(summary.started)),
        wall=how_long(summary.seconds),
        computed=how_long(sum(outcome.seconds for outcome in summary.outcomes)),
    )


def _urgency(outcome: Outcome) -> tuple[int, float]:
    place = _FIRST.index(outcome.state) if outcome.state in _FIRST else len(_FIRST)
    return place, math.inf if outcome.doubt is None else -outcome.doubt.worst
