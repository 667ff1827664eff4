"""`manage.py verify_ledger`: does everything add up? The exit code says."""

import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.actions import verifications
from billing.reports import verification


class Command(BaseCommand):
    help = (
        "Hold rollups against charges, charges against priced records, and records "
        "against their states, in one snapshot. What is found is kept for overview, "
        "admin and /readyz. Exit code 0 when all agree, 1 when not."
    )

    def handle(self, **options: Any) -> None:
        found = verification.verify(clock=timezone.now)
        kept = verifications.keep(**asdict(found))
        for check in found.checks:
            mark = self.style.SUCCESS("ok  ") if check.ok else self.style.ERROR("FAIL")
            self.stdout.write(f"{mark} {check.name}: {check.found}")
            for example in check.examples:
                self.stdout.write(f"       {example}")
        if found.problem:
            raise CommandError(found.problem)
        if not kept.ok:
            sys.exit(1)
