"""The few endings a model's name may carry without becoming another model.

`claude-opus-5` and `claude-opus-5-5` are different models with different prices, so a
name is never matched by its beginning. What may be taken off is closed and stands here;
what is left must be an exact alias.
"""

import re
from collections.abc import Iterator

# Claude Code marks the long context it asked for. The price is that of the model.
_CONTEXT = "[1m]"

# A snapshot's date, Vertex' form of it, Vertex' default version, the moving alias.
_VERSION = re.compile(
    r"(?:[-@]20\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|@default|-latest)\Z",
    re.ASCII,
)


def spellings(name: str) -> Iterator[str]:
    """Yield `name` and then its shorter forms, the most exact one first."""
    yield name
    bare = name.removesuffix(_CONTEXT)
    if bare != name:
        yield bare
    unversioned = _VERSION.sub("", bare)
    if unversioned != bare:
        yield unversioned


def same_model(one: str, other: str) -> bool:
    """Whether two names differ at most in such an ending."""
    return one == other or _stem(one) == _stem(other)


def _stem(name: str) -> str:
    *_, shortest = spellings(name)
    return shortest
