"""What other programs import from here; its place is `stages.formats.masks`."""

from stages.formats.masks import read_mask, write_mask

__all__ = ["read_mask", "write_mask"]
