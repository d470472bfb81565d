"""Traces of our own runs: every stream, what its positions are, weights as the model used them; and what stops it."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BertConfig, BertForMaskedLM

import vitrail as vt
from vitrail.capture import Wishes
from vitrail.errors import ConfigError, DataError, ModelError
from vitrail.recipes import summarizer
from vitrail.recipes.attend import AttendRecipe, attend, run
from vitrail.recipes.language_runs import LanguageRun
from vitrail.recipes.opening import load
from vitrail.recipes.summarizer import SummarizerRecipe
from vitrail.text.language import LanguageConfig, LanguageModel
from vitrail.text.tokens import train_tokenizer


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A summarizer of a second's training."""
    folder = tmp_path_factory.mktemp("texts")
    words = ("house", "river", "cloud", "stone", "bread")
    rows = [f"A {words[number % 5]}, said {number} times.,About {words[number % 5]}.\n" for number in range(200)]
    (folder / "pairs.csv").write_text(
        "document,summary\n" + "".join(f'"{row[: row.rindex(",")]}"{row[row.rindex(",") :]}' for row in rows)
    )
    options = {"vocabulary": 280, "longest_document": 41, "longest_summary": 13, "precision": "float32", "test": 0}
    summarizer.run(
        SummarizerRecipe(data=str(folder / "pairs.csv"), run=folder / "run", preset="tiny", epochs=1, **options)  # type: ignore[arg-type]
    )
    return folder / "run"


def test_a_summarizer_has_three_streams(texts: Path) -> None:
    trace = vt.attend(texts, "A river, said 7 times.", target="About river.")
    assert trace.streams == ("encoder", "decoder", "cross")
    source, goal = trace.tokens("encoder"), trace.tokens("decoder")
    assert "".join(source.texts or ()).startswith(" A river")
    assert source.special is not None
    assert source.special.tolist() == [False] * (source.length - 1) + [True]
    assert goal.texts is not None
    assert goal.texts[0] == "</s>", "the start token"
    assert "".join(goal.texts[1:]) == " About river."
    assert source.words is not None
    assert source.words[-1] == -1
    assert source.words.max() == 4, "five words"
    cross = trace.weights(1, stream="cross")
    assert cross.shape == (4, goal.length, source.length)
    np.testing.assert_allclose(cross.sum(-1), 1, atol=1e-6)
    opened = load(texts)
    heard = []
    layer = opened.model.decoder[1].cross_attention  # type: ignore[union-attr,index]
    layer.tap = heard.append
    with torch.no_grad():
        opened.model(*(torch.from_numpy(np.asarray(axis.ids))[None].long() for axis in (source, goal)))
    np.testing.assert_allclose(cross, heard[0].weights[0].numpy(), atol=1e-6)
    assert trace.provenance.texts == ("A river, said 7 times.", "About river.")


def test_what_it_writes_is_traced_where_nothing_is_given(texts: Path, tmp_path: Path) -> None:
    said: list[str] = []
    recipe = AttendRecipe(str(texts), ("A cloud, said 3 times.",), output=tmp_path / "new" / "t.safetensors", half=True)
    path, trace = run(recipe, lambda event: said.append(str(event)))
    (written,) = load(texts).summarize(["A cloud, said 3 times."])  # type: ignore[union-attr]
    assert trace.provenance.texts[1] == written
    again = vt.load_trace(path)
    assert again.streams == trace.streams
    assert np.abs(again.weights(0, stream="encoder") - trace.weights(0, stream="encoder")).max() < 1e-3
    assert any("encoder: 2 layers of 4 heads" in line for line in said)
    twin = attend(texts, "A cloud, said 3 times.", target=written, untrained="library")
    assert twin.provenance.weights == "untrained (library)"
    assert np.abs(twin.weights(1, stream="encoder") - trace.weights(1, stream="encoder")).max() > 1e-3


def test_images(images_runs: dict[str, Path], tmp_path: Path) -> None:
    picture = tmp_path / "three.png"
    Image.fromarray(np.arange(121, dtype=np.uint8).reshape(11, 11)).save(picture)
    trace = attend(images_runs["vit"], image=picture)
    assert trace.streams == ("encoder",)
    axis = trace.tokens("encoder")
    assert axis.grid is not None
    assert trace.weights(0).shape[-1] == axis.length
    assert trace.tokens("encoder", "keys") is axis, "queries and keys are the same patches"
    assert list(trace.images) == ["image"]
    hidden = attend(images_runs["mae"], image=picture, seed=5)
    assert hidden.streams == ("encoder", "mae-decoder")
    seen, queries = hidden.tokens("encoder"), hidden.tokens("mae-decoder")
    assert seen.places is not None
    assert seen.hidden is not None
    assert not seen.hidden[seen.places[seen.places >= 0]].any(), "the encoder sees none of the hidden patches"
    assert queries.places is not None
    assert set(np.flatnonzero(seen.hidden)) <= set(queries.places.tolist())
    original, filled = hidden.images["image"], hidden.images["reconstruction"]
    same = (original == filled).all(-1)
    rows, columns = (length // size for length, size in zip(original.shape, seen.grid or (), strict=False))
    for place, out in enumerate(seen.hidden):
        row, column = divmod(place, (seen.grid or (1, 1))[1])
        patch = same[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
        assert patch.all() or out, "only hidden patches are the model's"
    assert not same.all()
    other = attend(images_runs["mae"], image=picture, seed=6).tokens("encoder")
    assert other.places is not None
    assert other.places.tolist() != seen.places.tolist()


def test_gradients_predictions_and_effects_of_runs(texts: Path, images_runs: dict[str, Path], tmp_path: Path) -> None:
    wishes = Wishes(predictions=True, ablation="zero")
    trace = attend(texts, "A river, said 7 times.", target="About river.", gradient="next@1:river", wishes=wishes)
    named = trace.provenance.target or ""  # by the first token of the word
    assert re.fullmatch("log-probability of ' r?i?v?e?r?' after position 1", named)
    assert trace.provenance.notes["ablation"] == f"zero: change of the {named}"
    goal = trace.stream("decoder")
    assert goal.predictions is not None
    assert goal.predictions.of == "next token"
    assert goal.predictions.lens is not None
    assert goal.predictions.lens.shape == (2, trace.tokens("decoder").length, 5)
    assert [part.predictions for part in trace.parts if part.name != "decoder"] == [None, None]
    for part in trace.parts:
        for layer in part.layers:
            assert layer.g is not None
            assert layer.digest is not None
            assert np.isfinite(layer.digest.scores["ablation"]).all()
    assert not trace.layer(0, "decoder").g[:, 2:].any(), "what comes after position 1 has no part in it"
    picture = tmp_path / "three.png"
    Image.fromarray(np.arange(121, dtype=np.uint8).reshape(11, 11)).save(picture)
    seen = attend(images_runs["vit"], image=picture, gradient="class:3", wishes=wishes)
    assert seen.provenance.target == "logit of class 3 (3)"
    (said,) = [part.predictions for part in seen.parts]
    assert said is not None
    assert (said.of, said.choices.shape, said.lens.shape) == ("class", (1, 5), (1, 1, 5))
    hidden = attend(images_runs["mae"], image=picture, gradient="loss", wishes=wishes)
    assert hidden.provenance.target == "mean squared error of hidden patches"
    assert hidden.provenance.notes["ablation"] == "zero: change of the mean squared error of hidden patches"
    assert hidden.provenance.notes["predictions"].startswith("none: MaskedAutoencoder says nothing")
    assert all(np.abs(layer.g).max() > 0 for part in hidden.parts for layer in part.layers)


@pytest.mark.parametrize("objective", ["causal", "masked"])
def test_language_models_read_as_they_write(objective: str, tmp_path: Path) -> None:
    config = LanguageConfig(320, dim=12, layers=2, heads=3, hidden=17, max_length=53, causal=objective == "causal")
    tokens = train_tokenizer(["the river runs by the hill " * 3], 320, mask=objective == "masked")
    model = LanguageModel(config).eval()
    opened = LanguageRun(tmp_path, model, tokens, 53, None, {})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vitrail.recipes.attend_runs.load", lambda folder: opened)
        (tmp_path / "config.json").write_text('{"kind": "lm"}')
        text, asked = ("the river", "next:hill") if objective == "causal" else ("the <mask> runs", "masked:river")
        trace = attend(tmp_path, text, gradient=asked, wishes=Wishes(predictions=True))
    texts, found = trace.tokens().texts, trace.parts[0].predictions
    assert texts is not None
    assert texts[0] == "</s>"
    assert found is not None
    if objective == "causal":
        assert trace.provenance.target == "log-probability of ' hill' after the last position"
        assert found.of == "next token"
    else:
        place = texts.index("<mask>")
        assert trace.provenance.target == f"log-probability of ' river' at position {place}"
        assert found.of == "token"
        (expected,) = opened.fill_in(text)
        assert [chance for _, chance in found.likeliest(place)] == pytest.approx([chance for _, chance in expected])


@pytest.fixture(scope="module")
def images_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A classifier and a masked autoencoder of digits, hardly trained."""
    folder = tmp_path_factory.mktemp("images")
    small = {"dim": 16, "heads": 2, "depth": 1, "mlp_dim": 32, "epochs": 1, "batch_size": 479, "precision": "float32"}
    return {kind: vt.train(kind, data="digits", run=folder / kind, **small).folder for kind in ("vit", "mae")}


def test_any_other_model_goes_the_same_way() -> None:
    config = BertConfig(
        vocab_size=31, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=17,
        max_position_embeddings=23,
    )  # fmt: skip
    torch.manual_seed(0)

    def tokenizer(text: str, pair: str | None) -> object:
        from vitrail.trace import Axis

        words = text.split()
        return Axis("tokens", "tokens", len(words), texts=tuple(words), ids=np.arange(len(words), dtype=np.int32))

    trace = vt.attend(BertForMaskedLM(config).eval(), "the quick brown fox", tokenizer=tokenizer)
    assert trace.weights(1).shape == (3, 4, 4)


def test_what_stops_it(texts: Path, images_runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to attend to"):
        run(AttendRecipe(str(texts), ()))
    with pytest.raises(ConfigError, match="3 texts can't be read together"):
        run(AttendRecipe(str(texts), ("a", "b", "c")))
    with pytest.raises(ConfigError, match="reads one text at a time"):
        attend(texts, "a", "b")
    with pytest.raises(DataError, match="the text is empty"):
        attend(texts, "  ")
    with pytest.raises(DataError, match=r"tokens, and .* reads 41"):
        attend(texts, "house " * 100)
    with pytest.raises(ConfigError, match="which reads texts"):
        attend(texts, image=tmp_path / "x.png")
    with pytest.raises(ConfigError, match="which sees images"):
        attend(images_runs["vit"], "a text")
    with pytest.raises(ConfigError, match="is a run, and causal can't be given"):
        attend(texts, "a", causal=True)
    with pytest.raises(DataError):
        attend(images_runs["vit"], image=tmp_path / "missing.png")
    with pytest.raises(ModelError):
        attend(tmp_path / "nothing", "a")
