"""What every model obeys so that the ledger can be divided by team (docs/adr/0003)."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.admin import AdminSite
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.http import HttpRequest
from django.utils import timezone

from billing.models import placement

OUR_APPS = ("teams", "billing")
MONEY_PLACES = 9

Model = type[models.Model]


class Placement(NamedTuple):
    """The three sets; every model stands in one of them, by its label."""

    distributed: frozenset[str]
    reference: frozenset[str]
    local: frozenset[str]

    def sets_of(self, model: Model) -> list[str]:
        return [
            name for name, labels in self._asdict().items() if model._meta.label in labels
        ]


OURS = Placement(placement.DISTRIBUTED, placement.REFERENCE, placement.LOCAL)


def complaints(all_models: Sequence[Model], placed: Placement) -> list[str]:
    """Of managed and unmanaged models, and of the ones Django made for many-to-many."""
    found = [*_placed_wrongly(all_models, placed), *_unknown(all_models, placed)]
    for model in all_models:
        found += _relations(model, placed)
        if model._meta.label in placed.distributed:
            found += distributed(model)
        if not model._meta.managed:
            found += twin(model, all_models, placed)
        if model._meta.app_label in OUR_APPS:
            found += conventions(model)
    return found


# --- The registry -------------------------------------------------------------------


def _placed_wrongly(all_models: Iterable[Model], placed: Placement) -> Iterator[str]:
    for model in all_models:
        sets = placed.sets_of(model)
        label = model._meta.label
        made_for = _made_for(model)
        if len(sets) > 1:
            yield f"{label} stands in {' and '.join(sets)}"
        elif made_for is not None and not sets:
            if placed.sets_of(made_for) != ["local"]:
                yield f"{label} is in no set: write this many-to-many's model"
        elif model._meta.managed and not sets:
            yield f"{label} stands in no set"
        elif sets and not model._meta.managed:
            yield f"{label} stands in {sets[0]}, but has no table of its own"


def _made_for(model: Model) -> Model | None:
    owner = model._meta.auto_created
    return owner if isinstance(owner, type) else None


def _unknown(all_models: Iterable[Model], placed: Placement) -> Iterator[str]:
    known = {model._meta.label for model in all_models}
    for name, labels in placed._asdict().items():
        for label in sorted(labels - known):
            yield f"{label} stands in {name}, but there is no such model"


# --- Relations ----------------------------------------------------------------------


def _relations(model: Model, placed: Placement) -> Iterator[str]:
    tables = {label.lower() for label in placed.distributed}
    sets = placed.sets_of(model)
    for field in _foreign_keys(model):
        target = field.related_model
        where = f"{model._meta.label}.{field.name}"
        if target._meta.label_lower in tables or not target._meta.managed:
            yield f"{where} refers to {target._meta.label}, which is divided by team"
        elif sets == ["reference"] and placed.sets_of(target) != ["reference"]:
            yield f"{where} refers to {target._meta.label}, which is not on every server"


def _foreign_keys(model: Model) -> list[Any]:
    fields = model._meta.concrete_fields
    return [field for field in fields if field.remote_field is not None]


# --- Distributed --------------------------------------------------------------------


def distributed(model: Model) -> list[str]:
    found = [*_team_column(model), *_keys(model)]
    found += [f"has the many-to-many {field.name}" for field in model._meta.many_to_many]
    for field in model._meta.concrete_fields:
        found += _column(field, is_key=field is model._meta.pk)
    return [f"{model._meta.label} {sentence}" for sentence in found]


def _team_column(model: Model) -> Iterator[str]:
    team = _fields(model).get("team_id")
    if team is None:
        yield "has no team_id"
    elif team.generated or team.null or team.get_internal_type() not in _PLAIN:
        yield "has a team_id that is not a plain column"


_PLAIN = ("BigIntegerField", "ForeignKey", "OneToOneField")


def _fields(model: Model) -> dict[str, Any]:
    return {field.attname: field for field in model._meta.concrete_fields}


def _keys(model: Model) -> Iterator[str]:
    if "team_id" not in {field.attname for field in model._meta.pk_fields}:
        yield "has a primary key without team_id"
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint):
            if not _holds_team(constraint.fields):
                yield f"has the constraint {constraint.name} without team_id"
        elif not isinstance(constraint, models.CheckConstraint):
            yield f"has the constraint {constraint.name}, which is not of one team"
    for together in model._meta.unique_together:
        if not _holds_team(together):
            yield f"has unique_together {', '.join(together)} without team_id"


def _holds_team(fields: Iterable[str]) -> bool:
    return bool({"team", "team_id"} & set(fields))


def _column(field: Any, *, is_key: bool) -> Iterator[str]:
    if field.unique and not is_key:
        yield f"has the column {field.name}, unique without team_id"
    if field.remote_field is not None and field.db_constraint:
        yield f"has the foreign key {field.name} in the database too"
    if isinstance(field, models.AutoField):
        yield f"has the column {field.name}, numbered by a sequence"


# --- Twins --------------------------------------------------------------------------


def twin(model: Model, all_models: Iterable[Model], placed: Placement) -> list[str]:
    """An unmanaged model: another view of a distributed table."""
    original = next(
        (
            one
            for one in all_models
            if one._meta.db_table == model._meta.db_table
            and one._meta.label in placed.distributed
        ),
        None,
    )
    if original is None:
        return [f"{model._meta.label} is no view of a distributed table"]
    of_original = {field.column for field in original._meta.concrete_fields}
    return [
        f"{model._meta.label}.{field.name} is no column of {original._meta.label}"
        for field in model._meta.concrete_fields
        if field.column not in of_original
    ]


def writable(model: Model, site: AdminSite, request: HttpRequest) -> list[str]:
    """What may be changed in the admin of a model that is only to be looked at."""
    if not site.is_registered(model):
        return []
    admin = site.get_model_admin(model)
    allowed = {
        "added": admin.has_add_permission(request),
        "changed": admin.has_change_permission(request),
        "deleted": admin.has_delete_permission(request),
    }
    return [
        f"{model._meta.label} can be {done} in the admin"
        for done, may in allowed.items()
        if may
    ]


# --- Conventions --------------------------------------------------------------------


def conventions(model: Model) -> list[str]:
    found = []
    if model._meta.ordering:
        found.append(f"{model._meta.label} has a default ordering")
    for field in model._meta.concrete_fields:
        where = f"{model._meta.label}.{field.name}"
        found += [f"{where} {sentence}" for sentence in _convention(field)]
    return found


def _convention(field: Any) -> Iterator[str]:
    if _stored(field).get_internal_type() == "FloatField":
        yield "is floating point"
    if isinstance(field, models.DecimalField) and field.decimal_places < MONEY_PLACES:
        yield f"keeps {field.decimal_places} decimal places, fewer than {MONEY_PLACES}"
    if isinstance(field.default, datetime) and timezone.is_naive(field.default):
        yield "has a default without a time zone"


def _stored(field: Any) -> Any:
    """What is in an array, what a generated column comes to."""
    while isinstance(field, ArrayField):
        field = field.base_field
    return field.output_field if field.generated else field
