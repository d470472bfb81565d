"""A language model is made of PyTorch's layers; a cache, branches, padding and what comes after change nothing."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GPT2LMHeadModel

from vitrail.errors import ConfigError
from vitrail.nn.attention import causal_mask
from vitrail.text.decoding import decode
from vitrail.text.language import LanguageConfig, LanguageModel
from vitrail.text.language_huggingface import to_huggingface
from vitrail.text.language_presets import bert_base
from vitrail.text.language_writing import LanguageWriter, fill_in, go_on
from vitrail.text.options import Decoding
from vitrail.text.tokens import train_tokenizer

WORDS = 53
GPT = LanguageConfig(WORDS, dim=30, layers=3, heads=5, hidden=37, max_length=19)
BERT = replace(bert_base(WORDS), dim=30, layers=3, heads=5, hidden=37, max_length=19)
SHAPES = {"gpt": GPT, "bert": BERT, "attention only": replace(GPT, feed_forward=False)}


def tokens(*shape: int, seed: int = 3) -> Tensor:
    return torch.randint(2, WORDS, shape, generator=torch.Generator().manual_seed(seed))


def model_of(config: LanguageConfig) -> LanguageModel:
    torch.manual_seed(5)
    model = LanguageModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.mark.parametrize("name", ["gpt", "bert"])
def test_it_is_made_of_pytorchs_layers(name: str) -> None:
    ours, config = model_of(SHAPES[name]), SHAPES[name]
    read = tokens(2, 7)
    x = ours.embedding(read) + ours.positions.weight[:7]
    if name == "bert":
        x = ours.entry_norm(x + ours.types.weight[0])  # type: ignore[union-attr]
    for block in ours.blocks:
        layer = nn.TransformerEncoderLayer(
            30, 5, 37, 0.0, activation=lambda x: F.gelu(x, approximate="tanh" if name == "gpt" else "none"),
            layer_norm_eps=config.eps, batch_first=True, norm_first=name == "gpt",
        ).train()  # fmt: skip
        own = block.state_dict()
        names = {"attention.qkv.": "self_attn.in_proj_", "attention.out.": "self_attn.out_proj."}
        names |= {"feed_forward.up.": "linear1.", "feed_forward.down.": "linear2."}
        for one, other in names.items():
            own = {key.replace(one, other): value for key, value in own.items()}
        layer.load_state_dict(own)
        x = layer(x, src_mask=~causal_mask(7, 7) if name == "gpt" else None)
    if name == "gpt":
        expected = F.linear(ours.final_norm(x), ours.embedding.weight)
    else:
        turned = ours.transform.norm(F.gelu(ours.transform.map(x)))  # type: ignore[union-attr, operator]
        expected = F.linear(turned, ours.embedding.weight, ours.output_bias)
    torch.testing.assert_close(ours(read), expected, atol=1e-5, rtol=1e-5)


def test_without_feed_forward_networks_attention_is_all_there_is() -> None:
    ours = model_of(SHAPES["attention only"])
    assert not any("feed_forward" in name or "norm2" in name for name, _ in ours.named_parameters())
    read = tokens(2, 7)
    x = ours.embedding(read) + ours.positions.weight[:7]
    for block in ours.blocks:
        x = x + block.attention(block.norm1(x), causal=True)
    expected = F.linear(ours.final_norm(x), ours.embedding.weight)
    torch.testing.assert_close(ours(read), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_padding_changes_nothing_and_who_sees_what(name: str) -> None:
    model = model_of(SHAPES[name])
    read = tokens(2, 5)
    longer = torch.cat([read, tokens(2, 3, seed=4)], 1)
    mask = torch.arange(8).expand(2, 8) < 5
    with torch.no_grad():
        whole = model(read)
        torch.testing.assert_close(model(longer, mask)[:, :5], whole, atol=1e-5, rtol=1e-5)
        same = torch.allclose(model(longer)[:, :5], whole, atol=1e-5, rtol=1e-5)
    assert same == (name != "bert")


def test_kinds_of_segment_are_told_apart() -> None:
    model = model_of(BERT)
    read, types = tokens(1, 7), torch.tensor([[0, 0, 0, 1, 1, 1, 1]])
    assert torch.equal(model(read), model(read, types=torch.zeros_like(types)))
    assert not torch.allclose(model(read), model(read, types=types), atol=1e-2)


@pytest.mark.parametrize("name", ["gpt", "attention only"])
def test_branches_see_themselves_only(name: str) -> None:
    """Two texts from one beginning, in one cache, each beginning of its own length; then one leaves."""
    model = model_of(SHAPES[name])
    beginnings = [[5, 6, 7, 8], [9], [11, 12]]
    goes = {0: [13, 14, 15], 1: [16, 17, 18]}

    def expected(row: int, branch: int, place: int) -> Tensor:
        return model(torch.tensor([[*beginnings[row], *goes[branch][:place]]]))[0, -1]

    with torch.no_grad():
        writer = LanguageWriter(model, beginnings)
        rows = [0, 1, 2]
        first = writer.advance(torch.full((3, 1), model.config.end), torch.zeros(3, 1, dtype=torch.int64))
        for row in rows:
            torch.testing.assert_close(first[row, 0], expected(row, 0, 0), atol=1e-5, rtol=1e-5)
        parents = torch.zeros(3, 2, dtype=torch.int64)
        for place in range(3):
            if place == 2:
                rows = [2, 0]
                writer.keep(torch.tensor(rows))
                parents = parents[:2]
            latest = torch.tensor([[goes[0][place], goes[1][place]]]).expand(len(rows), 2)
            found = writer.advance(latest, parents)
            parents = torch.tensor([[0, 1]]).expand(len(rows), 2)
            for at, row in enumerate(rows):
                for branch in (0, 1):
                    want = expected(row, branch, place + 1)
                    torch.testing.assert_close(found[at, branch], want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", [Decoding(beams=1, max_tokens=7), Decoding(beams=3, max_tokens=7)])
def test_it_writes_as_hugging_faces_does(options: Decoding, tmp_path: object) -> None:
    model = model_of(replace(GPT, pad=0, end=1))
    to_huggingface(model, tmp_path)  # type: ignore[arg-type]
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    for seed in range(5):
        beginnings = tokens(4, 6, seed=seed)
        found = decode(LanguageWriter(model, beginnings.tolist()), options)
        expected = theirs.generate(
            beginnings, attention_mask=torch.ones_like(beginnings), num_beams=options.beams, max_new_tokens=7,
            do_sample=False, early_stopping=False, length_penalty=1.0,
        )  # fmt: skip
        for texts, row in zip(found, expected[:, 6:].tolist(), strict=True):
            kept = row[: row.index(1) + 1] if 1 in row else row
            assert texts[0].tokens == kept


def some_tokens() -> tuple[LanguageConfig, list[str]]:
    return replace(GPT, vocabulary=300, max_length=23), [f"the {word} is here" for word in ("cat", "dog", "bird")] * 9


def test_from_beginnings_to_texts() -> None:
    config, texts = some_tokens()
    words = train_tokenizer(texts, 300)
    model = model_of(replace(config, vocabulary=len(words)))
    beginnings = ["the cat", "", "the dog is here the bird is here " * 9]
    together = go_on(model, words, beginnings, Decoding(beams=1, max_tokens=7))
    alone = [go_on(model, words, [text], Decoding(beams=1, max_tokens=7))[0] for text in beginnings]
    assert together == alone
    assert go_on(model, words, [], Decoding(beams=1, max_tokens=7)) == []
    drawn = Decoding(beams=1, max_tokens=7, sample=True)
    assert go_on(model, words, beginnings, drawn, seed=1) == go_on(model, words, beginnings, drawn, seed=1)
    with pytest.raises(ConfigError, match="23 positions, and 24 tokens"):
        go_on(model, words, beginnings, Decoding(beams=1, max_tokens=24))
    with pytest.raises(ConfigError, match="fills in what is hidden"):
        fill_in(model, words, "the <mask>")
    with pytest.raises(ConfigError, match="nothing to go on from"):
        LanguageWriter(model, [[3], []])


def test_filling_in_asks_at_each_mask() -> None:
    _, texts = some_tokens()
    words = train_tokenizer(texts, 300, mask=True)
    model = model_of(replace(BERT, vocabulary=len(words)))
    found = fill_in(model, words, "the <mask> is <mask>", 3)
    assert [len(row) for row in found] == [3, 3]
    read = [1, *words.encode(["the"])[0], words.mask, *words.encode(["is"])[0], words.mask, 1]
    chances = model(torch.tensor([read])).detach().softmax(-1)[0, read.index(words.mask)]  # type: ignore[arg-type]
    assert found[0][0][1] == pytest.approx(float(chances.max()), rel=1e-4)
    assert fill_in(model, words, "the cat") == []
    with pytest.raises(ConfigError, match="can't write"):
        go_on(model, words, ["the"], Decoding(max_tokens=5))


def test_all_weights_get_a_gradient() -> None:
    for config in SHAPES.values():
        model = LanguageModel(config).train()
        model(tokens(2, 7), types=tokens(2, 7) % 2).square().mean().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        assert model.no_weight_decay() - {"types.weight"} <= {name for name, _ in model.named_parameters()}


def test_what_a_block_adds_shrinks_with_their_number() -> None:
    torch.manual_seed(3)

    def deviation(config: LanguageConfig, name: str) -> float:
        return float(LanguageModel(config).get_parameter(name).detach().std())

    wide = replace(GPT, dim=120, hidden=130, layers=8)
    names: Sequence[str] = ("blocks.0.attention.out.weight", "blocks.1.feed_forward.down.weight")
    assert [deviation(wide, name) for name in names] == pytest.approx([0.005] * 2, rel=0.05)
    assert deviation(replace(wide, feed_forward=False), names[0]) == pytest.approx(0.02 / 8**0.5, rel=0.05)
    assert deviation(wide, "blocks.0.feed_forward.up.weight") == pytest.approx(0.02, rel=0.05)
    assert deviation(replace(wide, norm_first=False), names[0]) == pytest.approx(0.02, rel=0.05)


def test_what_cannot_be_meant() -> None:
    with pytest.raises(ConfigError, match="20 tokens is longer than the 19 positions"):
        model_of(GPT)(tokens(1, 20))
    with pytest.raises(ConfigError, match="can't be split into 7 heads"):
        replace(GPT, heads=7)
    with pytest.raises(ConfigError, match="end token is 53"):
        replace(GPT, end=53)
    with pytest.raises(ConfigError, match="layers is 0"):
        replace(GPT, layers=0)
