"""A student's own file is tried function by function; the skeleton holds what there is to write."""

import inspect
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vitrail.cli import main
from vitrail.errors import DataError, OutputError
from vitrail.homework import mae, mae_cases, summarization, summarization_cases
from vitrail.homework.checking import Weights
from vitrail.homework.skeleton import skeleton, write_skeleton
from vitrail.homework.student import examine_code, load_code

EXERCISES = {
    "mae": (mae, mae_cases.CASES, mae_cases.examples),
    "summarization": (summarization, summarization_cases.CASES, summarization_cases.examples),
}
ALL = [
    (exercise, case.name)
    for exercise, (_, cases, _) in EXERCISES.items()
    for case in cases
    if not case.name.endswith("detach")  # whose mistakes are no wrong numbers: they stand in MISTAKES
]


@cache
def examples_of(exercise: str) -> tuple[dict[str, Any], Weights]:
    """Drawn once: nothing changes them."""
    return EXERCISES[exercise][2]()


SPOIL = """
from vitrail.homework import {exercise} as ours
from vitrail.homework.{exercise} import *

def spoiled(result):
    if isinstance(result, tuple):
        return (spoiled(result[0]), *result[1:])
    return result * 1.1 if result.is_floating_point() else result + 1
"""
FUNCTION = """
def {name}(*arguments, **named):
    return spoiled(ours.{name}(*arguments, **named))
"""
METHOD = """
class {name}(ours.{name}):
    def {method}(self, *arguments, **named):
        return spoiled(super().{method}(*arguments, **named))
"""
OUTPUT = """
class Transformer(ours.Transformer):
    def forward(self, *arguments):
        loss, logits = super().forward(*arguments)
        return ours.Seq2SeqOutput(loss * 1.1, logits)
"""


def planted(exercise: str, case: str) -> str:
    """A student's file whose one function is a little wrong."""
    name, _, method = case.partition(",")[0].partition(".")
    if (exercise, case) == ("summarization", "Transformer.forward"):
        return SPOIL.format(exercise=exercise) + OUTPUT
    return (SPOIL + (METHOD if method else FUNCTION)).format(exercise=exercise, name=name, method=method)


@pytest.mark.parametrize(("exercise", "name"), ALL)
def test_an_error_in_any_function_is_caught(exercise: str, name: str, tmp_path: Path) -> None:
    module, cases, _ = EXERCISES[exercise]
    path = tmp_path / "my.py"
    path.write_text(planted(exercise, name))
    chosen = [case for case in cases if case.name == name]
    (result,) = examine_code(path, chosen, *examples_of(exercise), module)
    assert not result.passed
    assert result.error is not None
    assert "expected" in result.why


MISTAKES = [
    ("mae", 'order="c p q"', 'order="p q c"', "patchify"),
    ("mae", "ids_shuffle.argsort(dim=1).float()", "ids_shuffle.float()", "random_masking"),
    ("mae", "[kept_x, masked_x]", "[masked_x, kept_x]", "restore_masked"),
    ("mae", "self.norm1(x + self.self_attn(x))", "x + self.self_attn(self.norm1(x))", "Transformer.forward"),
    ("mae", "F.gelu(", "F.relu(", "Transformer.forward"),
    ("mae", "self.transformer(x)[:, 0]", "self.transformer(x)[:, 1]", "ClassificationViT.forward"),
    ("mae", "embedded + self.encoder_position_encoding", "embedded", "MaskedAutoEncoder.forward_encoder"),
    ("mae", "restored + self.decoder_position_encoding", "restored", "MaskedAutoEncoder.forward_decoder"),
    (
        "mae",
        "self.forward_decoder(embeddings, ids_restore), mask",
        "self.forward_decoder(embeddings, ids_restore), 1 - mask",
        "MaskedAutoEncoder.forward",
    ),
    ("mae", "representation(images)[:, 0]", "representation(images)[:, -1]", "ClassificationMAE.forward"),
    ("mae", "encoded.detach() if self.detach else encoded", "encoded", "ClassificationMAE.forward, detach"),
    ("mae", "encoded.detach() if self.detach else encoded", "encoded.detach()", "ClassificationMAE.forward, detach"),
    ("summarization", "(key_padding_mask == 0)", "(key_padding_mask != 0)", "scaled_dot_product_attention, padded"),
    ("summarization", "causal=causal)[:, 0]", "causal=False)[:, 0]", "scaled_dot_product_attention, causal"),
    ("summarization", "(self.v_proj, v)", "(self.v_proj, k)", "MultiheadAttention.forward"),
    ("summarization", "causal=self.is_decoder", "causal=False", "TransformerLayer.forward, decoder"),
    ("summarization", "causal=self.is_decoder", "causal=True", "TransformerLayer.forward, encoder"),
    (
        "summarization",
        "encoder_out, encoder_out, encoder_padding_mask",
        "encoder_out, encoder_out, None",
        "TransformerLayer.forward, decoder",
    ),
    (
        "summarization",
        "inputs = x if past_kv is None else torch.cat([past_kv, x], dim=1)",
        "inputs = x",
        "TransformerLayer.forward, cached",
    ),
    ("summarization", "F.relu(", "F.gelu(", "TransformerLayer.forward, encoder"),
    ("summarization", "torch.arange(length,", "1 + torch.arange(length,", "Transformer.make_positions"),
    ("summarization", "full_like(labels, self.eos_id)", "full_like(labels, self.pad_id)", "Transformer.forward"),
    ("summarization", "padding = attention_mask == 0", "padding = attention_mask != 0", "Transformer.forward"),
    ("summarization", "ignore_index=IGNORED", "ignore_index=-1", "Transformer.forward"),
    ("summarization", "self.emb_ln(self.emb_word(tokens)", "(self.emb_word(tokens)", "Transformer.forward"),
]
"""Mistakes that people make, as changes of our own code, and where they show."""


@pytest.mark.parametrize(("exercise", "right", "wrong", "name"), MISTAKES)
def test_mistakes_that_people_make_are_caught(exercise: str, right: str, wrong: str, name: str, tmp_path: Path) -> None:
    module, cases, _ = EXERCISES[exercise]
    source = inspect.getsource(module)
    assert right in source
    (tmp_path / "my.py").write_text(source.replace(right, wrong))
    chosen = [case for case in cases if case.name == name]
    (result,) = examine_code(tmp_path / "my.py", chosen, *examples_of(exercise), module)
    assert not result.passed
    assert result.why


@pytest.mark.parametrize("exercise", EXERCISES)
def test_code_that_is_right_passes(exercise: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module, cases, _ = EXERCISES[exercise]
    Path("my code.py").write_text(inspect.getsource(module))
    assert main(["homework", exercise, "--check", "my code.py"]) == 0
    said = capsys.readouterr().out
    assert f"{len(cases)} of {len(cases)} checks pass" in said
    assert {path.name for path in here.iterdir()} <= {"my code.py", "__pycache__"}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_skeleton_is_checked_as_not_written(exercise: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = EXERCISES[exercise][1]
    assert main(["homework", exercise, "--blank", "my.py"]) == 0
    following = capsys.readouterr().out.splitlines()[-1]
    assert following == f"next:     vitrail homework {exercise} --check my.py"
    assert main(following.split()[2:]) == 2
    said = capsys.readouterr()
    assert said.out.count("not written yet") == len(cases)
    assert f"0 of {len(cases)} checks pass" in said.out
    assert f"{len(cases)} of {len(cases)} checks of my.py failed: mend {cases[0].name} first" in said.err


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_skeleton_has_all_names_signatures_and_texts(exercise: str, tmp_path: Path) -> None:
    module: ModuleType = EXERCISES[exercise][0]
    blank = load_code(write_skeleton(module, exercise, tmp_path / "blank.py"))
    for name in module.__all__:
        ours, theirs = getattr(module, name), getattr(blank, name)
        assert theirs.__doc__ == ours.__doc__
        assert list(inspect.signature(theirs).parameters) == list(inspect.signature(ours).parameters)
        for method, written in vars(ours).items():
            if inspect.isfunction(written) and not method.startswith("_"):
                assert getattr(theirs, method).__doc__ == written.__doc__
    text = skeleton(module, exercise, "blank.py")
    for given_away in ("vitrail.", "rearrange", "attention(queries", "self.cls_token =", "torch.cat"):
        assert given_away not in text


def test_a_skeleton_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text("my work")
    with pytest.raises(OutputError, match=r"my\.py is there already and may hold your work: choose another name"):
        write_skeleton(mae, "mae", tmp_path / "my.py")
    assert (tmp_path / "my.py").read_text() == "my work"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("def f(:\n", "SyntaxError, line 1"),
        ("raise ValueError('no GPU')", "ValueError: no GPU"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import not_there", "ModuleNotFoundError"),
    ],
)
def test_a_file_that_stops_is_told(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "my.py"
    path.write_text(content)
    with pytest.raises(DataError, match=told):
        load_code(path)


def test_a_file_may_import_its_neighbours_and_lack_functions(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("from vitrail.homework.mae import patchify")
    (tmp_path / "my.py").write_text("from beside_it import patchify")
    inputs, weights = examples_of("mae")
    results = examine_code(tmp_path / "my.py", mae_cases.CASES[:3], inputs, weights, mae)
    assert [result.passed for result in results] == [False, True, False]
    assert results[0].why == "my.py has no index_sequence"


@pytest.mark.parametrize(("name", "told"), [("missing.py", "does not exist"), ("my.txt", "is no .py file")])
def test_only_python_files_are_loaded(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "my.txt").write_text("x = 1")
    with pytest.raises(DataError, match=told):
        load_code(tmp_path / name)
