"""Channels of more kinds and of people; each attempt of a delivery; who is at work."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Each has five minutes from now on to begin.
BEGIN = """
INSERT INTO billing_heartbeat (name, at)
SELECT name, now() FROM unnest('{worker,sender,beat}'::text[]) AS name
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0017_forecast_errors"),
        ("teams", "0003_rate_limits"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DeliveryAttempt",
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
                ("number", models.PositiveSmallIntegerField()),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField()),
                (
                    "error",
                    models.TextField(blank=True, help_text="Empty: it was accepted."),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Heartbeat",
            fields=[
                (
                    "name",
                    models.CharField(
                        choices=[
                            ("worker", "Worker"),
                            ("sender", "Sender"),
                            ("beat", "Beat"),
                        ],
                        max_length=10,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="delivery",
            name="one_delivery_per_alert_and_channel",
        ),
        migrations.AddField(
            model_name="channel",
            name="previous_secret",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="Signs along while the receiver takes over the new one.",
                max_length=100,
            ),
        ),
        migrations.AddField(
            model_name="channel",
            name="previous_secret_until",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="channel",
            name="stand_in",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Gets only what another channel could not deliver.",
            ),
        ),
        migrations.AddField(
            model_name="channel",
            name="user",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                help_text="Alerts of what this person may see, to the address of the "
                "account.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="channels",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="attempts_before",
            field=models.PositiveSmallIntegerField(
                db_default=0,
                default=0,
                help_text="Those made until somebody had it sent again.",
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="event",
            field=models.CharField(
                choices=[
                    ("fired", "Fired"),
                    ("acknowledged", "Acknowledged"),
                    ("resolved", "Resolved"),
                ],
                db_default="fired",
                default="fired",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="delivery",
            name="instead_of",
            field=models.ForeignKey(
                help_text="The delivery that was given up, for which this one was made.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="stand_ins",
                to="billing.delivery",
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="kind",
            field=models.CharField(
                choices=[
                    ("email", "E-mail"),
                    ("slack", "Slack"),
                    ("pagerduty", "PagerDuty"),
                    ("webhook", "Signed webhook"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="channel",
            name="target",
            field=models.CharField(
                help_text="An address, an https URL, or the routing key of a PagerDuty "
                "service.",
                max_length=500,
            ),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("stand_in", False), ("user", None)),
                    models.Q(
                        ("kind", "email"),
                        ("project", None),
                        ("team", None),
                        ("user__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="channel_of_a_person_is_mail",
            ),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.UniqueConstraint(
                condition=models.Q(("disabled_at", None)),
                fields=("organization", "user"),
                name="one_channel_per_person",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(
                fields=("alert", "channel", "event"),
                name="one_delivery_per_alert_channel_and_event",
            ),
        ),
        migrations.AddField(
            model_name="deliveryattempt",
            name="delivery",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="log",
                to="billing.delivery",
            ),
        ),
        migrations.AddConstraint(
            model_name="deliveryattempt",
            constraint=models.UniqueConstraint(
                fields=("delivery", "number"), name="one_row_per_attempt"
            ),
        ),
        migrations.RunSQL(BEGIN, migrations.RunSQL.noop),
    ]
