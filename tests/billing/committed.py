"""Tests of several connections: what they commit is taken out again afterwards."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
from django.apps import apps
from django.db import connection, models
from psycopg import sql

from billing.models import placement


def committing(work: Callable[[], None]) -> None:
    """Do it in a thread beside the test's, on a connection that commits."""

    def do() -> None:
        try:
            with _taken_out_again():
                work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as beside:
        beside.submit(do).result()


@contextmanager
def _taken_out_again() -> Iterator[None]:
    """What is in the tables before stays: the prices of an installation, for one."""
    before = {model: _last_of(model) for model in _models()}
    try:
        yield
    finally:
        with psycopg.connect(**connection.get_connection_params()) as session:
            # Foreign keys are checked when it commits: in no order.
            for model, last in before.items():
                session.execute(_delete(model, last), {"last": last})


def _models() -> list[type[models.Model]]:
    """Those that tests write to; of the rest an installation has its rows."""
    everything = apps.get_models(include_auto_created=True)
    return [
        model
        for model in everything
        if model._meta.managed
        and (_is_numbered(model) or model._meta.label in placement.DISTRIBUTED)
    ]


def _is_numbered(model: type[models.Model]) -> bool:
    return isinstance(model._meta.pk, models.AutoField)


def _last_of(model: type[models.Model]) -> int | None:
    """The last number; of a table without numbers, that it is empty."""
    if _is_numbered(model):
        return model._base_manager.aggregate(last=models.Max("pk"))["last"] or 0
    assert not model._base_manager.exists(), model
    return None


def _delete(model: type[models.Model], last: int | None) -> sql.Composed:
    table = sql.Identifier(model._meta.db_table)
    if last is None:
        return sql.SQL("DELETE FROM {}").format(table)
    return sql.SQL("DELETE FROM {} WHERE id > %(last)s").format(table)
