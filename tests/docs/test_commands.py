"""What a reader is told to type or to set exists."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from tests.docs import pages
from tests.docs.pages import CHECKOUT, PAGES

OPERATIONS = CHECKOUT / "docs" / "operations.md"


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_make_targets_exist(page: Path):
    makefile = (CHECKOUT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))

    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", pages.code(page))) - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_management_commands_exist(page: Path):
    named = set(re.findall(r"\bmanage\.py ([a-z_]+)", pages.code(page)))

    assert named - get_commands().keys() == set()


def test_variables_of_operations_are_those_of_the_example_file():
    table = pages.section(OPERATIONS, "## Environment")
    example = (CHECKOUT / ".env.example").read_text()

    documented = set(pages.first_cells(table)) - {"make up"}

    assert documented == set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", example, re.MULTILINE))


def test_variables_that_the_settings_read_are_documented():
    sources = "".join(
        (CHECKOUT / "config" / name).read_text() for name in ("settings.py", "databases.py")
    )
    read = set(re.findall(r'env(?:\.\w+)?\(\s*"([A-Z_]+)"', sources))

    assert read
    assert read - set(pages.first_cells(OPERATIONS.read_text())) == set()


def test_variables_of_the_readme_are_documented():
    readme = pages.section(CHECKOUT / "README.md", "## Configuration")

    documented = set(pages.first_cells(OPERATIONS.read_text()))

    assert set(pages.first_cells(readme)) - documented == set()
