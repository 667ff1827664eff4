"""Posted records for tests: valid unless a test says otherwise."""

import itertools
import json
from datetime import UTC, datetime
from typing import Any

_numbers = itertools.count(1)

MOMENT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def record(**changes: Any) -> dict[str, Any]:
    """1,000 tokens in and 10 out on Claude Opus 5.5: 0.004 + 0.0002 = 0.0042 USD."""
    posted = {
        "id": f"msg_{next(_numbers):06}",
        "occurred_at": MOMENT.isoformat(),
        "project": "answers",
        "provider": "anthropic",
        "model": "claude-opus-5-5",
        "usage": {"input_tokens": 1000, "output_tokens": 10},
    }
    posted |= changes
    return {name: value for name, value in posted.items() if value is not None}


COST = "0.0042"


def body(*records: dict[str, Any]) -> bytes:
    return json.dumps(list(records)).encode()
