"""The shortest beginning of a prompt that a model caches.

Below it nothing is cached and nothing is said: both cache counts are 0, and the tokens
are plain input.
"""

_MINIMUM: dict[int, tuple[str, ...]] = {
    512: (
        *("claude-opus-5", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"),
        *("claude-fable-5", "claude-fable-5-1", "claude-mythos-5"),
    ),
    1_024: (
        *("claude-opus-4", "claude-opus-4-1", "claude-opus-4-8", "claude-sonnet-4"),
        *("claude-sonnet-4-5", "claude-sonnet-4-6", "claude-sonnet-5"),
    ),
    2_048: ("claude-opus-4-7", "claude-mythos-preview", "claude-3-5-haiku"),
    4_096: ("claude-opus-4-5", "claude-opus-4-6", "claude-haiku-4-5"),
}
_BY_NAME = {name: tokens for tokens, names in _MINIMUM.items() for name in names}


def minimum(model: str) -> int | None:
    """Return it in tokens, of a canonical key ("anthropic/claude-opus-5").

    A model is the same whoever serves it. None where no minimum is known.
    """
    return _BY_NAME.get(model.partition("/")[2])
