"""No column takes a number that is none, or a count below zero: PostgreSQL refuses them."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import models

from billing.models.ledger import Charge, Counts
from billing.models.rollups import DailySpend, HourlySpend
from billing.pricing.token_classes import TokenClass
from tests.guards.catalogue import Database
from tests.guards.rows import insert

Column = tuple[type[models.Model], str]

OUTSIDE = (psycopg.errors.CheckViolation, psycopg.errors.NumericValueOutOfRange)
# What is taken back counts below zero; a sum may then do so too.
SIGNED = (Charge, DailySpend, HourlySpend)


def _columns(kind: type["models.Field[Any, Any]"]) -> Iterator[Column]:
    for app in ("billing", "teams"):
        for model in apps.get_app_config(app).get_models():
            if model._meta.managed and not model._meta.proxy:
                for field in model._meta.concrete_fields:
                    if isinstance(field, kind):
                        yield model, field.column


MONEY = list(_columns(models.DecimalField))
COUNTS = [
    (model, token_class.value)
    for model in apps.get_app_config("billing").get_models()
    if issubclass(model, Counts) and model._meta.managed and model not in SIGNED
    for token_class in TokenClass
]


def name(column: Any) -> str:
    return f"{column[0].__name__}.{column[1]}" if isinstance(column, tuple) else column


def test_the_columns_are_found():
    assert (Charge, "cost") in MONEY
    assert len(MONEY) > 40
    assert {model.__name__ for model, _ in COUNTS} == {"UsageRecord", "EstimateLine"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("column", MONEY, ids=name)
def test_no_amount_is_without_end(database: Database, column: Column, number: str):
    model, field = column

    with pytest.raises(OUTSIDE), database.transaction(force_rollback=True):
        insert(database, model, **{field: number})


@pytest.mark.parametrize("column", COUNTS, ids=name)
def test_no_count_is_below_zero(database: Database, column: Column):
    model, field = column

    with pytest.raises(OUTSIDE), database.transaction(force_rollback=True):
        insert(database, model, **{field: -1})
