"""Reviews of what projects cost, one of which opens after their first two weeks."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0028_estimate_samples"),
        ("teams", "0003_rate_limits"),
    ]

    operations = [
        migrations.AlterField(
            "alert",
            "kind",
            models.CharField(
                choices=[
                    ("threshold", "Threshold reached"),
                    ("cap_reached", "Cap reached"),
                    ("forecast_over_cap", "Forecast over cap"),
                    ("anomaly", "Unusual spend"),
                    ("gone_silent", "Gone silent"),
                    ("unpriced_model", "Model without a price"),
                    ("price_change", "Price change"),
                    ("spend_velocity", "Spending fast"),
                    ("key_expiring", "API key expiring"),
                    ("deliveries_failing", "Deliveries failing"),
                    ("backlog", "Counting falls behind"),
                    ("ledger_wrong", "Ledger does not add up"),
                    ("raise_request", "Raise asked for"),
                    ("estimate", "Estimate submitted"),
                    ("review_due", "Review due"),
                    ("test", "Test"),
                ],
                db_default="",
                max_length=30,
            ),
        ),
        migrations.CreateModel(
            name="Review",
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
                    "since",
                    models.DateField(help_text="Its first day, in the reporting zone."),
                ),
                ("until", models.DateField(help_text="The day after the last.")),
                ("by_itself", models.BooleanField(default=False)),
                ("opened_by", models.CharField(max_length=200)),
                ("opened_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("kept", "Kept")],
                        default="open",
                        max_length=10,
                    ),
                ),
                (
                    "decision",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("keep_cap", "Keep cap"),
                            ("raise_cap", "Raise cap"),
                            ("lower_cap", "Lower cap"),
                            ("set_cap", "Set cap"),
                            ("change_model", "Change model"),
                            ("cache_this", "Cache this"),
                            ("batch_that", "Batch that"),
                            ("nothing_stands_out", "Nothing stands out"),
                        ],
                        default="",
                        help_text="What to do.",
                        max_length=20,
                    ),
                ),
                ("note", models.TextField(blank=True, default="")),
                (
                    "closed_by",
                    models.CharField(blank=True, default="", max_length=200),
                ),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "figures",
                    models.JSONField(
                        blank=True,
                        help_text="As they stood when it was closed.",
                        null=True,
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reviews",
                        to="teams.project",
                    ),
                ),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reviews",
                        to="teams.team",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("by_itself", True)),
                        fields=("project",),
                        name="one_review_by_itself",
                    ),
                    models.UniqueConstraint(
                        fields=("team", "project", "since", "until"),
                        name="one_review_of_these_days",
                        violation_error_message="There is a review of these days.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("since__lt", models.F("until"))),
                        name="review_has_days",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("closed_at", None),
                                ("decision", ""),
                                ("figures__isnull", True),
                                ("state", "open"),
                            ),
                            models.Q(
                                ("closed_at__isnull", False),
                                ("figures__isnull", False),
                                ("state", "kept"),
                                models.Q(("decision", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="kept_review_is_decided",
                    ),
                ],
            },
        ),
    ]
