"""The command line."""

import json
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from teams.actions import api_keys
from teams.models import Membership, Organization
from tests.builders import record
from tests.conftest import NOW

DATA = Path(__file__).parent.parent / "data"
RECORDED = DATA / "recorded_usage.jsonl"
EXAMPLES = DATA / "price_examples.json"


def run(*arguments: str) -> tuple[list[dict], str]:
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


@pytest.mark.django_db
def test_recorded_usage_is_priced_to_the_last_digit():
    quotes, report = run("price_usage", str(RECORDED))

    expected = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    assert len(quotes) == 124
    for quote, line in zip(quotes, expected, strict=True):
        assert quote["id"] == line["id"]
        assert quote["state"] == "priced"
        assert Decimal(quote["cost"]) == Decimal(line["expected_usd"])
        parts = [Decimal(part["cost"]) for part in quote["lines"]]
        assert sum(parts) == Decimal(quote["cost"])
    assert "124 of 124" in report


@pytest.mark.django_db
def test_every_example_is_priced_to_the_last_digit(tmp_path: Path):
    """All providers, formats and conditions; one example has a rate card of its own."""
    examples = [
        example
        for example in json.loads(EXAMPLES.read_text())
        if "rate_card_per_token" not in example
    ]
    file = tmp_path / "examples.jsonl"
    file.write_text("\n".join(map(json.dumps, examples)))

    quotes, report = run("price_usage", str(file))

    assert len(quotes) == 335
    for quote, example in zip(quotes, examples, strict=True):
        assert (quote["id"], quote["state"]) == (example["id"], "priced")
        assert Decimal(quote["cost"]) == Decimal(example["expected_usd"])
    assert "335 of 335" in report


@pytest.mark.django_db
def test_standard_input_is_read_and_bad_lines_are_answered(monkeypatch):
    good, bad = record(id="a"), record(id="b", usage=None)
    text = f"{json.dumps(good)}\n\n{json.dumps(bad)}\nnot json\n".encode()

    class Stdin:
        buffer = text.splitlines(keepends=True)

    monkeypatch.setattr("sys.stdin", Stdin)
    quotes, _ = run("price_usage", "-")

    assert [quote["state"] for quote in quotes] == ["priced", "rejected", "rejected"]
    assert quotes[1]["detail"]


@pytest.mark.django_db
def test_a_price_that_is_not_the_expected_one_fails(tmp_path: Path):
    file = tmp_path / "usage.jsonl"
    file.write_text(json.dumps(record(expected_usd="0.0043")))

    with pytest.raises(SystemExit) as stopped:
        call_command("price_usage", str(file), stdout=StringIO(), stderr=StringIO())

    assert stopped.value.code == 1


@pytest.mark.django_db
def test_a_file_that_is_not_there_is_named():
    with pytest.raises(CommandError, match=r"nowhere\.jsonl"):
        call_command("price_usage", "nowhere.jsonl")


def seed_organization(file: Path) -> None:
    call_command("seed_demo", credentials=str(file), records=0, stdout=StringIO())


@pytest.mark.django_db
def test_the_demo_is_seeded_once_and_keeps_its_secrets(tmp_path: Path):
    file = tmp_path / "credentials.json"
    seed_organization(file)
    first = json.loads(file.read_text())

    seed_organization(file)

    assert json.loads(file.read_text()) == first
    assert set(first) == {"api_key", "organization", "team", "project", "users"}
    assert file.stat().st_mode & 0o777 == 0o600
    key = api_keys.find(secret=first["api_key"], now=NOW.replace(year=2100))
    assert key is not None
    assert key.project.slug == first["project"]
    assert "import" in key.scopes


@pytest.mark.django_db
def test_demo_secrets_that_were_lost_are_made_anew(tmp_path: Path):
    file = tmp_path / "credentials.json"
    seed_organization(file)
    first = json.loads(file.read_text())
    file.write_text("{damaged")

    seed_organization(file)

    assert json.loads(file.read_text())["api_key"] != first["api_key"]
    assert Organization.objects.count() == 1
    assert Membership.objects.count() == 5
