"""What is called outside answers within a second, or has not answered."""

from types import ModuleType

TARGET = "billing.connectors.outgoing"


def plant(outgoing: ModuleType) -> None:
    outgoing.post.__kwdefaults__["timeout"] = 1.0
