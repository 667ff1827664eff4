"""The door stores what it is sent: nothing in the table forbids a second time."""

from types import ModuleType, SimpleNamespace
from typing import Any

TARGET = "billing.actions.receive"
# What the owner does to the tables before the processes start.
SQL = "ALTER TABLE billing_usage_record DROP CONSTRAINT billing_usage_record_pkey"


def plant(receive: ModuleType) -> None:
    true_rows = receive.unnest.of_rows

    def of_rows(*, then: str, **given: Any) -> Any:
        return true_rows(then=then.replace(then.partition(" RETURNING")[0], ""), **given)

    receive.unnest = SimpleNamespace(of_rows=of_rows)
