"""Alerts: what is open, who takes care of it, and what became of each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from billing.actions import alert_messages, alert_states
from billing.models import Alert, Delivery
from billing.pricing import caps, figures
from billing.reports import alerts as reports
from billing.reports import deliveries as delivery_reports
from teams.models import Team
from teams.permissions import Permission
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, form_page, page

_FILTERS = ("state", "kind", "team")
_STATES = {
    "firing": "Firing",
    "acknowledged": "Acknowledged",
    "snoozed": "Snoozed",
    "resolved": "Resolved",
}
# No list has tests.
_KINDS = {kind.value: kind.label for kind in Alert.Kind if kind != Alert.Kind.TEST}


class SnoozeForm(forms.Form):
    hours = forms.TypedChoiceField(
        label="For",
        coerce=int,
        choices=[
            (1, "1 hour"),
            (4, "4 hours"),
            (24, "1 day"),
            (168, "1 week"),
            (720, "30 days"),
        ],
        initial=24,
    )
    reason = forms.CharField(
        max_length=1000,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Say why, for those who look for it."},
    )


class NoteForm(forms.Form):
    note = forms.CharField(max_length=1000, required=False)


@dataclass(frozen=True, slots=True)
class Row:
    """An alert as it is listed: what, by how much, whose, and whether one may handle it."""

    alert: Alert
    sentence: str
    by_how_much: str
    owner: Team | None
    may: bool


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    title: str
    rows: list[Row]


# --- The list -----------------------------------------------------------------------


@page
def inbox(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    now = timezone.now()
    chosen = {name: request.GET.get(name, "") for name in _FILTERS}
    if chosen["state"] not in _STATES:
        chosen["state"] = ""
    found = reports.inbox(_narrowed(_seen(visitor, now), visitor, chosen, now), now=now)
    sections = [
        Section(key, title, _rows(visitor, getattr(found, key), now))
        for key, title in _STATES.items()
        if chosen["state"] in ("", key)
    ]
    shown = [one for one in sections if one.rows]
    return render(
        request,
        "billing/alerts.html",
        {
            **_common(visitor, now),
            "sections": shown,
            "nothing_open": not any(one.rows for one in sections if one.key != "resolved"),
            "filtered": any(chosen.values()),
            "chosen": chosen,
            "states": _STATES,
            "kinds": _KINDS.items(),
            "snooze": SnoozeForm(auto_id=False),
            "kept": _kept(request.GET),
        },
    )


def _seen(visitor: Visitor, now: datetime) -> QuerySet[Alert]:
    return reports.of_visitor(
        organization=visitor.organization,
        teams=visitor.teams,
        whole=visitor.sees_organization,
        now=now,
    )


def _narrowed(
    alerts: QuerySet[Alert], visitor: Visitor, chosen: dict[str, str], now: datetime
) -> QuerySet[Alert]:
    """What cannot be found narrows nothing: the page shows which filters hold."""
    if chosen["kind"] in _KINDS:
        alerts = alerts.filter(kind=chosen["kind"])
    team = next((one for one in visitor.teams if one.slug == chosen["team"]), None)
    return reports.of_team(alerts, team, now) if team else alerts


def _kept(query: QueryDict) -> str:
    kept = QueryDict(mutable=True)
    for name in _FILTERS:
        if query.get(name):
            kept[name] = str(query[name])
    return kept.urlencode()


def _rows(visitor: Visitor, alerts: Iterable[Alert], now: datetime) -> list[Row]:
    listed = list(alerts)
    owners = reports.owners(listed, now)
    may = _Rights(visitor)
    return [
        Row(
            alert=one,
            sentence=alert_messages.sentence(one),
            by_how_much=by_how_much(one),
            owner=owners[one.pk],
            may=one.is_open and may.handle(owners[one.pk]),
        )
        for one in listed
    ]


class _Rights:
    """What a visitor may do, asked once for each team."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._known: dict[int | None, bool] = {}

    def handle(self, team: Team | None) -> bool:
        key = None if team is None else team.pk
        if key not in self._known:
            self._known[key] = self._visitor.may(Permission.HANDLE_ALERTS, team)
        return self._known[key]


def by_how_much(alert: Alert) -> str:
    """The one figure that says how bad it is, as of when it was raised."""
    crossing = alert.crossing
    if crossing is not None:
        return figures.percent(caps.percent(crossing.spent, crossing.cap))
    told = _FIGURES.get(Alert.Kind(alert.kind))
    return told(alert.details) if told else figures.NOTHING


def _money(its: dict[str, Any], name: str) -> str:
    return figures.with_currency(Decimal(its[name]), its["currency"])


def _moved(its: dict[str, Any]) -> str:
    before, after = Decimal(its["before"]), Decimal(its["after"])
    sign = "+" if after > before else ""
    percent = figures.percent((after - before) * 100 / before)
    return f"{sign}{percent}"


_FIGURES: dict[Alert.Kind, Callable[[dict[str, Any]], str]] = {
    Alert.Kind.ANOMALY: lambda its: f"+{_money(its, 'above')}",
    Alert.Kind.SPEND_VELOCITY: lambda its: _money(its, "spent"),
    Alert.Kind.FORECAST_OVER_CAP: lambda its: (
        f"{figures.percent(Decimal(its['probability']) * 100)} likely"
    ),
    Alert.Kind.PRICE_CHANGE: _moved,
    Alert.Kind.KEY_EXPIRING: lambda its: f"{its['days']} days",
    Alert.Kind.RAISE_REQUEST: lambda its: _money(its, "amount"),
    Alert.Kind.ESTIMATE: lambda its: _money(its, "total"),
    Alert.Kind.REVIEW_DUE: lambda its: _money(its, "spent"),
}


# --- One of them --------------------------------------------------------------------


@form_page
def alert_details(request: HttpRequest, visitor: Visitor, alert_id: int) -> HttpResponse:
    """Its figures, its history and its deliveries; to who may, what can be done."""
    now = timezone.now()
    alert = _find(visitor, alert_id, now)
    (row,) = _rows(visitor, [alert], now)
    snooze = SnoozeForm()
    if request.method == "POST":
        if not _Rights(visitor).handle(row.owner):
            raise PermissionDenied
        snooze = SnoozeForm(request.POST)
        if _done(request, visitor, alert, snooze, now):
            return redirect(_back(request, alert))
    return render(
        request,
        "billing/alert.html",
        {
            **_common(visitor, now),
            "row": row,
            "alert": alert,
            "subject": alert_messages.subject(alert),
            "figures": figures_of(alert),
            "timeline": _timeline(alert),
            # Where it went may be a colleague's address.
            "may_edit_budgets": visitor.may(Permission.EDIT_BUDGETS, row.owner),
            "deliveries": [
                (one, delivery_reports.attempts(one)) for one in _deliveries(alert)
            ],
            "is_snoozed": alert.is_snoozed(now),
            "snooze": snooze,
        },
        status=400 if snooze.is_bound and snooze.errors else 200,
    )


def _deliveries(alert: Alert) -> QuerySet[Delivery]:
    its = alert.deliveries.select_related("channel__user").prefetch_related("log")
    return its.order_by("pk")


def _find(visitor: Visitor, alert_id: int, now: datetime) -> Alert:
    """Raises Http404 for one that is not theirs, and for none alike."""
    listed = reports.with_all_said(_seen(visitor, now))
    alert = listed.filter(pk=alert_id).first()
    if alert is None:
        raise Http404
    return alert


_STEPS = {
    "acknowledge": (alert_states.acknowledge, "Acknowledged: it is yours."),
    "unacknowledge": (alert_states.unacknowledge, "It fires again."),
    "unsnooze": (alert_states.unsnooze, "It fires again."),
}


def _done(
    request: HttpRequest,
    visitor: Visitor,
    alert: Alert,
    snooze: SnoozeForm,
    now: datetime,
) -> bool:
    """Do what was asked; False where the form has to be shown again."""
    said: dict[str, Any] = {"alert": alert, "by": visitor.user.get_username(), "now": now}
    step = request.POST.get("step", "")
    try:
        if step == "snooze":
            if not snooze.is_valid():
                return False
            until = now + timedelta(hours=snooze.cleaned_data["hours"])
            alert_states.snooze(until=until, reason=snooze.cleaned_data["reason"], **said)
            messages.success(request, "Snoozed. If it still holds then, it fires again.")
        elif step in _STEPS:
            note = NoteForm(request.POST)
            act, message = _STEPS[step]
            act(note=note.cleaned_data["note"] if note.is_valid() else "", **said)
            messages.success(request, message)
        else:
            raise Http404
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return True


def _back(request: HttpRequest, alert: Alert) -> str:
    """To the list, as it was, or to the page of the alert."""
    if "kept" not in request.POST:
        return reverse("alert-details", args=[alert.pk])
    kept = _kept(QueryDict(request.POST["kept"]))
    return reverse("inbox") + (f"?{kept}" if kept else "")


_NAMES = {
    "above": "Above what is usual",
    "after": "At the new prices",
    "amount": "Told from",
    "before": "Last 30 days",
    "cap": "Cap",
    "expected": "Expected",
    "high": "At most (80 %)",
    "low": "At least (80 %)",
    "most": "Largest part",
    "spent": "Spent",
    "usual": "Usual",
}


_NAMES_OF_RAISE = {"amount": "New cap", "asked_for": "Asked for", "cap": "Cap before"}


def figures_of(alert: Alert) -> list[tuple[str, Decimal]]:
    """The exact amounts of when it was raised, by name."""
    crossing = alert.crossing
    if crossing is not None:
        return [("Spent", crossing.spent), ("Cap", crossing.cap)]
    names = _NAMES_OF_RAISE if alert.kind == Alert.Kind.RAISE_REQUEST else _NAMES
    known = names.keys() & alert.details.keys()
    return [(names[name], Decimal(alert.details[name])) for name in sorted(known)]


@dataclass(frozen=True, slots=True)
class Moment:
    at: datetime
    what: str
    kind: str  # its colour
    note: str = ""


def _timeline(alert: Alert) -> list[Moment]:
    did = {
        "alert.acknowledge": "acknowledged it",
        "alert.unacknowledge": "gave it back",
        "alert.snooze": "snoozed it",
        "alert.unsnooze": "woke it",
    }
    moments = [
        Moment(one.occurred_at, f"{one.actor} {did[one.action]}", "idle", one.reason)
        for one in reports.history(alert)
        if one.action in did
    ]
    fired = Moment(alert.fired_at, "Fired", "over")
    ended = []
    if alert.resolved_at is not None:
        ended = [Moment(alert.resolved_at, "Resolved: it holds no longer", "ok")]
    return [fired, *moments, *ended]


def _common(visitor: Visitor, now: datetime) -> dict[str, Any]:
    return {
        "visitor": visitor,
        "section": "alerts",
        "currency": visitor.organization.currency,
        "zone": ReportingDays(visitor.organization).zone(now).key,
        "now": now,
    }
