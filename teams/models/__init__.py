from teams.models.api_keys import ApiKey, ApiKeyBucket, ApiKeyUse
from teams.models.audit import AuditEvent
from teams.models.memberships import Membership, Role
from teams.models.organizations import Organization, ReportingZone
from teams.models.projects import Ownership, Project
from teams.models.teams import Team

__all__ = [
    "ApiKey",
    "ApiKeyBucket",
    "ApiKeyUse",
    "AuditEvent",
    "Membership",
    "Organization",
    "Ownership",
    "Project",
    "ReportingZone",
    "Role",
    "Team",
]
