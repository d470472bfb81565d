"""The public names are a tested list: adding or losing one is a decision, not an accident."""

import subprocess
import sys

import pytest

import vitrail as vt
from vitrail.errors import ConfigError

PUBLIC = [
    "Gallery",
    "attend",
    "errors",
    "head_scores",
    "load",
    "load_trace",
    "record_attention",
    "show",
    "to_html",
    "train",
]


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_public_names_are_these() -> None:
    assert vt.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(vt))


def test_every_public_name_is_there_and_documented() -> None:
    for name in PUBLIC:
        assert getattr(vt, name).__doc__, name


def test_importing_vitrail_imports_nothing_heavy() -> None:
    loaded = python("import sys, vitrail; print(*{'torch', 'numpy', 'tyro', 'transformers'} & set(sys.modules))")
    assert loaded == ""


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = vt.nothing_like_it


@pytest.mark.parametrize(
    "first",
    ["import vitrail.train.config", "from vitrail.train import TrainConfig", "import vitrail.train as room", "pass"],
)
def test_train_is_a_room_and_a_function_whoever_comes_first(first: str) -> None:
    """``vitrail.train`` is the room with the loop; importing it must not take ``vt.train(...)`` away."""
    program = f"{first}\nimport vitrail as vt\nprint(callable(vt.train), vt.train.TrainConfig.__name__)"
    assert python(program) == "True TrainConfig"


def test_train_names_what_it_can_train() -> None:
    with pytest.raises(ConfigError, match=r"'mea'.*choose vit, mae, faces, summarizer or lm"):
        vt.train("mea")


def test_train_names_the_nearest_option() -> None:
    with pytest.raises(ConfigError, match=r"no option 'mask_ration': did you mean mask_ratio\?"):
        vt.train("mae", mask_ration=0.5)
