"""The names that models are known by. They decide prices, so each change is audited."""

from datetime import datetime

from django.db import transaction

from billing.models import Alias, LanguageModel
from teams.actions import audit


@transaction.atomic
def add_model(
    *,
    provider: str,
    name: str,
    display_name: str,
    family: str,
    by: str,
    now: datetime,
) -> LanguageModel:
    """A new model under its own name; it has no price before a rate is published."""
    model = LanguageModel(
        provider=provider, name=name, display_name=display_name, family=family
    )
    model.full_clean()
    model.save()
    said = {"display_name": display_name, "family": family}
    _audit(model, "model.add", by, now, after={**said})
    add_alias(model=model, name=name, by=by, now=now)
    return model


@transaction.atomic
def add_alias(
    *,
    model: LanguageModel,
    name: str,
    by: str,
    now: datetime,
    provider: str | None = None,
) -> Alias:
    """Price records that name this model so; unpriced ones are tried again.

    `provider` is whose records do, where it is another than the model's own.
    """
    alias = Alias(model=model, provider=provider or model.provider, name=name)
    alias.full_clean()
    alias.save()
    _audit(model, "alias.add", by, now, after={"alias": name})
    return alias


@transaction.atomic
def remove_alias(*, alias: Alias, by: str, now: datetime) -> None:
    """Records under this name are unpriced from now on; charges stay as they are."""
    _audit(alias.model, "alias.remove", by, now, before={"alias": alias.name})
    alias.delete()


@transaction.atomic
def describe(
    *,
    model: LanguageModel,
    display_name: str,
    family: str,
    context_window: int | None,
    by: str,
    now: datetime,
) -> None:
    """Change how a model is shown; no price depends on it."""
    said = {
        "display_name": display_name,
        "family": family,
        "context_window": context_window,
    }
    kept = LanguageModel.objects.get(pk=model.pk)
    before = {field: getattr(kept, field) for field in said}
    for field, value in said.items():
        setattr(kept, field, value)
    kept.full_clean()
    kept.save()
    _audit(model, "model.describe", by, now, before=before, after=said)


def _audit(
    model: LanguageModel,
    action: str,
    by: str,
    now: datetime,
    before: dict[str, str | int | None] | None = None,
    after: dict[str, str | int | None] | None = None,
) -> None:
    audit.record(
        action=action,
        subject=f"model {model.key}",
        by=by,
        now=now,
        before=before,
        after=after,
    )
