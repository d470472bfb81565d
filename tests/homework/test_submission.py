"""submission_log.json to the letter; curves; a training by Hugging Face's ``Seq2SeqTrainer`` as the course does it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from vitrail.cli import main
from vitrail.homework.submission import agreements, submission_log
from vitrail.homework.summarization import Transformer
from vitrail.homework.summary_answers import losses

SHAPES = {
    "scaled_dot_product_attention.3": [7, 5, 6],
    "scaled_dot_product_attention.6": [3, 5, 4],
    "multihead_attention.2.0": [2, 5, 128],
    "multihead_attention.2.1": [2, 5, 128],
    "multihead_attention.4.0": [2, 5, 128],
    "multihead_attention.4.1": [2, 5, 128],
    "transformer_layer.2.0": [3, 4, 128],
    "transformer_layer.2.1": [3, 4, 128],
    "transformer_layer.4.0": [3, 4, 128],
    "transformer_layer.4.1": [3, 4, 128],
}


def test_the_log_has_these_keys_and_shapes() -> None:
    log = json.loads(json.dumps(submission_log()))
    assert list(log) == ["time", *(f"{key}.{what}" for key in SHAPES for what in ("shape", "value"))]
    assert {key: log[f"{key}.shape"] for key in SHAPES} == SHAPES
    assert all(len(log[f"{key}.value"]) == 5 for key in SHAPES)
    assert isinstance(log["time"], str)


def test_the_log_is_the_same_twice_but_for_its_time() -> None:
    before = torch.get_rng_state()
    first, second = submission_log(0.0), submission_log(100_000.0)
    assert first.pop("time") != second.pop("time")
    assert first == second
    assert torch.equal(torch.get_rng_state(), before)


def test_another_process_logs_the_same() -> None:
    program = "import json; from vitrail.homework.submission import submission_log; print(json.dumps(submission_log()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {**json.loads(done.stdout), "time": ""} == {**json.loads(json.dumps(submission_log())), "time": ""}


def close(found: list[float], expected: Tensor) -> bool:
    return torch.allclose(torch.tensor(found), expected, atol=1e-5, rtol=1e-4)


def test_its_numbers_are_those_of_plain_pytorch() -> None:
    """As the table of the exercise says, once more, with PyTorch's own modules and functions."""
    log = submission_log()
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(200)
        q, k, v = torch.randn(7, 5, 6), torch.randn(7, 3, 6), torch.randn(7, 3, 6)
        plain = (q @ k.mT / 6**0.5).softmax(-1) @ v
        assert close(log["scaled_dot_product_attention.3.value"], plain.flatten()[5:10])
        torch.manual_seed(220)
        q, k, v = torch.randn(3, 5, 4), torch.randn(3, 5, 4), torch.randn(3, 5, 4)
        hidden = torch.tensor([[0, 0, 0, 0, 1], [0] * 5, [0, 0, 0, 1, 1]]).bool()[:, None] | later
        plain = (q @ k.mT / 2).masked_fill(hidden, float("-inf")).softmax(-1) @ v
        assert close(log["scaled_dot_product_attention.6.value"], plain.flatten()[3:8])

        torch.manual_seed(350)
        attention = nn.MultiheadAttention(128, 4, batch_first=True)
        out = attention.out_proj
        for weight in (attention.in_proj_weight, attention.in_proj_bias, out.weight, out.bias):
            weight.normal_(0, 0.05)
        torch.manual_seed(500)
        q, k, v = torch.randn(2, 5, 128), torch.randn(2, 3, 128), torch.randn(2, 3, 128)
        plain = attention(q, k, v)[0].flatten()[126:131]
        assert close(log["multihead_attention.2.0.value"], plain)
        assert close(log["multihead_attention.2.1.value"], plain)
        torch.manual_seed(700)
        q, k, v = torch.randn(2, 5, 128), torch.randn(2, 5, 128), torch.randn(2, 5, 128)
        hidden = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 1]]).bool()
        plain = attention(q, k, v, key_padding_mask=hidden, attn_mask=later)[0].flatten()[126:131]
        assert close(log["multihead_attention.4.0.value"], plain)
        assert close(log["multihead_attention.4.1.value"], plain)

        torch.manual_seed(750)
        encoder = nn.TransformerEncoderLayer(128, 4, 512, 0.0, batch_first=True)
        for module in (encoder.self_attn, encoder.self_attn.out_proj, encoder.linear1, encoder.linear2):
            for parameter in list(module.parameters(recurse=False)):
                parameter.normal_(0, 0.05)
        torch.manual_seed(900)
        x, hidden = torch.randn(3, 4, 128), torch.tensor([[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 1]]).bool()
        plain = encoder(x, src_key_padding_mask=hidden).flatten()[126:131]
        assert close(log["transformer_layer.2.0.value"], plain)
        assert close(log["transformer_layer.2.1.value"], plain)

        torch.manual_seed(950)
        decoder = nn.TransformerDecoderLayer(128, 4, 512, 0.0, batch_first=True)
        attentions = (decoder.self_attn, decoder.self_attn.out_proj)
        attentions += (decoder.multihead_attn, decoder.multihead_attn.out_proj)
        for module in (*attentions, decoder.linear1, decoder.linear2):
            for parameter in list(module.parameters(recurse=False)):
                parameter.normal_(0, 0.05)
        torch.manual_seed(1100)
        x, e = torch.randn(3, 4, 128), torch.randn(3, 3, 128)
        hidden = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1]]).bool()
        unread = torch.tensor([[0, 0, 0], [0, 0, 0], [0, 0, 1]]).bool()
        masks = {"tgt_mask": later[:4, :4], "tgt_key_padding_mask": hidden, "memory_key_padding_mask": unread}
        plain = decoder(x, e, **masks).flatten()[126:131]
        assert close(log["transformer_layer.4.0.value"], plain)
        assert close(log["transformer_layer.4.1.value"], plain)


def test_ours_agrees_with_pytorch_and_with_itself() -> None:
    results = agreements()
    assert len(results) == 5
    assert all(result.passed for result in results), results


def test_the_command_writes_both_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["homework", "summarization"]) == 0
    said = capsys.readouterr().out
    assert "5 of 5 checks pass" in said
    assert "results:  submission_log.json  submission_logs.json" in said
    assert Path("submission_log.json").read_bytes() == Path("submission_logs.json").read_bytes()
    first = json.loads(Path("submission_log.json").read_text())
    assert main(["homework", "summarization", "--output", "again/log.json"]) == 0
    second = json.loads(Path("again/log.json").read_text())
    assert {**first, "time": ""} == {**second, "time": ""}


def test_a_folder_without_a_training_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (".", "nowhere"):
        assert main(["homework", "summarization", "--curves", folder]) == 2
        assert "holds no loss of a training" in capsys.readouterr().err


def test_the_curves_of_a_vitrail_run(here: Path) -> None:
    lines = [{"step": step, "train/loss": 9 - step, "evaluation/loss": 9.5 - step} for step in range(3)]
    Path("metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert losses(Path()) == {"train": ([0, 1, 2], [9, 8, 7]), "evaluation": ([0, 1, 2], [9.5, 8.5, 7.5])}
    assert main(["homework", "summarization", "--curves", "."]) == 0
    with Image.open("curves.png") as picture:
        assert picture.format == "PNG"


class Pairs(torch.utils.data.Dataset[dict[str, list[int]]]):
    """Texts of which the summary is the beginning."""

    def __init__(self, count: int, words: int, seed: int) -> None:
        self.texts = torch.randint(2, words, (count, 11), generator=torch.Generator().manual_seed(seed))

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, row: int) -> dict[str, list[int]]:
        text = self.texts[row, : 7 + row % 5].tolist()
        return {"input_ids": [*text, 1], "attention_mask": [1] * (len(text) + 1), "labels": [*text[: 2 + row % 3], 1]}


def collate(rows: list[dict[str, list[int]]]) -> dict[str, Tensor]:
    """As ``DataCollatorForSeq2Seq``: padded with 0, labels with -100."""
    empty = {"input_ids": 0, "attention_mask": 0, "labels": -100}
    return {
        name: nn.utils.rnn.pad_sequence([torch.tensor(row[name]) for row in rows], True, filler)
        for name, filler in empty.items()
    }


def train(folder: Path, model: Transformer, pairs: int, words: int, batch: int) -> None:
    """The course's arguments: 2 epochs, saved after each, evaluated after each, TensorBoard."""
    from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments

    arguments = Seq2SeqTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=2,
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=batch,
        learning_rate=1e-4,
        weight_decay=0.01,
        warmup_steps=0.1,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        logging_steps=1,
        report_to="tensorboard",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments,
        train_dataset=Pairs(pairs, words, 0),
        eval_dataset=Pairs(pairs // 4, words, 1),
        data_collator=collate,
    )
    result = trainer.train()
    assert result.global_step == 2 * pairs // batch
    assert trainer.predict(Pairs(3, words, 2)).predictions.shape[0] == 3


def test_it_trains_under_hugging_faces_trainer(here: Path) -> None:
    """64 pairs, a tiny model; its checkpoints are saved and loaded again in spite of tied weights."""
    torch.manual_seed(0)
    model = Transformer(53, 0, 1, 19, 1, 28, 7, 37, 0.1)
    before = model.emb_word.weight.detach().clone()
    train(Path("trained"), model, pairs=64, words=53, batch=16)
    assert not torch.equal(before, model.emb_word.weight)
    assert model.lm_head.weight is model.emb_word.weight
    assert len(list(Path("trained").glob("checkpoint-*/model.safetensors"))) == 2
    found = losses(Path("trained"))
    assert found["train"][0] == list(range(1, 9))
    assert found["evaluation"][0] == [4, 8]
    assert main(["homework", "summarization", "--curves", "trained"]) == 0
    with Image.open("curves.png") as picture:
        assert picture.width > 200


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_courses_own_model_trains_on_64_pairs(here: Path) -> None:
    torch.manual_seed(0)
    train(Path("trained"), Transformer(32_100, 0, 1, 1024, 4, 512, 8, 2048, 0.1), pairs=64, words=32_100, batch=16)
    found = losses(Path("trained"))
    assert found["train"][0] == list(range(1, 9))
    assert found["evaluation"][1][1] < found["evaluation"][1][0]
    assert len(list(Path("trained").glob("checkpoint-*/model.safetensors"))) == 2
