"""docs/api.md against the code: endpoints, members, and every code there is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
from rest_framework import exceptions

from billing.actions.receive import Status
from billing.formats import anthropic_iterations, conditions, gemini, registry
from billing.formats.posted import BatchResult, PostedRecord
from billing.reports.spend import DIMENSIONS
from billing.urls import urlpatterns
from teams.models.api_keys import Scope
from tests.docs import pages
from tests.docs.pages import CHECKOUT

API = CHECKOUT / "docs" / "api.md"

# Where errors come from, and which argument of theirs is the code.
SOURCES = ("billing/**/*.py", "teams/api/*.py", "config/*.py")
CODE_ARGUMENT = {
    "RecordError": 0,
    "Refusal": 0,
    "BodyError": 1,
    "Refused": 1,
    "Unpriced": 0,
    "_bad_body": 0,
    "_page": 2,
    "_say": 2,
    "body": 1,
}
# Arguments that hand on a code which is found where it is made.
HANDED_ON = {"code", "error.code", "refusal.code", "_code(message)"}
# What REST framework says by itself: of a request before a view sees it, of a parameter.
FRAMEWORK = {
    "method_not_allowed",
    "not_acceptable",
    "blank",
    "datetime",
    "empty",
    "invalid_choice",
    "max_decimal_places",
    "max_digits",
    "max_length",
    "max_string_length",
    "max_value",
    "max_whole_digits",
    "min_length",
    "min_value",
    "not_a_dict",
    "not_a_list",
    "null",
    "null_characters_not_allowed",
    "required",
    "surrogate_characters_not_allowed",
}


def test_endpoints_are_documented():
    table = API.read_text().partition("## Common rules")[0]
    documented = re.findall(r"\[`(?:GET|POST) /([^`]+)`\]", table)

    routes = {re.sub(r"<[^>]+>", "{id}", str(url.pattern)) for url in urlpatterns}

    # One row per address; what else it answers stands in that row.
    in_the_row_above = {
        "channels/{id}",
        "rate-cards/{id}/publications/{id}/rates/{id}",
        "velocity-rules/{id}",
    }
    assert set(documented) | in_the_row_above == routes
    assert set(Scope.values) - {Scope.IMPORT} == set(
        re.findall(r"^\| \[.*\| `(\w+:\w+)` \|", table, re.MULTILINE)
    )


def test_members_of_a_record_are_documented():
    table = pages.section(API, "## POST /usage").partition("Other members")[0]

    members = {field.name for field in msgspec.structs.fields(PostedRecord)}

    assert set(pages.first_cells(table)) == members


def test_statuses_and_dimensions_are_documented():
    statuses = pages.section(API, "## POST /usage").partition("of a record | meaning")[2]
    (parameters,) = re.findall(r"^\| `group_by` \|.*$", API.read_text(), re.MULTILINE)

    assert set(pages.first_cells(statuses)) == set(Status)
    assert all(f"`{dimension}`" in parameters for dimension in DIMENSIONS)


def test_every_code_is_documented_and_no_other():
    documented = set(pages.first_cells(pages.section(API, "## Codes"))) - {"code"}

    used = _codes_of_the_source() | _reasons_and_flags() | FRAMEWORK

    assert documented - used == set()
    assert used - documented == set()


def test_codes_of_the_framework_are_those_of_this_version():
    assert exceptions.MethodNotAllowed.default_code == "method_not_allowed"
    assert exceptions.NotAcceptable.default_code == "not_acceptable"


def _reasons_and_flags() -> set[str]:
    failed = set(get_args(BatchResult)) - {"succeeded"}
    return {
        conditions.REFUSED,
        registry.LOCAL_MESSAGE,
        anthropic_iterations.INCOMPLETE_SPLIT,
        anthropic_iterations.UNKNOWN_TYPE,
        gemini.UNKNOWN_MODALITY,
        *(f"batch_{result}" for result in failed),
    }


def _codes_of_the_source() -> set[str]:
    return {code for path in _sources() for code in _codes(ast.parse(path.read_text()))}


def _sources() -> Iterator[Path]:
    for pattern in SOURCES:
        yield from CHECKOUT.glob(pattern)


def _codes(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _of_call(node)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name):
            yield from _default_code(node.exc.id)
        elif isinstance(node, ast.FunctionDef) and node.name == "_code":
            yield from _returned(node)
        elif isinstance(node, ast.Assign):
            yield from _of_assignment(node)
        elif isinstance(node, ast.Dict):
            yield from _of_dict(node)


def _of_call(call: ast.Call) -> Iterator[str]:
    function = ast.unparse(call.func).rpartition(".")[2]
    position = CODE_ARGUMENT.get(function)
    named = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    if position is not None:
        named += call.args[position : position + 1]
    for value in named:
        if isinstance(value, ast.Constant):
            yield str(value.value)
        elif position is not None:
            assert ast.unparse(value) in HANDED_ON, ast.unparse(call)
    if not named:
        yield from _default_code(function)


def _default_code(name: str) -> Iterator[str]:
    """The code of an exception of REST framework that was given none."""
    kind = getattr(exceptions, name, None)
    if isinstance(kind, type) and issubclass(kind, exceptions.APIException):
        yield kind.default_code


def _returned(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            branches = (
                [node.value.body, node.value.orelse]
                if isinstance(node.value, ast.IfExp)
                else [node.value]
            )
            yield from (str(b.value) for b in branches if isinstance(b, ast.Constant))


def _of_assignment(node: ast.Assign) -> Iterator[str]:
    """The decoder's table `_CODES`, and reasons that are set beside their state."""
    (target, *_) = node.targets
    if isinstance(target, ast.Name) and target.id == "_CODES":
        yield from (code for _, code in ast.literal_eval(node.value))
    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        for name, value in zip(target.elts, node.value.elts, strict=True):
            if ast.unparse(name) == "reason" and isinstance(value, ast.Constant):
                yield from filter(None, [value.value])


def _of_dict(node: ast.Dict) -> Iterator[str]:
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == "code":
            yield from [str(value.value)] if isinstance(value, ast.Constant) else []
