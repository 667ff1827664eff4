"""Sound, pictures and agent sessions get classes of their own.

Every new column has a default in the database, so that processes of the release before
go on writing while this one is rolled out.
"""

from collections.abc import Iterator
from typing import Any

import django.core.validators
from django.db import migrations, models

# As they were in this release; the code's own list may grow.
OLD = ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output", "web_search")
NEW = ("input_audio", "cache_read_audio", "output_audio", "output_image", "session")
COUNTED = ("usagerecord", "charge", "dailyspend", "hourlyspend", "estimateline")

USAGE_RECORD_COUNTS = f"""
ALTER TABLE billing_usage_record
    DROP CONSTRAINT usage_record_counts,
    ADD CONSTRAINT usage_record_counts CHECK (
        least({", ".join((*OLD, *NEW))}, thinking) >= 0
    );
"""


def _count(name: str) -> "models.BigIntegerField[Any, Any]":
    said = "Milliseconds that a managed agent ran." if name == "session" else ""
    return models.BigIntegerField(db_default=0, default=0, help_text=said)


def _cost() -> "models.DecimalField[Any, Any]":
    return models.DecimalField(db_default=0, decimal_places=15, default=0, max_digits=30)


def _price(name: str) -> "models.DecimalField[Any, Any]":
    unit = "hour" if name == "session" else "1,000,000 tokens"
    return models.DecimalField(
        blank=True,
        decimal_places=9,
        help_text=f"Per {unit}. Empty means: no price is known.",
        max_digits=18,
        null=True,
        validators=[django.core.validators.MinValueValidator(0)],
    )


def _columns() -> Iterator[migrations.AddField]:
    for name in NEW:
        for counts in (
            "usagerecord",
            "charge",
            "dailyspend",
            "hourlyspend",
            "estimateline",
        ):
            yield migrations.AddField(counts, name, _count(name))
        for sums in ("dailyspend", "hourlyspend"):
            yield migrations.AddField(sums, f"{name}_cost", _cost())
        yield migrations.AddField("rate", name, _price(name))


def _rate_constraints() -> Iterator[migrations.AddConstraint]:
    yield migrations.AddConstraint(
        "rate",
        models.CheckConstraint(
            condition=models.Q(("stop", False))
            | models.Q(*((name, None) for name in sorted((*OLD, *NEW)))),
            name="stop_sets_no_price",
        ),
    )
    for name in NEW:
        yield migrations.AddConstraint(
            "rate",
            models.CheckConstraint(
                condition=models.Q((f"{name}__gte", 0), (f"{name}__lt", 10**9))
                | models.Q((name, None)),
                name=f"rate_{name}_finite",
            ),
        )


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_budget_isolation")]

    operations = [
        migrations.RemoveConstraint("estimateline", "estimate_counts_not_negative"),
        migrations.RemoveConstraint("rate", "stop_sets_no_price"),
        *_columns(),
        migrations.RunSQL(USAGE_RECORD_COUNTS, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "estimateline",
            models.CheckConstraint(
                condition=models.Q(
                    *((f"{name}__gte", 0) for name in sorted((*OLD, *NEW, "requests")))
                ),
                name="estimate_counts_not_negative",
            ),
        ),
        *_rate_constraints(),
    ]
