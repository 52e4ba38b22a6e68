"""The font of pictures for people: it comes with matplotlib, and has more letters than Pillow's own."""

from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import ImageFont


def font_file() -> str:
    """Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic."""
    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


@lru_cache(maxsize=8)
def font(height_px: int) -> ImageFont.FreeTypeFont:
    """The font in a size."""
    return ImageFont.truetype(font_file(), height_px)
