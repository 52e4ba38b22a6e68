"""Masks matched between two anchors: frozen features find each cell again, flow and a decoder sharpen the answer."""

from stages.engines.spec import Checkpoint, Cost, Network, Spec

SPEC = Spec(
    plug="propagator",
    name="match",
    package=__name__,
    build="engine:Match",
    summary="every frame matched with both anchors by frozen features, joined with optical flow",
    networks=(
        Network(
            "trunk",
            "match_trunk",
            "network:MatchTrunk",
            Checkpoint(
                "match_trunk.safetensors",
                "Apache-2.0",
                size_mib=1.3,
                sha256="9f57b031abda4e09d3a103fdcfe34317e70c9918ce6ac08ae8ac01fd9476731c",
            ),
            cost=Cost(memory_mib=512, seconds=0.14),
        ),
        Network(
            "lite",
            "match_lite",
            "network:MatchLite",
            Checkpoint(
                "match_lite.safetensors",
                "MIT (data: see match_lite.md)",
                size_mib=2.1,
                sha256="f439e6c8d03a7118a3598d4034523b7039923bfdbeceb230b6672aaef75ab30f",
            ),
            cost=Cost(memory_mib=512, seconds=0.18),
            is_small=True,
        ),
    ),
)
