"""STM: all objects read from a memory of frames and their masks."""

from stages.engines.spec import EXACT, Checkpoint, Cost, Network, Option, Spec

SPEC = Spec(
    plug="propagator",
    name="stm",
    package=__name__,
    build="engine:Stm",
    sees_beyond=True,
    summary="STM with all anchors as its memory, from both sides, fused (Oh et al., ICCV 2019)",
    options=(
        Option("every", "stm_every", 5, "STM: one of so many frames on the way is remembered", limits=(1, 1000)),
        Option(
            "most_kept",
            "stm_most_kept",
            4,
            "STM: so many of these at most, besides the anchors and the last frame",
            limits=(0, 100),
        ),
        Option(
            "top_k",
            "stm_top_k",
            50,
            "STM: a cell reads from the so many cells that are most alike; 0: from all",
            limits=(0, 100_000),
        ),
        EXACT,
    ),
    networks=(
        Network(
            "davis",
            "stm",
            "network:STM",
            Checkpoint(
                "STM_weights.pth",
                "CC BY-NC-SA 4.0",
                "https://www.dropbox.com/s/mtfxdr93xc3q55i/STM_weights.pth?dl=1",
                149,
                only_for="non-commercial use",
            ),
            cost=Cost(memory_mib=2048),
        ),
    ),
)
