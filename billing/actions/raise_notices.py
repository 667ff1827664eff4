"""Who is told of a raise: whoever may decide on it, and then whoever asked."""

from datetime import datetime

from django.contrib.auth.models import User

from billing.actions import deliveries, listening, personal_channels, raise_sentences
from billing.models import Alert, RaiseDecision, RaiseRequest

State = RaiseRequest.State


def asked(request: RaiseRequest, *, now: datetime) -> None:
    """Mail a new request to the people who may decide on it.

    It is an alert that is open until the request ends. In the transaction that asks.
    """
    alert = _alert(request, raise_sentences.details(request), now)
    deciders = [user for user in listening.may_act_on(alert) if user.pk != request.asker_id]
    _mail(alert, deciders, now)


def ended(
    request: RaiseRequest, *, now: datetime, decision: RaiseDecision | None = None
) -> None:
    """Close its alert, and mail what was decided to the person who asked."""
    Alert.objects.filter(
        kind=Alert.Kind.RAISE_REQUEST, subject=_subject(request), resolved_at=None
    ).update(state=Alert.State.RESOLVED, resolved_at=now)
    asker = request.asker
    if request.state == State.WITHDRAWN or asker is None or not asker.is_active:
        return
    alert = _alert(request, raise_sentences.details(request, decision), now)
    _mail(alert, [asker] if asker.email else [], now)


def _alert(request: RaiseRequest, details: raise_sentences.Details, now: datetime) -> Alert:
    """One for each thing that happens to a request; what ended it needs nobody."""
    budget, is_open = request.budget, request.state == State.PENDING
    return Alert.objects.create(
        kind=Alert.Kind.RAISE_REQUEST,
        organization=budget.organization,
        team=budget.team,
        project=budget.project,
        budget=budget,
        subject=_subject(request),
        occurrence=request.state,
        details=details,
        state=Alert.State.FIRING if is_open else Alert.State.RESOLVED,
        fired_at=now,
        resolved_at=None if is_open else now,
    )


def _subject(request: RaiseRequest) -> str:
    return f"raise request {request.pk}"


def _mail(alert: Alert, people: list[User], now: datetime) -> None:
    organization = alert.organization
    mails = [personal_channels.reaching(one, organization, now=now) for one in people]
    deliveries.address([alert.pk], mails, now)
