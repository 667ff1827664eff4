"""`manage.py verify_ledger`: does everything add up? The exit code says."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from billing.reports import verification


class Command(BaseCommand):
    help = (
        "Hold rollups against charges, charges against priced records, and records "
        "against their states, in one snapshot. Exit code 0 when all agree, 1 when not."
    )

    def handle(self, **options: Any) -> None:
        checks = verification.verify()
        for check in checks:
            mark = self.style.SUCCESS("ok  ") if check.ok else self.style.ERROR("FAIL")
            self.stdout.write(f"{mark} {check.name}: {check.found}")
            for example in check.examples:
                self.stdout.write(f"       {example}")
        if not all(check.ok for check in checks):
            sys.exit(1)
