"""How many threads PyTorch computes on, where one is better than several."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread.

    Operations as small as the demo's gain a quarter from a second thread when the machine is idle, and take forty
    times as long when another program wants that core: the threads wait for each other in a busy loop.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
