"""Pictures, encoded in memory and written as bytes."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.formats import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image


def encoded(picture: "Image.Image", kind: str, **options: Any) -> memoryview:
    """A picture as the bytes of a file: `kind` is JPEG or PNG, the options are Pillow's."""
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getbuffer()


def write_picture(path: Path, picture: "Image.Image", kind: str, **options: Any) -> None:
    """Write a picture into a folder that is published later.

    Raises:
        OSError: the disk refuses.
    """
    files.write(path, encoded(picture, kind, **options))


def write_figure(path: Path, figure: "Figure", **options: Any) -> None:
    """Write what matplotlib drew as a PNG; the options are those of `savefig`."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", **options)
    files.write(path, buffer.getbuffer())
