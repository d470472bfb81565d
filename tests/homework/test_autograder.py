"""``vitrail homework mae`` on files of the course's form: checks pass, a planted error is caught, a bad file told."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import homework_plain as plain
import numpy as np
import pytest
import torch
from PIL import Image

from vitrail.cli import main
from vitrail.errors import DataError
from vitrail.homework import mae
from vitrail.homework.autograder import CLASSES, run
from vitrail.homework.checking import compare
from vitrail.homework.mae_cases import COURSE, INPUTS
from vitrail.homework.reference import Reference, read_reference
from vitrail.homework.terms import MAEHomework

KEYS = [
    "patchify",
    "unpatchify",
    "ClassificationViT.forward",
    "random_masking",
    "restore_masked",
    "MaskedAutoEncoder.forward_encoder",
    "MaskedAutoEncoder.forward_decoder",
    "MaskedAutoEncoder.forward_encoder_representation",
    "ClassificationMAE.forward",
]
TOLERANCES = [1e-3] * 5 + [8e-3, 3e-2, 1e-2, 1e-3]


def read(path: Path) -> Reference:
    return read_reference(path, COURSE, INPUTS, CLASSES, with_outputs=True)


def test_the_checks_are_the_courses() -> None:
    assert [case.name for case in COURSE] == KEYS
    assert [case.tolerance for case in COURSE] == TOLERANCES


def test_every_check_passes_and_the_file_is_what_is_asked(
    course: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--reference", f"{course}/test_reference.pt", "--autograder", f"{course}/autograder_student.pt"]
    assert main(["homework", "mae", *files]) == 0
    said = capsys.readouterr().out
    assert "9 of 9 checks pass" in said
    assert said.count("   yes\n") == 9
    assert "restore_masked holds the tuple of random_masking" in said
    assert "left out: vit_acc, mae_linear_acc, mae_finetune_acc; give --vit, --linear, --finetune" in said
    written = torch.load("autograder.pt", weights_only=True)
    assert list(written) == ["output"]
    assert list(written["output"]) == KEYS
    expected = plain.course_file(1)["output"]
    expected["restore_masked"] = expected["random_masking"]
    for name, tolerance in zip(KEYS, TOLERANCES, strict=True):
        result = compare(name, tolerance, ("first", "second", "third"), written["output"][name], expected[name])
        assert result.passed, result
    assert [type(part) for part in written["output"]["restore_masked"]] == [torch.Tensor] * 3


def spoiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with an error of one part in ten in what it gives first."""

    def wrong(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        if isinstance(result, tuple):
            return (result[0] * 1.1, *result[1:])
        return result * 1.1

    return wrong


@pytest.mark.parametrize("name", KEYS)
def test_an_error_in_any_function_is_caught(name: str, course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner: Any = mae
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    monkeypatch.setattr(owner, last, spoiled(getattr(owner, last)))
    reference = read(course / "test_reference.pt")
    case = next(case for case in COURSE if case.name == name)
    result = compare(name, case.tolerance, case.outputs, reference.call(case, mae), reference.outputs[name])
    assert not result.passed
    assert result.why.startswith(f"{case.outputs[0]}[")


def test_a_failed_check_is_told_and_the_rest_is_written(
    course: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(course / "test_reference.pt", weights_only=True)
    content["output"]["restore_masked"][2, 1, 3] += 7
    torch.save(content, "other.pt")
    words = ["homework", "mae", "--reference", "other.pt", "--autograder", f"{course}/autograder_student.pt"]
    assert main(words) == 2
    said = capsys.readouterr()
    assert "restore_masked: restored[2, 1, 3] is " in said.out
    assert "8 of 9 checks pass" in said.out
    assert (
        "1 of 9 checks of our functions failed (autograder.pt written all the same): see whether the files" in said.err
    )
    assert Path("autograder.pt").exists()


class Hostile:
    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return (Path.write_text, (Path("was-run"), "yes"))


def changed(course: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    content = torch.load(course / "test_reference.pt", weights_only=True)
    change(content)
    torch.save(content, "changed.pt")
    return Path("changed.pt")


def test_a_hostile_file_is_refused_and_not_run(here: Path) -> None:
    Path("hostile.pt").write_bytes(pickle.dumps({"input": Hostile()}))
    torch.save({"input": Hostile()}, "hostile2.pt")
    for name in ("hostile.pt", "hostile2.pt"):
        with pytest.raises(DataError, match=r"can't be read as tensors only \(.*\); nothing in it was run"):
            read(Path(name))
    assert not Path("was-run").exists()


CHANGES: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("no section", lambda c: c.pop("weights"), "has no dictionary as the weights,"),
    ("no output", lambda c: c["output"].pop("patchify"), "has no plain tensor as the output of patchify"),
    ("no input", lambda c: c["input"].pop("patchify"), "has no plain tensor as the input of patchify"),
    ("one part", lambda c: c["input"].update(random_masking=torch.ones(3, 7, 5)), "has no 3|has no 2 tensors as"),
    ("no class", lambda c: c["weights"].pop("ClassificationViT"), "no dictionary as the weights of ClassificationViT"),
    ("a word", lambda c: c["weights"]["ClassificationViT"].update(cls_token="no"), "no plain tensor as the weights"),
    (
        "a claim",
        lambda c: c["input"].update(patchify=torch.ones(1).expand(10**9, 3, 32, 32)),
        "has 3,072,000,000,000 n",
    ),
    ("complex", lambda c: c["input"].update(patchify=torch.ones(1, dtype=torch.complex64)), "no plain tensor"),
    ("sparse", lambda c: c["input"].update(patchify=torch.eye(3).to_sparse()), "no plain tensor as the input"),
]


@pytest.mark.parametrize(("change", "told"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
@pytest.mark.usefixtures("here")
def test_what_is_wrong_with_a_file_is_named(
    change: Callable[[dict[str, Any]], object], told: str, course: Path
) -> None:
    with pytest.raises(DataError, match=told):
        read(changed(course, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["input"]["restore_masked"][2].fill_(99),
        lambda c: c["input"].update(unpatchify=torch.ones(2, 5, 48)),
        lambda c: c["weights"]["ClassificationViT"].update(cls_token=torch.ones(1, 1, 5)),
        lambda c: c["weights"]["MaskedAutoEncoder"].pop("masked_tokens"),
    ],
    ids=["places", "square", "shape", "missing"],
)
@pytest.mark.usefixtures("here")
def test_inputs_that_do_not_suit_are_told(change: Callable[[dict[str, Any]], object], course: Path) -> None:
    with pytest.raises(DataError, match=r"changed\.pt: .* can't be computed from what stands there"):
        run(MAEHomework(reference=changed(course, change)))


def test_damaged_files_are_told(course: Path, here: Path) -> None:
    whole = (course / "test_reference.pt").read_bytes()
    for content in (b"", b"no", whole[:5000], whole[: len(whole) // 2], b"PK" + whole[2:900]):
        Path("damaged.pt").write_bytes(content)
        with pytest.raises(DataError, match="can't be read as tensors only"):
            read(Path("damaged.pt"))
    for path, told in (("missing.pt", "does not exist"), (".", "is a folder")):
        with pytest.raises(DataError, match=told):
            read(Path(path))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "there is nothing to do: give --reference and --autograder"),
        ("--check a.py --reference b.pt", "--check and --blank are jobs of their own"),
        ("--blank a.py --check b.py", "--check and --blank are jobs of their own"),
        ("--train --data digits", "give --autograder with the course's file"),
        ("--train --autograder a.pt", "--train needs images: give --data"),
        ("--train --autograder a.pt --data digits --vit runs/a", "are two ways to one figure"),
        ("--autograder missing.pt", "missing.pt does not exist"),
    ],
)
@pytest.mark.usefixtures("here")
def test_options_that_can_not_be_meant(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["homework", "mae", *words.split()]) == 2
    assert told in capsys.readouterr().err


SHAPE = ["--dim", "16", "--heads", "2", "--depth", "1", "--mlp-dim", "32", "--epochs", "1", "--batch-size", "12"]


@pytest.fixture
def photos(here: Path) -> Path:
    """Two kinds of pictures of 8x8 pixels: 12 of each to train on, 5 to test."""
    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 5)):
        for kind in (0, 1):
            folder = here / "photos" / part / f"kind{kind}"
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 160, (8, 8, 3)) + 90 * kind
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return Path("photos")


def test_accuracies_of_runs_that_are_there(course: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(photos)]
    assert main(["train", "vit", "--run", "vit", *data, *SHAPE]) == 0
    assert main(["train", "mae", "--run", "mae", *data, *SHAPE]) == 0
    assert main(["train", "vit", "--run", "tuned", "--init", "mae", *data, *SHAPE[-4:]]) == 0
    capsys.readouterr()
    words = ["homework", "mae", "--autograder", f"{course}/autograder_student.pt"]
    assert main([*words, "--vit", "vit"]) == 0
    said = capsys.readouterr().out
    assert "left out: mae_linear_acc, mae_finetune_acc; give --linear, --finetune with runs of yours" in said
    assert main([*words, "--vit", "vit", "--linear", "mae", "--finetune", "tuned"]) == 0
    said = capsys.readouterr().out
    assert "left out" not in said
    output = torch.load("autograder.pt", weights_only=True)["output"]
    assert output["vit_acc"] == json.loads(Path("vit/evaluation.json").read_text())["accuracy"]
    assert output["mae_finetune_acc"] == json.loads(Path("tuned/evaluation.json").read_text())["accuracy"]
    scores = json.loads(Path("mae/probes/linear.json").read_text())["scores"]
    assert output["mae_linear_acc"] == next(s["mean"] for s in scores if s["probe"] == "linear, BatchNorm")
    beside = json.loads(Path("autograder_accuracies.json").read_text())
    assert beside["vit_acc"]["best_epoch"] is None
    assert "1 epochs of photos" in beside["mae_finetune_acc"]["how"]
    for option, folder, told in (
        ("--vit", "mae", "takes a classifier trained from scratch"),
        ("--vit", "tuned", "was trained from a masked autoencoder, and --vit takes one trained from scratch"),
        ("--finetune", "vit", "was trained from scratch, and --finetune takes one trained from a masked autoencoder"),
        ("--linear", "vit", "--linear takes a masked autoencoder"),
        ("--linear", "nowhere", "nowhere does not exist"),
    ):
        assert main([*words, option, folder]) == 2
        assert told in capsys.readouterr().err


def test_accuracies_by_training(course: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["homework", "mae", "--autograder", f"{course}/autograder_student.pt", "--train", "--data", "photos"]
    words += [
        "--preset",
        "digits",
        "--epochs",
        "2",
        "--pretrain-epochs",
        "1",
        "--finetune-epochs",
        "1",
        "--batch-size",
        "12",
    ]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "left out" not in said
    assert "(of the best epoch, as the course counts: " in said
    beside = json.loads(Path("autograder_accuracies.json").read_text())
    assert set(beside) == {"vit_acc", "mae_linear_acc", "mae_finetune_acc"}
    output = torch.load("autograder.pt", weights_only=True)["output"]
    for name, accuracy in beside.items():
        assert output[name] == accuracy["value"]
    assert beside["vit_acc"]["best_epoch"] >= beside["vit_acc"]["value"]
    looks = [json.loads(line) for line in Path("runs/homework-mae/vit/metrics.jsonl").read_text().splitlines()]
    accuracies = [look["evaluation/accuracy"] for look in looks if "evaluation/accuracy" in look]
    assert len(accuracies) == 2
    assert beside["vit_acc"]["best_epoch"] == pytest.approx(max(accuracies))
    assert main(words) == 0
    assert capsys.readouterr().out.count("all ") == 3
