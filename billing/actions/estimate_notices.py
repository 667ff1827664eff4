"""Who is told of an estimate: whoever may approve it, and then whoever submitted it."""

from datetime import datetime

from django.contrib.auth.models import User

from billing.actions import deliveries, estimate_sentences, listening, personal_channels
from billing.models import Alert, Estimate
from teams.permissions import Permission


def submitted(estimate: Estimate, *, now: datetime) -> None:
    """Mail it to the people who may approve it.

    It is an alert that is open until that is decided. In the transaction that submits.
    """
    alert = _alert(estimate, estimate.submitted_by, now)
    deciders = listening.may_act_on(alert, Permission.APPROVE_ESTIMATES)
    _mail(alert, [user for user in deciders if user.pk != estimate.submitter_id], now)


def decided(estimate: Estimate, *, by: str, now: datetime, person: User | None) -> None:
    """Close its alert, and mail what was decided to the person who submitted it."""
    Alert.objects.filter(
        kind=Alert.Kind.ESTIMATE, subject=_subject(estimate), resolved_at=None
    ).update(state=Alert.State.RESOLVED, resolved_at=now)
    if person is None or not person.is_active or not person.email:
        return
    _mail(_alert(estimate, by, now), [person], now)


def _alert(estimate: Estimate, by: str, now: datetime) -> Alert:
    """One for each thing that happens to an estimate; what is decided needs nobody."""
    is_open = estimate.state == Estimate.State.SUBMITTED
    of_it = Alert.objects.filter(kind=Alert.Kind.ESTIMATE, subject=_subject(estimate))
    return Alert.objects.create(
        kind=Alert.Kind.ESTIMATE,
        organization=estimate.team.organization,
        team=estimate.team,
        project=estimate.project,
        subject=_subject(estimate),
        occurrence=f"{estimate.state} {of_it.count() + 1}",
        details=estimate_sentences.details(estimate, by),
        state=Alert.State.FIRING if is_open else Alert.State.RESOLVED,
        fired_at=now,
        resolved_at=None if is_open else now,
    )


def _subject(estimate: Estimate) -> str:
    return f"estimate {estimate.pk}"


def _mail(alert: Alert, people: list[User], now: datetime) -> None:
    organization = alert.organization
    mails = [personal_channels.reaching(one, organization, now=now) for one in people]
    deliveries.address([alert.pk], mails, now)
