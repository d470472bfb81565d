"""The same tokens as Hugging Face's ``generate``, over a grid of options and random models."""

import warnings
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from transformers import BartConfig, BartForConditionalGeneration

from vitrail.text.convert import from_huggingface
from vitrail.text.decoding import Text, TransformerWriter, decode
from vitrail.text.options import Decoding

WORDS, LONGEST = 41, 17


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
            parameter.copy_(torch.randn_like(parameter) * 0.35 + (1.0 if parameter.ndim == 1 else 0.0) * 0.1)
        model.final_logits_bias.normal_(std=0.5)
        model.final_logits_bias[0, config.eos_token_id] = float(torch.empty(()).uniform_(-1.0, 5.0))
    return model


def sources(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(3, WORDS, (3, 11), generator=generator)
    for row, length in enumerate(torch.randint(1, 12, (3,), generator=generator).tolist()):
        rows[row, length:] = 1
    return rows


@dataclass(frozen=True)
class Case:
    """One model, three sources, one set of options."""

    seed: int
    options: Decoding


def cases(count: int) -> list[Case]:
    """The grid of options, drawn at random."""
    generator = torch.Generator().manual_seed(0)

    def pick(*choices: Any) -> Any:
        return choices[int(torch.randint(len(choices), (1,), generator=generator))]

    found = []
    for number in range(count):
        most = pick(5, 9, LONGEST)
        found.append(
            Case(
                number % 61,
                Decoding(
                    beams=pick(1, 2, 3, 4, 5, 6),
                    max_tokens=most,
                    min_tokens=pick(0, 0, 2, 4),
                    length_penalty=pick(-0.5, 0.0, 0.6, 1.0, 2.0),
                    early_stopping=pick(True, False, "never"),
                    no_repeat_ngram=pick(0, 0, 1, 2, 3),
                    first=pick(None, None, None, 7),
                    last=pick(None, None, None, 2),
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


def differing(count: int) -> tuple[int, int, list[Case]]:
    """How many texts were compared, how many of them ended by themselves, and the cases that differ."""
    compared, ended, found = 0, 0, []
    for case in cases(count):
        mine, (texts, scores) = ours(case), theirs(case)
        compared += len(texts)
        ended += sum(len(text) < case.options.max_tokens for text in texts)
        same = [of[0].tokens for of in mine] == texts
        if scores is not None:
            same &= all(abs(of[0].score - score) < 1e-4 for of, score in zip(mine, scores, strict=True))
        if not same:
            found.append(case)
    return compared, ended, found


def test_the_same_tokens_as_generate() -> None:
    compared, ended, found = differing(60)
    assert found == []
    assert 0.3 <= ended / compared <= 0.95, "both kinds of texts are met, those that end and those that are cut"


@pytest.mark.slow
def test_the_same_tokens_in_many_cases() -> None:
    assert differing(600)[2] == []
