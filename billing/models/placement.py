"""Where each table lives once the ledger is divided over several servers.

On one server this changes nothing; it is what the schema obeys from the first day
(docs/adr/0003). Every model stands in exactly one of the three sets, by its label.
"""

# Divided by team: `team_id` is in every key, and no foreign key leaves or enters.
DISTRIBUTED = frozenset(
    {
        "billing.UsageRecord",
        "billing.Charge",
        "billing.Posting",
        "billing.UnpricedRecord",
        "billing.QuarantinedRecord",
        "billing.Void",
        "billing.DailySpend",
        "billing.HourlySpend",
        "billing.BudgetTotal",
        "billing.TaggedSpend",
        "billing.TeamLedger",
        "billing.Receipt",
    }
)

# Copied to every server: small, seldom written, referred to by the others.
REFERENCE = frozenset(
    {
        "teams.Organization",
        "teams.ReportingZone",
        "teams.Team",
        "teams.Project",
        "teams.Ownership",
        "teams.ApiKey",
        "billing.LanguageModel",
        "billing.Alias",
        "billing.RateCard",
        "billing.Publication",
        "billing.Rate",
        "billing.Budget",
    }
)

# On the first server only: people, sessions, and what is written too often to be copied.
LOCAL = frozenset(
    {
        "admin.LogEntry",
        "billing.Alert",
        "billing.BudgetPolicy",
        "billing.BudgetRevision",
        "billing.Channel",
        "billing.Delivery",
        "billing.DeliveryAttempt",
        "billing.Estimate",
        "billing.EstimateCap",
        "billing.EstimateLine",
        "billing.EstimateModel",
        "billing.EstimateShape",
        "billing.Heartbeat",
        "billing.ForecastErrors",
        "billing.RaiseDecision",
        "billing.RaiseRequest",
        "billing.Hold",
        "billing.HoldPart",
        "billing.Rerate",
        "billing.RerateTotal",
        "billing.Review",
        "billing.Proposal",
        "billing.SavedWhatIf",
        "billing.RoutingPolicy",
        "billing.Sample",
        "billing.VelocityRule",
        "billing.Verification",
        "auth.Group",
        "auth.Permission",
        "auth.User",
        "contenttypes.ContentType",
        "sessions.Session",
        "teams.ApiKeyBucket",
        "teams.ApiKeyUse",
        "teams.AuditEvent",
        "teams.Membership",
    }
)
