"""The files of the page itself: they hold no data, and are served to whoever may talk to the server at all."""

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from stages.steps import canvas
from tasks.page.handlers import Handler, Refusal

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FIRST: Final = "index.html"
_ICON: Final = "favicon.svg"


class _File(NamedTuple):
    content: bytes
    media_type: str
    tag: str


@cache
def shell_files() -> dict[str, _File]:
    """All of them by their place in the page's folder, read once: an address finds one of these, or nothing."""
    own = dict(_files_in(files("tasks.page") / "static"))
    shared = {name: source.encode() for name, source in canvas.modules().items()}
    return {
        name: _File(content, kind, hashlib.sha256(content).hexdigest()[:32])
        for name, content in (own | shared).items()
        if (kind := next((kind for suffix, kind in _TYPES.items() if name.endswith(suffix)), None))
    }


def _files_in(folder: Traversable, room: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files_in(entry, f"{room}{entry.name}/")
        else:
            yield f"{room}{entry.name}", entry.read_bytes()


class ShellFile(Handler):
    """`GET /`, `/favicon.ico` and `/static/NAME`."""

    wants_cookie = False

    def initialize(self, name: str = "") -> None:
        """The address may mean one file alone."""
        self._name = name

    def get(self, name: str = "") -> None:
        """One of the files."""
        file = shell_files().get(self._name or name)
        if file is None:
            raise Refusal(404, "found no such file of the page")
        if not self.is_known(file.tag, "no-cache"):
            self.set_header("Content-Type", file.media_type)
            self.finish(file.content)


HANDLERS: Final = [
    ("/", ShellFile, {"name": _FIRST}),
    ("/favicon.ico", ShellFile, {"name": _ICON}),
    (r"/static/((?:[a-z]+/)?[a-z_]+\.[a-z]+)", ShellFile),
]
