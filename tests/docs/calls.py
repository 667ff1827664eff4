"""The calls of a document: what is typed, and what is shown to come back."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.conftest import Service
from tests.docs import pages


def typed(page: Path) -> list[str]:
    return pages.blocks(page, "sh")


def shown(page: Path) -> list[Any]:
    """What stands in blocks of JSON, in their order."""
    return [json.loads(block) for block in pages.blocks(page, "json")]


def answer(service: Service, command: str) -> Any:
    """What the service answers to a call by curl."""
    (address,) = re.findall(r'"\$URL/([^"]+)"', command)
    path, _, query = address.partition("?")
    bodies = re.findall(r"-d '(.+?)'", command, re.DOTALL)
    if bodies or "-X POST" in command:
        response = service.post(path, bodies[0] if bodies else "{}")
    else:
        response = service.get(path, **dict(parse_qsl(query)))
    assert response.status_code in (200, 201), response.content
    return response.json()
