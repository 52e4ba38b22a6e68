"""`Scribbles/<seq>/objects.json`: which objects there are, said by the user; here only their ids are of interest.

{"schema": 1, "sequence": "dog", "objects": [{"id": 1, "name": "Rex", "class": "dog"}, ...]}
"""

from pathlib import Path
from typing import Final

from stages.core.errors import InputError
from stages.formats.json_files import read_json

OBJECTS_JSON: Final = "objects.json"
_MOST_BYTES: Final = 1 << 20


def listed_ids(folder: Path) -> frozenset[int] | None:
    """The ids of the objects that a sequence's folder of scribbles lists; None if it lists none.

    Raises:
        InputError: the file cannot be read, or is none of objects.
    """
    path = folder / OBJECTS_JSON
    try:
        objects = read_json(path, _MOST_BYTES)["objects"]
        ids = objects.keys() if isinstance(objects, dict) else (each["id"] for each in objects)
        return frozenset(int(object_id) for object_id in ids)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: found no readable list of objects ({error or type(error).__name__}), expected "
            '{"objects": [{"id": 1, "name": ...}, ...]}; correct the file'
        ) from None
