"""SIGINT and SIGTERM as a wish to stop, which the loop grants at the end of a step."""

import signal
import threading
import time
from types import FrameType
from typing import Any, Self

IMPATIENCE = 1.0  # seconds: torchrun passes on the Ctrl-C that its workers got from the terminal already


class StopRequest:
    """While entered, the first SIGINT or SIGTERM only sets ``wanted``; a later Ctrl-C ends the program at once.

    Handlers can only be set in the main thread; elsewhere signals keep their meaning and ``wanted`` stays False.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._since = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._asked) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.wanted and number == signal.SIGINT and now - self._since > IMPATIENCE:
            raise KeyboardInterrupt
        if not self.wanted:
            self.wanted, self._since = True, now
