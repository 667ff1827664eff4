"""The form of an estimate: its terms, a column of levers for each scenario, its models."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from billing.models import Estimate, LanguageModel
from billing.models.estimate_caps import on_day
from billing.models.estimates import MOST_MODELS, MOST_MONTHS, MOST_SOURCE, Scenario
from billing.models.planned import Chosen
from billing.pricing import budget_periods
from billing.pricing.levers import Factor, Levers, Ttl
from billing.pricing.text_tokens import Kind, Tokenizer, Unit, tokenizer_of, tokens
from billing.pricing.token_classes import BESIDE_TEXT
from billing.reports import estimate_view
from billing.reports.estimate_caps import Approval
from billing.reports.estimate_view import Wanted
from billing.reports.sampled import Sampled, Sizes
from billing.web.fields import (
    AmountField,
    CountField,
    NumberField,
    PercentField,
    add_errors,
)
from teams.models import Organization, Project, Team

# Rows for models: so many at least, and so many empty ones.
_FEWEST_ROWS, _SPARE_ROWS = 4, 2
_ROW = re.compile(r"model-([0-9]{1,2})-model")
_MOST_TOKENS = 10**9
_MOST_REQUESTS = 10**9
_TTLS = [
    (Ttl.NONE.value, "not cached"),
    (Ttl.FIVE_MINUTES.value, "5 minutes"),
    (Ttl.ONE_HOUR.value, "1 hour"),
]
_MONTHS = [(number, str(number)) for number in range(1, MOST_MONTHS + 1)]
# What an empty field says.
_UNSAID = {"prefix_percent": Decimal(100)}
_BESIDE_TEXT = {f"{name}_per_1000" for name in BESIDE_TEXT}
# Without these a scenario is not there.
_NEEDED = ("requests_per_day", "input_tokens", "output_tokens")


def _tokens(label: str, help_text: str = "") -> CountField:
    return CountField(label=label, help_text=help_text, max_value=_MOST_TOKENS)


def _percent(label: str, help_text: str = "", **bounds: int) -> NumberField:
    return NumberField(label=label, help_text=help_text, **{"max_value": 100, **bounds})


def _per_1000(label: str) -> CountField:
    return CountField(label=label, max_value=_MOST_TOKENS * 1_000)


class ShapeForm(forms.Form):
    """One scenario. Empty where nothing of what it needs is filled in."""

    requests_per_day = NumberField(
        label="Requests a day",
        help_text="Of one user, where you give the number of users.",
        max_value=_MOST_REQUESTS,
    )
    users = CountField(label="Users", help_text="If any.", max_value=_MOST_REQUESTS)
    active_days = CountField(
        label="Active days a month",
        help_text="22 for working days; empty for every day.",
        min_value=1,
        max_value=31,
    )
    growth_percent = _percent(
        "Growth a month, %",
        "More requests each month than in the one before.",
        min_value=-100,
        max_value=10_000,
    )
    prefix_tokens = _tokens(
        "Prompt that repeats, tokens", "System prompt, tools, examples: each time the same."
    )
    prefix_percent = _percent(
        "Begin with it, %", "Of the requests; empty for all. The others do not have it."
    )
    cache_ttl = forms.ChoiceField(
        label="and is cached for",
        choices=_TTLS,
        required=False,
        help_text="From its last use. Writing costs more than reading it in, reading less.",
    )
    hit_percent = _percent("Find it cached, %", "Of those; the others write it.")
    input_tokens = _tokens("Rest of the prompt, tokens", "What each request asks anew.")
    output_tokens = _tokens("Output, tokens", "With thinking, where there is some.")
    thinking_percent = _percent(
        "of it thinking, %", "Billed as output; it changes no figure here."
    )
    searches_per_1000 = CountField(
        label="Web searches in 1,000 requests", max_value=1_000_000
    )
    input_audio_per_1000 = _per_1000("Input tokens of sound in 1,000 requests")
    cache_read_audio_per_1000 = _per_1000("Cached tokens of sound in 1,000 requests")
    output_audio_per_1000 = _per_1000("Output tokens of sound in 1,000 requests")
    output_image_per_1000 = _per_1000("Output tokens of pictures in 1,000 requests")
    session_per_1000 = _per_1000("Milliseconds of sessions in 1,000 requests")
    batch_percent = _percent("By batch, %", "Cheaper; an answer may take a day.")

    def __init__(self, scenario: Scenario, data: Any, initial: Mapping[str, Any]) -> None:
        super().__init__(data, prefix=scenario.value, initial=dict(initial))
        self.scenario = scenario
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = f"{scenario.label}: {field.label}"

    @property
    def is_given(self) -> bool:
        return any(str(self[name].value() or "").strip() for name in _NEEDED)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for name in _NEEDED if self.is_given else ():
            if data.get(name) is None and name not in self.errors:
                self.add_error(name, "Type a number, or empty the column.")
        return data

    @property
    def levers(self) -> Levers | None:
        """What was filled in, once it is valid."""
        if not self.is_given:
            return None
        typed = {name: its for name, its in self.cleaned_data.items() if its is not None}
        return Levers(**{**typed, "cache_ttl": Ttl(typed["cache_ttl"])})


class ShareForm(forms.Form):
    """A model, its part of the requests, and how its tokens compare."""

    model = forms.TypedChoiceField(coerce=int, required=False, empty_value=None)
    share_percent = _percent("Share of requests, %")
    token_factor = NumberField(
        label="Tokens for one above",
        min_value=Decimal("0.01"),
        max_value=10,
    )
    sizes = forms.ChoiceField(
        choices=[
            (Sizes.SAMPLE.value, "its own, if the sample has it"),
            (Sizes.LEVERS.value, "those above"),
        ],
        required=False,
    )

    def __init__(
        self,
        number: int,
        choices: Sequence[Any],
        data: Any,
        initial: Mapping[str, Any],
    ) -> None:
        super().__init__(data, prefix=f"model-{number}", initial=dict(initial))
        self.fields["model"].choices = choices  # type: ignore[attr-defined]
        for name, label in (
            ("model", "Model"),
            ("share_percent", "share of the requests in percent"),
            ("token_factor", "tokens that it counts for one above"),
            ("sizes", "whose sizes it has"),
        ):
            self.fields[name].widget.attrs["aria-label"] = f"Model {number + 1}: {label}"

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "model" in data and data["model"] is None and data.get("share_percent"):
            self.add_error("model", "Choose the model that gets this share.")
        return data


class TermsForm(forms.Form):
    """For whom, for when, and what of the three is the plan."""

    scope = forms.ChoiceField(label="For")
    month = forms.CharField(
        label="First month",
        widget=forms.TextInput(attrs={"type": "month", "placeholder": "2026-12"}),
        error_messages={"required": "Choose a month."},
    )
    months = forms.TypedChoiceField(label="Months", choices=_MONTHS, coerce=int, initial=1)
    plan = forms.ChoiceField(
        label="The plan is",
        choices=Scenario.choices,
        initial=Scenario.MEDIUM.value,
        help_text="What actual spend is held against.",
    )
    contingency_percent = PercentField(
        label="Contingency, %",
        required=False,
        max_value=100,
        help_text="On top of the plan in the proposed cap alone.",
    )
    reference = forms.TypedChoiceField(
        label="Sizes are in tokens of",
        coerce=int,
        required=False,
        empty_value=None,
        help_text="Models with another tokenizer are counted by a range.",
    )
    source = forms.CharField(
        label="Where the tokens come from",
        required=False,
        max_length=MOST_SOURCE,
        help_text="It stands among the assumptions.",
    )
    note = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}), required=False, max_length=5000
    )
    sample = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def clean_month(self) -> date:
        try:
            return budget_periods.month(self.cleaned_data["month"])
        except ValueError as error:
            raise forms.ValidationError("Write a month as 2026-12.") from error


class WordsForm(forms.Form):
    """Sizes in words or characters, to be told in tokens."""

    unit = forms.ChoiceField(
        choices=[(one.value, one.value) for one in Unit], required=False, label="Counted in"
    )
    kind = forms.ChoiceField(
        choices=[
            (Kind.PROSE.value, "English prose"),
            (Kind.CODE.value, "code"),
            (Kind.NOT_ENGLISH.value, "another language"),
            (Kind.STRUCTURED.value, "JSON, tables, markup"),
        ],
        required=False,
        label="of",
    )
    prefix_tokens = CountField(label="Prompt that repeats", max_value=_MOST_TOKENS)
    input_tokens = CountField(label="Rest of the prompt", max_value=_MOST_TOKENS)
    output_tokens = CountField(label="Output", max_value=_MOST_TOKENS)

    def tokens(self, tokenizer: Tokenizer) -> dict[str, dict[Scenario, int]]:
        """By lever and scenario, for what was filled in, once it is valid."""
        data = self.cleaned_data
        unit, kind = Unit(data["unit"] or Unit.WORDS), Kind(data["kind"] or Kind.PROSE)
        return {
            name: dict(
                zip(Scenario, tokens(data[name], unit, kind, tokenizer), strict=True)
            )
            for name in ("prefix_tokens", "input_tokens", "output_tokens")
            if data[name] is not None
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One lever in all columns. `hidden` is one that hardly anybody has."""

    label: str
    hint: str
    fields: list[forms.BoundField]
    hidden: bool

    @property
    def errors(self) -> list[str]:
        found = [str(error) for field in self.fields for error in field.errors]
        return list(dict.fromkeys(found))


class Builder:
    """All the forms of an estimate together."""

    def __init__(
        self,
        data: Any,
        *,
        organization: Organization,
        scopes: Mapping[str, tuple[Team, Project | None]],
        models: Sequence[LanguageModel],
        initial: Mapping[str, Any],
        found: Sampled | None = None,
    ) -> None:
        """`scopes` are what may be planned, by the value that is posted. `initial` has
        those of the terms, of `shapes` by scenario, and of `models` one by one. Sizes of
        models are those that were `found` in the sample."""
        self.found = found
        self._organization, self._scopes = organization, scopes
        # Ours to fill in.
        data = data.copy() if data else None
        self._data = data
        self._models = {model.pk: model for model in models}
        self.terms = TermsForm(data, initial=dict(initial))
        self.words = WordsForm(data, prefix="words")
        self.terms.fields["scope"].choices = [  # type: ignore[attr-defined]
            (key, f"{project.name} ({team.name})" if project else f"{team.name}, all of it")
            for key, (team, project) in scopes.items()
        ]
        shapes = initial.get("shapes", {})
        self.shapes = [
            ShapeForm(scenario, data, shapes.get(scenario, {})) for scenario in Scenario
        ]
        self._choices = [("", "–"), *_by_provider(models)]
        self.terms.fields["reference"].choices = [  # type: ignore[attr-defined]
            ("", "the model with the largest share"),
            *_by_provider(models),
        ]
        shares = initial.get("models", [])
        rows = _rows_of(data) if data else len(shares) + _SPARE_ROWS
        self.shares = [
            self._share(number, shares[number] if number < len(shares) else {})
            for number in range(min(max(rows, _FEWEST_ROWS), MOST_MODELS))
        ]

    def _share(self, number: int, initial: Mapping[str, Any]) -> ShareForm:
        return ShareForm(number, self._choices, self._data, initial)

    @property
    def reference(self) -> LanguageModel | None:
        """Whose sizes are typed, by what is chosen so far; None: of the largest share."""
        chosen = str(self.terms["reference"].value() or "")
        return next((one for pk, one in self._models.items() if str(pk) == chosen), None)

    @property
    def rows(self) -> list[Row]:
        return [
            Row(
                str(field.label),
                str(field.help_text),
                its := [form[name] for form in self.shapes],
                hidden=name in _BESIDE_TEXT
                and not any(one.value() or one.errors for one in its),
            )
            for name, field in self.shapes[0].fields.items()
        ]

    @property
    def main_fields(self) -> list[forms.BoundField]:
        return [self.terms[name] for name in ("scope", "month", "months", "plan")]

    @property
    def has_words(self) -> bool:
        """Whether words are filled in."""
        sizes = ("prefix_tokens", "input_tokens", "output_tokens")
        return any(self.words[name].value() for name in sizes)

    @property
    def is_wrong(self) -> bool:
        """Whether a field is. What is wrong with the whole has a sentence of its own."""
        forms_ = (self.words, self.terms, *self.shapes, *self.shares)
        return any(set(form.errors) - {NON_FIELD_ERRORS} for form in forms_)

    @property
    def has_room(self) -> bool:
        """Whether one more model can be added."""
        return len(self.shares) < MOST_MODELS

    def add_model(self) -> None:
        """One row more, to be typed in next. What is wrong so far is not said yet."""
        for form in (self.words, self.terms, *self.shapes, *self.shares):
            form.errors.clear()
        if self.has_room:
            self.shares.append(self._share(len(self.shares), {}))
            self.shares[-1].errors.clear()
        self.shares[-1].fields["model"].widget.attrs["autofocus"] = True

    def fill_in_words(self) -> None:
        """Put what the words come to, by the first model's tokenizer, into the columns."""
        if not self.words.is_valid():
            return
        chosen = self._data.get("model-0-model", "")
        model = next((one for pk, one in self._models.items() if str(pk) == chosen), None)
        tokenizer = tokenizer_of(model.key) if model else Tokenizer.CLAUDE_FROM_OPUS_4_7
        for name, found in self.words.tokens(tokenizer).items():
            for scenario, count in found.items():
                self._data[f"{scenario}-{name}"] = str(count)
        if found_by := self.words.cleaned_data:
            unit = found_by["unit"] or Unit.WORDS
            self._data["source"] = (
                f"Tokens are told by {unit}, of {self._kind}: a range, light to heavy."
            )

    @property
    def _kind(self) -> str:
        field = self.words.fields["kind"]
        kinds = dict(field.choices)  # type: ignore[attr-defined]
        return str(kinds[self.words.cleaned_data["kind"] or Kind.PROSE.value])

    def is_valid(self) -> bool:
        # Each is asked, so that each says what is wrong with it.
        valid = [form.is_valid() for form in (self.terms, *self.shapes, *self.shares)]
        return all(valid)

    def add_error(self, error: ValidationError) -> None:
        add_errors(self.terms, error)

    @property
    def team(self) -> Team:
        """Whose plan it is by what is chosen so far; of nothing chosen, the first."""
        chosen = self._scopes.get(self.terms["scope"].value() or "")
        return (chosen or next(iter(self._scopes.values())))[0]

    @property
    def scope(self) -> tuple[Team, Project | None]:
        return self._scopes[self.terms.cleaned_data["scope"]]

    @property
    def wanted(self) -> Wanted:
        data = self.terms.cleaned_data
        found = {form.scenario: form.levers for form in self.shapes}
        return Wanted(
            organization=self._organization,
            month=data["month"],
            months=data["months"],
            shapes={scenario: its for scenario, its in found.items() if its is not None},
            models=list(self._chosen()),
            plan=Scenario(data["plan"]),
            contingency_percent=data["contingency_percent"] or 0,
            source=data["source"],
            reference=self._models.get(data["reference"]),
        )

    def _chosen(self) -> Iterator[Chosen]:
        given = [form.cleaned_data for form in self.shares]
        typed = [data for data in given if data["model"] is not None]
        for data in typed:
            # The only one gets everything.
            share = data["share_percent"]
            if share is None:
                share = Decimal(100 if len(typed) == 1 else 0)
            factor, pk = data["token_factor"], data["model"]
            yield Chosen(
                self._models[pk],
                share,
                factor=None if factor is None else Factor(factor, factor, factor),
                own=self._own(pk) if data["sizes"] != Sizes.LEVERS else {},
            )

    def _own(self, pk: int) -> Mapping[Scenario, Levers]:
        return self.found.own.get(pk, {}) if self.found else {}


def initial_of(estimate: Estimate) -> dict[str, Any]:
    """What an estimate made by levers is filled in with."""
    project = estimate.project_id
    return {
        "scope": f"project-{project}" if project else f"team-{estimate.team_id}",
        "month": f"{estimate.month:%Y-%m}",
        "months": estimate.months,
        "plan": estimate.plan,
        "contingency_percent": estimate.contingency_percent or None,
        "source": estimate.source,
        "note": estimate.note,
        "sample": estimate.sample_id,
        "reference": estimate.reference_id,
        "shapes": {
            scenario: _shown(its)
            for scenario, its in estimate_view.shapes_of(estimate).items()
        },
        "models": [
            {
                "model": one.model.pk,
                "share_percent": one.share_percent,
                "token_factor": one.factor and one.factor.mid,
                "sizes": (Sizes.SAMPLE if one.own else Sizes.LEVERS).value,
            }
            for one in estimate_view.models_of(estimate)
        ],
    }


def initial_of_sample(found: Sampled) -> dict[str, Any]:
    """What a sample fills in; how many requests a day is asked where it does not know."""
    sample = found.sample
    project = sample.project_id
    shapes = {scenario: _shown(its) for scenario, its in found.shapes.items()}
    if not found.knows_volume:
        for shape in shapes.values():
            del shape["requests_per_day"]
    return {
        "scope": f"project-{project}" if project else f"team-{sample.team_id}",
        "source": found.source,
        "sample": sample.pk,
        "reference": found.reference.pk,
        "shapes": shapes,
        "models": [
            {"model": one.model.pk, "share_percent": one.share_percent}
            for one in found.models
        ],
    }


def _shown(its: Levers) -> dict[str, Any]:
    """Nothing where it is none, so that a column is as empty as it was."""
    return {
        name: value
        for name, value in its._asdict().items()
        if name in _NEEDED or value not in (None, _UNSAID.get(name, 0), "")
    }


def _rows_of(data: Mapping[str, Any]) -> int:
    """How many rows for models are posted."""
    numbers = [int(found[1]) for name in data if (found := _ROW.fullmatch(name))]
    return max(numbers, default=-1) + 1


def _by_provider(models: Sequence[LanguageModel]) -> list[Any]:
    return [
        (provider, [(one.pk, one.display_name) for one in its])
        for provider, its in groupby(models, key=lambda one: one.provider)
    ]


class DecisionForm(forms.Form):
    """What is decided of an estimate."""

    cap = AmountField(label="Monthly cap", required=False)
    note = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=1000,
        required=False,
        help_text="To send it back: what has to change.",
    )

    def __init__(
        self, data: Any, *, approval: Approval | None, cap: Decimal | None
    ) -> None:
        """`cap` is the proposed one; an estimate that is approved has no `approval`."""
        super().__init__(data, initial={"cap": cap})
        if approval is not None:
            since = (
                f"from {on_day(approval.holds_from)} on" if approval.waits else "at once"
            )
            self.fields["cap"].help_text = f"It holds {since}. Empty: no budget is changed."
