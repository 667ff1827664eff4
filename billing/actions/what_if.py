"""Questions about past usage: kept under a name, forgotten, made into an estimate."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any, Protocol

from django.core.exceptions import ValidationError
from django.db import transaction

from billing.actions import estimates
from billing.formats import what_if
from billing.formats.what_if import Question
from billing.models import Estimate, LanguageModel, SavedWhatIf
from billing.models.estimates import Scenario
from billing.models.planned import Line
from billing.pricing.budget_periods import calendar_month
from billing.pricing.token_classes import NOTHING, Quantities
from billing.pricing.usage import Processing
from teams.actions import audit
from teams.models import Project, Team


@transaction.atomic
def save(
    *, team: Team, name: str, question: Question, by: str, now: datetime
) -> SavedWhatIf:
    """Keep a question of a team. Raises ValidationError for a name that it has already."""
    saved = SavedWhatIf(
        team=team,
        name=name.strip(),
        question=what_if.plain(question),
        created_by=by,
        created_at=now,
    )
    # One at a time of a team, so that the second one finds the first. It does not wait for
    # whoever only names the team.
    Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    saved.full_clean()
    saved.save()
    _audit(saved, "what_if.save", by=by, now=now, after=_said(saved))
    return saved


@transaction.atomic
def forget(*, saved: SavedWhatIf, by: str, now: datetime) -> None:
    """Delete what was saved; the audit keeps what it asked."""
    _audit(saved, "what_if.forget", by=by, now=now, before=_said(saved))
    saved.delete()


class Used(Protocol):
    """What a model would have been used for under one processing, in all days."""

    @property
    def model(self) -> LanguageModel: ...
    @property
    def processing(self) -> str: ...
    @property
    def requests(self) -> int: ...
    @property
    def quantities(self) -> Quantities: ...


def plan(
    *,
    team: Team,
    month: date,
    days: int,
    used: Mapping[Scenario, Sequence[Used]],
    note: str,
    by: str,
    now: datetime,
    project: Project | None = None,
) -> Estimate:
    """Make a draft estimate of a month in which every day is as it would have been in
    these `days`.

    It is priced anew, as any estimate is. Raises ValidationError where nothing is left to
    plan, and as `estimates.save` does.
    """
    period = calendar_month(month)
    share = Fraction((period.until - period.first).days, days)
    lines = [
        line for scenario, rows in used.items() for line in _lines(scenario, rows, share)
    ]
    if not lines:
        raise ValidationError("There is nothing in it to plan.")
    return estimates.save(
        team=team,
        project=project,
        month=period.first,
        lines=lines,
        note=note,
        by=by,
        now=now,
    )


def _lines(scenario: Scenario, rows: Sequence[Used], share: Fraction) -> Iterator[Line]:
    """What is no batch is planned as standard: an estimate knows these two."""
    sums: dict[tuple[LanguageModel, Processing], tuple[int, Quantities]] = {}
    for one in rows:
        batch = one.processing == Processing.BATCH
        key = (one.model, Processing.BATCH if batch else Processing.STANDARD)
        requests, quantities = sums.get(key, (0, NOTHING))
        sums[key] = (requests + one.requests, quantities.plus(one.quantities))
    for (model, processing), (requests, quantities) in sums.items():
        if requests > 0:
            yield Line(
                model,
                scenario,
                _scaled(requests, share),
                Quantities(*(_scaled(quantity, share) for quantity in quantities)),
                processing,
            )


def _scaled(number: int, share: Fraction) -> int:
    # What was taken back of earlier months can leave less than nothing.
    return max(0, round(number * share))


def _audit(saved: SavedWhatIf, action: str, **said: Any) -> None:
    audit.record(
        action=action,
        subject=f"what-if {saved.name} of team {saved.team.slug}",
        organization=saved.team.organization.slug,
        **said,
    )


def _said(saved: SavedWhatIf) -> dict[str, Any]:
    return {"name": saved.name, "question": saved.question}
