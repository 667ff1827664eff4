"""Rows that are written again, without all that was asked and checked the first time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from django.db.models import Model
from django.db.models.signals import post_save


@contextmanager
def noted() -> Iterator[list[Model]]:
    """Every object that is saved meanwhile, table by table: those referred to first."""
    its: list[Model] = []
    kinds: list[type[Model]] = []

    def note(sender: type[Model], instance: Model, **kwargs: Any) -> None:
        its.append(instance)
        if sender not in kinds:
            kinds.append(sender)

    post_save.connect(note, weak=False)
    try:
        yield its
    finally:
        post_save.disconnect(note)
        its.sort(key=lambda one: kinds.index(type(one)))


def insert(its: Sequence[Model]) -> None:
    """Once more, as rows of their own: the objects get other ids, and refer to each other
    by those. A statement per table."""
    for kind, rows in groupby(its, key=type):
        listed = list(rows)
        for one in listed:
            one.pk = None
            for field in kind._meta.concrete_fields:
                if field.is_relation and field.is_cached(one):
                    setattr(one, field.name, getattr(one, field.name))
        kind._base_manager.bulk_create(listed)
