from billing.models.alerts import Alert
from billing.models.budgets import (
    Budget,
    BudgetRevision,
    BudgetTotal,
    TaggedSpend,
    TeamLedger,
)
from billing.models.catalog import Alias, LanguageModel
from billing.models.channels import Channel, Delivery, DeliveryAttempt
from billing.models.estimate_caps import EstimateCap
from billing.models.estimates import Estimate, EstimateLine, EstimateModel, EstimateShape
from billing.models.forecasts import ForecastErrors
from billing.models.heartbeats import Heartbeat
from billing.models.holds import Hold, HoldPart
from billing.models.ledger import (
    Charge,
    Posting,
    QuarantinedRecord,
    UnpricedRecord,
    UsageRecord,
    Void,
)
from billing.models.ledger_rows import (
    QuarantinedRecordRow,
    UnpricedRecordRow,
    UsageRecordRow,
    VoidRow,
)
from billing.models.proposals import Proposal
from billing.models.raises import BudgetPolicy, RaiseDecision, RaiseRequest
from billing.models.rates import Publication, Rate, RateCard
from billing.models.receipts import Receipt
from billing.models.rerates import Rerate, RerateTotal
from billing.models.reviews import Review
from billing.models.rollups import DailySpend, HourlySpend
from billing.models.routing import RoutingPolicy
from billing.models.samples import Sample
from billing.models.velocity_rules import VelocityRule
from billing.models.verifications import Verification
from billing.models.what_if import SavedWhatIf

__all__ = [
    "Alert",
    "Alias",
    "Budget",
    "BudgetPolicy",
    "BudgetRevision",
    "BudgetTotal",
    "Channel",
    "Charge",
    "DailySpend",
    "Delivery",
    "DeliveryAttempt",
    "Estimate",
    "EstimateCap",
    "EstimateLine",
    "EstimateModel",
    "EstimateShape",
    "ForecastErrors",
    "Heartbeat",
    "Hold",
    "HoldPart",
    "HourlySpend",
    "LanguageModel",
    "Posting",
    "Proposal",
    "Publication",
    "QuarantinedRecord",
    "QuarantinedRecordRow",
    "RaiseDecision",
    "RaiseRequest",
    "Rate",
    "RateCard",
    "Receipt",
    "Rerate",
    "RerateTotal",
    "Review",
    "RoutingPolicy",
    "Sample",
    "SavedWhatIf",
    "TaggedSpend",
    "TeamLedger",
    "UnpricedRecord",
    "UnpricedRecordRow",
    "UsageRecord",
    "UsageRecordRow",
    "VelocityRule",
    "Verification",
    "Void",
    "VoidRow",
]
