"""Freed buffers stay with the process: taking one again faults no new pages in."""

import resource
import sys

import pytest
import torch

from vitrail.train.memory import keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is asked, so this is for Linux")
def test_a_large_buffer_taken_again_costs_no_page_faults() -> None:
    if not keep_freed_memory():
        pytest.skip("this C library is not glibc")
    size = 64 << 20
    torch.ones(size, dtype=torch.uint8)  # takes the pages, and gives them back
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(size, dtype=torch.uint8)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < size // 4096 // 4
