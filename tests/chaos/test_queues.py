"""The broker's queues are gone, while records keep coming: they come back."""

import pytest

from tests.chaos import faults
from tests.chaos.conftest import await_priced
from tests.chaos.service import Client, Service
from tests.journeys.test_prices import call

pytestmark = pytest.mark.xdist_group("broken")


@pytest.mark.parametrize(
    "drop", [faults.drop_queues, faults.drop_queue_tables], ids=["queues", "tables"]
)
def test_queues_that_were_dropped_come_back(
    service: Service, demo: Client, drop: faults.Strike
) -> None:
    """Workers that find none end; those that are started in their place make them."""
    drop(service)

    assert demo.post("usage", call(drop.__name__)).status == 202
    await_priced(service, demo, drop.__name__)


def test_a_queue_whose_schema_is_gone_is_installed_again(
    service: Service, demo: Client
) -> None:
    with service.sql() as owner:
        owner.execute("DROP SCHEMA pgmq CASCADE")
    assert demo.post("usage", call("no-schema")).status == 202

    service.manage("install_queue")

    await_priced(service, demo, "no-schema")
