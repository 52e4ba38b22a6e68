"""Masks matched between two anchors: features find each cell again, flow and a decoder sharpen the answer."""

from stages.engines.spec import PRECISION, Checkpoint, Cost, Network, Spec

SPEC = Spec(
    plug="propagator",
    name="match",
    package=__name__,
    build="engine:Match",
    summary="every frame matched with both anchors by features, joined with optical flow; absence is decided",
    sees_beyond=True,
    version=6,
    options=(PRECISION,),
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
            cost=Cost(memory_mib=768, seconds=0.14),
        ),
        Network(
            "lite",
            "match_lite",
            "network:MatchLite",
            Checkpoint(
                "match_lite.safetensors",
                "MIT (data: see match_lite.md)",
                size_mib=2.2,
                sha256="1e139fd70b1997e546eca80b37fe759cd3500d035966d8ca556d1582372800b5",
            ),
            cost=Cost(memory_mib=768, seconds=0.18),
            is_small=True,
        ),
    ),
)
