"""Live models behind the server: what may be asked of them, one question at a time, within limits.

The viewer knows no model: it is handed a ``Live`` (``recipes/live.py``). One capture runs at once and a few wait, so
that neither a page that asks at every keystroke nor one that asks a thousand times does more than keep one thread busy.
"""

import asyncio
import json
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from vitrail.errors import VitrailError
from vitrail.trace import Trace
from vitrail.viewer.library import Library
from vitrail.viewer.page import Entry, escaped

JSON_LIMIT, IMAGE_LIMIT = 64 * 2**10, 20 * 2**20
"""Bytes of a question."""
WAITING = 4
"""Questions that may wait while one is answered."""
PATIENCE = 60.0
"""Seconds after which a question is given up; what it computes goes on to its end."""
KEPT, KEPT_BYTES = 32, 2**30
"""Live traces that are kept, and how many bytes of them; the oldest go first."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class LiveModel:
    """A model that answers."""

    id: str
    name: str
    kind: Literal["text", "image", "seq2seq"]
    pair: bool = False
    """It reads two texts together."""
    causal: bool = False
    """Looking ahead can be switched on or off."""
    gradients: tuple[str, ...] = ()
    """What gradients can be of, in the words of ``vitrail.capture.asking``; () of a model that says nothing."""


@dataclass(frozen=True)
class Question:
    """What a model is to attend to."""

    model: str
    text: str | None = None
    pair: str | None = None
    target: str | None = None
    image: bytes | None = None
    untrained: bool = False
    causal: bool | None = None
    gradient: str | None = None


@dataclass(frozen=True)
class Without:
    """A head that is to be taken away."""

    stream: str
    layer: int
    head: int
    kind: Literal["zero", "mean"]


class Live(Protocol):
    """Models that run on what is typed."""

    @property
    def models(self) -> Sequence[LiveModel]:
        """Those that can be asked."""
        ...

    def prepare(self, model: str) -> None:
        """Load a model before it is asked."""
        ...

    def attend(self, question: Question) -> Trace:
        """What a model attends to; errors that the asker can mend are ``VitrailError``."""
        ...

    def ablate(self, question: Question, without: Without) -> tuple[float, str]:
        """How far the output moves without a head: a number, and a sentence with it."""
        ...


class RefusedError(Exception):
    """A question that isn't answered: the status and the sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Worker:
    """Does one job after the other in a thread that the program's end doesn't wait for."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        Thread(target=self._work, name="vitrail live", daemon=True).start()

    def submit(self, job: Callable[[], Result]) -> "Future[Result]":
        """A job for later; what it gives."""
        future: Future[Result] = Future()
        self._jobs.put((job, future))
        return future

    def close(self) -> None:
        """No more jobs after those that wait."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (waiting := self._jobs.get()) is not None:
            job, future = waiting
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(job())
                except BaseException as error:
                    future.set_exception(error)


class Desk:
    """Takes questions one at a time and puts the traces into a library; close it when the server has stopped."""

    def __init__(self, live: Live, library: Library) -> None:
        self._live, self._library = live, library
        self._folder = tempfile.TemporaryDirectory(prefix="vitrail-live-", ignore_cleanup_errors=True)
        self._worker = Worker()
        self._busy = 0
        self._kept: deque[tuple[str, Path, int]] = deque()
        self._number = 0

    def described(self) -> dict[str, Any]:
        """The models, as a page lists them."""
        return {"models": [asdict(model) for model in self._live.models], "ablate": True}

    def capture(self, question: Question, name: str | None = None) -> Entry:
        """Answer a question at once, and list the trace.

        Raises:
            VitrailError: the model can't be asked this.
        """
        trace = self._live.attend(question)
        self._number += 1
        identity = f"live-{self._number}"
        path = trace.save(Path(self._folder.name) / f"{identity}.safetensors")
        entry = self._library.add(path, name or _name(question, self._live.models), origin=question, identity=identity)
        self._kept.append((identity, path, path.stat().st_size))
        while len(self._kept) > KEPT or (sum(size for *_, size in self._kept) > KEPT_BYTES and len(self._kept) > 1):
            oldest, file, _ = self._kept.popleft()
            self._library.remove(oldest)
            with suppress(OSError):  # somebody still reads it, on Windows
                file.unlink()
        return entry

    def prepare(self) -> None:
        """Load what the first question will need, while nobody waits for it."""
        if self._live.models:
            self._worker.submit(lambda: self._live.prepare(self._live.models[0].id))

    async def attend(self, request: Request) -> Response:
        """POST /api/attend."""
        return await self._answer(self._attend, request)

    async def ablate(self, request: Request) -> Response:
        """POST /api/ablate."""
        return await self._answer(self._ablate, request)

    def close(self) -> None:
        """Forget everything that was captured."""
        self._worker.close()
        self._folder.cleanup()

    async def _attend(self, request: Request) -> Mapping[str, Any]:
        question = await read_question(request, [model.id for model in self._live.models])
        return (await self._run(lambda: self.capture(question))).described()

    async def _ablate(self, request: Request) -> Mapping[str, Any]:
        identity, without = _without(await read_json(request))
        listed = self._library.get(identity)
        if listed is None:
            raise RefusedError(404, "this trace is no longer kept: ask for it again.")
        question = listed.origin
        if not isinstance(question, Question):
            raise RefusedError(409, "this trace was read from a file: give its text to a live model, and ask there.")
        number, sentence = await self._run(lambda: self._live.ablate(question, without))
        return {"effect": number, "sentence": sentence}

    async def _run(self, job: Callable[[], Result]) -> Result:
        if self._busy > WAITING:
            raise RefusedError(429, "the model is busy with earlier questions: ask again in a moment.")
        self._busy += 1
        future = asyncio.wrap_future(self._worker.submit(job))
        future.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.shield(future), PATIENCE)
        except TimeoutError:
            raise RefusedError(
                503, f"the model took more than {PATIENCE:.0f} s: ask for a shorter text, or a smaller model."
            ) from None

    def _done(self, future: "asyncio.Future[Any]") -> None:
        self._busy -= 1
        if not future.cancelled():
            future.exception()  # of a question that was given up: nobody else will look

    async def _answer(self, work: Callable[[Request], Any], request: Request) -> Response:
        try:
            status, content = 200, await work(request)
        except RefusedError as error:
            status, content = error.status, {"error": str(error)}
        except VitrailError as error:
            status, content = 422, {"error": str(error)}
        except MemoryError:
            status, content = 422, {"error": "there is not enough memory for this: ask for a shorter text."}
        except Exception as error:
            status, content = 500, {"error": f"this is a fault in Vitrail ({type(error).__name__}): please report it."}
        return Response(escaped(content), status, media_type="application/json")


async def read_question(request: Request, models: Sequence[str]) -> Question:
    """A question in JSON, or an image with the rest in the address.

    Raises:
        RefusedError: it is too long, no question, or for a model that isn't there.
    """
    if request.headers.get("content-type", "").startswith("image/"):
        asked: Mapping[str, Any] = {
            "model": request.query_params.get("model"),
            "untrained": request.query_params.get("untrained") == "true",
            "gradient": request.query_params.get("gradient") or None,
        }
        image: bytes | None = await read_body(request, IMAGE_LIMIT)
    else:
        asked, image = await read_json(request), None
    texts = {name: asked.get(name) for name in ("model", "text", "pair", "target", "gradient")}
    flags = {name: asked.get(name) for name in ("untrained", "causal")}
    if any(not isinstance(value, str | None) for value in texts.values()) or any(
        not isinstance(value, bool | None) for value in flags.values()
    ):
        raise RefusedError(400, "a question has texts and flags: load the page again.")
    if texts["model"] not in models:
        raise RefusedError(404, f"there is no such model here: choose one of {', '.join(models) or 'none'}.")
    if image is None and not (texts["text"] or "").strip():
        raise RefusedError(400, "there is nothing to attend to: type a sentence.")
    said = {name: text for name, text in texts.items() if name != "model"}
    return Question(
        texts["model"] or "", **said, image=image, untrained=bool(flags["untrained"]), causal=flags["causal"]
    )


async def read_json(request: Request) -> Mapping[str, Any]:
    """An object in JSON, which only our own page can send: other sites' may not name this type.

    Raises:
        RefusedError: it is too long or no such object.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise RefusedError(415, "questions are asked as application/json: load the page again.")
    body = await read_body(request, JSON_LIMIT)
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise RefusedError(400, "a question is an object in JSON: load the page again.")
    return asked


async def read_body(request: Request, limit: int) -> bytes:
    """What was sent, if it isn't longer than the limit.

    Raises:
        RefusedError: it is.
    """
    said = request.headers.get("content-length", "0")
    body = bytearray()
    if not (said.isdigit() and int(said) > limit):
        async for part in request.stream():
            body += part
            if len(body) > limit:
                break
        else:
            return bytes(body)
    raise RefusedError(413, f"this is longer than the {limit // 1024:,} KiB that are read: send something shorter.")


def _without(asked: Mapping[str, Any]) -> tuple[str, Without]:
    trace, stream, kind = (asked.get(name) for name in ("trace", "stream", "kind"))
    layer, head = (asked.get(name) for name in ("layer", "head"))
    whole = all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in (layer, head))
    if not isinstance(trace, str) or not isinstance(stream, str) or kind not in ("zero", "mean") or not whole:
        raise RefusedError(400, "a head is named by trace, stream, layer, head and kind: load the page again.")
    return trace, Without(stream, int(layer or 0), int(head or 0), kind)


def _name(question: Question, models: Sequence[LiveModel]) -> str:
    """What a page calls the trace of a question."""
    model = next((model.name for model in models if model.id == question.model), question.model)
    said = " + ".join(text for text in (question.text, question.pair) if text) or "an image"
    parts = [f"{said[:39]}…" if len(said) > 40 else said, "untrained" if question.untrained else "", model]
    return " · ".join(part for part in parts if part)
