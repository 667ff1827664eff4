"""A usage record, its charges, their rates and whether it stands, as JSON."""

from typing import Any

from billing.models import Rate, Void
from billing.models.rates import PRICE_FIELDS
from billing.pricing import money
from billing.pricing.token_classes import UNITS, TokenClass
from billing.reports.records import RatedCharge, RecordReport


def as_json(report: RecordReport, currency: str) -> dict[str, Any]:
    record = report.record
    return {
        "id": record.record_id,
        "project": report.project,
        "team": report.team,
        "state": report.state,
        "cost": None if report.cost is None else money.plain(report.cost),
        "currency": currency,
        "reason": report.reason or None,
        "detail": report.detail or None,
        "occurred_at": record.occurred_at,
        "received_at": record.received_at,
        "provider": record.provider,
        "model": record.model_name,
        "usage_format": record.usage_format,
        "processing": record.processing,
        "speed": record.speed,
        "geo": record.geo,
        "endpoint": record.endpoint,
        "quantities": {name: getattr(record, name) for name in PRICE_FIELDS},
        "thinking": record.thinking,
        "flags": record.flags,
        "tags": record.tags,
        "hold": record.hold,
        "charges": [_charge(charge) for charge in report.charges],
        "history": [_entry(charge) for charge in report.history],
        "void": _void(report.void) if report.void else None,
        "corrects": report.corrects or None,
        "corrected_by": (report.void.correction_id or None) if report.void else None,
    }


def _void(void: Void) -> dict[str, Any]:
    return {"at": void.voided_at, "by": void.voided_by, "reason": void.reason}


def _entry(charge: RatedCharge) -> dict[str, Any]:
    return {
        "revision": charge.revision,
        "leg": charge.leg,
        "model": charge.model,
        "cost": money.plain(charge.cost),
        "day": charge.day,
        "adjustment": charge.adjustment,
        "posted_at": charge.posted_at,
    }


def _charge(charge: RatedCharge) -> dict[str, Any]:
    return {
        "model": charge.model,
        "cost": money.plain(charge.cost),
        "posted_at": charge.posted_at,
        "day": charge.day,
        "adjustment": charge.adjustment,
        "rate": _rate(charge.rate) if charge.rate else None,
        "lines": [
            {
                "token_class": line.token_class,
                "quantity": line.quantity,
                "unit_price": money.plain(line.unit_price),
                "cost": money.plain(line.cost),
                "model": charge.model,
            }
            for line in charge.lines
        ],
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "id": str(rate.pk),
        "card": rate.publication.card.name,
        "effective_from": rate.effective_from,
        "context_tier": rate.context_tier,
        "processing": rate.processing,
        "speed": rate.speed,
        "geo": rate.geo,
        "endpoint": rate.endpoint,
        "source": rate.source,
        "observed_on": rate.observed_on,
        "prices": {name: _published(rate, name) for name in PRICE_FIELDS},
    }


def _published(rate: Rate, name: str) -> dict[str, Any] | None:
    value = getattr(rate, name)
    if value is None:
        return None
    return {"price": money.plain(value), "per": UNITS[TokenClass(name)]}
