"""Rows of any table by plain SQL: what a test does not name is something that fits."""

import itertools
from typing import Any
from uuid import UUID

from django.db import models

from tests.guards.catalogue import Database

_numbers = itertools.count(1)

# By the kind of field; a month that the moment lies in.
_FITTING: dict[str, Any] = {
    "ArrayField": "{}",
    "BigIntegerField": 0,
    "BinaryField": b"",
    "BooleanField": False,
    "CharField": "",
    "DateField": "2026-11-01",
    "DateTimeField": "2026-11-20T09:30:00Z",
    "DecimalField": 0,
    "ForeignKey": 1,
    "IntegerField": 0,
    "JSONField": "{}",
    "OneToOneField": 1,
    "PositiveBigIntegerField": 0,
    "PositiveIntegerField": 0,
    "PositiveSmallIntegerField": 1,
    "SmallIntegerField": 0,
    "TextField": "",
}


def insert(database: Database, model: type[models.Model], **given: Any) -> None:
    values = {
        field.column: _fitting(field)
        for field in model._meta.concrete_fields
        if field.column
        and not field.null
        and not field.has_db_default()
        and not isinstance(field, models.AutoField)
    }
    values |= given
    places = ", ".join(["%s"] * len(values))
    database.execute(
        f"INSERT INTO {model._meta.db_table} ({', '.join(values)}) VALUES ({places})",
        list(values.values()),
    )


def _fitting(field: "models.Field[Any, Any]") -> Any:
    kind = field.get_internal_type()
    if kind == "ForeignKey" and field.target_field.get_internal_type() == "UUIDField":
        kind = "UUIDField"
    return UUID(int=next(_numbers)) if kind == "UUIDField" else _FITTING[kind]
