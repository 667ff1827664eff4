"""Estimates know whose tokens levers count; models may have levers of their own."""

from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models

_MODEL = {
    "blank": True,
    "null": True,
    "on_delete": django.db.models.deletion.PROTECT,
    "related_name": "+",
    "to": "billing.languagemodel",
}
_FACTOR = {"decimal_places": 9, "max_digits": 11, "null": True}
_PERCENT = {"decimal_places": 9, "max_digits": 12}
_PERCENTS = ("batch_percent", "prefix_percent", "hit_percent", "thinking_percent")
# Without their model they would be a second shape of the scenario.
FORGET_SINGLE = "DELETE FROM billing_estimateshape WHERE model_id IS NOT NULL"
_BESIDE_TEXT = ("input_audio", "cache_read_audio", "output_audio", "output_image")


class Migration(migrations.Migration):
    dependencies = [("billing", "0029_reviews")]

    operations = [
        migrations.RemoveConstraint("estimateshape", "one_shape_per_scenario"),
        migrations.RemoveConstraint("estimateshape", "estimate_percents_bounded"),
        migrations.AddField(
            "estimate",
            "reference",
            models.ForeignKey(
                **_MODEL,
                editable=False,
                help_text="Whose tokens its levers count. Empty: of the one with most "
                "requests.",
            ),
        ),
        migrations.AddField(
            "estimatemodel",
            "factor_low",
            models.DecimalField(**_FACTOR, help_text="It may be as little."),
        ),
        migrations.AddField(
            "estimatemodel",
            "factor_high",
            models.DecimalField(**_FACTOR, help_text="It may be as much."),
        ),
        migrations.AddField(
            "estimateshape",
            "model",
            models.ForeignKey(
                **_MODEL, help_text="Empty: of all that have none of their own."
            ),
        ),
        migrations.AddField(
            "estimateshape",
            "prefix_percent",
            models.DecimalField(
                **_PERCENT,
                default=Decimal(100),
                help_text="Of the requests that begin with it.",
            ),
        ),
        *(
            migrations.AddField(
                "estimateshape",
                f"{name}_per_1000",
                models.PositiveBigIntegerField(default=0),
            )
            for name in _BESIDE_TEXT
        ),
        migrations.AddField(
            "estimateshape",
            "session_per_1000",
            models.PositiveBigIntegerField(
                default=0, help_text="Milliseconds of sessions in 1,000 requests."
            ),
        ),
        migrations.AlterField(
            "estimateshape",
            "hit_percent",
            models.DecimalField(
                **_PERCENT,
                default=Decimal(),
                help_text="Of those, that find the prefix in the cache.",
            ),
        ),
        migrations.AlterField(
            "estimateshape",
            "prefix_tokens",
            models.PositiveIntegerField(
                default=0, help_text="The part of the prompt that requests repeat."
            ),
        ),
        migrations.AddConstraint(
            "estimatemodel",
            models.CheckConstraint(
                condition=models.Q(factor_low=None, factor_high=None)
                | models.Q(
                    factor_low__gt=0,
                    factor_low__lte=models.F("token_factor"),
                    factor_high__gte=models.F("token_factor"),
                    factor_high__lte=10,
                ),
                name="estimate_factor_in_its_range",
            ),
        ),
        migrations.AddConstraint(
            "estimateshape",
            models.UniqueConstraint(
                fields=["estimate", "scenario", "model"],
                name="one_shape_per_scenario",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            "estimateshape",
            models.CheckConstraint(
                condition=models.Q(
                    **{f"{name}__gte": 0 for name in _PERCENTS},
                    **{f"{name}__lte": 100 for name in _PERCENTS},
                ),
                name="estimate_percents_bounded",
            ),
        ),
        migrations.RunSQL(migrations.RunSQL.noop, FORGET_SINGLE),
    ]
