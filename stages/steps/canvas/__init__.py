"""What the page and the report draw with in a browser: modules of JavaScript that import nothing.

The page's server hands them out among its own files. The report has no server: they stand in its `index.html`.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def modules() -> Mapping[str, str]:
    """The source of each by the name of its file."""
    return {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in sorted(files(__package__).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".js")
    }


def as_one_script(source: str) -> str:
    """A script that imports some of them, each on one line, and these in front of it: one script without imports."""
    needed = re.findall(r'^import .* from "\./canvas/(.+)";$', source, re.MULTILINE)
    parts = [*(modules()[name] for name in needed), re.sub(r"^import .*\n", "", source, flags=re.MULTILINE)]
    return re.sub(r"^export ", "", "\n".join(parts), flags=re.MULTILINE)
