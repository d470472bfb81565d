"""Runs that keep how their attention is learned: the same held-out example, step after step, as the run reads it."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vitrail.errors import ConfigError
from vitrail.recipes import language, mae, summarizer, vit
from vitrail.recipes.attend import attend
from vitrail.recipes.language import LanguageRecipe
from vitrail.recipes.mae import MAERecipe
from vitrail.recipes.options import TraceOptions
from vitrail.recipes.runs import open_run
from vitrail.recipes.summarizer import SummarizerRecipe
from vitrail.recipes.traces import long_enough, shortened, traces_of
from vitrail.recipes.vit import ViTRecipe
from vitrail.text import presets
from vitrail.text.language import LanguageConfig
from vitrail.text.tokens import train_tokenizer
from vitrail.text.transformer import TransformerConfig
from vitrail.trace import Trace, load_trace

WORDS = ("house", "river", "cloud", "stone", "bread", "glass", "tower", "apple", "night", "table", "horse")


def series(folder: Path) -> list[Trace]:
    """The traces of a run, which say where they stand in it."""
    paths = sorted((folder / "traces").iterdir())
    found = [load_trace(path) for path in paths]
    assert [path.stem for path in paths] == [f"step-{trace.provenance.step:06d}" for trace in found]
    assert [trace.provenance.revision for trace in found] == [f"step {trace.provenance.step}" for trace in found]
    assert len({(trace.provenance.model, trace.provenance.texts) for trace in found}) == 1
    assert len({tuple((axis.name, axis.length) for axis in trace.axes.values()) for trace in found}) == 1
    assert max(axis.length for axis in found[0].axes.values()) <= 128
    return found


def apart(one: Trace, two: Trace) -> list[float]:
    """The largest difference of weights in the last layer of each stream."""
    return [float(np.abs(one.weights(-1, None, name) - two.weights(-1, None, name)).max()) for name in one.streams]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets that train in a second."""
    from vitrail.text import language_presets

    def writer(vocabulary: int) -> LanguageConfig:
        return LanguageConfig(vocabulary, dim=44, layers=2, heads=2, hidden=68)

    def summariser(vocabulary: int) -> TransformerConfig:
        return TransformerConfig(vocabulary, dim=44, encoder_layers=1, decoder_layers=2, heads=2, hidden=68)

    monkeypatch.setattr(language_presets, "PRESETS", {**language_presets.PRESETS, "gpt_small": writer})
    monkeypatch.setattr(presets, "PRESETS", {**presets.PRESETS, "tiny": summariser})


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Documents of 7 to 90 words with titles."""
    chance = random.Random(5)
    rows = []
    for number in range(199):
        words = [chance.choice(WORDS) for _ in range(chance.randint(7, 90))]
        split = ("test", "validation", *["train"] * 6)[number % 8]
        rows.append({"document": f"It says {' '.join(words)}.", "summary": f"About {words[0]}.", "split": split})
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def writer(pairs: Path, folder: str, **changes: object) -> LanguageRecipe:
    options: dict[str, object] = {
        "data": str(pairs), "run": pairs.parent / folder, "vocabulary": 300, "epochs": 1, "batch_size": 700,
        "length": 61, "lr": 1e-2, "precision": "bf16", "evaluate_every": 0, "trace_every": 4, "warmup_epochs": 0,
    }  # fmt: skip
    return LanguageRecipe(**{**options, **changes})  # type: ignore[arg-type]


def test_a_language_model(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_test", lambda *_: {})
    done = language.run(writer(pairs, "whole"))
    found = series(done.folder)
    assert [trace.provenance.step for trace in found][:3] == [0, 4, 8]
    first, last = found[0], found[-1]
    assert 16 <= last.tokens().length <= 61
    again = attend(str(done.folder), *last.provenance.texts)
    assert max(apart(last, again)) < 1e-6, "in float32, whatever the run computes in"
    assert max(apart(first, last)) > 1e-3
    predictions = last.stream().predictions
    assert predictions is not None
    held_out = [json.loads(line)["document"] for line in pairs.read_text().splitlines()[1::8]]
    assert any(last.provenance.texts[0][-30:] in document for document in held_out)

    class Enough(Exception):
        pass

    def stop(event: object) -> None:
        if type(event).__name__ == "Saved":
            raise Enough

    with pytest.raises(Enough):
        language.run(writer(pairs, "cut", save_every=7), stop)
    assert [trace.provenance.step for trace in series(pairs.parent / "cut")] == [0, 4]
    cut = series(language.run(writer(pairs, "cut", save_every=7)).folder)
    for one, two in zip(found, cut, strict=True):
        assert one.provenance.step == two.provenance.step
        assert apart(one, two) == [0.0]
    more = language.run(writer(pairs, "cut", save_every=7, trace_every=0))
    assert more.finished, "what is looked at may change when a run goes on"


def test_a_summarizer(pairs: Path) -> None:
    recipe = SummarizerRecipe(
        data=str(pairs), run=pairs.parent / "run", preset="tiny", vocabulary=300, epochs=1, batch_size=900,
        longest_document=97, longest_summary=13, precision="float32", evaluate_every=0, test=0, trace_every=9,
    )  # fmt: skip
    done = summarizer.run(recipe)
    found = series(done.folder)
    last = found[-1]
    assert set(last.streams) == {"encoder", "decoder", "cross"}
    again = attend(str(done.folder), last.provenance.texts[0], target=last.provenance.texts[1])
    assert max(apart(last, again)) < 1e-6
    assert last.provenance.texts[1].startswith("About "), "the author's own words are written, step after step"


def test_images(tmp_path: Path) -> None:
    shape = {"dim": 32, "heads": 2, "depth": 2, "mlp_dim": 48}
    seeing = vit.run(ViTRecipe(run=tmp_path / "vit", epochs=1, validation=0.1, trace_every=10, **shape))  # type: ignore[arg-type]
    found = series(seeing.folder)
    assert [trace.provenance.step for trace in found][:2] == [0, 10]
    assert apart(found[0], found[-1])[0] > 1e-4
    assert found[-1].stream().predictions is not None
    filling = mae.run(MAERecipe(run=tmp_path / "mae", epochs=1, decoder_dim=16, trace_every=10, seed=3, **shape))  # type: ignore[arg-type]
    found = series(filling.folder)
    assert set(found[0].streams) == {"encoder", "mae-decoder"}
    hidden = [next(iter(trace.axes.values())).hidden for trace in found]
    assert all(one is not None and np.array_equal(one, hidden[0]) for one in hidden), "the same patches are hidden"
    assert found[0].provenance.seed == 3
    pixels = open_run(filling.folder)
    assert found[0].images["image"].shape[:2] == pixels.image_size


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_texts_are_cut_to_what_is_read(kind: str) -> None:
    texts = ["a b", "the river rose over night and the bridge was closed to all but walkers " * 9, "c", "word " * 40]
    tokens = train_tokenizer(texts, 300, kind)  # type: ignore[arg-type]
    assert long_enough(tokens, texts, 128) == 1
    assert long_enough(tokens, ["c", "a b c", "b"], 128) == 1
    lengths: Sequence[int] = (1, 2, 17, 128)
    for most in lengths:
        cut = shortened(tokens, texts[1], most)
        assert 1 <= len(tokens.encode([cut])[0]) <= most
        assert texts[1].startswith(cut)
    assert shortened(tokens, texts[0], 128) == texts[0]


def test_none_are_kept_unless_asked_for() -> None:
    assert traces_of(TraceOptions(), lambda module: module, text="a") is None
    with pytest.raises(ConfigError, match="trace_every is -1"):
        traces_of(TraceOptions(-1), lambda module: module, text="a")
