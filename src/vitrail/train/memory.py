"""Memory that a training step gives back and takes again a moment later.

On Linux, glibc hands every large buffer back to the system when it is freed, and the next step faults each of its pages
in anew: at batch 256 a ViT's step on a CPU took a third longer (docs/results.md). Told to keep them, it reuses them.
"""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""glibc's names for the two settings (mallopt(3))."""


def keep_freed_memory() -> bool:
    """Ask glibc to reuse freed buffers of up to 1 GiB; the process's peak memory hardly changes.

    Returns:
        Whether that was possible: only with glibc, so not on macOS, Windows or musl.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(TRIM_THRESHOLD, (1 << 31) - 1))
