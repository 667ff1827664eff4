"""One usage record with its state, its charges and the rates they were priced by."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

from django.db.models import Sum

from billing.models import (
    Charge,
    QuarantinedRecord,
    Rate,
    UnpricedRecord,
    UsageRecord,
    Void,
)
from billing.models.months import is_adjustment
from billing.models.rates import PRICE_FIELDS
from billing.pricing import money
from billing.pricing.token_classes import UNITS, TokenClass
from teams.models import Project, Team


@dataclass(frozen=True, slots=True)
class RatedLine:
    token_class: TokenClass
    quantity: int
    unit_price: Decimal  # of one token, request or millisecond
    cost: Decimal


@dataclass(frozen=True, slots=True)
class RatedCharge:
    """One charge with the lines it is made of; one of a leg below 0 takes another back.

    `day` is the one it counts on. That of an adjustment is not the record's own: it was
    charged when the record's month was closed.
    """

    revision: int
    leg: int
    model: str
    cost: Decimal
    posted_at: datetime
    day: date
    adjustment: bool
    rate: Rate | None
    lines: list[RatedLine]


@dataclass(frozen=True, slots=True)
class RecordReport:
    record: UsageRecord
    project: str
    team: str
    state: str  # pending | priced | unpriced | quarantined | void
    cost: Decimal | None
    reason: str
    detail: str
    charges: list[RatedCharge]  # in force
    history: list[RatedCharge]  # all there ever were
    void: Void | None
    corrects: str  # the id of the record that it stands in the place of


class Priced(NamedTuple):
    """Where a record stands."""

    state: str
    cost: Decimal | None


def states(
    *, team_id: int, uids: Sequence[UUID], months: Collection[date]
) -> dict[UUID, Priced]:
    """The state of each of these records of one team."""
    its = {"team_id": team_id, "month__in": months, "record_uid__in": uids}
    states = dict.fromkeys(uids, Priced("pending", None))
    for model, state in (
        (UnpricedRecord, "unpriced"),
        (QuarantinedRecord, "quarantined"),
    ):
        for uid in model.objects.filter(**its).values_list("record_uid", flat=True):
            states[uid] = Priced(state, None)
    costs = Charge.objects.filter(**its).values_list("record_uid").annotate(Sum("cost"))
    for uid, cost in costs:
        states[uid] = Priced("priced", cost)
    for uid in Void.objects.filter(**its).values_list("record_uid", flat=True):
        states[uid] = Priced("void", None)
    return states


def found(
    *,
    team_ids: list[int],
    project: Project,
    record_id: str,
    month: date | None = None,
) -> UsageRecord | None:
    """The record of this id: of a UTC month, or of the latest it was seen in; or None."""
    records = UsageRecord.objects.filter(
        team_id__in=team_ids, project_id=project.pk, record_id=record_id
    )
    if month is not None:
        records = records.filter(month=month)
    return records.order_by("-month").first()


def report(record: UsageRecord, project: Project) -> RecordReport:
    history = charges_of(team_id=record.team_id, month=record.month, record_uid=record.uid)
    charges = _in_force(history)
    its = {"team_id": record.team_id, "month": record.month, "record_uid": record.uid}
    unpriced = UnpricedRecord.objects.filter(**its).first()
    quarantined = QuarantinedRecord.objects.filter(**its).first()
    void = Void.objects.filter(**its).first()
    corrected = Void.objects.filter(team_id=record.team_id, corrected_by=record.uid).first()
    state, reason, detail = "pending", "", ""
    if void is not None:
        state, detail = "void", void.reason
    elif charges:
        state, reason = "priced", record.unbilled
    elif unpriced is not None:
        state, reason, detail = "unpriced", unpriced.reason, unpriced.detail
    elif quarantined is not None:
        state, reason, detail = "quarantined", "pricing_failed", quarantined.detail
    return RecordReport(
        record=record,
        project=project.slug,
        team=Team.objects.values_list("slug", flat=True).get(pk=record.team_id),
        state=state,
        cost=sum((charge.cost for charge in charges), Decimal())
        if state == "priced"
        else None,
        reason=reason,
        detail=detail,
        charges=charges,
        history=history,
        void=void,
        corrects=corrected.record_id if corrected else "",
    )


def _in_force(charges: Sequence[RatedCharge]) -> list[RatedCharge]:
    """The charges of the last pricing: what a re-rate took back is not among them."""
    last = max((charge.revision for charge in charges), default=0)
    return [one for one in charges if one.revision == last and one.leg >= 0]


def charges_of(*, team_id: int, month: date, record_uid: UUID) -> list[RatedCharge]:
    """All charges there ever were of one record, in the order they were made."""
    charges = (
        Charge.objects.filter(team_id=team_id, month=month, record_uid=record_uid)
        .select_related("model", "rate__publication__card")
        .order_by("revision", "leg")
    )
    return [_rated(charge) for charge in charges]


def _rated(charge: Charge) -> RatedCharge:
    rate = charge.rate
    return RatedCharge(
        revision=charge.revision,
        leg=charge.leg,
        model=charge.model.name,
        cost=charge.cost,
        posted_at=charge.posted_at,
        day=charge.day,
        adjustment=is_adjustment(charge.day, charge.occurred_at),
        rate=rate,
        lines=_lines(charge, rate) if rate else [],
    )


def _lines(charge: Charge, rate: Rate) -> list[RatedLine]:
    lines = []
    for name in PRICE_FIELDS:
        quantity, published = getattr(charge, name), getattr(rate, name)
        if quantity and published is not None:
            lines.append(_line(TokenClass(name), quantity, published))
    return lines


def _line(token_class: TokenClass, quantity: int, published: Decimal) -> RatedLine:
    unit_price = Fraction(money.whole(published), UNITS[token_class])
    return RatedLine(
        token_class,
        quantity,
        unit_price=money.exact(money.nearest(unit_price)),
        cost=money.exact(money.nearest(quantity * unit_price)),
    )
