"""The same tokens as Hugging Face's ``generate``, over a grid of options and random models."""

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration

from vitrail.text.convert import from_huggingface
from vitrail.text.decoding import Text, TransformerWriter, decode
from vitrail.text.options import Decoding

WORDS, LONGEST, SOURCES = 41, 17, 7


def random_model(seed: int) -> Any:
    """A BART whose logits vary enough to leave few ties, and whose end comes at no certain place."""
    torch.manual_seed(seed)
    sizes = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 23, "decoder_ffn_dim": 23}
    config = BartConfig(
        vocab_size=WORDS, d_model=22, encoder_layers=1, decoder_layers=2, max_position_embeddings=43,
        forced_eos_token_id=None, **sizes,
    )  # fmt: skip
    model = BartForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.25 + (1.0 if parameter.ndim == 1 else 0.0) * 0.1)
        model.final_logits_bias.normal_(std=0.5)
        model.final_logits_bias[0, config.eos_token_id] = float(torch.empty(()).uniform_(2.0, 4.0))
    return model


def sources(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(3, WORDS, (SOURCES, 11), generator=generator)
    for row, length in enumerate(torch.randint(1, 12, (SOURCES,), generator=generator).tolist()):
        rows[row, length:] = 1
    return rows


@dataclass(frozen=True)
class Case:
    """One model, seven sources, one set of options."""

    seed: int
    options: Decoding


def cases(count: int) -> list[Case]:
    """The grid of options, drawn at random."""
    generator = torch.Generator().manual_seed(0)

    def pick(*choices: Any) -> Any:
        return choices[int(torch.randint(len(choices), (1,), generator=generator))]

    found = []
    for number in range(count):
        most, penalty = pick(5, 9, LONGEST), pick(-0.5, 0.0, 0.6, 1.0, 2.0, 2.0, 3.0)
        least, size = pick(0, 0, 2, 4), pick(0, 0, 1, 2, 3)
        # When a search ends matters where longer texts are favoured.
        ends = (True, False, "never", "never") if penalty > 1 else (False, False, False, False, True, "never")
        found.append(
            Case(
                number % 61,
                Decoding(
                    beams=pick(1, 2, 3, 4, 5, 6),
                    max_tokens=most,
                    min_tokens=least,
                    length_penalty=penalty,
                    early_stopping=pick(*ends),
                    no_repeat_ngram=size,
                    first=pick(None, None, None, 7),
                    # A last token matters to texts that go on so long, shares to those that rules narrow.
                    last=pick(None, None, *([] if most > 5 else [2])),
                    renormalise=pick(False, *([True] if least and size else [])),
                ),
            )
        )
    return found


def theirs(case: Case) -> tuple[list[list[int]], list[float] | None]:
    options = case.options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = random_model(case.seed).generate(
            input_ids=sources(case.seed),
            attention_mask=(sources(case.seed) != 1).long(),
            num_beams=options.beams,
            do_sample=False,
            max_new_tokens=options.max_tokens,
            min_new_tokens=options.min_tokens or None,
            no_repeat_ngram_size=options.no_repeat_ngram or None,
            forced_bos_token_id=options.first,
            forced_eos_token_id=options.last,
            renormalize_logits=options.renormalise,
            return_dict_in_generate=True,
            output_scores=True,
            **({} if options.beams == 1 else _of_beams(options)),
        )
    texts = [_until_end(row.tolist()[1:]) for row in found.sequences]
    return texts, None if options.beams == 1 else found.sequences_scores.tolist()


def _of_beams(options: Decoding) -> dict[str, Any]:
    return {"length_penalty": options.length_penalty, "early_stopping": options.early_stopping}


def _until_end(tokens: list[int]) -> list[int]:
    end = tokens.index(2) + 1 if 2 in tokens else len(tokens)
    return tokens[:end]


def ours(case: Case) -> list[list[Text]]:
    model = from_huggingface(random_model(case.seed)).eval()
    with torch.no_grad():
        return decode(TransformerWriter(model, sources(case.seed)), case.options)


@dataclass
class Parity:
    """What was compared with ``generate``: texts, those that ended by themselves, near-ties; and the cases that differ.

    A near-tie is another text whose score is theirs but for 1e-5; in float32 it may fall either way.
    """

    texts: int = 0
    ended: int = 0
    ties: int = 0
    differing: list[Case] = field(default_factory=list)


def compare(found: list[Case]) -> Parity:
    parity = Parity()
    for case in found:
        mine, (texts, scores) = ours(case), theirs(case)
        parity.texts += len(texts)
        parity.ended += sum(len(text) < case.options.max_tokens for text in texts)
        for row, (own, text) in enumerate(zip(mine, texts, strict=True)):
            near = scores is None or abs(own[0].score - scores[row]) < 1e-4
            if own[0].tokens == text and near:
                continue
            if scores is not None and abs(own[0].score - scores[row]) < 1e-5:
                parity.ties += 1
            elif case not in parity.differing:
                parity.differing.append(case)
    return parity


OFF: dict[str, dict[str, Any]] = {
    "beams": {"beams": 1},
    "min_tokens": {"min_tokens": 0},
    "length_penalty": {"length_penalty": 1.0},
    "early_stopping": {"early_stopping": False},
    "no_repeat_ngram": {"no_repeat_ngram": 0},
    "first": {"first": None},
    "last": {"last": None},
    "renormalise": {"renormalise": False},
}
"""Each option as it is when nobody asks for it."""


def effects(found: list[Case]) -> dict[str, tuple[int, int]]:
    """Option → cases that set it, and those of them in which ``generate`` writes otherwise without it."""
    counted = dict.fromkeys(OFF, (0, 0))
    for case in found:
        with_all = theirs(case)[0]
        for name, off in OFF.items():
            without = Case(case.seed, replace(case.options, **off))
            # A search's options mean nothing to greedy decoding.
            of_search = name in ("length_penalty", "early_stopping", "renormalise")
            if without != case and not (of_search and case.options.beams == 1):
                number, changed = counted[name]
                counted[name] = number + 1, changed + (theirs(without)[0] != with_all)
    return counted


def test_the_same_tokens_as_generate() -> None:
    parity = compare(cases(60))
    assert parity.differing == []
    assert 0.3 <= parity.ended / parity.texts <= 0.95, "both kinds of texts are met, those that end and those cut"


@pytest.mark.slow
def test_the_same_tokens_in_many_cases() -> None:
    parity = compare(cases(600))
    print(parity)
    assert parity.differing == []
    assert 0.3 <= parity.ended / parity.texts <= 0.95


@pytest.mark.slow
def test_every_option_matters_in_the_cases_that_set_it() -> None:
    counted = effects(cases(200))
    print(counted)
    for name, (number, changed) in counted.items():
        assert changed >= 0.2 * number > 0, name
