"""The form of a what-if: its fields are the members of a question, flat in the address."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from django import forms
from django.http import QueryDict

from billing.formats import what_if
from billing.formats.errors import RecordError
from billing.formats.what_if import Question
from billing.pricing.what_if import CachingKind
from billing.web.fields import LastDayField

_ONE_DAY = timedelta(days=1)
# A row for each move that can be asked for.
_ROWS = range(what_if.MOST_MOVES)
_LEAVE = ("", "leave as it is")
_CACHING = [
    _LEAVE,
    (CachingKind.OFF.value, "off: nothing is cached"),
    (CachingKind.ON.value, "on: part of the input is cached"),
    (CachingKind.FIVE_MINUTES.value, "all writes live for 5 minutes"),
    (CachingKind.ONE_HOUR.value, "all writes live for an hour"),
]
_LIFETIMES = [("5m", "5 minutes"), ("1h", "an hour")]
_NUMBER = {"inputmode": "numeric", "autocomplete": "off"}


def _percent(
    label: str, lowest: int = 1, highest: int = 100, help_text: str = ""
) -> forms.IntegerField:
    bounds = f"A whole percentage from {lowest:,} to {highest:,}.".replace("-", "−")
    return forms.IntegerField(
        label=label,
        required=False,
        min_value=lowest,
        max_value=highest,
        help_text=help_text,
        widget=forms.TextInput(attrs=_NUMBER),
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), bounds),
    )


class MoveForm(forms.Form):
    """One move; an empty one asks for nothing."""

    model = forms.ChoiceField(label="From", required=False)
    to = forms.CharField(
        label="To",
        required=False,
        max_length=200,
        widget=forms.TextInput(
            attrs={"list": "models", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    percent = _percent("Percent of its requests")

    def __init__(self, models: list[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["model"].choices = [("", "no model"), *models]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        asked = dict(super().clean() or self.cleaned_data)
        if asked.get("model") and not asked.get("to") and "to" not in self.errors:
            self.add_error("to", "Name the model that takes them.")
        if asked.get("to") and not asked.get("model") and "model" not in self.errors:
            self.add_error("model", "Choose the model that they are taken from.")
        return asked


class WhatIfForm(forms.Form):
    """Everything but the moves."""

    since = LastDayField(label="From", required=False)
    through = LastDayField(label="Through", required=False)
    project = forms.ChoiceField(label="Of", required=False)
    batch_percent = _percent("Percent of what can wait that goes into batches")
    tags = forms.CharField(
        label="Tags of what can wait",
        required=False,
        max_length=1000,
        help_text="Such as job=nightly, job=weekly. For 31 days at most.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    waiting = forms.MultipleChoiceField(
        label="Projects of which all can wait",
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    caching = forms.ChoiceField(label="Prompt caching", required=False, choices=_CACHING)
    share_percent = _percent("On: percent of the input that repeats")
    hit_percent = _percent("On: percent of that which is read, not written", lowest=0)
    ttl = forms.ChoiceField(
        label="On: writes live for", required=False, choices=_LIFETIMES, initial="5m"
    )
    output_percent = _percent(
        "Output, percent longer", -100, 1000, help_text="Below 0 for shorter: -20."
    )
    prices_on = LastDayField(label="Prices of the day", required=False)

    def __init__(self, projects: list[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        everything = ("", "all projects")
        self.fields["project"].choices = [everything, *projects]  # type: ignore[attr-defined]
        self.fields["waiting"].choices = projects  # type: ignore[attr-defined]

    @property
    def of_usage(self) -> list[forms.BoundField]:
        return [self[name] for name in ("since", "through", "project")]

    @property
    def of_batch(self) -> list[forms.BoundField]:
        return [self[name] for name in ("batch_percent", "tags", "waiting")]

    @property
    def of_caching(self) -> list[forms.BoundField]:
        return [self[name] for name in ("caching", "share_percent", "hit_percent", "ttl")]

    @property
    def of_others(self) -> list[forms.BoundField]:
        return [self[name] for name in ("output_percent", "prices_on")]


class AskingForms:
    """Both together, from an address: its fields, or a whole `question` as JSON."""

    def __init__(
        self,
        query: QueryDict,
        *,
        projects: list[tuple[str, str]],
        models: list[tuple[str, str]],
        days: tuple[date, date],
    ) -> None:
        self._problem = ""
        data = self._data(query)
        data.setdefault("since", days[0].isoformat())
        data.setdefault("through", (days[1] - _ONE_DAY).isoformat())
        self.form = WhatIfForm(projects, data)
        asked = {number: data.get(f"{number}-model") or "" for number in _ROWS}
        last = max((number for number, model in asked.items() if model), default=-1)
        known = {"", *(key for key, _ in models)}
        # A link may name a model that nobody here has used.
        models = [*models, *((one, one) for one in asked.values() if one not in known)]
        self.moves = [
            MoveForm(models, data, prefix=str(number)) for number in _ROWS[: last + 2]
        ]

    def _data(self, query: QueryDict) -> QueryDict:
        data = query.copy()
        whole = query.get("question")
        if whole:
            try:
                for name, values in _flat(what_if.decode(whole.encode())).lists():
                    data.setlist(name, values)
            except RecordError as error:
                self._problem = (
                    f"The question in the address cannot be read. {error.detail}"
                )
        return data

    def question(self) -> Question | None:
        """The question; None where the forms say what is wrong with it."""
        if self._problem:
            self.form.add_error(None, self._problem)
        # All of them, so that each says what is wrong with it.
        valid = [one.is_valid() for one in (self.form, *self.moves)]
        if not all(valid):
            return None
        try:
            return what_if.read(self._asked())
        except RecordError as error:
            self.refuse(error)
            return None

    def refuse(self, error: RecordError) -> None:
        """Say what is wrong beside the field it is about."""
        steps = error.pointer.split("/")[1:]
        if steps[:1] == ["moves"] and len(steps) == 3:
            self._asked_moves[int(steps[1])].add_error(steps[2], error.detail)
            return
        field = _FIELDS.get(tuple(one for one in steps if not one.isdigit()))
        self.form.add_error(field, error.detail)

    def _asked(self) -> dict[str, Any]:
        its = self.form.cleaned_data
        through = its["through"]
        asked = {
            "since": its["since"],
            "until": None if through is None else through + _ONE_DAY,
            "project": its["project"] or None,
            "moves": list(self._moves()),
            "batch": _batch(its),
            "caching": _caching(its),
            "output_percent": its["output_percent"] or 0,
            "prices_on": its["prices_on"],
        }
        return {name: value for name, value in asked.items() if value}

    @property
    def _asked_moves(self) -> list[MoveForm]:
        """Those that are no empty row."""
        return [one for one in self.moves if one.cleaned_data.get("model")]

    def _moves(self) -> Iterable[dict[str, Any]]:
        for one in self._asked_moves:
            its = one.cleaned_data
            percent = its["percent"]
            yield {
                "model": its["model"],
                "to": its["to"],
                "percent": 100 if percent is None else percent,
            }


# Where a question is wrong, and the field that says so.
_FIELDS: dict[tuple[str, ...], str] = {
    ("since",): "since",
    ("until",): "through",
    ("project",): "project",
    ("batch",): "batch_percent",
    ("batch", "percent"): "batch_percent",
    ("batch", "tags"): "tags",
    ("batch", "projects"): "waiting",
    ("caching", "kind"): "caching",
    ("caching", "share_percent"): "share_percent",
    ("caching", "hit_percent"): "hit_percent",
    ("output_percent",): "output_percent",
    ("prices_on",): "prices_on",
}


def _batch(its: Mapping[str, Any]) -> dict[str, Any] | None:
    tags = [tag.strip() for tag in its["tags"].split(",") if tag.strip()]
    percent = its["batch_percent"]
    if percent is None and not tags and not its["waiting"]:
        return None
    percent = 100 if percent is None else percent
    return {"percent": percent, "tags": tags, "projects": its["waiting"]}


def _caching(its: Mapping[str, Any]) -> dict[str, Any] | None:
    kind = its["caching"]
    if not kind:
        return None
    if kind != CachingKind.ON:
        return {"kind": kind}
    return {
        "kind": kind,
        "share_percent": its["share_percent"] or 0,
        "hit_percent": its["hit_percent"] or 0,
        "ttl": its["ttl"] or "5m",
    }


def _flat(question: Question) -> QueryDict:
    """The question as the fields of the forms."""
    data = QueryDict(mutable=True)
    batch, caching = question.batch, question.caching
    fields: dict[str, Any] = {
        "since": question.since,
        "through": question.until and question.until - _ONE_DAY,
        "project": question.project,
        "output_percent": question.output_percent,
        "prices_on": question.prices_on,
    }
    for number, move in enumerate(question.moves):
        fields |= {
            f"{number}-{name}": getattr(move, name) for name in move.__struct_fields__
        }
    if batch is not None:
        fields |= {"batch_percent": batch.percent, "tags": ", ".join(batch.tags)}
        data.setlist("waiting", batch.projects)
    if caching is not None:
        fields |= {
            "caching": caching.kind.value,
            "share_percent": caching.share_percent,
            "hit_percent": caching.hit_percent,
            "ttl": caching.ttl,
        }
    for name, value in fields.items():
        if value:
            data[name] = str(value)
    return data
