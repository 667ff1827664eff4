"""Withdrawals, confirmed prices and proposals; published rates stay as they are.

Row-level security lets the service roles write the rates of drafts alone, and change a
published publication in one way: it can be withdrawn. A check would not do: it sees what
a row becomes and not what it was.
"""

import django.db.models.deletion
from django.db import migrations, models

IMMUTABLE = """
ALTER TABLE billing_rate ENABLE ROW LEVEL SECURITY;
ALTER TABLE billing_publication ENABLE ROW LEVEL SECURITY;

CREATE POLICY read_rates ON billing_rate FOR SELECT
    TO purser_app, purser_worker USING (true);
CREATE POLICY add_to_drafts ON billing_rate FOR INSERT
    TO purser_app, purser_worker WITH CHECK (
        'draft' = (SELECT p.state FROM billing_publication p WHERE p.id = publication_id));
CREATE POLICY change_in_drafts ON billing_rate FOR UPDATE
    TO purser_app, purser_worker USING (
        'draft' = (SELECT p.state FROM billing_publication p WHERE p.id = publication_id));
CREATE POLICY remove_from_drafts ON billing_rate FOR DELETE
    TO purser_app, purser_worker USING (
        'draft' = (SELECT p.state FROM billing_publication p WHERE p.id = publication_id));

CREATE POLICY read_publications ON billing_publication FOR SELECT
    TO purser_app, purser_worker USING (true);
CREATE POLICY start_drafts ON billing_publication FOR INSERT
    TO purser_app, purser_worker WITH CHECK (state = 'draft');
-- What it was is read beside what it becomes.
CREATE POLICY publish_or_withdraw ON billing_publication FOR UPDATE
    TO purser_app, purser_worker USING (true) WITH CHECK (
        (SELECT was.state FROM billing_publication was
         WHERE was.id = billing_publication.id) = 'draft'
        OR state = 'withdrawn' AND (SELECT was.state FROM billing_publication was
         WHERE was.id = billing_publication.id) = 'published');
CREATE POLICY discard_drafts ON billing_publication FOR DELETE
    TO purser_app, purser_worker USING (state = 'draft');

REVOKE UPDATE ON billing_publication FROM purser_app, purser_worker;
GRANT UPDATE (state, note, published_by, published_at, withdrawn_by, withdrawn_at)
    ON billing_publication TO purser_app, purser_worker;
"""

CHANGEABLE = """
DROP POLICY read_rates ON billing_rate;
DROP POLICY add_to_drafts ON billing_rate;
DROP POLICY change_in_drafts ON billing_rate;
DROP POLICY remove_from_drafts ON billing_rate;
DROP POLICY read_publications ON billing_publication;
DROP POLICY start_drafts ON billing_publication;
DROP POLICY publish_or_withdraw ON billing_publication;
DROP POLICY discard_drafts ON billing_publication;
ALTER TABLE billing_rate DISABLE ROW LEVEL SECURITY;
ALTER TABLE billing_publication DISABLE ROW LEVEL SECURITY;
GRANT UPDATE ON billing_publication TO purser_app, purser_worker;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0005_token_classes"),
    ]

    operations = [
        migrations.CreateModel(
            name="Proposal",
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
                    "model_name",
                    models.CharField(
                        help_text="Without the provider. The model may not be known yet.",
                        max_length=200,
                    ),
                ),
                (
                    "processing",
                    models.CharField(
                        choices=[
                            ("standard", "standard"),
                            ("batch", "batch"),
                            ("flex", "flex"),
                            ("priority", "priority"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "speed",
                    models.CharField(
                        choices=[("standard", "standard"), ("fast", "fast")], max_length=10
                    ),
                ),
                ("geo", models.CharField(max_length=32)),
                ("endpoint", models.CharField(max_length=32)),
                ("context_tier", models.PositiveIntegerField()),
                ("effective_from", models.DateTimeField()),
                (
                    "stop",
                    models.BooleanField(
                        help_text="The source does not offer this any more."
                    ),
                ),
                (
                    "prices",
                    models.JSONField(
                        help_text="Decimal strings by token class, as in a rate."
                    ),
                ),
                ("source", models.CharField(max_length=300)),
                ("observed_on", models.DateField()),
                ("found_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("accepted", "Accepted"),
                            ("dismissed", "Dismissed"),
                            ("lapsed", "Lapsed"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("decided_by", models.CharField(blank=True, max_length=200)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.TextField(blank=True)),
            ],
        ),
        migrations.AddField(
            model_name="publication",
            name="withdrawn_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="publication",
            name="withdrawn_by",
            field=models.CharField(blank=True, default="", max_length=200),
        ),
        migrations.AddField(
            model_name="rate",
            name="confirmation",
            field=models.TextField(
                blank=True,
                default="",
                help_text="Why a price far from all others is right. Needed for those.",
            ),
        ),
        migrations.AddConstraint(
            model_name="publication",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("state", "withdrawn"),
                        ("withdrawn_at__isnull", False),
                        models.Q(("withdrawn_by", ""), _negated=True),
                    ),
                    models.Q(
                        models.Q(("state", "withdrawn"), _negated=True),
                        ("withdrawn_at", None),
                        ("withdrawn_by", ""),
                    ),
                    _connector="OR",
                ),
                name="withdrawal_says_who_and_when",
            ),
        ),
        migrations.AddField(
            model_name="proposal",
            name="card",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="proposals",
                to="billing.ratecard",
            ),
        ),
        migrations.AddField(
            model_name="proposal",
            name="publication",
            field=models.ForeignKey(
                blank=True,
                help_text="The draft that an accepted one was put on.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="proposals",
                to="billing.publication",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "open")),
                fields=(
                    "card",
                    "model_name",
                    "processing",
                    "speed",
                    "geo",
                    "endpoint",
                    "context_tier",
                    "effective_from",
                ),
                name="one_open_proposal_per_rate",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("publication__isnull", False), ("state", "accepted")),
                    models.Q(
                        models.Q(("state", "accepted"), _negated=True),
                        ("publication", None),
                    ),
                    _connector="OR",
                ),
                name="accepted_proposal_is_on_a_publication",
            ),
        ),
        migrations.RunSQL(IMMUTABLE, CHANGEABLE),
    ]
