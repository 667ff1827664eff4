"""The cast of most tests is a copy: of exactly what the actions write."""

from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from django.db.models import Model

from teams.models import Team
from tests.conftest import Cast, make_cast


def written() -> dict[str, list[dict[str, Any]]]:
    """All rows by table, with the places of rows in place of ids; but when they came."""
    models = [one for one in apps.get_models() if one._meta.managed]
    rows = {one: list(one._base_manager.order_by("pk")) for one in models}
    places = {one: [row.pk for row in rows[one]].index for one in models}

    def value(row: Model, field: Any) -> Any:
        its = getattr(row, field.attname)
        if field.primary_key:
            return None
        return (
            its
            if its is None or not field.is_relation
            else places[field.related_model](its)
        )

    return {
        one._meta.label: [
            {
                field.name: value(row, field)
                for field in one._meta.concrete_fields
                if not getattr(field, "auto_now_add", False)
            }
            for row in rows[one]
        ]
        for one in models
        if one._meta.app_label == "teams"
    }


def test_it_is_what_the_actions_write(db: None, request: pytest.FixtureRequest):
    before = written()
    with transaction.atomic():
        make_cast()
        expected = written()
        transaction.set_rollback(True)
    assert written() == before

    request.getfixturevalue("cast")

    assert len(expected["teams.AuditEvent"]) == len(before["teams.AuditEvent"]) + 8
    assert written() == expected


def test_its_objects_are_those_rows(cast: Cast):
    for name in ("search", "support", "elsewhere"):
        team = getattr(cast, name)
        assert Team.objects.get(slug=name) == team
        assert team.organization in (cast.acme, cast.outsiders)
    assert cast.answers.organization is cast.acme
    assert cast.answers.organization_id == cast.acme.pk
