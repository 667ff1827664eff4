"""What an estimate's page says of each model: which side of a request costs more."""

from billing.pricing import figures, money
from billing.pricing.scenarios import Larger
from billing.reports.estimate_view import EstimateView, ModelRow


def of_balances(view: EstimateView) -> list[str]:
    """One for each model that has a price, of the planned scenario."""
    return [sentence for row in view.models if (sentence := _of(row))]


def _of(row: ModelRow) -> str:
    balance = row.balance
    if balance is None or balance.price_ratio is None or balance.token_ratio is None:
        return ""
    equal = money.plain(balance.token_ratio)
    said = (
        f"{row.model.display_name}: {equal} tokens in for each one out, "
        f"and a token out costs {money.plain(balance.price_ratio)} times one in. "
    )
    if balance.larger is Larger.NEITHER or balance.output_percent is None:
        return f"{said}So both sides cost the same."
    most = "more" if balance.larger is Larger.OUTPUT else "less"
    return (
        f"{said}So output costs {most} than input: {money.plain(balance.output_percent)}"
        f"{figures.THIN}% of both. They would be equal at {equal} times."
    )
