"""Temporary raises of a cap, requests for them, and who decides."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0015_holds"),
        ("teams", "0003_rate_limits"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BudgetPolicy",
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
                    "two_approvals_above",
                    models.DecimalField(
                        blank=True,
                        decimal_places=9,
                        help_text="A raise to a cap above it needs two people. "
                        "Empty: one is enough.",
                        max_digits=21,
                        null=True,
                        validators=[django.core.validators.MinValueValidator(0)],
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "budget policies",
            },
        ),
        migrations.CreateModel(
            name="RaiseDecision",
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
                ("decided_by", models.CharField(max_length=200)),
                ("decided_at", models.DateTimeField()),
                ("approves", models.BooleanField()),
                (
                    "amount",
                    models.DecimalField(
                        blank=True, decimal_places=9, max_digits=21, null=True
                    ),
                ),
                ("until", models.DateTimeField(blank=True, null=True)),
                ("note", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="RaiseRequest",
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
                ("asked_by", models.CharField(max_length=200)),
                ("asked_at", models.DateTimeField()),
                (
                    "amount",
                    models.DecimalField(
                        decimal_places=9, max_digits=21, verbose_name="new cap"
                    ),
                ),
                (
                    "until",
                    models.DateTimeField(
                        blank=True, help_text="Empty: for good.", null=True
                    ),
                ),
                ("reason", models.TextField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("approved", "Approved"),
                            ("declined", "Declined"),
                            ("withdrawn", "Withdrawn"),
                            ("expired", "Expired"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                (
                    "granted_amount",
                    models.DecimalField(
                        blank=True, decimal_places=9, max_digits=21, null=True
                    ),
                ),
                ("granted_until", models.DateTimeField(blank=True, null=True)),
                (
                    "ended_at",
                    models.DateTimeField(blank=True, null=True),
                ),
            ],
        ),
        migrations.AddField(
            model_name="budget",
            name="raised_to",
            field=models.DecimalField(
                blank=True,
                decimal_places=9,
                editable=False,
                help_text="The cap for now, until it is what it was.",
                max_digits=21,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="budget",
            name="raised_until",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="budgetrevision",
            name="raised_to",
            field=models.DecimalField(
                blank=True,
                decimal_places=9,
                editable=False,
                help_text="The cap for now, until it is what it was.",
                max_digits=21,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="budgetrevision",
            name="raised_until",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddConstraint(
            model_name="budget",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("raised_to", None), ("raised_until", None)),
                    models.Q(
                        ("raised_to__gt", models.F("amount")),
                        ("raised_to__isnull", False),
                        ("raised_to__lt", 1000000000000),
                        ("raised_until__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="budget_raise_is_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="budgetrevision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("raised_to", None), ("raised_until", None)),
                    models.Q(
                        ("raised_to__gt", models.F("amount")),
                        ("raised_to__isnull", False),
                        ("raised_to__lt", 1000000000000),
                        ("raised_until__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="budget_revision_raise_is_whole",
            ),
        ),
        migrations.AddField(
            model_name="budgetpolicy",
            name="organization",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="budget_policy",
                to="teams.organization",
            ),
        ),
        migrations.AddField(
            model_name="raisedecision",
            name="decider",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="raiserequest",
            name="asker",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="raiserequest",
            name="budget",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="raises",
                to="billing.budget",
            ),
        ),
        migrations.AddField(
            model_name="raisedecision",
            name="request",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="decisions",
                to="billing.raiserequest",
            ),
        ),
        migrations.AddConstraint(
            model_name="budgetpolicy",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("two_approvals_above__gte", 0),
                    ("two_approvals_above__lt", 1000000000000),
                ),
                name="budget_policy_amount_finite",
            ),
        ),
        migrations.AddIndex(
            model_name="raiserequest",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["budget"],
                name="raise_request_pending",
            ),
        ),
        migrations.AddConstraint(
            model_name="raiserequest",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0), ("amount__lt", 1000000000000)),
                name="raise_request_amount_finite",
            ),
        ),
        migrations.AddConstraint(
            model_name="raiserequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("granted_amount__gt", 0),
                        ("granted_amount__isnull", False),
                        ("granted_amount__lt", 1000000000000),
                        ("state", "approved"),
                    ),
                    models.Q(
                        models.Q(("state", "approved"), _negated=True),
                        ("granted_amount", None),
                        ("granted_until", None),
                    ),
                    _connector="OR",
                ),
                name="raise_request_granted_when_approved",
            ),
        ),
        migrations.AddConstraint(
            model_name="raiserequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at", None), ("state", "pending")),
                    models.Q(
                        models.Q(("state", "pending"), _negated=True),
                        ("ended_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="raise_request_ends_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="raisedecision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("amount__gt", 0),
                        ("amount__isnull", False),
                        ("amount__lt", 1000000000000),
                        ("approves", True),
                    ),
                    models.Q(("amount", None), ("approves", False), ("until", None)),
                    _connector="OR",
                ),
                name="raise_decision_amount_when_approved",
            ),
        ),
    ]
