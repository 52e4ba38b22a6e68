"""The machine that tasks run on: how much memory they share, how many threads they take, what a run took."""

import ctypes
import multiprocessing
import os
import platform
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

MEMORY: Final = "memory_mib"
"""Luigi's resource of this name: together, the tasks of a run claim no more than there is of it."""
GPU: Final = "gpu"
"""Luigi's resource of this name: as many tasks let their networks work on the GPU at once."""
_SHARE_OF_MEMORY: Final = 0.75
_CGROUPS, _OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def memory_to_share_mib() -> int:
    """What the tasks of a run may take: three quarters of the memory of the machine or container.

    Workers that have none left wait, instead of being killed.
    """
    available = min([psutil.virtual_memory().total, *_limits_of_container()])
    return int(_SHARE_OF_MEMORY * available / 2**20)


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_GPUS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
"""What the drivers of NVIDIA and AMD, and Windows' subsystem, put there."""


def uses_gpu(device: str) -> bool:
    """Whether a network goes to a GPU, as the option `device` says; where `auto` finds none it does not."""
    return device.startswith("cuda") or (device == "auto" and any(map(Path.exists, _GPUS)) and _finds_gpu())


@cache
def _finds_gpu() -> bool:
    """Torch is asked in a process of its own: that makes a GPU's context, which does not survive a fork.

    If that process fails, this one must not try the same: what is wrong is left for a task to meet.
    """
    with suppress(Exception), ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        return pool.submit(_torch_finds_gpu).result()
    return True


def _torch_finds_gpu() -> bool:
    import torch  # the parent may never need it

    return torch.cuda.is_available()


def knows_bfloat16() -> bool:
    """Whether the processor multiplies numbers of that type; it can be computed with everywhere."""
    import torch

    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _limits_of_container() -> Iterator[int]:
    """In bytes, of this process's control groups (version 1 or 2) and of those that they lie in."""
    with suppress(OSError):  # another system
        for line in _OWN_CGROUPS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            _, controllers, own = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            top, name = (_CGROUPS / "memory", "memory.limit_in_bytes") if controllers else (_CGROUPS, "memory.max")
            folder = top / own.strip("/")
            for group in (folder, *folder.parents):
                if group.is_relative_to(top):
                    with suppress(OSError, ValueError):  # not to be seen from inside; "max": no limit
                        yield int((group / name).read_text(encoding="ascii"))


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_KEPT_BYTES: Final = 1 << 29
_KEPT_BYTES_BEFORE: Final = 1 << 25
"""What glibc before 2.35 accepts at most."""


def keep_freed_memory() -> None:
    """Keep what was freed for the next allocation.

    glibc returns large blocks to the system at once, and a network asks for the same ones frame after frame: fetching
    them again, page by page, is a fifth of its time.
    """
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        # Without the first the second would do harm.
        if mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES) or mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES_BEFORE):
            mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def release_freed_memory() -> None:
    """Give back what was kept, on the GPU, too."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def limit_threads(threads: int) -> None:
    """One core per task: OpenCV and torch would each take all of them."""
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)


_PEAK: Final = Path("/proc/self/clear_refs")


class Stopwatch:
    """What a task has taken since this was made."""

    def __init__(self) -> None:
        with suppress(OSError):  # another system
            _PEAK.write_text("5", encoding="ascii")  # the peak of an earlier task is forgotten
        self._started, self._cpu_started = time.time(), time.process_time()

    @property
    def seconds(self) -> float:
        """On the wall clock."""
        return time.time() - self._started

    def run_block(self, threads: int) -> dict[str, Any]:
        """How a run went, for its manifest: times, memory, versions."""
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        packages = ("lis", "numpy", "opencv-python-headless", "torch")
        return {
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(time.process_time() - self._cpu_started, 3),
            "peak_memory_mib": round(peak_kib / 1024, 1),
            "finished_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "host": platform.node(),
            "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
            "threads": threads,
        }
