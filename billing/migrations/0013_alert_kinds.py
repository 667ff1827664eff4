"""Alerts of every kind: each says its organization and its kind in columns."""

import django.db.models.deletion
from django.db import migrations, models

# What was kept until now: levels of budgets, and models without a price. The checks of
# foreign keys are made at once: a table with some still to be made cannot be altered.
FILL = """
SET CONSTRAINTS ALL IMMEDIATE;
UPDATE billing_alert SET
    kind = CASE threshold WHEN 100 THEN 'cap_reached' ELSE 'threshold' END,
    organization_id = b.organization_id, team_id = b.team_id, project_id = b.project_id
FROM billing_budget b WHERE b.id = billing_alert.budget_id;
UPDATE billing_alert SET
    kind = 'unpriced_model', subject = provider || ' ' || model_name,
    details = jsonb_build_object('provider', provider, 'name', model_name)
WHERE budget_id IS NULL;
"""
UNFILL = """
UPDATE billing_alert SET
    provider = details ->> 'provider', model_name = details ->> 'name'
WHERE kind = 'unpriced_model';
UPDATE billing_alert SET organization_id = NULL WHERE budget_id IS NOT NULL;
SET CONSTRAINTS ALL IMMEDIATE;
"""

_KINDS = [
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
    ("test", "Test"),
]
_LEVELS = ("threshold", "cap_reached")


def _points_to(model: str, **options: bool) -> models.ForeignKey:
    return models.ForeignKey(
        on_delete=django.db.models.deletion.PROTECT,
        related_name="alerts",
        to=model,
        **options,
    )


class Migration(migrations.Migration):
    dependencies = [("teams", "0003_rate_limits"), ("billing", "0012_receipts")]

    operations = [
        migrations.RemoveConstraint("alert", "one_alert_per_unpriced_model"),
        migrations.RemoveConstraint("alert", "alert_is_of_one_kind"),
        migrations.AddField(
            "alert",
            "kind",
            models.CharField(choices=_KINDS, db_default="", max_length=30),
        ),
        migrations.AddField("alert", "team", _points_to("teams.team", null=True)),
        migrations.AddField("alert", "project", _points_to("teams.project", null=True)),
        migrations.AddField(
            "alert",
            "subject",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="What in particular it is about.",
                max_length=300,
            ),
        ),
        migrations.AddField(
            "alert",
            "occurrence",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="Which time: a day, an hour.",
                max_length=40,
            ),
        ),
        migrations.AddField(
            "alert",
            "details",
            models.JSONField(
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                help_text="What was true when it was raised; amounts as text.",
            ),
        ),
        migrations.AddField(
            "alert",
            "acknowledged_by",
            models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
        migrations.AddField(
            "alert", "acknowledged_at", models.DateTimeField(blank=True, null=True)
        ),
        migrations.AlterField(
            "alert",
            "state",
            models.CharField(
                choices=[
                    ("firing", "Firing"),
                    ("acknowledged", "Acknowledged"),
                    ("resolved", "Resolved"),
                ],
                default="firing",
                max_length=12,
            ),
        ),
        migrations.RunSQL(FILL, UNFILL),
        migrations.AlterField("alert", "organization", _points_to("teams.organization")),
        migrations.RemoveField("alert", "provider"),
        migrations.RemoveField("alert", "model_name"),
        migrations.AddConstraint(
            "alert",
            models.UniqueConstraint(
                condition=models.Q(threshold=None),
                fields=("organization", "kind", "subject", "occurrence"),
                name="one_alert_per_occurrence",
            ),
        ),
        migrations.AddConstraint(
            "alert",
            models.CheckConstraint(
                condition=models.Q(
                    kind__in=_LEVELS,
                    spent__lt=10**15,
                    cap__lt=10**12,
                    budget__isnull=False,
                    revision__isnull=False,
                    period_start__isnull=False,
                    threshold__isnull=False,
                    spent__isnull=False,
                    cap__isnull=False,
                )
                | (
                    ~models.Q(kind__in=_LEVELS)
                    & models.Q(
                        revision=None,
                        period_start=None,
                        threshold=None,
                        spent=None,
                        cap=None,
                    )
                ),
                name="alert_of_a_level_is_whole",
            ),
        ),
    ]
