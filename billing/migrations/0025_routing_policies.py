"""Routing policies of teams: revisions that are never changed."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

# What a policy said stays said.
APPEND_ONLY = (
    "REVOKE UPDATE, DELETE ON billing_routingpolicy FROM purser_app, purser_worker"
)


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0024_saved_what_ifs"),
        ("teams", "0003_rate_limits"),
    ]

    operations = [
        migrations.CreateModel(
            name="RoutingPolicy",
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
                    "effective_from",
                    models.DateField(help_text="Its first day, in the reporting zone."),
                ),
                (
                    "model_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        blank=True,
                        default=list,
                        help_text="The models that may be used. Empty: all.",
                        size=None,
                    ),
                ),
                (
                    "batch_only_tags",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Tags whose records have to be processed in batches.",
                    ),
                ),
                (
                    "max_output",
                    models.BigIntegerField(
                        blank=True,
                        help_text="Tokens that a call may give out. Empty: any.",
                        null=True,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=1000)),
                ("changed_by", models.CharField(max_length=200)),
                ("changed_at", models.DateTimeField()),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="routing_policies",
                        to="teams.team",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "routing policies",
                "indexes": [
                    models.Index(
                        fields=["team", "effective_from"], name="routing_policy_of_team"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_output", None),
                            ("max_output__range", (1, 1000000000)),
                            _connector="OR",
                        ),
                        name="routing_policy_max_output",
                    )
                ],
            },
        ),
        migrations.RunSQL(APPEND_ONLY, migrations.RunSQL.noop),
    ]
