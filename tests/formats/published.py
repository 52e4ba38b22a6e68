"""A small published folder, and what lies beside it."""

from pathlib import Path

from stages.formats.files import publishing
from stages.formats.manifest import publish


def put(folder: Path, text: str, key: dict[str, object] | None = None) -> None:
    """Publish a folder that holds this text."""
    with publishing(folder) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a.txt").write_text(text)
        publish(temporary, folder, stage="test", key=key or {}, weights={}, objects=[1], run={})


def names(folder: Path) -> list[str]:
    """What is in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())
