"""Cutie as a propagator of LIS; the network is that of the package `rf-cutie`."""

from stages.engines.spec import Checkpoint, Cost, Network, Option, Spec

_URL = "https://github.com/hkchengrex/Cutie/releases/download/v1.0/"

SPEC = Spec(
    plug="propagator",
    name="cutie",
    package=__name__,
    build="engine:Cutie",
    sees_beyond=True,
    summary="Cutie with all anchors as its permanent memory, from both sides, fused (Cheng et al., CVPR 2024)",
    options=(
        Option("side_px", "cutie_side", 480, "Cutie: shorter side of what it sees of a frame", limits=(64, 4096)),
        Option("every", "cutie_every", 5, "Cutie: one of so many frames on the way is remembered", limits=(1, 1000)),
    ),
    networks=(
        Network(
            "base",
            "cutie_base",
            "networks:base",
            Checkpoint(
                "cutie-base-mega.pth",
                "MIT",
                _URL + "cutie-base-mega.pth",
                134,
                md5="a6071de6136982e396851903ab4c083a",
                ignored=("aux_computer.*",),
            ),
            cost=Cost(memory_mib=1024),
        ),
        Network(
            "small",
            "cutie_small",
            "networks:small",
            Checkpoint("cutie-small-mega.pth", "MIT", _URL + "cutie-small-mega.pth", 110, ignored=("aux_computer.*",)),
            cost=Cost(memory_mib=1024),
        ),
        Network(
            "any",
            "cutie_any",
            "networks:fitting",
            Checkpoint("cutie.pth", "yours", ignored=("aux_computer.*",)),
            by_keys=True,
            cost=Cost(memory_mib=1024),
        ),
    ),
)
