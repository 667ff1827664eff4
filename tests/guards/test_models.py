"""Every model has its place, and obeys what that place asks of it."""

# ruff: noqa: DJ008 (nobody reads the planted models by name)

from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.test import RequestFactory
from django.test.utils import isolate_apps

from billing.admin.access import ReadOnly
from tests.guards import model_lint
from tests.guards.model_lint import OURS, Placement

HERE = "billing"
Floating = models.FloatField  # noqa: TID251


class Planted(models.Model):
    """What the models planted below have in common; it is no model itself."""

    class Meta:
        abstract = True
        app_label = HERE


def placed(distributed: str = "", reference: str = "", local: str = "") -> Placement:
    def labels(names: str) -> frozenset[str]:
        return frozenset(f"{HERE}.{name}" for name in names.split())

    return Placement(labels(distributed), labels(reference), labels(local))


def team_column() -> Any:
    return models.BigIntegerField()


# --- The real ones ------------------------------------------------------------------


def test_models_obey_their_place():
    everything = apps.get_models(include_auto_created=True)

    assert model_lint.complaints(everything, OURS) == []


def test_twins_cannot_be_changed_in_the_admin():
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True, is_staff=True)
    twins = [model for model in apps.get_models() if not model._meta.managed]

    assert len(twins) == 4
    for twin in twins:
        assert model_lint.writable(twin, admin.site, request) == []


def test_times_are_aware():
    assert settings.USE_TZ


# --- Planted: the registry ----------------------------------------------------------


@isolate_apps(HERE)
def test_model_in_no_set_is_caught():
    class Forgotten(Planted):
        pass

    assert model_lint.complaints([Forgotten], placed()) == [
        "billing.Forgotten stands in no set"
    ]


@isolate_apps(HERE)
def test_model_in_two_sets_is_caught():
    class Torn(Planted):
        pass

    assert model_lint.complaints([Torn], placed(reference="Torn", local="Torn")) == [
        "billing.Torn stands in reference and local"
    ]


def test_set_that_names_no_model_is_caught():
    assert model_lint.complaints([], placed(local="Ghost")) == [
        "billing.Ghost stands in local, but there is no such model"
    ]


@isolate_apps(HERE)
def test_table_of_a_many_to_many_is_caught():
    class Tag(Planted):
        pass

    class Note(Planted):
        tags = models.ManyToManyField(Tag)

    everything: list[Any] = [Tag, Note, Note.tags.through]

    assert model_lint.complaints(everything, placed(reference="Tag Note")) == [
        "billing.Note_tags is in no set: write this many-to-many's model"
    ]


@isolate_apps(HERE)
def test_many_to_many_of_a_local_model_passes():
    class Tag(Planted):
        pass

    class Note(Planted):
        tags = models.ManyToManyField(Tag)

    everything: list[Any] = [Tag, Note, Note.tags.through]

    assert model_lint.complaints(everything, placed(local="Tag Note")) == []


# --- Planted: distributed -----------------------------------------------------------


@isolate_apps(HERE)
def test_distributed_model_that_obeys_passes():
    class Fact(Planted):
        pk = models.CompositePrimaryKey("team_id", "uid")
        team_id = team_column()
        uid = models.UUIDField()

        class Meta:
            app_label = HERE
            unique_together = (("team_id", "uid"),)
            constraints = [
                models.UniqueConstraint(fields=["team_id", "uid"], name="once"),
                models.CheckConstraint(condition=models.Q(team_id__gt=0), name="real"),
            ]

    assert model_lint.complaints([Fact], placed(distributed="Fact")) == []


@isolate_apps(HERE)
def test_key_without_team_is_caught():
    class Fact(Planted):
        uid = models.UUIDField(primary_key=True)
        team_id = team_column()

    assert model_lint.distributed(Fact) == [
        "billing.Fact has a primary key without team_id"
    ]


@isolate_apps(HERE)
def test_missing_team_is_caught():
    class Fact(Planted):
        uid = models.UUIDField(primary_key=True)

    assert model_lint.distributed(Fact) == [
        "billing.Fact has no team_id",
        "billing.Fact has a primary key without team_id",
    ]


@isolate_apps(HERE)
@pytest.mark.parametrize(
    "column",
    [
        models.BigIntegerField(null=True),
        models.IntegerField(),
        models.GeneratedField(
            expression=models.F("uid") + 0,
            output_field=models.BigIntegerField(),
            db_persist=True,
        ),
    ],
)
def test_team_that_is_no_plain_column_is_caught(column: Any):
    class Fact(Planted):
        pk = models.CompositePrimaryKey("team_id", "uid")
        uid = models.BigIntegerField()
        team_id = column.clone()

    assert model_lint.distributed(Fact) == [
        "billing.Fact has a team_id that is not a plain column"
    ]


@isolate_apps(HERE)
def test_unique_constraint_without_team_is_caught():
    class Fact(Planted):
        pk = models.CompositePrimaryKey("team_id", "uid")
        team_id = team_column()
        uid = models.UUIDField()

        class Meta:
            app_label = HERE
            constraints = [models.UniqueConstraint(fields=["uid"], name="once")]

    assert model_lint.distributed(Fact) == [
        "billing.Fact has the constraint once without team_id"
    ]


@isolate_apps(HERE)
def test_unique_together_without_team_is_caught():
    class Fact(Planted):
        pk = models.CompositePrimaryKey("team_id", "uid")
        team_id = team_column()
        uid = models.UUIDField()
        route = models.CharField(max_length=20)

        class Meta:
            app_label = HERE
            unique_together = (("uid", "route"),)

    assert model_lint.distributed(Fact) == [
        "billing.Fact has unique_together uid, route without team_id"
    ]


@isolate_apps(HERE)
def test_unique_column_is_caught():
    class Fact(Planted):
        pk = models.CompositePrimaryKey("team_id", "uid")
        team_id = team_column()
        uid = models.UUIDField(unique=True)

    assert model_lint.distributed(Fact) == [
        "billing.Fact has the column uid, unique without team_id"
    ]


@isolate_apps(HERE)
def test_foreign_key_in_the_database_is_caught():
    class Team(Planted):
        pass

    class Fact(Planted):
        pk = models.CompositePrimaryKey("team_id", "uid")
        team = models.ForeignKey(Team, models.DO_NOTHING)
        uid = models.UUIDField()

    assert model_lint.distributed(Fact) == [
        "billing.Fact has the foreign key team in the database too"
    ]


@isolate_apps(HERE)
def test_many_to_many_of_a_distributed_model_is_caught():
    class Tag(Planted):
        pass

    class Fact(Planted):
        pk = models.CompositePrimaryKey("team_id", "uid")
        team_id = team_column()
        uid = models.UUIDField()
        tags = models.ManyToManyField(Tag)

    assert model_lint.distributed(Fact) == ["billing.Fact has the many-to-many tags"]


@isolate_apps(HERE)
def test_column_numbered_by_a_sequence_is_caught():
    class Fact(Planted):
        team_id = team_column()

    assert model_lint.distributed(Fact) == [
        "billing.Fact has a primary key without team_id",
        "billing.Fact has the column id, numbered by a sequence",
    ]


# --- Planted: relations -------------------------------------------------------------


@isolate_apps(HERE)
def test_foreign_key_into_the_ledger_is_caught():
    class Fact(Planted):
        pk = models.CompositePrimaryKey("team_id", "uid")
        team_id = team_column()
        uid = models.UUIDField()

    class Note(Planted):
        fact = models.ForeignKey(Fact, models.CASCADE)

    places = placed(distributed="Fact", local="Note")

    assert model_lint.complaints([Fact, Note], places) == [
        "billing.Note.fact refers to billing.Fact, which is divided by team"
    ]


@isolate_apps(HERE)
def test_foreign_key_from_reference_to_local_is_caught():
    class Person(Planted):
        pass

    class Card(Planted):
        owner = models.ForeignKey(Person, models.CASCADE)

    places = placed(reference="Card", local="Person")

    assert model_lint.complaints([Person, Card], places) == [
        "billing.Card.owner refers to billing.Person, which is not on every server"
    ]


# --- Planted: twins -----------------------------------------------------------------


@isolate_apps(HERE)
def test_unmanaged_model_of_another_table_is_caught():
    class Stray(Planted):
        class Meta:
            app_label = HERE
            managed = False
            db_table = "elsewhere"

    assert model_lint.complaints([Stray], placed()) == [
        "billing.Stray is no view of a distributed table"
    ]


@isolate_apps(HERE)
def test_twin_with_a_column_of_its_own_is_caught():
    class Fact(Planted):
        pk = models.CompositePrimaryKey("team_id", "uid")
        team_id = team_column()
        uid = models.UUIDField()

        class Meta:
            app_label = HERE
            db_table = "facts"

    class FactRow(Planted):
        uid = models.UUIDField(primary_key=True)
        invented = models.TextField()

        class Meta:
            app_label = HERE
            managed = False
            db_table = "facts"

    assert model_lint.complaints([Fact, FactRow], placed(distributed="Fact")) == [
        "billing.FactRow.invented is no column of billing.Fact"
    ]


@isolate_apps(HERE)
def test_twin_in_a_set_is_caught():
    class FactRow(Planted):
        class Meta:
            app_label = HERE
            managed = False

    found = model_lint.complaints([FactRow], placed(reference="FactRow"))

    assert found[0] == ("billing.FactRow stands in reference, but has no table of its own")


@isolate_apps(HERE)
def test_twin_that_can_be_changed_is_caught():
    class FactRow(Planted):
        pass

    class Deletable(ReadOnly):
        def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
            return True

    site = admin.AdminSite()
    site.register(FactRow, Deletable)
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True)

    assert model_lint.writable(FactRow, site, request) == [
        "billing.FactRow can be deleted in the admin"
    ]


# --- Planted: conventions -----------------------------------------------------------


@isolate_apps(HERE)
def test_default_ordering_is_caught():
    class Note(Planted):
        class Meta:
            app_label = HERE
            ordering = ["id"]

    assert model_lint.conventions(Note) == ["billing.Note has a default ordering"]


@isolate_apps(HERE)
@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        (Floating(), "is floating point"),
        (ArrayField(Floating()), "is floating point"),
        (
            models.GeneratedField(
                expression=models.F("id"), output_field=Floating(), db_persist=True
            ),
            "is floating point",
        ),
        (
            models.DecimalField(max_digits=12, decimal_places=2),
            "keeps 2 decimal places, fewer than 9",
        ),
        (
            models.DateTimeField(default=datetime(2026, 1, 1)),  # noqa: DTZ001
            "has a default without a time zone",
        ),
    ],
)
def test_column_against_the_conventions_is_caught(field: Any, complaint: str):
    class Note(Planted):
        value = field.clone()

    assert model_lint.conventions(Note) == [f"billing.Note.value {complaint}"]


@isolate_apps(HERE)
def test_columns_within_the_conventions_pass():
    class Note(Planted):
        cost = models.DecimalField(max_digits=27, decimal_places=15)
        at = models.DateTimeField(default=datetime(2026, 1, 1, tzinfo=UTC))

    assert model_lint.conventions(Note) == []
