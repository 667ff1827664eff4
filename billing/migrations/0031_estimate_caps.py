"""Caps of estimates wait for the plan's first day; drafts say who saved them last."""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0030_estimate_sizes")]

    operations = [
        migrations.AddField(
            "estimate",
            "changed_by",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="Who saved it last.",
                max_length=200,
            ),
        ),
        migrations.CreateModel(
            name="EstimateCap",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "amount",
                    models.DecimalField(
                        decimal_places=9,
                        max_digits=21,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="cap",
                    ),
                ),
                ("holds_from", models.DateField(help_text="In the reporting zone.")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("set", "Set"),
                            ("taken_back", "Taken back"),
                            ("lapsed", "Lapsed"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                (
                    "settled_by",
                    models.CharField(blank=True, default="", max_length=200),
                ),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                (
                    "why",
                    models.TextField(
                        blank=True, default="", help_text="Why it was never set."
                    ),
                ),
                (
                    "estimate",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="cap",
                        to="billing.estimate",
                    ),
                ),
                (
                    "revision",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="estimate_cap",
                        to="billing.budgetrevision",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("amount__gte", 0), ("amount__lt", 1000000000000)
                        ),
                        name="estimate_cap_finite",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("settled_at", None),
                                ("settled_by", ""),
                                ("state", "waiting"),
                            ),
                            models.Q(
                                models.Q(("state", "waiting"), _negated=True),
                                ("settled_at__isnull", False),
                                models.Q(("settled_by", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="estimate_cap_is_settled_by_somebody",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("state", "lapsed"),
                                models.Q(("why", ""), _negated=True),
                            ),
                            models.Q(
                                models.Q(("state", "lapsed"), _negated=True),
                                ("why", ""),
                            ),
                            _connector="OR",
                        ),
                        name="lapsed_estimate_cap_says_why",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("revision", None), ("state", "set"), _connector="OR"
                        ),
                        name="estimate_cap_with_revision_is_set",
                    ),
                ],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")),
                        fields=["holds_from"],
                        name="estimate_cap_waiting",
                    )
                ],
            },
        ),
    ]
