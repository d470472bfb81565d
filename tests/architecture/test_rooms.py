"""Rules that import-linter can't say: who prints, who exits, who reads pickles, which layers are checked at all."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "vitrail"


def trees(*, outside: str | None = None) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        inside = path.relative_to(SOURCE)
        if outside is None or inside.parts[0] not in (outside, "__main__.py"):
            yield inside, ast.parse(path.read_text(encoding="utf-8"))


def called(node: ast.AST) -> str:
    """The dotted name that a call calls, as in ``sys.exit``; empty for anything else."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def talkers(tree: ast.Module) -> list[str]:
    """Where a file prints, exits, or writes to the standard streams."""
    found = []
    for node in ast.walk(tree):
        name = called(node)
        if name == "print" and isinstance(node, ast.Call) and any(word.arg == "file" for word in node.keywords):
            continue  # into a file; sys.stderr as the file is found below
        if name in ("print", "exit", "quit", "sys.exit", "os._exit") or ast.unparse(node) in (
            "sys.stdout",
            "sys.stderr",
        ):
            found.append(f"line {node.lineno}: {name}")
        if isinstance(node, ast.Raise) and node.exc and "SystemExit" in ast.unparse(node.exc):
            found.append(f"line {node.lineno}: raise SystemExit")
    return found


def test_only_the_command_line_prints_or_exits() -> None:
    found = {str(path): spots for path, tree in trees(outside="cli") if (spots := talkers(tree))}
    assert found == {}


def test_the_talker_test_sees_what_it_should() -> None:
    source = "print(1)\nimport sys\nsys.exit(2)\nraise SystemExit\nsys.stderr.write('x')\nprint(1, file=sys.stdout)\n"
    assert len(talkers(ast.parse(source))) == 5
    assert talkers(ast.parse("print(1, file=journal)")) == []


def test_pickles_are_never_trusted() -> None:
    loads = [
        (str(path), call)
        for path, tree in trees()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and called(call) == "torch.load"
    ]
    for path, call in loads:
        safe = [word for word in call.keywords if word.arg == "weights_only" and ast.unparse(word.value) == "True"]
        assert safe, f"{path} line {call.lineno}: torch.load without weights_only=True"


def only_for_the_type_checker(node: ast.Assert) -> bool:
    """``assert x is not None`` or ``assert isinstance(x, X)``: what the code around it already guarantees."""
    test = ast.unparse(node.test)
    return test.endswith(" is not None") or test.startswith("isinstance(")


def test_nothing_is_asserted_at_users() -> None:
    """``python -O`` drops assertions, and an AssertionError names no remedy."""
    found = [
        f"{path} line {node.lineno}: {ast.unparse(node)}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and not only_for_the_type_checker(node)
    ]
    assert found == []


def test_no_global_random_state_is_drawn_from() -> None:
    names = ("np.random.seed", "np.random.rand", "np.random.permutation", "random.seed", "random.shuffle")
    found = [
        f"{path} line {node.lineno}: {called(node)}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if called(node) in names
    ]
    assert found == []


def test_every_file_says_what_it_is() -> None:
    silent = [str(path) for path, tree in trees() if not ast.get_docstring(tree)]
    assert silent == []


def test_every_room_is_on_a_floor(root: Path) -> None:
    """A room that the layers don't name would be free to import anything."""
    config = tomllib.loads((root / "pyproject.toml").read_text())
    layers = " ".join(config["tool"]["importlinter"]["contracts"][0]["layers"])
    named = set(layers.replace("|", " ").replace("(", " ").replace(")", " ").split())
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    rooms |= {path.stem for path in SOURCE.glob("[!_]*.py")}
    assert rooms <= named
