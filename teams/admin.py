"""Who: organizations, teams, projects, people and keys.

What changes here goes through the same actions as everywhere, so that it is audited.
"""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from teams.actions import api_keys, memberships, organizations, projects, teams
from teams.models import (
    ApiKey,
    AuditEvent,
    Membership,
    Organization,
    Ownership,
    Project,
    ReportingZone,
    Role,
    Team,
)
from teams.models.api_keys import Scope
from teams.models.organizations import validate_time_zone
from teams.ownership import MOVES_AHEAD

admin.site.site_header = "Purser"
admin.site.site_title = "Purser"
admin.site.index_title = "Administration"


def actor(request: HttpRequest) -> str:
    return request.user.get_username()


class Kept(admin.ModelAdmin):
    """Made and changed through actions, which audit it; never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(admin.TabularInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReportingZoneInline(ReadOnlyInline):
    model = ReportingZone
    verbose_name_plural = "reporting zones, by when they began"


class OrganizationForm(forms.ModelForm):
    time_zone = forms.CharField(
        validators=[validate_time_zone],
        initial="UTC",
        help_text="Days and months are cut in this zone, such as Europe/Berlin. "
        "A change takes effect with the next month.",
    )

    class Meta:
        model = Organization
        fields = ("name", "slug")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            zone = self.instance.reporting_zones.order_by("-effective_from").first()
            self.fields["time_zone"].initial = zone.time_zone


@admin.register(Organization)
class OrganizationAdmin(Kept):
    form = OrganizationForm
    list_display = ("name", "slug", "currency")
    search_fields = ("name", "slug")
    inlines = (ReportingZoneInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        zone = form.cleaned_data["time_zone"]
        by, now = actor(request), timezone.now()
        if not change:
            made = organizations.create(
                name=obj.name, slug=obj.slug, time_zone=zone, by=by, now=now
            )
            obj.pk = made.pk
            return
        if "name" in form.changed_data:
            organizations.rename(organization=obj, name=obj.name, by=by, now=now)
        if "time_zone" in form.changed_data:
            organizations.change_zone(organization=obj, time_zone=zone, by=by, now=now)


@admin.register(Team)
class TeamAdmin(Kept):
    fields = ("organization", "name", "slug")
    list_display = ("name", "slug", "organization")
    list_filter = ("organization",)
    list_select_related = ("organization",)
    search_fields = ("name", "slug")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("organization", "slug") if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        by, now = actor(request), timezone.now()
        if change:
            teams.rename(team=obj, name=obj.name, by=by, now=now)
            return
        made = teams.create(
            organization=obj.organization, name=obj.name, slug=obj.slug, by=by, now=now
        )
        obj.pk = made.pk


class OwnershipInline(ReadOnlyInline):
    model = Ownership
    verbose_name_plural = "owners, by when they began"


class ProjectForm(forms.ModelForm):
    owner = forms.ModelChoiceField(
        Team.objects.select_related("organization"),
        help_text="A project moved to another team takes its future along, not its past. A "
        f"move takes effect in {MOVES_AHEAD // timedelta(minutes=1)} minutes.",
    )

    class Meta:
        model = Project
        fields = ("name", "slug")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            owned = self.instance.ownerships.order_by("-effective_from").first()
            # A project cannot leave its organization.
            self.fields["owner"] = forms.ModelChoiceField(
                Team.objects.filter(organization=self.instance.organization_id),
                initial=owned.team_id,
                help_text=self.fields["owner"].help_text,
            )


@admin.register(Project)
class ProjectAdmin(Kept):
    form = ProjectForm
    list_display = ("name", "slug", "organization")
    list_filter = ("organization", "ownerships__team")
    list_select_related = ("organization",)
    search_fields = ("name", "slug")
    inlines = (OwnershipInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("slug",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        team = form.cleaned_data["owner"]
        by, now = actor(request), timezone.now()
        if not change:
            made = projects.create(team=team, name=obj.name, slug=obj.slug, by=by, now=now)
            obj.pk, obj.organization = made.pk, made.organization
            return
        if "name" in form.changed_data:
            projects.rename(project=obj, name=obj.name, by=by, now=now)
        if "owner" in form.changed_data:
            projects.move(
                project=obj, team=team, effective_from=now + MOVES_AHEAD, by=by, now=now
            )


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    list_display = ("user", "role", "team", "organization")
    list_filter = ("role", "organization", "team")
    list_select_related = ("user", "team", "organization")
    search_fields = ("user__username", "user__email")
    autocomplete_fields = ("user",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("user", "organization", "team") if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made = memberships.grant(
            user=obj.user,
            organization=obj.organization,
            team=obj.team,
            role=Role(obj.role),
            by=actor(request),
            now=timezone.now(),
        )
        obj.pk = made.pk

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        memberships.revoke(membership=obj, by=actor(request), now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for membership in queryset:
            self.delete_model(request, membership)


class ApiKeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.USAGE_WRITE, Scope.USAGE_READ],
    )

    class Meta:
        model = ApiKey
        fields = (
            *("organization", "team", "project", "name", "scopes"),
            *("expires_at", "records_per_minute"),
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        team, project = data.get("team"), data.get("project")
        if team and project:
            raise forms.ValidationError("Bind the key to a team or to a project.")
        for bound in (team, project):
            if bound and bound.organization != data.get("organization"):
                raise forms.ValidationError(f"{bound} is in another organization.")
        return data


class ApiKeyLimitForm(forms.ModelForm):
    """What can be changed of a key that there is."""

    class Meta:
        model = ApiKey
        fields = ("records_per_minute",)


@admin.register(ApiKey)
class ApiKeyAdmin(Kept):
    form = ApiKeyForm
    # Of a key that there is, what it is stays.
    fields_kept = (
        *("organization", "team", "project", "name", "prefix", "scope_list"),
        *("expires_at", "state", "last_used"),
    )
    list_display = ("name", "prefix", "covers", "scope_list", "last_used", "state")
    list_filter = ("organization", "team")
    list_select_related = ("organization", "team", "project", "use")
    search_fields = ("name", "prefix")
    actions = ("revoke",)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj:
            kwargs["form"] = ApiKeyLimitForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj:
            return (*self.fields_kept, "records_per_minute")
        return super().get_fields(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields_kept if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            if "records_per_minute" in form.changed_data:
                self._limit(request, obj)
            return
        key, secret = api_keys.issue(
            organization=obj.organization,
            team=obj.team,
            project=obj.project,
            name=obj.name,
            scopes=[Scope(scope) for scope in form.cleaned_data["scopes"]],
            expires_at=obj.expires_at,
            records_per_minute=obj.records_per_minute,
            by=actor(request),
            now=timezone.now(),
        )
        obj.pk, obj.prefix = key.pk, key.prefix
        messages.warning(
            request, f"The key is {secret} – copy it now, it is not shown again."
        )

    def _limit(self, request: HttpRequest, key: ApiKey) -> None:
        api_keys.limit(
            key=key,
            records_per_minute=key.records_per_minute,
            by=actor(request),
            now=timezone.now(),
        )

    @admin.action(description="Revoke selected API keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            api_keys.revoke(key=key, by=actor(request), now=timezone.now())
        messages.success(request, f"{len(queryset)} keys are revoked.")

    @admin.display(description="covers")
    def covers(self, key: ApiKey) -> str:
        return api_keys.covers(key)

    @admin.display(description="scopes")
    def scope_list(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="last used", ordering="use__last_used_at")
    def last_used(self, key: ApiKey) -> Any:
        use = getattr(key, "use", None)
        return use.last_used_at if use else None

    @admin.display(description="state")
    def state(self, key: ApiKey) -> str:
        now = timezone.now()
        if key.revoked_at is not None:
            return "revoked"
        return "expired" if key.expires_at and key.expires_at <= now else "usable"


@admin.register(AuditEvent)
class AuditEventAdmin(admin.ModelAdmin):
    list_display = ("occurred_at", "actor", "action", "subject", "reason")
    list_filter = ("action", "organization")
    search_fields = ("subject", "actor")
    ordering = ("-occurred_at", "-pk")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
