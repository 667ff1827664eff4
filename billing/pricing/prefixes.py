"""How long a prompt's beginning has to be before a provider caches it at all.

From the providers' pages on prompt caching, by model. What is shorter is not cached and no
error says so: both counts of the cache are 0, and the tokens are plain input.
"""

from billing.pricing.model_names import spellings

# Where nothing is published of a model: what most models have.
USUAL = 1_024

_LEAST: dict[str, int] = {
    **dict.fromkeys(
        (
            *("claude-opus-5", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"),
            *("claude-fable-5", "claude-fable-5-1", "claude-mythos-5"),
        ),
        512,
    ),
    **dict.fromkeys(
        (
            *("claude-opus-4-8", "claude-sonnet-5", "claude-sonnet-4-6"),
            *("claude-sonnet-4-5", "claude-opus-4", "claude-opus-4-1", "claude-sonnet-4"),
        ),
        1_024,
    ),
    **dict.fromkeys(
        ("claude-opus-4-7", "claude-mythos-preview", "claude-3-5-haiku"), 2_048
    ),
    **dict.fromkeys(("claude-opus-4-5", "claude-opus-4-6", "claude-haiku-4-5"), 4_096),
}


def least(model: str) -> int | None:
    """Return the tokens that a prefix has at least to be cached, of a canonical key or any
    name that the model is seen under; None where nothing is published."""
    names = spellings(model.rpartition("/")[2])
    return next((_LEAST[name] for name in names if name in _LEAST), None)
