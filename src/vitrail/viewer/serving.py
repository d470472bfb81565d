"""A server that runs beside whatever the program does: on a free port, until it is stopped."""

import socket
import threading
import time
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from vitrail.errors import ConfigError, OutputError

STARTING = 10.0
"""Seconds that starting may take."""
CLIENTS = 1000
"""Connections at once; more are told to come again."""


def open_port(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises:
        ConfigError: the port is taken or not ours to take, or there is no such host.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
    except (OSError, UnicodeError, OverflowError) as error:
        raise ConfigError(f"{host!r} is no address of this machine ({error}): leave --host out.") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(256)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"port {port} of {host} can't be had ({error.strerror}): choose another --port, or leave it out for a free "
            "one."
        ) from error
    return listening


class Serving:
    """Serve in a thread; use it as a context, or ``stop`` it."""

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        self._socket = listening
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            ws="none",
            lifespan="off",
            limit_concurrency=CLIENTS,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="vitrail view", daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self._socket.getsockname()[1])

    def start(self) -> Self:
        """Begin; returns when requests are answered.

        Raises:
            OutputError: it did not start.
        """
        self._thread.start()
        end = time.monotonic() + STARTING
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > end:
                raise OutputError("the server of the viewer did not start: choose another --port and try again.")
            time.sleep(0.005)
        return self

    def stop(self) -> None:
        """End; requests under way have two seconds."""
        self._server.should_exit = True
        self._thread.join(STARTING)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
