"""Masks matched between two anchors: frozen features find each cell again, flow and a decoder sharpen the answer."""

from collections.abc import Callable

from torch import nn

from stages.propagators.match.network import MatchLite, MatchTrunk

NETWORKS: dict[str, Callable[[], nn.Module]] = {"trunk": MatchTrunk, "lite": MatchLite}
"""Networks by the name that `stages.weights.build_network` knows, without its prefix `match_`."""
