"""Money is whole numbers and Decimals, and a price depends on nothing but its input."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

PACKAGES = ("billing.pricing", "billing.formats")
# Reading a clock or a file, or chance: the same input would not give the same answer.
FORBIDDEN_CALLS = {"float", "now", "utcnow", "today", "open", "time", "random", "getenv"}
FORBIDDEN_MODULES = {"os", "time", "random", "secrets", "socket", "logging", "pathlib"}
# A forecast is a statistic, and inexact by nature. It takes and gives Decimals, and depends
# on nothing but its input like the others. So is an interval; what it draws begins with a
# seed, and is the same each time.
STATISTICS = {"bootstrap.py", "forecast.py"}


def modules() -> list[Path]:
    return [
        path
        for package in PACKAGES
        for path in sorted(Path(*import_module(package).__path__).glob("*.py"))
    ]


def price_modules() -> list[Path]:
    """What proposes prices reads files, but makes no number inexact."""
    directory = Path(*import_module("billing.connectors").__path__)
    names = ("corrections", "proposals")
    named = {directory / f"{name}.py" for name in names}
    return sorted(named | set(directory.glob("*_prices.py")))


def seeded(node: ast.AST) -> bool:
    """Whether it is the import of a generator that has to be given its seed."""
    match node:
        case ast.ImportFrom(module="random", names=[ast.alias(name="Random")]):
            return True
    return False


def inexact(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=float() | complex()):
            return f"the number {node.value}"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "true division"
    return None


def impure(node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=ast.Name(id="Random"), args=[]):
            return "Random() without a seed"
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return f"{name}()" if name in FORBIDDEN_CALLS else None
        case ast.Import(names=names):
            imported = {one.name.partition(".")[0] for one in names}
        case ast.ImportFrom(module=str(module)):
            imported = {module.partition(".")[0]}
        case _:
            return None
    return f"imports {imported}" if imported & FORBIDDEN_MODULES else None


def impurities(source: str, *, statistics: bool = False) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if statistics and seeded(node):
            continue
        for found in (None if statistics else inexact(node), impure(node)):
            if found is not None and not (statistics and found == "float()"):
                yield f"line {node.lineno}: {found}"


def test_modules_are_found() -> None:
    names = {path.name for path in modules()}

    assert {"engine.py", "rates.py", "money.py", "anthropic.py", "posted.py"} <= names


@pytest.mark.parametrize(
    "path", modules(), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_module_is_exact_and_pure(path: Path) -> None:
    source = path.read_text(encoding="utf-8")

    assert list(impurities(source, statistics=path.name in STATISTICS)) == []


@pytest.mark.parametrize("path", price_modules(), ids=lambda path: path.name)
def test_proposed_prices_are_exact(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert [found for node in ast.walk(tree) if (found := inexact(node))] == []


@pytest.mark.parametrize(
    "source",
    [
        "x = 1.0",
        "x = 1e3",
        "x = a / b",
        "x /= 2",
        "x = float(y)",
        "x = datetime.now()",
        "x = open(y)",
        "import time",
        "import os.path",
        "from random import choice",
        "from random import Random",
        "x = Random()",
    ],
)
def test_check_sees_what_it_forbids(source: str) -> None:
    assert list(impurities(source))


def test_statistics_are_inexact_and_no_less_pure() -> None:
    assert not list(impurities("x = float(y) / 2", statistics=True))
    assert list(impurities("x = datetime.now()", statistics=True))
    assert list(impurities("from random import choice", statistics=True))
    assert list(impurities("x = Random()", statistics=True))
    assert not list(impurities("from random import Random\nx = Random(7)", statistics=True))
