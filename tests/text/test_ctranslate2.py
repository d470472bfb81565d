"""CTranslate2 beside our own model and decoding: every layout's numbers, the same tokens over a grid of options."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("ctranslate2", reason="needs CTranslate2: pip install 'vitrail[fast]'", exc_type=ImportError)

import ctranslate2

from vitrail.errors import ConfigError, ModelError, OutputError
from vitrail.text import Decoding, Transformer, TransformerConfig
from vitrail.text.constraints import keep_likely, restrict
from vitrail.text.ctranslate2 import fingerprint_of, keep_ctranslate2, to_ctranslate2
from vitrail.text.ctranslate2_engine import CTranslate2Engine, differences, settings_of
from vitrail.text.engines import TorchEngine
from vitrail.text.summarizing import summarize
from vitrail.text.tokens import Tokens

WORDS, LONGEST, PLACES = 41, 17, 43

MakeWords = Callable[[int], Tokens]

COURSE = TransformerConfig(WORDS, dim=22, encoder_layers=1, decoder_layers=2, heads=2, hidden=23, max_length=PLACES)
BART = replace(COURSE, one_entry=False, activation="gelu", encoder_layers=3)
SMALL = replace(COURSE, norm_first=True, final_norm=True)
T5 = replace(
    COURSE, norm_first=True, norm="rms", eps=1e-6, bias=False, scale_attention=False, positions="relative", buckets=6,
    max_distance=5, entry_norm=False, final_norm=True, scale_output=True, output_bias=False, start=0, head_dim=7,
)  # fmt: skip

LAYOUTS = {
    "course": COURSE,
    "bart": BART,
    "bart, scaled embeddings": replace(BART, scale_embedding=True),
    "small": SMALL,
    "t5 1.0": T5,
    "t5 1.1": replace(T5, activation="geglu_tanh", tied=False, scale_output=False),
    "t5's own numbers of distances": replace(T5, buckets=32, max_distance=128),
    "swiglu, a pre-norm without a last one": replace(COURSE, norm_first=True, activation="swiglu"),
    "geglu, a post-norm with a last one": replace(COURSE, final_norm=True, activation="geglu", one_entry=False),
    "tanh's gelu, its own output, no entry norm": replace(COURSE, activation="gelu_tanh", tied=False, entry_norm=False),
    "rms norms with another epsilon": replace(SMALL, norm="rms", eps=1e-2),
    "one narrow head": replace(BART, heads=1, head_dim=5),
    "wide heads without biases": replace(SMALL, head_dim=13, bias=False, output_bias=False),
}


def random_model(layout: str, seed: int) -> Transformer:
    """Weights of a size at which every part matters, with an end that comes at no certain place."""
    generator = torch.Generator().manual_seed(1009 * seed + 7)
    model = Transformer(LAYOUTS[layout]).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.35
            parameter.copy_(1 + noise if "norm" in name and name.endswith("weight") else noise)
        if model.output_bias is not None:
            model.output_bias[1] = torch.empty(()).uniform_(2.0, 6.0, generator=generator)
    return model


def sources(seed: int, rows: int = 3) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 12, (rows,), generator=generator).tolist()
    return [[*torch.randint(3, WORDS, (length,), generator=generator).tolist(), 1] for length in lengths]


def engine(model: Transformer, tokens: Tokens, folder: Path, **changes: Any) -> CTranslate2Engine:
    to_ctranslate2(model, tokens, folder, **changes)
    return CTranslate2Engine(folder, threads=1)


@pytest.fixture(scope="module")
def tokens(words: MakeWords) -> Tokens:
    """Fewer tokens than the models have rows, as T5's tokenizer has."""
    return words(WORDS - 2)


# -- numbers ----------------------------------------------------------------------------------------------------------


def likelihoods(folder: Path, pairs: list[tuple[list[int], list[int]]], **changes: Any) -> list[list[float]]:
    """CTranslate2's log-probability of each token of a target, and of the end after it."""
    names = json.loads((folder / "shared_vocabulary.json").read_text())
    translator = ctranslate2.Translator(str(folder), intra_threads=1, **changes)
    texts = [[[names[token] for token in text] for text in side] for side in zip(*pairs, strict=True)]
    return [result.log_probs for result in translator.score_batch(*texts, max_input_length=0)]


def expected_likelihoods(model: Transformer, pairs: list[tuple[list[int], list[int]]]) -> list[list[float]]:
    found = []
    for source, target in pairs:
        start, end = model.config.start, model.config.end
        with torch.no_grad():
            logits = model(torch.tensor([source]), torch.tensor([[start, *target]]), torch.ones(1, len(source)).bool())
        found.append(logits[0].log_softmax(-1).gather(1, torch.tensor([*target, end])[:, None])[:, 0].tolist())
    return found


PAIRS = [(source, target[:-1]) for source, target in zip(sources(5, 7), sources(11, 7), strict=True)]
LONG = ([*range(3, WORDS), 7, 5, 3, 13, 1], [5, 7, 11])
"""As long as there are positions."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_numbers(layout: str, tokens: Tokens, tmp_path: Path) -> None:
    model = random_model(layout, 3)
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    to_ctranslate2(model, tokens, tmp_path)
    expected, found = expected_likelihoods(model, [*PAIRS, LONG]), likelihoods(tmp_path, [*PAIRS, LONG])
    for mine, yours in zip(expected, found, strict=True):
        # Where no norm is the last, log-probabilities go into the hundreds.
        assert yours == pytest.approx(mine, abs=1e-5 * max(1, *map(abs, mine)))
    to_ctranslate2(model, tokens, tmp_path, "int8")
    assert all(torch.equal(weights, before[name]) for name, weights in model.state_dict().items())


def test_fewer_bits_stay_near_and_take_less_room(tokens: Tokens, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = Transformer(replace(COURSE, dim=64, hidden=128)).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(std=0.2)
    expected, sizes = torch.tensor([*chain(*expected_likelihoods(model, PAIRS))]), {}
    for quantization, near in (("float32", 1e-4), ("float16", 0.02), ("int8", 0.5)):
        folder = tmp_path / quantization
        theirs = engine(model, tokens, folder, quantization=quantization)
        assert theirs._translator.compute_type == ("int8_float32" if quantization == "int8" else "float32")
        for text in theirs.prepare(Decoding(beams=3, max_tokens=9, early_stopping=True))(sources(5, 7)):
            assert 1 <= len(text) <= 9
            assert len(text) == 9 or text[-1] == 1
            assert 1 not in text[:-1]
        sizes[quantization] = (folder / "model.bin").stat().st_size
        computed = "int8" if quantization == "int8" else "float32"
        found = torch.tensor([*chain(*likelihoods(folder, PAIRS, compute_type=computed))])
        assert found.isfinite().all()
        assert float((found - expected).abs().max()) < near
    assert sizes["float16"] < 0.52 * sizes["float32"]
    assert sizes["int8"] < 0.3 * sizes["float32"]


# -- tokens -----------------------------------------------------------------------------------------------------------


def our_texts(model: Transformer, rows: list[list[int]], options: Decoding, *, plain: bool = False) -> list[list[int]]:
    """By our own decoding, which renormalises as CTranslate2 does, unless ``plain``."""
    return TorchEngine(model).prepare(replace(options, renormalise=not plain))(rows)


@dataclass(frozen=True)
class Case:
    """One model, three sources, one set of options."""

    layout: str
    seed: int
    options: Decoding


def cases(count: int) -> list[Case]:
    """The grid of options that it follows, drawn at random."""
    generator = torch.Generator().manual_seed(0)

    def pick(*choices: Any) -> Any:
        return choices[int(torch.randint(len(choices), (1,), generator=generator))]

    found = []
    for number in range(count):
        layout, beams = pick(*LAYOUTS), pick(1, 2, 3, 4, 5, 6)
        penalty, least = pick(-0.5, 0.0, 0.6, 1.0, 2.0), pick(0, 0, 2, 4)
        options = Decoding(
            beams=beams,
            max_tokens=pick(5, 9, LONGEST),
            min_tokens=least,
            length_penalty=penalty,
            early_stopping=pick(True, "never", *([False] if penalty <= 0 or beams == 1 else [])),
            # A T5 may write its start token again, from where on longer ones are counted otherwise.
            no_repeat_ngram=pick(0, 0, 0, 1, *([2, 2, 3] if LAYOUTS[layout].start == 1 else [])),
            first=pick(None, None, None, *([7] if beams == 1 or least >= 2 else [])),
        )
        found.append(Case(layout, number % 61, options))
    return found


def likelihood(model: Transformer, source: list[int], text: list[int], options: Decoding) -> float:
    """A text's score: its log-probability after the rules / its length^penalty."""
    target = torch.tensor([[model.config.start, *text]])
    with torch.no_grad():
        logits = model(torch.tensor([source]), target[:, :-1], torch.ones(1, len(source)).bool())[0]
    total = 0.0
    for place, token in enumerate(text):
        scores = restrict(logits[None, None, place].clone(), target[:, None, : place + 1], options, model.config.end)
        total += float(scores[0, 0].log_softmax(-1)[token])
    return total / len(text) ** (options.length_penalty if options.beams > 1 else 0)


@dataclass
class Parity:
    """What was compared: texts, those of them that ended by themselves, near-ties, other texts than plain ours."""

    texts: int = 0
    ended: int = 0
    ties: int = 0
    ruled: int = 0
    otherwise: int = 0


def differing(count: int, tokens: Tokens, folder: Path) -> tuple[Parity, list[tuple[Case, int]]]:
    """Compare many cases; a near-tie is a text whose score is ours but for 1e-5."""
    parity, found = Parity(), []
    for number, case in enumerate(cases(count)):
        model, rows, options = random_model(case.layout, case.seed), sources(case.seed), case.options
        theirs = engine(model, tokens, folder / str(number)).prepare(options)(rows)
        ours = our_texts(model, rows, options)
        parity.texts += len(rows)
        parity.ended += sum(len(text) < options.max_tokens for text in theirs)
        if differences(options):
            parity.ruled += len(rows)
            plain = our_texts(model, rows, options, plain=True)
            parity.otherwise += sum(mine != text for mine, text in zip(plain, theirs, strict=True))
        for row, (mine, text) in enumerate(zip(ours, theirs, strict=True)):
            if mine != text:
                gap = likelihood(model, rows[row], mine, options) - likelihood(model, rows[row], text, options)
                parity.ties += abs(gap) < 1e-5
                found += [] if abs(gap) < 1e-5 else [(case, row)]
    print(parity)
    return parity, found


def test_a_large_batch_is_shared_out_among_threads(tokens: Tokens, tmp_path: Path) -> None:
    model, options = random_model("course", 3), Decoding(beams=3, max_tokens=9, early_stopping=True)
    to_ctranslate2(model, tokens, tmp_path)
    theirs, rows = CTranslate2Engine(tmp_path, threads=2), [row for seed in range(5) for row in sources(seed)]
    write = theirs.prepare(options)
    assert theirs._workers is None
    one_by_one = [text for row in rows for text in write([row])]
    assert theirs._workers is None
    assert write(rows) == one_by_one == our_texts(model, rows, options)
    assert theirs._workers is not None
    assert write([*rows, [1]])[-1] == write([[1]])[0]


def test_the_same_tokens_as_our_own_decoding(tokens: Tokens, tmp_path: Path) -> None:
    parity, found = differing(40, tokens, tmp_path)
    assert found == []
    assert parity.ties <= 1
    assert 0.3 <= parity.ended / parity.texts <= 0.95, "both kinds of texts are met, those that end and those cut"


@pytest.mark.slow
def test_the_same_tokens_in_many_cases(tokens: Tokens, tmp_path: Path) -> None:
    parity, found = differing(400, tokens, tmp_path)
    assert found == []
    assert parity.ties <= 4


@pytest.mark.parametrize(
    ("penalty", "layout", "seeds"),
    [(2.0, "bart", range(13)), (0.0, "swiglu, a pre-norm without a last one", (5, 9, 24))],
)
def test_a_search_ends_when_it_is_told_to(
    penalty: float, layout: str, seeds: Sequence[int], tokens: Tokens, tmp_path: Path
) -> None:
    at_once = Decoding(beams=2, max_tokens=LONGEST, length_penalty=penalty, early_stopping=True)
    at_last, matters = replace(at_once, early_stopping="never"), 0
    for seed in seeds:
        model, rows = random_model(layout, seed), sources(seed, 11)
        theirs = engine(model, tokens, tmp_path / str(seed))
        expected = [our_texts(model, rows, options) for options in (at_once, at_last)]
        assert [theirs.prepare(options)(rows) for options in (at_once, at_last)] == expected
        matters += sum(one != other for one, other in zip(*expected, strict=True))
    assert matters >= 5


def test_no_document_is_cut_in_silence(tokens: Tokens, tmp_path: Path) -> None:
    model, options = random_model("t5 1.1", 3), Decoding(beams=1, max_tokens=LONGEST)
    theirs = engine(model, tokens, tmp_path).prepare(options)
    long = [*torch.randint(3, WORDS, (1100,), generator=torch.Generator().manual_seed(5)).tolist(), 1]
    assert theirs([long]) == our_texts(model, [long], options)
    assert theirs([long]) != theirs([[*long[:1023], 1]])


def test_draws_follow_the_distribution_that_was_asked_for(tokens: Tokens, tmp_path: Path) -> None:
    model, source = random_model("course", 3), [5, 7, 11, 1]
    theirs = engine(model, tokens, tmp_path)
    with torch.no_grad():
        logits = model(torch.tensor([source]), torch.tensor([[1]]))[0]
    options = Decoding(beams=1, max_tokens=1, sample=True, temperature=1.7)
    for asked in (
        options,
        replace(options, top_k=5),
        replace(options, top_p=0.8),
        replace(options, top_k=9, top_p=0.7),
    ):
        drawn = torch.tensor(theirs.prepare(asked, seed=3)([source] * 4001))[:, 0]
        chances = keep_likely(logits.clone(), asked).softmax(-1)[0]
        found = drawn.bincount(minlength=WORDS) / 4001
        assert bool((found[chances == 0] == 0).all())
        assert bool(((found - chances).abs() < 5 * (chances / 4001).sqrt() + 1e-9).all())
    longer = replace(options, max_tokens=9)
    one, again, other = (theirs.prepare(longer, seed=seed) for seed in (3, 3, 5))
    first, second = one(sources(5)), one(sources(5))
    assert first != second, "draws go on from batch to batch"
    assert [again(sources(5)), again(sources(5))] == [first, second]
    assert other(sources(5)) != first
    assert theirs.prepare(replace(options, top_k=10**6))([source])


def test_each_token_is_told_as_it_is_written(tokens: Tokens, tmp_path: Path) -> None:
    theirs, rows = engine(random_model("course", 3), tokens, tmp_path), sources(5, 7)
    options, heard = Decoding(beams=1, max_tokens=LONGEST), list[tuple[int, int]]()
    found = theirs.prepare(options, hear=heard.extend)(rows)
    assert found == theirs.prepare(options)(rows)
    assert [[token for source, token in heard if source == row] for row in range(7)] == found
    with pytest.raises(ConfigError, match="no token before its end"):
        theirs.prepare(Decoding(beams=2, early_stopping=True), hear=heard.extend)


def test_documents_are_summarized_by_either_engine(tokens: Tokens, tmp_path: Path) -> None:
    model = random_model("course", 3)
    theirs = engine(model, tokens, tmp_path)
    options = Decoding(beams=3, max_tokens=9, early_stopping=True)
    # A document may hold the end token itself, of which CTranslate2 would think that nothing comes before it.
    documents = ["w5 w7 w11", "", "</s>", "</s> w5", "<pad> w7", "w13 " * 99, *(f"w{place}" for place in range(3, 31))]
    both = [list(summarize(either, tokens, documents, options, 13)) for either in (model, theirs)]
    assert both[0] == both[1]
    assert both[0][1] == ""
    with pytest.raises(ConfigError, match="No position encodings are defined for positions >= 43"):
        list(summarize(theirs, tokens, documents, options, PLACES + 1))


# -- what it can't follow, and folders --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"early_stopping": False}, "set early_stopping to True or 'never'"),
        ({"last": 1}, "can't force the last token"),
        ({"beams": 1, "last": 1}, "can't force the last token"),
        ({"first": 7}, "no end right after a given first token"),
        ({"first": 7, "min_tokens": 1}, "no end right after a given first token"),
    ],
)
def test_options_that_it_lacks_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        settings_of(replace(Decoding(early_stopping=True), **changes), WORDS)


def test_what_it_does_otherwise_is_told() -> None:
    beams = Decoding(early_stopping=True)
    assert differences(beams) == differences(replace(beams, beams=1, no_repeat_ngram=3, min_tokens=2)) == []
    for changes in ({"no_repeat_ngram": 3}, {"min_tokens": 1}):
        assert [text for text in differences(replace(beams, **changes)) if "forbidden tokens" in text]
    assert "draws by itself" in differences(Decoding(beams=1, sample=True))[0]


def test_a_folder_is_kept_until_the_model_is_another(tokens: Tokens, tmp_path: Path) -> None:
    model, folder = random_model("course", 3), tmp_path / "exported"
    assert fingerprint_of(folder) is None
    assert keep_ctranslate2(model, tokens, folder, "int8")
    known = fingerprint_of(folder)
    assert not keep_ctranslate2(model, tokens, folder, "int8")
    assert keep_ctranslate2(model, tokens, folder, "float32")
    model.output_bias.data[5] += 1e-3  # type: ignore[index,union-attr]
    assert keep_ctranslate2(model, tokens, folder, "int8")
    assert fingerprint_of(folder) != known
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "model.bin", "shared_vocabulary.json", "tokenizer.json"
    ]  # fmt: skip
    (folder / "config.json").unlink()  # as a process leaves it that is killed while it replaces files
    assert fingerprint_of(folder) is None
    with pytest.raises(ModelError, match="no whole model for CTranslate2"):
        CTranslate2Engine(folder)
    assert keep_ctranslate2(model, tokens, folder, "int8")
    (folder / "model.bin").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="is damaged"):
        CTranslate2Engine(folder)


def test_what_cannot_be_written_leaves_what_is_there(tokens: Tokens, tmp_path: Path, words: MakeWords) -> None:
    model, folder = random_model("course", 3), tmp_path / "exported"
    to_ctranslate2(model, tokens, folder)
    known = fingerprint_of(folder)
    with pytest.raises(ConfigError, match="no quantization called 'int4': choose float32, float16, int8"):
        to_ctranslate2(model, tokens, folder, "int4")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="has 47 tokens, and the model knows 41"):
        to_ctranslate2(model, words(47), folder)
    assert fingerprint_of(folder) == known
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="can't be written"):
        to_ctranslate2(model, tokens, tmp_path / "file")
