"""A trace comes back from the disk as it was, piece by piece, and other tools open it."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from vitrail.errors import OutputError, TraceError
from vitrail.trace import Axis, Layer, Trace, finish, finish_layer, load_trace, recompute
from vitrail.trace.container import HEADER_LIMIT, map_tensors, write_tensors

Make = Callable[[], Trace]


def assert_same(ours: object, theirs: object, path: str = "trace") -> None:
    """Every part of two traces, down to the numbers and their types."""
    if isinstance(ours, np.ndarray):
        assert isinstance(theirs, np.ndarray), path
        assert ours.dtype == theirs.dtype or {ours.dtype.kind, theirs.dtype.kind} <= {"i", "b"}, path
        np.testing.assert_array_equal(ours, theirs, err_msg=path)
    elif is_dataclass(ours):
        assert type(ours) is type(theirs), path
        for one in fields(ours):
            assert_same(getattr(ours, one.name), getattr(theirs, one.name), f"{path}.{one.name}")
    elif isinstance(ours, Mapping):
        assert list(ours) == list(theirs), path
        for name in ours:
            assert_same(ours[name], theirs[name], f"{path}[{name!r}]")
    elif isinstance(ours, tuple):
        assert len(ours) == len(theirs), path
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(one, other, f"{path}[{place}]")
    else:
        assert ours == theirs or (ours != ours and theirs != theirs), path


@pytest.mark.parametrize("finished", [False, True])
def test_every_part_comes_back_as_it_was(full: Make, tmp_path: Path, finished: bool) -> None:
    trace = finish(full()) if finished else full()
    assert trace.save(tmp_path / "a.safetensors") == tmp_path / "a.safetensors"
    loaded = load_trace(tmp_path / "a.safetensors")
    assert_same(trace, loaded)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    for stream in trace.parts:
        for place in range(len(stream.layers)):
            np.testing.assert_array_equal(
                trace.weights(place, stream=stream.name), loaded.weights(place, stream=stream.name)
            )


def test_saving_over_the_file_that_was_loaded_keeps_both_whole(full: Make, tmp_path: Path) -> None:
    path = full().save(tmp_path / "a.safetensors")
    loaded = load_trace(path)
    loaded.save(path)
    assert_same(loaded, load_trace(path))


def test_the_library_of_that_name_opens_our_files_and_the_reverse(full: Make, tmp_path: Path) -> None:
    path = finish(full()).save(tmp_path / "a.safetensors")
    ours, metadata = map_tensors(path)
    theirs = load_file(path)
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    with safe_open(path, "numpy") as file:
        assert file.metadata() == metadata
    save_file(theirs, tmp_path / "b.safetensors", metadata)
    assert_same(load_trace(path), load_trace(tmp_path / "b.safetensors"))


def test_what_a_first_look_needs_comes_first_and_numbers_lie_at_multiples_of_their_size(
    full: Make, tmp_path: Path
) -> None:
    path = finish(full()).save(tmp_path / "a.safetensors")
    tensors, _ = map_tensors(path)
    start = {name: array.__array_interface__["data"][0] for name, array in tensors.items()}
    for name, array in tensors.items():
        assert array.flags.aligned, name
    first = [
        name for name in tensors if name.split(".")[-1] in ("lse", "scores", "thumbnails") or name.startswith("axis/")
    ]
    rest = [name for name in tensors if name.split(".")[-1] in ("q", "k", "v", "g", "weights")]
    assert max(start[name] for name in first) < min(start[name] for name in rest)
    assert sum(name.endswith("mask.bits") for name in tensors) == 2  # three layers, two of which share theirs


def test_half_precision_is_opt_in_and_its_error_is_recorded(full: Make, tmp_path: Path) -> None:
    trace = full()
    plain, half = finish(trace), finish(trace, half=True)
    assert plain.layer(0, "encoder").errors.stored == 0
    assert half.layer(0, "encoder").q.dtype == np.float16
    exact, kept = trace.weights(1, stream="encoder"), half.weights(1, stream="encoder")
    assert half.layer(1, "encoder").errors.stored == pytest.approx(np.abs(exact - kept).max(), rel=1e-3)
    assert 1e-5 < half.layer(1, "encoder").errors.stored < 1e-2
    path = half.save(tmp_path / "half.safetensors")
    assert_same(half, load_trace(path))
    assert path.stat().st_size < plain.save(tmp_path / "plain.safetensors").stat().st_size
    large = replace(trace.layer(0, "encoder"), q=trace.layer(0, "encoder").q * 1e6)
    axis = trace.axis("source")
    with pytest.raises(TraceError, match=r"'encoder\.0' has q with numbers that float16 can't hold: keep float32"):
        finish_layer(large, axis, axis, half=True)


def test_weights_are_shipped_only_where_they_must_be(full: Make) -> None:
    trace = full()
    layer, axis = trace.layer(1, "encoder"), trace.axis("source")
    weights = trace.weights(1, stream="encoder")
    kept = finish_layer(layer, axis, axis, weights)
    assert kept.shipped is None
    assert kept.errors.model < 1e-7
    other = weights.copy()
    other[2, 3, 1] += 3e-6
    kept = finish_layer(layer, axis, axis, other)
    np.testing.assert_array_equal(kept.shipped, other)
    assert kept.errors.model == pytest.approx(3e-6, rel=0.05)
    assert finish_layer(layer, axis, axis, other, tolerance=1e-5).shipped is None
    assert finish_layer(layer, axis, axis).errors.model is None
    assert finish(trace).layer(3, "cross").shipped is not None
    other[0, 0, 0] = np.nan
    with pytest.raises(TraceError, match="has weights that aren't finite"):
        finish_layer(layer, axis, axis, other)


def test_log_sum_exps_give_single_weights(full: Make) -> None:
    trace = finish(full())
    for place in range(5):
        scores, lse = trace.scores(place, stream="encoder"), trace.layer(place, "encoder").lse
        np.testing.assert_allclose(np.exp(scores - lse[..., None]), trace.weights(place, stream="encoder"), atol=1e-6)


def test_thumbnails_pool_mass(full: Make) -> None:
    trace = full()
    layer, axis = trace.layer(0, "encoder"), trace.axis("source")
    kept = finish_layer(layer, axis, axis)
    np.testing.assert_array_equal(
        kept.digest.thumbnails, np.rint(255 * np.sqrt(trace.weights(0, stream="encoder"))).astype(np.uint8)
    )  # fewer positions than cells: each is its own


def test_thumbnails_of_long_inputs_have_48_cells_a_side() -> None:
    draw, axis = np.random.default_rng(0), Axis("t", "tokens", 101)
    q, k = draw.standard_normal((2, 3, 101, 5)).astype(np.float32)
    layer = Layer("long", q, k)
    thumbnail = finish_layer(layer, axis, axis).digest.thumbnails
    weights = recompute.weights(layer)
    assert thumbnail.shape == (3, 48, 48)
    for a, b in ((0, 0), (7, 30), (47, 47), (20, 1)):
        rows = [i for i in range(101) if i * 48 // 101 == a]
        columns = [j for j in range(101) if j * 48 // 101 == b]
        for head in range(3):
            mass = np.mean([weights[head, i, columns].sum() for i in rows])
            assert thumbnail[head, a, b] == pytest.approx(255 * np.sqrt(mass), abs=0.501)


def test_what_is_not_asked_for_is_not_read(full: Make, tmp_path: Path) -> None:
    """Garbage in one head's keys is no matter until that head is asked for."""
    path = full().save(tmp_path / "a.safetensors")
    content = bytearray(path.read_bytes())
    key = full().layer(0, "encoder").k[2].tobytes()
    place = content.index(key)
    content[place : place + 4] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    loaded = load_trace(path)
    assert np.isfinite(loaded.weights(0, 3, "encoder")).all()
    with pytest.raises(TraceError, match="aren't finite in head 4"):
        loaded.weights(0, 4, "encoder")


def test_what_cannot_be_written_is_said_and_nothing_is_left(full: Make, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can't be written"):
        full().save(tmp_path / "missing" / "a.safetensors")
    with pytest.raises(TraceError, match=f"{HEADER_LIMIT:,} are read"):
        write_tensors(tmp_path / "b.safetensors", {}, {"trace": "x" * HEADER_LIMIT})
    assert list(tmp_path.iterdir()) == []


def test_streams_layers_and_axes_are_found_by_name_or_refused(full: Make) -> None:
    trace = full()
    assert trace.streams == ("encoder", "cross", "vision")
    assert trace.tokens("cross").name == "target"
    assert trace.tokens("cross", of="keys").texts[2] == " cat"
    assert trace.layer("cross.2", "cross") is trace.layer(2, "cross") is trace.layer(-3, "cross")
    for ask, said in (
        (lambda: trace.weights(0), "no stream was named: this trace has encoder, cross, vision"),
        (lambda: trace.weights(0, stream="decoder"), "no stream 'decoder': this trace has encoder"),
        (lambda: trace.weights(5, stream="cross"), "no layer 5 in 'cross': it has 5"),
        (lambda: trace.weights("x", stream="cross"), "no layer 'x' in 'cross'"),
        (lambda: trace.axis("x"), "no axis 'x': this trace has source"),
    ):
        with pytest.raises(TraceError, match=said):
            ask()
