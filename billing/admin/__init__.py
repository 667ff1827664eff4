"""How much: models, rate cards, budgets, estimates and, read-only, the ledger."""

from billing.admin import (
    budgets,
    catalog,
    channels,
    estimates,
    ledger,
    planning,
    proposals,
    raises,
    rate_cards,
    rerates,
    unpriced,
    velocity_rules,
    verifications,
)

__all__ = [
    "budgets",
    "catalog",
    "channels",
    "estimates",
    "ledger",
    "planning",
    "proposals",
    "raises",
    "rate_cards",
    "rerates",
    "unpriced",
    "velocity_rules",
    "verifications",
]
