"""Samples: what past calls used, taken from whatever is at hand, and shown per model."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import (
    PermissionDenied,
    SuspiciousOperation,
    ValidationError,
)
from django.db.models import ProtectedError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from billing.actions import samples as actions
from billing.connectors import count_tokens
from billing.connectors.count_tokens import NotCounted
from billing.formats import sample_columns
from billing.formats import samples as formats
from billing.formats.errors import BodyError
from billing.formats.sample_columns import Column, Outline
from billing.formats.samples import MAX_BYTES, MAX_ROWS, Asked
from billing.models import LanguageModel, Sample, rate_book
from billing.models.samples import Source
from billing.pricing import money, text_tokens
from billing.pricing.bootstrap import Interval
from billing.pricing.text_tokens import Kind, Range, Tokenizer, Unit
from billing.reports import samples as reports
from billing.web import scopes
from billing.web.fields import CountField, add_errors
from teams import places
from teams.models import Project, Team
from teams.permissions import Permission
from teams.places import Places
from teams.reporting_days import ReportingDays
from teams.web.visitors import Visitor, form_page, page, patient_form_page

_LISTED = 200
_MOST_WORDS = 10**9
_LONGEST_TEXT = 200_000
_COLUMN = "column_"
_DIGITS = 3
# Texts that are counted with the organization's key.
COUNTED_OF_A_PERSON = 20
COUNTED_OF_AN_ORGANIZATION = 100
COUNTED_AGAIN_AFTER = timedelta(minutes=10)
_TOO_OFTEN = "As many texts as may be are counted for now."
_NUMBER_NEEDED = "Type a number, such as 1000."
_DEFAULT_MODEL = "claude-opus-5-5"
_COLUMNS = {
    "model": "the model",
    "provider": "the provider",
    "processing": "standard or batch",
    "input": "input tokens",
    "cache_write": "all tokens written to the cache",
    "cache_write_5m": "tokens written to the cache for 5 minutes",
    "cache_write_1h": "tokens written to the cache for an hour",
    "cache_read": "tokens read from the cache",
    "output": "output tokens",
    "thinking": "thinking tokens",
    "web_search": "web searches",
}
_KINDS = {
    Kind.PROSE.value: "English prose",
    Kind.CODE.value: "Code",
    Kind.NOT_ENGLISH.value: "Text in another language",
    Kind.STRUCTURED.value: "Structured data: JSON, tables, markup",
}


# --- Forms --------------------------------------------------------------------------


class NewSampleForm(forms.Form):
    """What all ways of making a sample ask for."""

    place = forms.ChoiceField(label="For")
    name = forms.CharField(
        max_length=200, required=False, help_text="Such as “Answers, last week”."
    )

    def __init__(
        self, choices: Sequence[tuple[str, str]], *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["place"].choices = choices  # type: ignore[attr-defined]


class ReadForm(NewSampleForm):
    """What records may leave open."""

    model = forms.CharField(
        max_length=200,
        required=False,
        help_text="Only where the records do not say it, such as a bare usage object.",
        widget=forms.TextInput(attrs={"list": "models", "autocomplete": "off"}),
    )
    provider = forms.CharField(
        max_length=40,
        required=False,
        help_text="Only where the model does not tell it: anthropic, openai, google, aws …",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    @property
    def asked(self) -> Asked:
        said = self.cleaned_data
        return Asked(provider=said["provider"] or None, model=said["model"] or None)


class TextForm(ReadForm):
    """A text, which may be a table."""

    column = forms.CharField(
        label="Column of the model, in a table",
        max_length=200,
        required=False,
        help_text="Only where its models have names of your own, and its header is no "
        "usual one. Each other column can be chosen in the next step.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    @property
    def asked(self) -> Asked:
        header = self.cleaned_data["column"]
        return super().asked._replace(columns={"model": header} if header else {})


class ColumnsForm(ReadForm):
    """What each column of a table is. It carries the table: numbers and names alone."""

    table = forms.CharField(
        widget=forms.Textarea(attrs={"hidden": True}),
        max_length=sample_columns.MOST_CARRIED + MAX_ROWS,
        strip=False,
    )
    inclusive = forms.TypedChoiceField(
        label="The input",
        required=False,
        choices=[
            ("", "is as its column's name suggests"),
            ("yes", "counts what was cached (OpenAI, Google)"),
            ("no", "does not count what was cached (Anthropic)"),
        ],
        coerce=lambda value: value == "yes",
        empty_value=None,
    )

    def __init__(
        self,
        choices: Sequence[tuple[str, str]],
        *args: Any,
        columns: Sequence[Column],
        **kwargs: Any,
    ) -> None:
        super().__init__(choices, *args, **kwargs)
        self.columns = columns
        for number, column in enumerate(columns):
            self.fields[f"{_COLUMN}{number}"] = forms.ChoiceField(
                label=column.header,
                choices=[("", "nothing of these"), *_COLUMNS.items()],
                initial=column.field,
                required=False,
                widget=forms.Select(attrs={"aria-label": f"{column.header} is"}),
            )

    @property
    def rows(self) -> list[tuple[Column, forms.BoundField]]:
        return [
            (column, self[f"{_COLUMN}{number}"])
            for number, column in enumerate(self.columns)
        ]

    @property
    def others(self) -> list[forms.BoundField]:
        return [self[name] for name in ("inclusive", "model", "provider", "place", "name")]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        chosen = [data.get(f"{_COLUMN}{number}", "") for number in range(len(self.columns))]
        for number, field in enumerate(chosen):
            if field and field in chosen[:number]:
                self.add_error(f"{_COLUMN}{number}", "Another column is that already.")
        return data

    @property
    def bytes(self) -> bytes:
        return str(self.cleaned_data["table"]).encode()

    @property
    def asked(self) -> Asked:
        """Every field is said, so that none is guessed."""
        chosen = {
            self.cleaned_data[f"{_COLUMN}{number}"]: column.header
            for number, column in enumerate(self.columns)
        }
        return super().asked._replace(
            columns={name: chosen.get(name, "") for name in sample_columns.FIELDS},
            inclusive=self.cleaned_data["inclusive"],
        )


class PasteForm(TextForm):
    content = forms.CharField(
        label="Records",
        widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false"}),
        strip=False,
        help_text="Usage objects, whole responses, lines of a log or a table: one or many.",
        error_messages={"required": "Paste at least one usage object."},
    )
    field_order = ("content", "place", "name")

    @property
    def bytes(self) -> bytes:
        return str(self.cleaned_data["content"]).encode()


class UploadForm(TextForm):
    content = forms.FileField(
        label="File",
        widget=forms.ClearableFileInput(
            attrs={"accept": ".csv,.tsv,.json,.jsonl,.ndjson,.txt"}
        ),
        help_text=f"JSON, lines of JSON or a table (CSV); up to {MAX_ROWS:,} records and "
        f"{MAX_BYTES // 10**6} MB.",
        error_messages={"required": "Choose a file."},
    )
    field_order = ("content", "place", "name")

    def clean_content(self) -> Any:
        file = self.cleaned_data["content"]
        if file.size > MAX_BYTES:
            raise ValidationError(f"The file has more than {MAX_BYTES // 10**6} MB.")
        return file

    @property
    def bytes(self) -> bytes:
        return bytes(self.cleaned_data["content"].read())


class ProjectForm(NewSampleForm):
    days = forms.IntegerField(
        label="Days before today",
        min_value=1,
        max_value=actions.MOST_DAYS,
        initial=14,
        help_text=f"1 to {actions.MOST_DAYS}. Of more than {MAX_ROWS:,} records about as "
        "many are chosen evenly.",
    )
    field_order = ("place", "days", "name")


class WordsForm(forms.Form):
    """A text by its size; with a key of the provider, the text itself."""

    count = CountField(
        label="How many",
        min_value=1,
        max_value=_MOST_WORDS,
        error_messages={"invalid": _NUMBER_NEEDED, "required": _NUMBER_NEEDED},
    )
    unit = forms.ChoiceField(
        choices=[(Unit.WORDS.value, "Words"), (Unit.CHARACTERS.value, "Characters")]
    )
    kind = forms.ChoiceField(
        label="Of",
        choices=list(_KINDS.items()),
    )
    model = forms.CharField(
        max_length=200,
        initial=_DEFAULT_MODEL,
        widget=forms.TextInput(attrs={"list": "models", "autocomplete": "off"}),
    )
    text = forms.CharField(
        label="Or the text itself",
        required=False,
        max_length=_LONGEST_TEXT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="It is sent to Anthropic to be counted, and kept nowhere here.",
    )

    def __init__(self, *args: Any, counts: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not counts:
            del self.fields["text"]
            self.fields["count"].required = True

    def clean(self) -> None:
        if self.errors or self.cleaned_data.get("text"):
            return
        if self.cleaned_data["count"] is None:
            self.add_error("count", _NUMBER_NEEDED)


# --- Pages --------------------------------------------------------------------------


class Way(NamedTuple):
    key: str
    name: str
    form: type[NewSampleForm]


_WAYS = (
    Way("paste", "Paste", PasteForm),
    Way("upload", "Upload a file", UploadForm),
    Way("project", "From a project", ProjectForm),
)


@page
def sample_list(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """The newest of the visitor's teams."""
    listed = Sample.objects.filter(team__in=visitor.teams).listed().order_by("-pk")
    return render(
        request,
        "billing/samples.html",
        {
            **_common(visitor, timezone.now()),
            "samples": listed[:_LISTED],
            "may_make": bool(_teams(visitor)),
        },
    )


@form_page
def new_sample(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    teams = _teams(visitor)
    if not teams:
        raise PermissionDenied
    now = timezone.now()
    way = next((one for one in _WAYS if one.key == request.GET.get("way")), _WAYS[0])
    places = _places(teams, only_projects=way.form is ProjectForm)
    if "table" in request.POST and way.form is not ProjectForm:
        return _columns_page(request, visitor, teams, places, way, now)
    form = way.form(
        list(places.items()),
        *([request.POST, request.FILES] if request.method == "POST" else []),
        initial={"place": request.GET.get("place", "")},
    )
    if request.method == "POST" and form.is_valid():
        outline = _outline(form, teams)
        if outline is not None:
            return _ask_columns(request, visitor, places, form, outline, now)
        sample = None if form.errors else _made(form, teams, visitor, _source(way), now)
        if sample is not None:
            return _kept(request, sample)
    return render(
        request,
        "billing/new_sample.html",
        {
            **_common(visitor, now),
            "form": form,
            "way": way,
            "ways": _WAYS,
            "has_places": bool(places),
            "models": _models(),
        },
    )


def _source(way: Way) -> Source:
    return Source.PASTE if way.form is PasteForm else Source.UPLOAD


def _kept(request: HttpRequest, sample: Sample) -> HttpResponse:
    messages.success(request, "Kept: counts and models, and no text.")
    return redirect("sample-page", sample_id=sample.pk)


def _outline(form: NewSampleForm, teams: Sequence[Team]) -> Outline | None:
    """What to ask of a table; None of anything else, and where the form says why."""
    if not isinstance(form, PasteForm | UploadForm):
        return None
    team, _ = _place(form.cleaned_data["place"], teams)
    book = rate_book.current(team.organization_id).rates
    try:
        return formats.outline(form.bytes, form.asked, book)
    except BodyError as error:
        form.add_error("content", error.detail)
        return None


def _ask_columns(
    request: HttpRequest,
    visitor: Visitor,
    places: Mapping[str, str],
    form: NewSampleForm,
    outline: Outline,
    now: datetime,
) -> HttpResponse:
    """The step between a table and its sample: what each of its columns is."""
    said = {
        name: form.cleaned_data[name] for name in ("place", "name", "model", "provider")
    }
    asked = ColumnsForm(
        list(places.items()),
        initial={**said, "table": outline.table},
        columns=outline.columns,
    )
    return _show_columns(request, visitor, asked, outline.dropped, now)


def _columns_page(
    request: HttpRequest,
    visitor: Visitor,
    teams: Sequence[Team],
    places: Mapping[str, str],
    way: Way,
    now: datetime,
) -> HttpResponse:
    """Read the table that the form has carried, as its columns were chosen."""
    try:
        columns = sample_columns.columns_of(request.POST["table"], MAX_ROWS)
    except BodyError as error:
        raise SuspiciousOperation(error.detail) from error
    form = ColumnsForm(list(places.items()), request.POST, columns=columns)
    if form.is_valid():
        sample = _made(form, teams, visitor, _source(way), now)
        if sample is not None:
            return _kept(request, sample)
    return _show_columns(request, visitor, form, [], now)


def _show_columns(
    request: HttpRequest,
    visitor: Visitor,
    form: ColumnsForm,
    dropped: Sequence[str],
    now: datetime,
) -> HttpResponse:
    return render(
        request,
        "billing/sample_columns.html",
        {
            **_common(visitor, now),
            "form": form,
            "dropped": dropped,
            "models": _models(),
        },
    )


@page
def sample_page(request: HttpRequest, visitor: Visitor, sample_id: int) -> HttpResponse:
    now = timezone.now()
    sample = _found(visitor, sample_id)
    report = reports.report(sample, now)
    return render(
        request,
        "billing/sample.html",
        {
            **_common(visitor, now),
            "sample": sample,
            "report": report,
            "models": [
                (one, _costs(one.profile.cost_per_request, one.profile.mean_cost))
                for one in report.models
            ],
            "may_edit": visitor.may(Permission.EDIT_ESTIMATES, sample.team),
        },
    )


@form_page
def delete_sample(request: HttpRequest, visitor: Visitor, sample_id: int) -> HttpResponse:
    sample = _found(visitor, sample_id)
    if not visitor.may(Permission.EDIT_ESTIMATES, sample.team):
        raise PermissionDenied
    if request.method == "POST":
        by = visitor.user.get_username()
        try:
            actions.delete(sample=sample, by=by, now=timezone.now())
        except ProtectedError:
            messages.error(request, "An estimate is built on it: it stays.")
            return redirect("sample-page", sample_id=sample_id)
        messages.success(request, f"“{sample.name}” is forgotten.")
        return redirect("sample-list")
    context = {**_common(visitor, timezone.now()), "sample": sample}
    return render(request, "billing/delete_sample.html", context)


@patient_form_page
def text_in_tokens(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """For who has no sample: words or characters in tokens."""
    # To count costs the organization's key: it is for who makes estimates.
    counts = bool(settings.ANTHROPIC_API_KEY and _teams(visitor))
    form = WordsForm(request.POST or None, counts=counts)
    tokens: Range | None = None
    counted: int | None = None
    tokenizer, refused = Tokenizer.UNKNOWN, None
    if form.is_valid():
        said = form.cleaned_data
        tokenizer = text_tokens.tokenizer_of(said["model"])
        if said.get("text"):
            refused = _too_often(visitor, timezone.now())
            if refused is None:
                counted = _counted(form)
            else:
                form.add_error("text", f"{_TOO_OFTEN} The next one {_minutes(refused)}.")
        else:
            unit, kind = Unit(said["unit"]), Kind(said["kind"])
            tokens = text_tokens.tokens(said["count"], unit, kind, tokenizer)
    answer = render(
        request,
        "billing/text_tokens.html",
        {
            **_common(visitor, timezone.now()),
            "form": form,
            "counts": counts,
            "has_key": bool(settings.ANTHROPIC_API_KEY),
            "tokens": tokens,
            "counted": counted,
            "model": form.cleaned_data.get("model") if form.is_bound else "",
            "tokenizer": tokenizer,
            "kind": _KINDS.get(form["kind"].value(), ""),
            "table": _TABLE,
            "models": _models(),
        },
        status=200 if refused is None else 429,
    )
    if refused is not None:
        answer["Retry-After"] = str(refused // timedelta(seconds=1) + 1)
    return answer


# English prose, 1,000 words: of each tokenizer that is known.
_TABLE = [
    (name, text_tokens.tokens(1_000, Unit.WORDS, Kind.PROSE, tokenizer))
    for name, tokenizer in (
        ("Claude before Opus 4.7", Tokenizer.CLAUDE_BEFORE_OPUS_4_7),
        ("Claude Opus 4.7 and later", Tokenizer.CLAUDE_FROM_OPUS_4_7),
        ("Other models", Tokenizer.UNKNOWN),
    )
]


def _too_often(visitor: Visitor, now: datetime) -> timedelta | None:
    """How long until another text may be counted; None where this one may, which takes a
    place of the person and of the organization."""
    claimed: list[str] = []
    for whom, count in (
        (f"person {visitor.user.pk}", COUNTED_OF_A_PERSON),
        (f"organization {visitor.organization.pk}", COUNTED_OF_AN_ORGANIZATION),
    ):
        its = Places("count-tokens", whom, count, COUNTED_AGAIN_AFTER)
        key = its.claim(now)
        if key is None:
            places.give_back(claimed)
            return max(its.next_free(now) - now, timedelta())
        claimed.append(key)
    return None


def _minutes(wait: timedelta) -> str:
    minutes = -(-wait // timedelta(minutes=1))
    return "in a minute" if minutes <= 1 else f"in {minutes} minutes"


def _counted(form: WordsForm) -> int | None:
    """What the provider counts; None where the form says why it does not."""
    try:
        return count_tokens.count(
            form.cleaned_data["text"],
            form.cleaned_data["model"],
            api_key=settings.ANTHROPIC_API_KEY,
            url=settings.ANTHROPIC_URL,
            allow=settings.OUTGOING_ALLOW,
        )
    except NotCounted as error:
        form.add_error("text", f"Anthropic did not count it: {error}.")
        return None


# --- What they need -----------------------------------------------------------------


def _common(visitor: Visitor, now: datetime) -> dict[str, Any]:
    return {
        "visitor": visitor,
        "section": "samples",
        "currency": visitor.organization.currency,
        "zone": ReportingDays(visitor.organization).zone(now).key,
        "now": now,
    }


def _teams(visitor: Visitor) -> list[Team]:
    return scopes.editable_teams(visitor, Permission.EDIT_ESTIMATES)


def _places(teams: Sequence[Team], *, only_projects: bool) -> dict[str, str]:
    """What a sample can be for, by the value of its choice."""
    found = {} if only_projects else {f"team {one.pk}": f"team {one.name}" for one in teams}
    for team in teams:
        for project in scopes.projects_of([team]):
            found[f"project {team.pk} {project.pk}"] = f"project {project.name}" + (
                f" ({team.name})" if len(teams) > 1 else ""
            )
    return found


def _place(choice: str, teams: Sequence[Team]) -> tuple[Team, Project | None]:
    _, team_id, *project_id = choice.split()
    team = next(one for one in teams if str(one.pk) == team_id)
    return team, Project.objects.get(pk=project_id[0]) if project_id else None


def _made(
    form: NewSampleForm,
    teams: Sequence[Team],
    visitor: Visitor,
    source: Source,
    now: datetime,
) -> Sample | None:
    """The sample; None where the form says why there is none."""
    team, project = _place(form.cleaned_data["place"], teams)
    said: dict[str, Any] = {
        "team": team,
        "name": form.cleaned_data["name"],
        "by": visitor.user.get_username(),
        "now": now,
    }
    try:
        if isinstance(form, PasteForm | UploadForm | ColumnsForm):
            return actions.read(
                project=project, content=form.bytes, source=source, asked=form.asked, **said
            )
        if project is None:
            raise Http404
        return actions.of_project(project=project, days=form.cleaned_data["days"], **said)
    except BodyError as error:
        form.add_error(_where(form), error.detail)
    except ValidationError as error:
        if isinstance(form, ReadForm):
            for message in error.messages:
                form.add_error(_where(form), message)
        else:
            add_errors(form, error, {})
    return None


def _where(form: NewSampleForm) -> str | None:
    """The field of what is wrong with the records: of a carried table it is all of them."""
    return None if isinstance(form, ColumnsForm) else "content"


def _found(visitor: Visitor, sample_id: int) -> Sample:
    its = Sample.objects.filter(team__in=visitor.teams, pk=sample_id)
    sample = its.select_related("team__organization", "project").first()
    if sample is None:
        raise Http404
    return sample


def _costs(interval: Interval | None, mean: int | None) -> dict[str, Any]:
    """What a thousand requests cost, for one costs too little to read; and one, rounded."""
    if mean is None:
        return {}
    each = money.exact(mean)
    return {
        "each": each if not each else round(each, _DIGITS - 1 - each.adjusted()),
        **{
            name: money.exact(amount * 1_000)
            for name, amount in (interval._asdict() if interval else {"mean": mean}).items()
        },
    }


def _models() -> list[str]:
    """Names to choose from."""
    return sorted(set(LanguageModel.objects.values_list("name", flat=True)))
