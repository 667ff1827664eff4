"""Alerts for who may see them: what is open, what has ended, and what became of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Prefetch, Q, QuerySet

from billing.models import Alert, Budget
from teams.models import AuditEvent, Organization, Ownership, Project, Team

# Of what has ended, what people may still look for.
_RECENT = timedelta(days=14)
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Inbox:
    """Newest first. `resolved` are those of the last 14 days; each list has 100 at most."""

    firing: list[Alert]
    acknowledged: list[Alert]
    snoozed: list[Alert]
    resolved: list[Alert]

    def __bool__(self) -> bool:
        return any((self.firing, self.acknowledged, self.snoozed, self.resolved))


def of_visitor(
    *, organization: Organization, teams: Sequence[Team], whole: bool, now: datetime
) -> QuerySet[Alert]:
    """Alerts of these teams and of the projects they own now.

    With `whole` all of the organization's: also those that are of no team.
    """
    found = Alert.objects.filter(organization=organization)
    if not whole:
        found = found.filter(_of_teams(teams, now))
    return found


def of_team(alerts: QuerySet[Alert], team: Team, now: datetime) -> QuerySet[Alert]:
    """Of these alerts those of one team and its projects."""
    return alerts.filter(_of_teams([team], now))


def _of_teams(teams: Iterable[Team], now: datetime) -> Q:
    listed = list(teams)
    owned = [Project.objects.owned_by(team, now).values("pk") for team in listed]
    its = Q(team__in=listed) | Q(concerned__overlap=[team.pk for team in listed])
    for projects in owned:
        its |= Q(project__in=projects)
    return its


def with_all_said(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """With all that their sentences read, the names of a budget's models too."""
    listed = alerts.select_related("organization", "team", "project", "rerate")
    return listed.prefetch_related(Prefetch("budget", Budget.objects.with_scope()))


def firing(alerts: QuerySet[Alert], now: datetime) -> QuerySet[Alert]:
    """What nobody has acknowledged, and nobody has put off; a test is nothing to see to."""
    unseen = alerts.filter(state=Alert.State.FIRING).exclude(kind=Alert.Kind.TEST)
    return unseen.filter(Q(snoozed_until=None) | Q(snoozed_until__lte=now))


def snoozed(alerts: QuerySet[Alert], now: datetime) -> QuerySet[Alert]:
    return alerts.exclude(state=Alert.State.RESOLVED).filter(snoozed_until__gt=now)


def inbox(alerts: QuerySet[Alert], *, now: datetime) -> Inbox:
    listed = with_all_said(alerts.exclude(kind=Alert.Kind.TEST))
    ended = listed.filter(state=Alert.State.RESOLVED, resolved_at__gte=now - _RECENT)
    return Inbox(
        firing=_newest(firing(listed, now)),
        acknowledged=_newest(listed.filter(state=Alert.State.ACKNOWLEDGED)),
        snoozed=_newest(snoozed(listed, now)),
        resolved=list(ended.order_by(F("resolved_at").desc(), "-pk")[:_SHOWN]),
    )


def _newest(alerts: QuerySet[Alert]) -> list[Alert]:
    return list(alerts.order_by("-fired_at", "-pk")[:_SHOWN])


def owners(alerts: Iterable[Alert], now: datetime) -> dict[int, Team | None]:
    """By alert, the team that it is of, perhaps by a project that it owns now."""
    listed = list(alerts)
    projects = {one.project_id for one in listed if one.project_id is not None}
    owned = Ownership.objects.filter(project__in=projects, effective_from__lte=now)
    owner: dict[int | None, Team] = {
        one.project_id: one.team
        for one in owned.select_related("team").order_by("effective_from")
    }
    return {one.pk: one.team or owner.get(one.project_id) for one in listed}


def history(alert: Alert) -> list[AuditEvent]:
    """What people did with it, in order."""
    events = AuditEvent.objects.filter(
        subject=f"alert {alert.pk}", organization=alert.organization.slug
    )
    return list(events.order_by("occurred_at", "pk"))
