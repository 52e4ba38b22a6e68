"""CascadePSP: a mask's boundary, refined globally and locally."""

from stages.engines.spec import EXACT, PRECISION, Checkpoint, Cost, Network, Spec

SPEC = Spec(
    plug="refiner",
    name="cascadepsp",
    package=__name__,
    build="engine:CascadePSP",
    summary="CascadePSP (Cheng et al., CVPR 2020)",
    version=2,
    options=(EXACT, PRECISION),
    networks=(
        Network(
            "official",
            "cascadepsp",
            "network:CascadePSPNetwork",
            Checkpoint(
                "cascadepsp.pth",
                "MIT",
                "https://github.com/hkchengrex/CascadePSP/releases/download/v1.0/model",
                258,
                md5="7478d4a9c42ab52beb6d7e9683402fe0",
            ),
            without=("precision",),
            cost=Cost(memory_mib=2048, exact_memory_mib=3072),
        ),
        Network(
            "lite",
            "cascadepsp_lite",
            "lite:LiteCascade",
            Checkpoint(
                "cascadepsp_lite.safetensors",
                "MIT (data: see cascadepsp_lite.md)",
                size_mib=5.9,
                sha256="2558dd5efc9eb63b02b2b6fad976da6acf3a3394d87037d1c73624a856416b3b",
            ),
            arguments={"longest_side": 320, "margin": 0.15, "passes": 1, "soft": True, "windows": False},
            cost=Cost(memory_mib=768, seconds=0.14),
            is_small=True,
        ),
    ),
)
