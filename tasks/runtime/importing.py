"""No garbage is looked for while modules are imported: what they make stays, and to look is a tenth of the time."""

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final


@contextmanager
def importing() -> Iterator[None]:
    """While this lasts, modules are imported, and nothing else is done; what is there then is never looked at again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


tasks_being_imported: Final = ExitStack()
"""From when this module is imported, first of all, until the package `tasks` closes it."""
tasks_being_imported.enter_context(importing())
