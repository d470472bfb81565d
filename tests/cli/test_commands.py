"""Every command, end to end on digits: its figures, where its results are, what to run next."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from vitrail.cli import main
from vitrail.cli.entry import pick
from vitrail.recipes.demo import DemoRecipe, DemoSummary
from vitrail.recipes.demo_faces import FacesPart
from vitrail.recipes.demo_texts import Example, TextsPart
from vitrail.recipes.demo_view import Show
from vitrail.recipes.demo_vision import VisionPart
from vitrail.recipes.events import Report
from vitrail.recipes.terms import Score


def ending(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[Path], str]:
    """What a command said, the results it named, and the command it proposed."""
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("results:  ")
    assert lines[-1].startswith("next:     ")
    results = [Path(word) for word in lines[-2].split()[1:]]
    for path in results:
        assert path.exists(), path
    return lines[:-2], results, lines[-1].removeprefix("next:     ")


def assert_parses(command: str) -> None:
    """The proposed command is one of ours with options that exist."""
    words = shlex.split(command)
    assert words[0] == "vitrail"
    chosen = pick(words[1:])
    module = __import__(chosen.module, fromlist=["read"])
    module.read(words[1 + len(chosen.words) :])


@pytest.mark.usefixtures("here")
class TestCommands:
    def test_train_mae(self, small: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", "mae", "--run", "runs/new", *small]) == 0
        said, results, following = ending(capsys)
        assert said[0].startswith("training ")
        assert any(line.startswith("mean image") for line in said)
        assert results[0] == Path("runs/new")
        assert {"config.json", "model.safetensors", "metrics.jsonl"} <= {path.name for path in results[0].iterdir()}
        assert following == "vitrail probe runs/new"

    def test_training_again_finds_everything_done(self, small: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        weights = Path("runs/vit/model.safetensors").read_bytes()
        assert main(["train", "vit", "--run", "runs/vit", *small]) == 0
        said, _, following = ending(capsys)
        assert "all 3 steps were done before" in said
        assert Path("runs/vit/model.safetensors").read_bytes() == weights
        assert_parses(following)

    def test_train_and_evaluate_faces(self, small_faces: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["train", "faces", "--run", "runs/faces", "--data", "people", *small_faces]) == 0
        said, results, following = ending(capsys)
        assert "all 6 steps were done before" in said
        assert any(line.startswith("embeddings") for line in said)
        rows = [line.split("  ")[0] for line in said]
        assert {"trained", "untrained", "raw pixels"} <= set(rows)
        assert "of 7 people, 35 test images)" in said[-1]
        assert {path.name for path in results} == {"faces", "distances.png", "calibration.json"}
        assert_parses(following)
        assert main(["evaluate", "runs/faces"]) == 0
        shown, results, following = ending(capsys)
        assert shown[-1] == said[-1]
        assert {path.name for path in results} == {"distances.png", "calibration.json", "evaluation.json"}
        assert_parses(following)
        Path("pairs.txt").write_text("10\n" + "p12 1 2\np13 3 4\n" * 5 + "p12 1 p13 2\np14 3 p15 4\n" * 5)
        assert main(["evaluate", "runs/faces", "--pairs", "pairs.txt", "--mirror"]) == 0
        shown, _, _ = ending(capsys)
        assert any("listed pairs right" in line for line in shown)

    def test_evaluate(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["evaluate", "runs/vit"]) == 0
        said, results, following = ending(capsys)
        figures = json.loads(Path("runs/vit/evaluation.json").read_text())
        assert f"accuracy {figures['accuracy']:.1%}" in said[-1]
        assert Path("runs/vit/evaluation.json") in results
        assert_parses(following)
        assert main(["evaluate", "runs/mae"]) == 0
        said, _, following = ending(capsys)
        assert "hidden pixels from" in said[1]
        assert following == "vitrail probe runs/mae"

    @pytest.mark.parametrize("kind", ["linear", "knn"])
    def test_probe(self, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["probe", "runs/mae", "--kind", kind, "--seeds", "2", "--labels-per-class", "5"]) == 0
        said, results, following = ending(capsys)
        assert "trained encoder" in said[-2]
        assert said[-1] == "(means of 2 seeds on 360 test images, with 95% intervals)"
        assert results == [Path(f"runs/mae/probes/{kind}.json")]
        assert_parses(following)

    def test_probe_by_fine_tuning(self, capsys: pytest.CaptureFixture[str]) -> None:
        options = ["--kind", "finetune", "--seeds", "1", "--labels-per-class", "5", "--epochs", "1", "--baselines"]
        assert main(["probe", "runs/mae", *options]) == 0
        said, _, _ = ending(capsys)
        assert any("from scratch" in line for line in said)

    def test_reconstruct(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["reconstruct", "runs/mae", "three.png", "three.png", "--output", "both.png"]) == 0
        _, results, following = ending(capsys)
        assert results == [Path("both.png")]
        assert_parses(following)

    @pytest.mark.parametrize(
        ("run", "to"), [("cls", "huggingface"), ("cls", "mae"), ("mae", "timm"), ("vit", "timm"), ("cls", "timm")]
    )
    def test_export_and_its_proposal(self, run: str, to: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["export", f"runs/{run}", "--to", to]) == 0
        _, _, following = ending(capsys)
        words = shlex.split(following)
        assert words[:2] == ["python", "-c"]
        done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_demo(self, capsys: pytest.CaptureFixture[str]) -> None:
        short = ["--epochs", "1", "--finetune-epochs", "1", "--seeds", "1", "--face-epochs", "1", "--text-epochs", "1"]
        assert main(["demo", "--run", "runs/demo", *short]) == 0
        said, results, following = ending(capsys)
        assert any(line.startswith("raw pixels") for line in said)
        assert any("clusters were found among pictures of 40 unseen characters" in line for line in said)
        assert results[1] == Path("runs/demo/faces/clusters.png")
        heads = next(line for line in said if line.startswith("probe "))
        assert heads.split("  ")[0] == "probe"
        assert {"trained encoder", "from scratch"} <= {part.strip() for part in heads.split("  ")}
        assert results[0].suffix == ".png"
        assert results[2] == Path("runs/demo/summarizer/examples.md")
        assert sum("its author:" in line for line in said) == 3
        assert following == "vitrail view runs/demo"
        assert_parses(following)
        names = {"digit", "digit-untrained", "character", "character-untrained", "docstring", "docstring-untrained"}
        found = {path.stem for path in Path("runs/demo/traces").glob("*.safetensors")}
        assert {name for name in found if not name.startswith("step-")} == names
        assert len(found - names) == 2, "before and after the few steps of this demo"


def test_the_demo_ends_with_small_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from vitrail.cli import demo

    def run(recipe: DemoRecipe, report: Report, show: Show) -> DemoSummary:
        show("a trace", tmp_path / "missing")
        scores = (
            Score("linear", "trained encoder", (0.75, 0.8, 0.7), (1.0, 1.0, 1.0), 360),
            Score("linear", "raw pixels", (0.5,), (1.0,), 360),
            Score("finetune", "from scratch", (0.25,), (), 360),
        )
        errors = {"model": 0.25, "mean_image": 0.5}
        measured = {"val_at_far": {"0.01": {"val": 0.5, "standard_error": 0.02}}, "auc": 0.9, "eer": 0.1}
        facts = {"kind": "faces", "same_pairs": 1000, "different_pairs": 2000, "people": 150, "images": 3600}
        beside = {"raw pixels": {**measured, "val_at_far": {}, "auc": 0.7}}
        score = {"mean": 30.25, "low": 28.0, "high": 32.0}
        manner = {"words": 7.25, "novel": {2: 0.75}, "repeated": 0.015}
        texts = {
            "kind": "summarizer", "data": "docstrings", "documents": 200, "nats_per_token": 3.25, "perplexity": 25.79,
            "nats_per_character": 0.875,
            "rouge": {"summaries": dict.fromkeys(("rouge1", "rouge2", "rougeL"), score)},
            "manner": {"summaries": manner, "authors": manner},
        }  # fmt: skip
        return DemoSummary(
            recipe.run,
            VisionPart(recipe.run / "a.png", errors, scores),
            FacesPart(recipe.run, {**facts, **measured, "beside": beside}, recipe.run / "b.png", 43, 40, 0.876),
            TextsPart(recipe.run, texts, (Example("Of an array\n\nthe mean.", "Return it.", "Return the mean."),)),
            71.2,
        )

    monkeypatch.setattr(demo, "run", run)
    assert main(["demo", "--run", "x", "--no-open"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"what heads attend to, already while this trains: http://127\.0\.0\.1:\d+/", first)
    assert lines == [
        "",
        "hidden pixels of test digits from  squared error",
        "---------------------------------  -------------",
        "model                                      0.250",
        "mean image                                 0.500",
        "",
        "probe     trained encoder  raw pixels  from scratch",
        "--------  ---------------  ----------  ------------",
        "linear       75.0 ± 12.4%       50.0%",
        "finetune                                      25.0%",
        "(accuracy on 360 test digits, after 10 labels a class; means of 3 seeds with 95% intervals)",
        "",
        "embeddings  VAL at FAR 0.01     AUC    EER",
        "----------  ---------------  ------  -----",
        "trained         50.0 ± 2.0%  0.9000  10.0%",
        "raw pixels                -  0.7000  10.0%",
        "(± standard error; over all 1,000 pairs of one and 2,000 of two of 150 people, 3,600 test images)",
        "43 clusters were found among pictures of 40 unseen characters (B-cubed F 0.88); "
        "the picture shows some of them, the largest first",
        "",
        "summaries by              ROUGE-1              ROUGE-2              ROUGE-L  words  novel bigrams  repeated",
        "------------  -------------------  -------------------  -------------------  -----  -------------  --------",
        "summaries     30.2 (28.0 to 32.0)  30.2 (28.0 to 32.0)  30.2 (28.0 to 32.0)    7.2            75%      1.5%",
        "authors                         -                    -                    -    7.2            75%         -",
        "(F of ROUGE in percent with 95% intervals; on 200 test documents of docstrings)",
        "loss 3.250 nats a token of the authors' summaries, perplexity 25.8; 0.875 nats a character",
        "",
        "Of an array the mean.",
        "    we wrote:    Return it.",
        "    its author:  Return the mean.",
        "",
        "all of it took 1 min 11 s; the pictures are worth a look",
        "results:  x/a.png  x/b.png  x/examples.md  x",
        "next:     vitrail view x",
    ]
    waited: list[str] = []
    monkeypatch.setattr(demo, "open_browser", lambda url: True)
    monkeypatch.setattr(demo, "wait", lambda: waited.append("until Ctrl-C"))
    assert main(["demo", "--run", "x"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert lines[-3] == f"what was trained is shown at {first.split()[-1]}  (Ctrl-C stops)"
    assert waited == ["until Ctrl-C"]


def test_an_interrupted_demo_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vitrail.cli import demo

    monkeypatch.setattr(demo, "run", lambda recipe, report, show: DemoSummary(recipe.run, None, None, None, 1.0))
    assert main(["demo", "--run", "x", "--no-open"]) == 1
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "stopped and saved in x; to go on from there:  vitrail demo --run x --no-open"
