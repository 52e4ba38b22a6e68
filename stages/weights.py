"""What other programs import from here; its places are `stages.engines.registry` and `stages.formats.checkpoints`."""

from stages.engines.registry import build_network, load_network
from stages.formats.checkpoints import misfits, normalise, read_checkpoint

__all__ = ["build_network", "load_network", "misfits", "normalise", "read_checkpoint"]
