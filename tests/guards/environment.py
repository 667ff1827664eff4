"""Which environment variables the code reads, and which `.env.example` explains."""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

_READERS = ("str", "bool", "int", "list", "db_url")
_NAME = re.compile(r"[A-Z][A-Z0-9_]+")
_NO_DEFAULT = "none"
# What the launcher calls the variables it was given.
_GIVEN = ("environ", "env", "environment", "variables", "given", "_given")

# What the system gives to every process.
NOT_OURS = frozenset({"PATH"})


class Explained(NamedTuple):
    """One variable of `.env.example`."""

    name: str
    example: str
    purpose: str
    default: str


# --- What is read -------------------------------------------------------------------


def read_by_settings(source: str, roles: Iterable[str]) -> dict[str, str]:
    """Variables read with django-environ, and their defaults as one writes them.

    A name that is put together from a role (f"{role.upper()}_…") stands for each role.
    A variable that is looked for in `env.ENVIRON` first may be absent.
    """
    tree = ast.parse(source)
    kept = _kept_names(tree)
    found = {}
    for call in _readings(tree):
        for name in _names(call.args[0], roles, kept):
            found[name] = _default(call)
    for name in _looked_for(tree, roles, kept):
        found[name] = _written(None)
    return found


def _readings(tree: ast.Module) -> Iterator[ast.Call]:
    """`env.str(…)` and the like."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, _, method = ast.unparse(node.func).rpartition(".")
            if owner == "env" and method in _READERS:
                yield node


def _looked_for(
    tree: ast.Module, roles: Iterable[str], kept: dict[str, ast.expr]
) -> Iterator[str]:
    for node in ast.walk(tree):
        for asked in _looked_up(node, "ENVIRON"):
            yield from _names(asked, roles, kept)


def _kept_names(tree: ast.Module) -> dict[str, ast.expr]:
    """Local variables that hold a text: `own = f"{role.upper()}_…"`."""
    return {
        ast.unparse(node.targets[0]): node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.JoinedStr | ast.Constant)
    }


def _names(
    argument: ast.expr, roles: Iterable[str], kept: dict[str, ast.expr]
) -> list[str]:
    argument = kept.get(ast.unparse(argument), argument)
    if isinstance(argument, ast.Constant):
        return [str(argument.value)]
    if isinstance(argument, ast.JoinedStr):
        first, *rest = argument.values
        suffix = "".join(str(part.value) for part in rest if isinstance(part, ast.Constant))
        if isinstance(first, ast.FormattedValue):
            return [f"{role.upper()}{suffix}" for role in roles]
    raise ValueError(f"unknown way to name a variable: {ast.unparse(argument)}")


def _default(call: ast.Call) -> str:
    for keyword in call.keywords:
        if keyword.arg == "default":
            return _written(ast.literal_eval(keyword.value))
    return _NO_DEFAULT


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value else "empty"


def read_by_launcher(source: str) -> set[str]:
    """Names that are looked up: `given.get("NAME")`, `environ["NAME"]`, `"NAME" in`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        for asked in _looked_up(node, *_GIVEN):
            if isinstance(asked, ast.Constant) and _NAME.fullmatch(str(asked.value)):
                found.add(str(asked.value))
    return found - NOT_OURS


# --- Both ---------------------------------------------------------------------------


def _looked_up(node: ast.AST, *mappings: str) -> list[ast.expr]:
    """What is asked of one of these mappings, if that is what this piece of code does."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        gets = node.func.attr == "get" and _last_name(node.func.value) in mappings
        return node.args[:1] if gets or node.func.attr == "getenv" else []
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        return [node.slice] if _last_name(node.value) in mappings else []
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        return [node.left] if _last_name(node.comparators[0]) in mappings else []
    return []


def _last_name(node: ast.expr) -> str:
    """`environ` of os.environ."""
    return ast.unparse(node).rpartition(".")[2]


# --- What is explained --------------------------------------------------------------


def explained(text: str) -> list[Explained]:
    """Its blocks: comment lines, then `# NAME=example`."""
    found, comments = [], list[str]()
    for line in text.splitlines():
        match = re.fullmatch(r"# ?([A-Z][A-Z0-9_]+)=(.*)", line)
        if match:
            found.append(Explained(match[1], match[2], *_purpose_and_default(comments)))
        comments = [*comments, line] if line.startswith("#") and not match else []
    return found


def _purpose_and_default(comments: list[str]) -> tuple[str, str]:
    words = [line.lstrip("# ") for line in comments]
    defaults = [line.removeprefix("Default: ") for line in words if "Default: " in line]
    purpose = " ".join(line for line in words if "Default: " not in line)
    return purpose, defaults[0].partition(";")[0] if defaults else ""


def complaints(text: str, read: dict[str, str | None]) -> list[str]:
    """`read`: each variable that is read, and its default where the code tells it."""
    variables = explained(text)
    found = [f"{line} is set" for line in _assignments(text)]
    found += [f"{name} is not explained" for name in _missing(read, variables)]
    for variable in variables:
        found += [f"{variable.name} {sentence}" for sentence in _of(variable, read)]
    return found


def _assignments(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line.partition("=")[0] for line in lines if line and not line.startswith("#")]


def _missing(read: Iterable[str], variables: Iterable[Explained]) -> list[str]:
    return sorted(set(read) - {variable.name for variable in variables})


def _of(variable: Explained, read: dict[str, str | None]) -> Iterator[str]:
    if variable.name not in read:
        yield "is read by nobody"
    if not variable.purpose:
        yield "has no purpose"
    if not variable.default:
        yield "has no default"
    default = read.get(variable.name)
    if variable.default and default not in (None, variable.default):
        yield f"is said to be {variable.default} by default, not {default}"
    secret = variable.name.endswith(("_KEY", "_SECRET", "_PASSWORD", "_TOKEN"))
    if not variable.example and not secret:
        yield "has no example"
    if variable.example and secret:
        yield "has an example that somebody will use"
