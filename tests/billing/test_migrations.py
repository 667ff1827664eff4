"""Migrations go back where the tables that they changed have rows."""

from decimal import Decimal

from django.db import connection
from django.db.migrations.loader import MigrationLoader

from billing.models.estimates import Scenario
from billing.models.planned import Chosen
from tests.billing.test_estimates import levers, model, save_shapes
from tests.conftest import Cast


def take_back(name: str) -> None:
    """This migration of billing alone, in the transaction of the test."""
    loader = MigrationLoader(connection)
    its = ("billing", name)
    with connection.schema_editor() as editor:
        # Rows of this transaction are looked at now: a table is not changed before.
        editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        before = loader.project_state(its, at_end=False)
        loader.get_migration(*its).unapply(before, editor)


def test_shapes_of_single_models_are_forgotten_where_there_are_none(cast: Cast):
    own = {Scenario.MEDIUM: levers(input_tokens=7)}
    fast = Chosen(model("claude-haiku-4-5"), Decimal(50), own=own)
    save_shapes(cast, models=[Chosen(model(), Decimal(50)), fast])

    take_back("0030_estimate_sizes")

    with connection.cursor() as cursor:
        cursor.execute("SELECT input_tokens FROM billing_estimateshape")
        assert cursor.fetchall() == [(1000,)]
