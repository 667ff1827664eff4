"""Estimates of several months and of projects, made by levers, submitted and sent back."""

from decimal import Decimal

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Until now an estimate had one month, and so had all its lines.
THEIR_MONTH = """
UPDATE billing_estimateline AS line SET month = estimate.month
FROM billing_estimate AS estimate WHERE estimate.id = line.estimate_id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0022_alert_firings"),
        ("teams", "0003_rate_limits"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="EstimateModel",
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
                    "share_percent",
                    models.DecimalField(
                        decimal_places=9, default=Decimal(0), max_digits=12
                    ),
                ),
                (
                    "token_factor",
                    models.DecimalField(
                        decimal_places=9,
                        default=Decimal(1),
                        help_text="Tokens that it counts where the shape has one.",
                        max_digits=11,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="EstimateShape",
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
                    "scenario",
                    models.CharField(
                        choices=[
                            ("light", "Light"),
                            ("medium", "Medium"),
                            ("heavy", "Heavy"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "requests_per_day",
                    models.DecimalField(
                        decimal_places=9,
                        help_text="Of each user, where the number of users is given.",
                        max_digits=21,
                    ),
                ),
                ("users", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "active_days",
                    models.PositiveSmallIntegerField(
                        default=31,
                        help_text="In a month; a shorter month has as many as it has.",
                    ),
                ),
                (
                    "growth_percent",
                    models.DecimalField(
                        decimal_places=9,
                        default=Decimal(0),
                        help_text="A month.",
                        max_digits=14,
                    ),
                ),
                (
                    "batch_percent",
                    models.DecimalField(
                        decimal_places=9, default=Decimal(0), max_digits=12
                    ),
                ),
                (
                    "prefix_tokens",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="The part of the prompt that every request repeats.",
                    ),
                ),
                (
                    "cache_ttl",
                    models.CharField(
                        blank=True,
                        choices=[("", "Not cached"), ("5m", "5 minutes"), ("1h", "1 hour")],
                        default="",
                        max_length=2,
                    ),
                ),
                (
                    "hit_percent",
                    models.DecimalField(
                        decimal_places=9,
                        default=Decimal(0),
                        help_text="Of the requests that find the prefix in the cache.",
                        max_digits=12,
                    ),
                ),
                (
                    "input_tokens",
                    models.PositiveIntegerField(help_text="The rest of the prompt."),
                ),
                (
                    "output_tokens",
                    models.PositiveIntegerField(help_text="Thinking included."),
                ),
                (
                    "thinking_percent",
                    models.DecimalField(
                        decimal_places=9,
                        default=Decimal(0),
                        help_text="Of the output.",
                        max_digits=12,
                    ),
                ),
                (
                    "searches_per_1000",
                    models.PositiveIntegerField(
                        default=0, help_text="Web searches in 1,000 requests."
                    ),
                ),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="estimate",
            name="one_approved_estimate_per_month",
        ),
        migrations.RemoveConstraint(
            model_name="estimate",
            name="approved_estimate_says_by_whom",
        ),
        migrations.RemoveConstraint(
            model_name="estimateline",
            name="one_line_per_model_and_scenario",
        ),
        migrations.AddField(
            model_name="estimate",
            name="contingency_percent",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="What the proposed cap has on top of the plan.",
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(100),
                ],
            ),
        ),
        migrations.AddField(
            model_name="estimate",
            name="decision_note",
            field=models.TextField(
                blank=True,
                default="",
                editable=False,
                help_text="What was said when it was sent back.",
            ),
        ),
        migrations.AddField(
            model_name="estimate",
            name="months",
            field=models.PositiveSmallIntegerField(
                default=1,
                help_text="How many it covers.",
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(12),
                ],
            ),
        ),
        migrations.AddField(
            model_name="estimate",
            name="project",
            field=models.ForeignKey(
                blank=True,
                help_text="Empty: the whole team.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="estimates",
                to="teams.project",
            ),
        ),
        migrations.AddField(
            model_name="estimate",
            name="source",
            field=models.TextField(
                blank=True,
                default="",
                help_text="Where its tokens per request come from, in a sentence.",
            ),
        ),
        migrations.AddField(
            model_name="estimate",
            name="submitted_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="estimate",
            name="submitted_by",
            field=models.CharField(blank=True, default="", editable=False, max_length=200),
        ),
        migrations.AddField(
            model_name="estimate",
            name="submitter",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="estimateline",
            name="month",
            field=models.DateField(
                help_text="Its first day; a month of the estimate.", null=True
            ),
        ),
        migrations.RunSQL(THEIR_MONTH, reverse_sql=migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="estimateline",
            name="month",
            field=models.DateField(help_text="Its first day; a month of the estimate."),
        ),
        migrations.AddField(
            model_name="estimateline",
            name="processing",
            field=models.CharField(
                choices=[("standard", "Standard"), ("batch", "Batch")],
                default="standard",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="estimate",
            name="month",
            field=models.DateField(help_text="Its first day.", verbose_name="first month"),
        ),
        migrations.AlterField(
            model_name="estimate",
            name="state",
            field=models.CharField(
                choices=[
                    ("draft", "Draft"),
                    ("submitted", "Submitted"),
                    ("approved", "Approved"),
                ],
                default="draft",
                max_length=10,
            ),
        ),
        migrations.AddIndex(
            model_name="estimate",
            index=models.Index(
                condition=models.Q(("state", "approved")),
                fields=["team", "month"],
                name="estimate_approved",
            ),
        ),
        migrations.AddConstraint(
            model_name="estimate",
            constraint=models.CheckConstraint(
                condition=models.Q(("months__gte", 1), ("months__lte", 12)),
                name="estimate_months_bounded",
            ),
        ),
        migrations.AddConstraint(
            model_name="estimate",
            constraint=models.CheckConstraint(
                condition=models.Q(("contingency_percent__lte", 100)),
                name="estimate_contingency_bounded",
            ),
        ),
        migrations.AddConstraint(
            model_name="estimate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("approved_at__isnull", False),
                        ("state", "approved"),
                        models.Q(("approved_by", ""), _negated=True),
                    ),
                    models.Q(
                        models.Q(("state", "approved"), _negated=True),
                        ("approved_at", None),
                        ("approved_by", ""),
                    ),
                    _connector="OR",
                ),
                name="approved_estimate_says_by_whom",
            ),
        ),
        migrations.AddConstraint(
            model_name="estimate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "draft"), _negated=True),
                    ("submitted_at", None),
                    _connector="OR",
                ),
                name="draft_estimate_is_not_submitted",
            ),
        ),
        migrations.AddConstraint(
            model_name="estimate",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "submitted"), _negated=True),
                    ("submitted_at__isnull", False),
                    _connector="OR",
                ),
                name="submitted_estimate_says_when",
            ),
        ),
        migrations.AddConstraint(
            model_name="estimateline",
            constraint=models.UniqueConstraint(
                fields=("estimate", "month", "model", "processing", "scenario"),
                name="one_line_per_month_model_and_scenario",
            ),
        ),
        migrations.AddField(
            model_name="estimatemodel",
            name="estimate",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="models",
                to="billing.estimate",
            ),
        ),
        migrations.AddField(
            model_name="estimatemodel",
            name="model",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="billing.languagemodel",
            ),
        ),
        migrations.AddField(
            model_name="estimateshape",
            name="estimate",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="shapes",
                to="billing.estimate",
            ),
        ),
        migrations.AddConstraint(
            model_name="estimatemodel",
            constraint=models.UniqueConstraint(
                fields=("estimate", "model"), name="one_share_per_model"
            ),
        ),
        migrations.AddConstraint(
            model_name="estimatemodel",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("share_percent__gte", 0),
                    ("share_percent__lte", 100),
                    ("token_factor__gt", 0),
                    ("token_factor__lte", 10),
                ),
                name="estimate_model_bounded",
            ),
        ),
        migrations.AddConstraint(
            model_name="estimateshape",
            constraint=models.UniqueConstraint(
                fields=("estimate", "scenario"), name="one_shape_per_scenario"
            ),
        ),
        migrations.AddConstraint(
            model_name="estimateshape",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("active_days__gte", 1),
                    ("active_days__lte", 31),
                    ("growth_percent__gte", -100),
                    ("growth_percent__lte", 10000),
                    ("requests_per_day__gte", 0),
                    ("requests_per_day__lt", 1000000000000),
                ),
                name="estimate_volume_bounded",
            ),
        ),
        migrations.AddConstraint(
            model_name="estimateshape",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("batch_percent__gte", 0),
                    ("batch_percent__lte", 100),
                    ("hit_percent__gte", 0),
                    ("hit_percent__lte", 100),
                    ("thinking_percent__gte", 0),
                    ("thinking_percent__lte", 100),
                ),
                name="estimate_percents_bounded",
            ),
        ),
    ]
