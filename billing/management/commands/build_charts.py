"""`manage.py build_charts`: the chart library that pages serve, as one file of our own.

Vega, Vega-Lite and Vega-Embed come bundled out of the `vl-convert-python` wheel, without
network and without Node. The result is committed: a new machine has nothing to build.
"""

import gzip
from pathlib import Path
from typing import Any

import vl_convert
from django.core.management.base import BaseCommand

TARGET = Path(__file__).resolve().parents[2] / "static" / "purser" / "vega.js"
# All that a page needs of it.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


class Command(BaseCommand):
    help = "Write the bundle of Vega, Vega-Lite and Vega-Embed, plain and compressed."

    def handle(self, **options: Any) -> None:
        bundle = vl_convert.javascript_bundle(_SNIPPET).encode()
        TARGET.write_bytes(bundle)
        # Beside it, for browsers that take it; without a date, so that it repeats.
        compressed = gzip.compress(bundle, compresslevel=9, mtime=0)
        TARGET.with_suffix(".js.gz").write_bytes(compressed)
        self.stdout.write(f"{TARGET}: {len(bundle):,} bytes, {len(compressed):,} sent.")
