from billing.models.catalog import Alias, LanguageModel
from billing.models.ledger import (
    Charge,
    Posting,
    QuarantinedRecord,
    UnpricedRecord,
    UsageRecord,
)
from billing.models.ledger_rows import (
    QuarantinedRecordRow,
    UnpricedRecordRow,
    UsageRecordRow,
)
from billing.models.rates import Publication, Rate, RateCard
from billing.models.rollups import DailySpend, HourlySpend

__all__ = [
    "Alias",
    "Charge",
    "DailySpend",
    "HourlySpend",
    "LanguageModel",
    "Posting",
    "Publication",
    "QuarantinedRecord",
    "QuarantinedRecordRow",
    "Rate",
    "RateCard",
    "UnpricedRecord",
    "UnpricedRecordRow",
    "UsageRecord",
    "UsageRecordRow",
]
