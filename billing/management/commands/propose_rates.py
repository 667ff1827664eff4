"""`manage.py propose_rates`: hold the installed price data against the list cards."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from billing.actions import proposals
from billing.models import Proposal


class Command(BaseCommand):
    help = (
        "Open a proposal for each rate of the installed price data that a list card does "
        "not have. Repeatable: the same price is not proposed twice. Publishes nothing."
    )

    def handle(self, **options: Any) -> None:
        found = proposals.propose(now=timezone.now())
        waiting = Proposal.objects.filter(state=Proposal.State.OPEN).count()
        self.stdout.write(
            f"{found.opened} opened, {found.changed} changed, {found.lapsed} lapsed; "
            f"{waiting} open"
        )
