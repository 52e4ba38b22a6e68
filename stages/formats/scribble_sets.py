"""`Scribbles/<seq>/<set>.json` and `<set>.masks/`: the scribble sets of a sequence, which share `objects.json`."""

from pathlib import Path
from typing import Final

from stages.core.errors import InputError
from stages.formats.given_masks import MASKS
from stages.formats.object_ids import ids_in_use
from stages.formats.objects_json import OBJECTS_JSON
from stages.formats.review_json import REVIEW
from stages.formats.scribbles import ScribbleSet, read_scribbles

NO_SETS: Final = (OBJECTS_JSON, REVIEW)
"""How files end that lie beside scribble sets."""


def sets_in(folder: Path) -> list[str]:
    """The names of the scribble sets in a sequence's folder, sorted: those with strokes, and those of masks alone."""
    drawn = {path.stem for path in folder.glob("*.json") if not path.name.endswith(NO_SETS)}
    return sorted(drawn | {path.stem for path in folder.glob(f"*{MASKS}")})


def other_sets_with(object_id: int, scribble_file: Path, sequence: str, frame_count: int) -> list[str]:
    """The other scribble sets of a sequence that an object is in, as is said of them in a line: `002`.

    One that cannot be read may have it: `003 (which cannot be read)`.
    """
    found = []
    for name in sets_in(scribble_file.parent):
        file = scribble_file.with_name(f"{name}.json")
        if file == scribble_file:
            continue
        try:
            there = ScribbleSet(sequence, frame_count)
            if file.exists():
                there = read_scribbles(file, sequence, frame_count)
            absent = {each for ids in there.absent.values() for each in ids}
            found += [name] * (object_id in ids_in_use(file, there, absent))
        except InputError:
            found.append(f"{name} (which cannot be read)")
    return found
