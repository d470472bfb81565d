"""Files that somebody else wrote, or broke: one sentence, no crash, no memory for what isn't there."""

import contextlib
import copy
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vitrail.errors import TraceError
from vitrail.trace import Trace, finish, finish_layer, load_trace
from vitrail.trace.container import HEADER_LIMIT

Make = Callable[[], Trace]


class Broken:
    """A good file that is taken apart and put together wrongly."""

    def __init__(self, trace: Trace, path: Path) -> None:
        self.path = path
        trace.save(path)
        self.content = path.read_bytes()
        length = int.from_bytes(self.content[:8], "little")
        self.header = json.loads(self.content[8 : 8 + length])
        self.described = json.loads(self.header["__metadata__"]["trace"])
        self.data = self.content[8 + length :]

    def write(self, content: bytes) -> Path:
        """A new file each time: the one before may still be mapped."""
        part = self.path.with_suffix(".new")
        part.write_bytes(content)
        os.replace(part, self.path)
        return self.path

    def with_header(self, header: Any, data: bytes | None = None) -> Path:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return self.write(len(text).to_bytes(8, "little") + text + (self.data if data is None else data))

    def with_description(self, described: Any) -> Path:
        text = described if isinstance(described, str) else json.dumps(described)
        return self.with_header({**self.header, "__metadata__": {**self.header["__metadata__"], "trace": text}})


@pytest.fixture
def broken(full: Make, tmp_path: Path) -> Broken:
    return Broken(finish(full()), tmp_path / "a.safetensors")


def use(path: Path) -> None:
    """Everything that anybody would do with a trace."""
    trace = load_trace(path)
    trace.save(path.with_suffix(".again"))
    for stream in trace.parts:
        if stream.predictions is not None:
            stream.predictions.likeliest()
            stream.predictions.likeliest(-1, layer=None if stream.predictions.lens is None else -1)
        for place, layer in enumerate(stream.layers):
            trace.weights(place, 0, stream.name)
            trace.scores(place, 0, stream.name)
            if layer.g is not None:
                trace.gradients(place, 0, stream.name)
            if place == 0:
                finish_layer(layer, *trace.layer_axes(layer, stream))


def test_files_that_are_none(broken: Broken, tmp_path: Path) -> None:
    for content, said in (
        (b"", "it has 0 bytes, and the length of its header alone takes 8"),
        (b"PK\x03\x04" + b"x" * 100, "its header should have"),
        (broken.content[:7], "it has 7 bytes"),
        (broken.content[:5000], "its header should have"),
        (broken.content[:-1], "its tensors have"),
        (broken.content + b"x", "its tensors have"),
        ((2**63).to_bytes(8, "little") + broken.content[8:], "its header should have 9,223,372,036,854,775,808 bytes"),
        ((2).to_bytes(8, "little") + b"[]", "its header is no JSON object"),
        ((4).to_bytes(8, "little") + b"\xff\xfe{}", "its header is no UTF-8"),
        ((2).to_bytes(8, "little") + b"{}", "its format is 'None', not 'vitrail.trace'"),
    ):
        with pytest.raises(TraceError, match=rf"a\.safetensors can't be read as a trace: {said}.*capture it again"):
            load_trace(broken.write(content))
    with pytest.raises(TraceError, match="it can't be opened \\(No such file"):
        load_trace(tmp_path / "missing.safetensors")
    with pytest.raises(TraceError, match="it can't be opened \\(Is a directory"):
        load_trace(tmp_path)


def test_headers_that_lie(broken: Broken) -> None:
    def with_tensor(**fields: Any) -> Any:
        header = copy.deepcopy(broken.header)
        header["encoder.0.q"].update(fields)
        return header

    good = broken.header["encoder.0.q"]
    begin, end = good["data_offsets"]
    for header, said in (
        (with_tensor(dtype="BF16"), "its tensor 'encoder.0.q' is of 'BF16', and one of F64, F32"),
        (with_tensor(dtype=7), "is of '7'"),
        (with_tensor(dtype="F16"), "aren't F16"),
        (with_tensor(shape=[6, 13, 7]), r"which aren't F32 \[6, 13, 7\]"),
        (with_tensor(shape=[2**47] * 8), "which aren't F32"),
        (with_tensor(shape=[2**48]), "aren't counts"),
        (with_tensor(shape=[6, 13, -5]), "aren't counts"),
        (with_tensor(shape=[6.0, 13, 5]), "aren't counts"),
        (with_tensor(shape=[True, 13, 5]), "aren't counts"),
        (with_tensor(shape=[1] * 9), "aren't counts"),
        (with_tensor(shape=[0, 2**40, 2**40], data_offsets=[begin, begin]), "aren't counts"),
        (with_tensor(data_offsets=[begin + 4, end + 4]), "where the one before ends"),
        (with_tensor(data_offsets=[0, end - begin]), "where the one before ends"),
        (with_tensor(data_offsets=[2**40, 2**40 + end - begin]), "where the one before ends"),
        (with_tensor(data_offsets=[begin]), "aren't counts"),
        ({**broken.header, "encoder.0.q": 3}, "'encoder.0.q' has no type, shape and offsets"),
        ({**broken.header, "__metadata__": [1]}, "its metadata aren't texts by name"),
        ({**broken.header, "__metadata__": {"format": 1}}, "its metadata aren't texts by name"),
        ({"__metadata__": broken.header["__metadata__"]}, "its tensors have 0 bytes"),
        (b'{"a":' + b"[" * 100_000, "its header is nested too deep"),
        (b'{"a":[' + b"[]," * 300_000 + b"[]]}", "its header has more than 262,144 lists and objects"),
        ({**broken.header, "x" * 5000: 3}, "^.{,700}$"),
        (b'{"a":' + b"9" * 10_000 + b"}", "its header is no JSON"),
        (b'{"a":NaN}', "its header is no JSON"),
        (b" " * (HEADER_LIMIT + 1), f"and {HEADER_LIMIT:,} are read"),
    ):
        with pytest.raises(TraceError, match=said):
            load_trace(broken.with_header(header))


def changed(described: Any, path: str, value: Any) -> Any:
    """The description with one field, named by its path, of another value; ``...`` takes it away."""
    described = copy.deepcopy(described)
    *way, last = (int(step) if step.isdigit() else step for step in path.split("/"))
    place = described
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return described


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("axes", ..., "no axis 'source'"),
        ("axes", {}, "axes of its description isn't a list"),
        ("axes/0", 1, "axes 0 of its description is no JSON object"),
        ("axes/0/length", 14, "axis 'source' has 14 positions and 13 texts"),
        ("axes/0/length", True, "length of axes 0 of its description isn't a whole number"),
        ("axes/0/length", 10**30, "isn't a whole number of at most 53 bits"),
        ("axes/0/kind", "words", "is of 'words': an axis is of tokens, patches"),
        ("axes/0/texts", [1] * 13, "texts of axes 0 of its description isn't a list of texts"),
        ("axes/0/ids", "encoder.0.q", "is the tensor 'encoder.0.q' of float32, which can't be meant"),
        ("axes/0/ids", "nowhere", "is said to be the tensor 'nowhere', which isn't in the file"),
        ("axes/0/words", "axis/0/offsets", r"has words of shape \[13, 2\]: \[13\] is needed"),
        ("axes/2/grid", [3], "grid of axes 2 of its description isn't two counts"),
        ("axes/2/grid", [3, 0], "isn't two counts"),
        ("axes/2/grid", [1, 1], "has flags of hidden patches of shape"),
        ("axes/2/grid", ..., "has places of patches but no grid"),
        ("axes/2/image", "other", "is of the image 'other', which isn't there"),
        ("images/photograph", "encoder.0.mask", "which isn't in the file"),
        ("images/photograph", "axis/0/special", r"the image 'photograph' is uint8 \[13\]"),
        ("streams", [], r"the streams are \[\]"),
        ("streams/1/name", "encoder", "each name once"),
        ("streams/0/queries", "target", "its axes 'target' and 'source' have 7 and 13"),
        ("streams/0/embedded", "encoder.0.q", "has embeddings of shape"),
        ("streams/0/layers/0/q", ..., "q of layers 0 of streams 0 of its description is missing"),
        ("streams/0/layers/0/k", "encoder.0.v", "both are equally wide"),
        ("streams/0/layers/0/k", "encoder.0.hidden", r"\[h q d\] and \[hkv k d\] of at least one each"),
        ("streams/0/layers/0/v", "cross.0.g", "has v of shape"),
        ("streams/0/layers/0/lse", "cross.0.lse", "has lse of shape"),
        ("streams/0/layers/0/scale", "x", "which isn't in the file"),
        ("streams/0/layers/0/scale", "cross.0.g", "has scales of shape"),
        ("streams/0/layers/0/scale", 10**400, "isn't a finite number"),
        ("streams/0/layers/0/scale", ..., "scale of layers 0 of streams 0 of its description is missing"),
        ("streams/0/layers/0/mask/rule", "diagonal", "has the mask 'diagonal': a mask is one of all"),
        ("streams/0/layers/0/mask/rule", "bits", "has a mask with bits of shape None"),
        ("streams/0/layers/0/mask/rule", "blocks", "has a mask with query blocks of shape None"),
        ("streams/0/layers/0/mask/rule", "prefix", "has a prefix mask without a length"),
        ("streams/0/layers/2/mask/before", -1, "with before = -1: a count of keys is at least 0"),
        ("streams/0/layers/1/bias/kind", "slopes", "has a bias of shape"),
        ("streams/0/layers/1/bias/kind", "other", "has the bias 'other': a bias is one of toeplitz"),
        (
            "streams/0/layers/1/bias/values",
            ...,
            "values of bias of layers 1 of streams 0 of its description is missing",
        ),
        ("streams/1/layers/0/softcap", -1, "has a softcap of -1.0"),
        ("streams/1/layers/0/softcap_order", "never", "has a softcap 'never'"),
        ("streams/1/layers/0/g", "encoder.0.q", "has g of shape"),
        ("streams/1/layers/2/sinks", ..., "has no sinks and the normaliser 'sink'"),
        ("streams/1/layers/3/weights", ..., "weights that no softmax gives, and none were shipped"),
        ("streams/1/layers/4/keys", "nowhere", "no axis 'nowhere'"),
        ("streams/0/layers/0/digest/names", [], "hasn't one score, one of uniform attention and one count"),
        ("streams/0/layers/0/digest/uniform/0", "x", "isn't a list of numbers"),
        ("streams/0/layers/0/digest/counts/0", -1, "isn't a list of counts"),
        ("streams/0/layers/0/digest/thumbnails", "encoder.0.scores", "which can't be meant"),
        ("streams/0/layers/0/errors", [], "errors of layers 0 of streams 0 of its description is no JSON object"),
        ("streams/0/predictions", [], "predictions of streams 0 of its description is no JSON object"),
        ("streams/0/predictions/of", "weather", "of 'weather': they are of one of next token, token, class"),
        ("streams/0/predictions/ids", ..., "ids of predictions of streams 0 of its description is missing"),
        ("streams/0/predictions/texts", ["a"], "has numbers of what is predicted of shape"),
        ("streams/0/predictions/choices", "encoder.predictions.lens", "has choices of shape"),
        ("streams/0/predictions/choices", "axis/0/offsets", "has probabilities of shape"),
        ("streams/0/predictions/choices", "vision.predictions.choices", "has probabilities of shape"),
        ("streams/0/predictions/probabilities", "encoder.0.hidden", "has probabilities of shape"),
        ("streams/0/predictions/lens", ..., "has half of a logit lens"),
        ("streams/0/predictions/lens", "vision.predictions.lens", "has a logit lens of shape"),
        ("streams/2/layers/0/q_before", "encoder.0.hidden", "has q_before of shape"),
        ("streams/2/layers/0/k_before", "encoder.0.q", "has k_before of shape"),
        ("provenance", ..., "provenance of its description is missing"),
        ("provenance/model", ..., "model of provenance of its description is missing"),
        ("provenance/versions", {"torch": 2}, "isn't texts by name"),
    ],
)
def test_descriptions_that_contradict_themselves(broken: Broken, path: str, value: Any, said: str) -> None:
    with pytest.raises(TraceError, match=said):
        load_trace(broken.with_description(changed(broken.described, path, value)))


def test_another_version_and_a_description_that_is_none(broken: Broken) -> None:
    metadata = {**broken.header["__metadata__"], "version": "2"}
    with pytest.raises(TraceError, match="of version '2' and this Vitrail reads '1': update Vitrail"):
        load_trace(broken.with_header({**broken.header, "__metadata__": metadata}))
    for described, said in (("{", "no JSON"), ("[1]", "no JSON object"), ('{"a":' * 50_000, "nested too deep")):
        with pytest.raises(TraceError, match=f"its description is {said}"):
            load_trace(broken.with_description(described))


def test_fields_that_nobody_knows_are_left_alone(broken: Broken) -> None:
    use(broken.with_description({**broken.described, "more": [1, {"a": None}]}))


def test_texts_that_are_no_unicode_can_be_saved_again(broken: Broken) -> None:
    path = broken.with_description(changed(broken.described, "axes/0/texts/1", "\ud800"))
    again = load_trace(path).save(path.with_suffix(".again"))
    assert load_trace(again).axis("source").texts[1] == "?"


def test_lengths_that_are_not_there_take_no_memory(broken: Broken) -> None:
    """An axis of 10^12 positions, a list that grows when it is parsed."""
    axis = changed(broken.described, "axes/3/length", 10**12)
    for described, said in ((axis, "but its axes"), ({**axis, "x": [[]] * 200_000}, "but its axes")):
        path = broken.with_description(described)
        tracemalloc.start()
        try:
            with pytest.raises(TraceError, match=said):
                load_trace(path)
            assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
        finally:
            tracemalloc.stop()


def test_more_weights_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch, full: Make) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise MemoryError

    trace = full()
    monkeypatch.setattr("vitrail.trace.recompute.np.empty", no_room)
    with pytest.raises(TraceError, match=r"would need 0 GiB of memory as \[6, 13, 13\] numbers: ask for one head"):
        trace.weights(0, stream="encoder")


# ---- fuzzing ----

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([2**31, 2**48, -1, 0])
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner))
EDITS = st.lists(st.tuples(st.integers(0, 10**6), JSON | st.integers(0, 10**6).map(lambda n: ("swap", n))), max_size=3)
CASES = st.one_of(
    st.tuples(st.just("header"), EDITS),
    st.tuples(st.just("description"), EDITS),
    st.tuples(
        st.just("bytes"), st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 255)), min_size=1, max_size=9)
    ),
    st.tuples(st.just("cut"), st.integers(0, 10**7)),
    st.tuples(st.just("raw"), st.binary(max_size=64)),
)


def nodes(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON tree, as its container and key."""
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in items:
        yield tree, key
        yield from nodes(value)


def edited(tree: Any, edits: list[tuple[int, Any]]) -> Any:
    """A tree with some places changed: to another value, or to what stands at another place."""
    tree = copy.deepcopy(tree)
    for place, value in edits:
        places = list(nodes(tree))
        if places:
            container, key = places[place % len(places)]
            if isinstance(value, tuple):
                other, name = places[value[1] % len(places)]
                value = copy.deepcopy(other[name])
            container[key] = value
    return tree


def fuzz(broken: Broken, kind: str, case: Any) -> None:
    if kind == "header":
        path = broken.with_header(edited(broken.header, case))
    elif kind == "description":
        path = broken.with_description(edited(broken.described, case))
    elif kind == "bytes":
        content = bytearray(broken.content)
        for place, byte in case:
            content[place % len(content)] = byte
        path = broken.write(bytes(content))
    elif kind == "cut":
        path = broken.write(broken.content[: case % len(broken.content)])
    else:
        path = broken.write(case if len(case) < 8 else (len(case) - 8).to_bytes(8, "little") + case[8:])
    with np.errstate(all="ignore"), contextlib.suppress(TraceError):
        use(path)


def fuzzed(broken: Broken, cases: int) -> None:
    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(CASES)
    def run(case: tuple[str, Any]) -> None:
        fuzz(broken, *case)

    run()


def test_a_few_hundred_broken_files_raise_trace_errors_and_nothing_else(broken: Broken) -> None:
    fuzzed(broken, 300)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_broken_files_raise_trace_errors_and_nothing_else(broken: Broken) -> None:
    fuzzed(broken, 10_000)
