"""Models that answer while somebody watches: what they can be asked, what is kept, what a head's absence does."""

import sys
from pathlib import Path

import pytest
import torch
import transformers as hf

from vitrail.capture.interventions import Ablate, run_edited
from vitrail.capture.recorder import record_attention
from vitrail.errors import ConfigError, DataError, ModelError
from vitrail.recipes import live
from vitrail.recipes.live import Models
from vitrail.recipes.live_effects import effect_in_words
from vitrail.viewer.live import Question, Without

sys.path.append(str(Path(__file__).parents[1] / "capture"))
from capture_models import SMALL, bart, wordpiece


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of a BERT with a masked head, an encoder alone and a BART, as ``save_pretrained`` writes them."""
    top = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    config = hf.BertConfig(**SMALL)
    for name, model in (("bert", hf.BertForMaskedLM(config)), ("encoder", hf.BertModel(config)), ("bart", bart())):
        model.save_pretrained(top / name)
        wordpiece().save_pretrained(top / name)
    return top


@pytest.fixture
def models(folders: Path) -> Models:
    return Models(str(folders / name) for name in ("bert", "encoder", "bart"))


def question(models: Models, place: int, text: str, **more: object) -> Question:
    return Question(models.models[place].id, text, **more)  # type: ignore[arg-type]


def test_what_each_can_be_asked_is_known_before_it_is_loaded(models: Models, folders: Path) -> None:
    told = [(model.name, model.kind, model.pair, model.causal, model.gradients) for model in models.models]
    assert told == [
        (str(folders / "bert"), "text", True, True, ("masked",)),
        (str(folders / "encoder"), "text", True, True, ()),
        (str(folders / "bart"), "seq2seq", False, False, ("next",)),
    ]
    assert not models._open
    assert models.add(str(folders / "bert"), "by name").name == "by name"
    assert len(models.models) == 3


def test_a_text_two_texts_and_a_switch(models: Models) -> None:
    words = " ".join(wordpiece().convert_ids_to_tokens([5, 6, 7]))
    trace = models.attend(question(models, 0, words, pair=words))
    assert trace.provenance.weights == "trained"
    assert trace.tokens().length == 9
    before = models.attend(question(models, 0, words, causal=True)).weights(0)
    assert float(abs(torch.tensor(before).triu(1)).max()) == 0
    assert float(abs(torch.tensor(models.attend(question(models, 0, words)).weights(0)).triu(1)).max()) > 0.01


def test_gradients_and_predictions_of_a_model_that_says_something(models: Models) -> None:
    trace = models.attend(question(models, 0, "[MASK] [MASK]", gradient="masked"))
    assert trace.provenance.target == "log-probability of the likeliest token at position 1"
    assert trace.gradients(0).any()
    assert trace.parts[0].predictions is not None
    silent = models.attend(question(models, 1, "[MASK]"))
    assert silent.parts[0].predictions is None
    with pytest.raises(ConfigError, match="isn't over tokens"):
        models.attend(question(models, 1, "[MASK]", gradient="masked"))


def test_the_untrained_twin_is_drawn_once_and_says_so(models: Models) -> None:
    one, two = (models.attend(question(models, 0, "[MASK]", untrained=True)) for _ in range(2))
    assert one.provenance.weights == "untrained (library)"
    assert one.provenance.seed == 0
    assert (one.weights(1) == two.weights(1)).all()
    assert len(models._open) == 2


def test_only_the_first_answer_is_compared_with_the_model_s_own(models: Models) -> None:
    first, second = (models.attend(question(models, 0, "[MASK]")) for _ in range(2))
    assert "output difference" in first.provenance.notes
    assert "output difference" not in second.provenance.notes


def test_a_summary_is_given_or_written(models: Models) -> None:
    given = models.attend(question(models, 2, "[MASK] [MASK]", target="[MASK]"))
    assert set(given.streams) == {"encoder", "decoder", "cross"}
    assert models.attend(question(models, 2, "[MASK] [MASK]")).streams == given.streams


def test_few_models_are_kept(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "OPEN", 1)
    asked = [question(models, place, "[MASK]") for place in (0, 1)]
    for one in asked:
        models.attend(one)
    assert [key[0] for key in models._open] == [asked[1].model]
    assert list(models._readings) == [asked[1]]  # what was kept for the other would keep it in memory
    assert models.ablate(asked[0], Without("encoder", 0, 0, "zero"))[0] > 0


def test_long_texts_are_refused_before_they_are_read(models: Models) -> None:
    with pytest.raises(DataError, match=r"20,001 characters is more than live models read: send at most 20,000"):
        models.attend(question(models, 0, "x" * 20_001))
    assert not models._open


@pytest.mark.parametrize("kind", ["zero", "mean"])
def test_a_head_taken_away_is_the_model_without_it(models: Models, folders: Path, kind: str) -> None:
    asked = question(models, 0, "[MASK] [MASK]", pair="[MASK]")
    number, sentence = models.ablate(asked, Without("encoder", 1, 2, kind))  # type: ignore[arg-type]
    model = hf.BertForMaskedLM.from_pretrained(folders / "bert").eval()
    inputs = wordpiece()("[MASK] [MASK]", "[MASK]", return_tensors="pt")
    with record_attention(model) as record, torch.no_grad():
        before = model(**inputs).logits[0].log_softmax(-1)
    name = [call.name for call in record][1]
    after = run_edited(model, lambda: model(**inputs), Ablate({name: [2]}, kind)).logits[0].log_softmax(-1)  # type: ignore[arg-type]
    assert number == pytest.approx(float((before.exp() * (before - after)).sum(-1).mean()), rel=1e-4)
    begins = "Without head 1.2 what" if kind == "zero" else "With only the mean of head 1.2 what"
    assert sentence.startswith(begins)
    assert "first choices change" in sentence


def test_the_switch_holds_while_a_head_is_taken_away(models: Models) -> None:
    numbers = [
        models.ablate(question(models, 0, "[MASK] [MASK] [MASK]", causal=causal), Without("encoder", 0, 1, "zero"))[0]
        for causal in (True, False)
    ]
    assert numbers[0] != pytest.approx(numbers[1], rel=1e-3)


@pytest.mark.parametrize(
    "which", [Without("decoder", 0, 0, "zero"), Without("encoder", 2, 0, "zero"), Without("encoder", 0, 3, "zero")]
)
def test_a_head_that_isnt_there_is_said(models: Models, which: Without) -> None:
    with pytest.raises(ConfigError, match=r"there is no head \d\.\d in '(en|de)coder': choose another"):
        models.ablate(question(models, 0, "[MASK]"), which)


def test_a_run_that_attends_to_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"kind": "study"}')
    with pytest.raises(ModelError, match="is a run of kind 'study', which attends to nothing"):
        Models([str(tmp_path)])


class TestWords:
    def test_classes(self) -> None:
        before, after = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.0, 2.0, 0.0]])
        number, said = effect_in_words(before, after, "0.1", "zero")
        old, new = before[0].softmax(-1), after[0].softmax(-1)
        assert number == pytest.approx(float((old * (old / new).log()).sum()), rel=1e-5)
        assert said == "Without head 0.1 the likeliest class, 0, goes from 0.787 to 0.107."

    def test_vectors_turn(self) -> None:
        before = {"last_hidden_state": torch.tensor([[[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]])}
        after = {"last_hidden_state": torch.tensor([[[5.0, 0.0], [2.0, 0.0], [3.0, 0.0]]])}
        number, said = effect_in_words(before, after, "2.0", "mean", [("a", " b", "c"), ("x",)])
        assert number == pytest.approx(1 / 3)
        assert said == (
            "With only the mean of head 2.0 the output's vectors turn by 33.33% (1 - cosine, mean over positions), "
            "most at “b”: 100.00%."
        )

    def test_nothing_changes(self) -> None:
        same = torch.zeros(1, 2, 5)
        number, said = effect_in_words(same, same, "0.0", "zero", [("a", "b")])
        assert number == 0
        assert said.endswith("0 of 2 first choices change.")

    def test_what_has_no_numbers_is_refused(self) -> None:
        with pytest.raises(ModelError, match="str holds no numbers to compare"):
            effect_in_words("x", "x", "0.0", "zero")
