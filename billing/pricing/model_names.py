"""What a model's name may carry without becoming another model.

`claude-opus-5` and `claude-opus-5-5` are different models with different prices, so a
name is never matched by its beginning. What may be taken off is closed and stands here;
what is left must be an exact alias. Some of it says how the call was made, and that
decides the price: `marks` returns it, so that it is not lost with what is taken off.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

# What a coding tool writes for a message that it made up itself.
SYNTHETIC = "<synthetic>"

# By which way a gateway (LiteLLM, OpenRouter) or a resource name says it went.
_ROUTE = re.compile(
    r"(?:bedrock/(?:converse/|invoke/)?|bedrock_converse/|vertex_ai/|azure_ai/|azure/"
    r"|openrouter/(?:anthropic|openai|google)/|anthropic/|openai/|google/|gemini/"
    r"|models/)(?=.)",
    re.ASCII,
)

# A Bedrock resource. What is called stands after the last slash.
_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):bedrock:[a-z0-9-]*:\d*:[a-z-]+/(?P<name>[^/]+)\Z",
    re.ASCII,
)
# Where a Bedrock inference profile may send the call. A vendor comes after it.
_PROFILE = re.compile(
    r"(?P<place>global|us-gov|us|eu|apac|au|jp|ca|sa)\.(?=[a-z0-9]+\.)", re.ASCII
)
_VENDOR = "anthropic."
_BEDROCK_VERSION = re.compile(r"-v\d{1,3}(?::\d{1,3})?\Z", re.ASCII)

# The display name of fast mode; only these models have it. Other models' names may end
# so by themselves.
_FAST = re.compile(r"(?P<model>claude-.+)-fast\Z", re.DOTALL)
_BATCH = ":batch"
# Claude Code marks the long context it asked for. The price is that of the model.
_CONTEXT = "[1m]"

# A snapshot's date, Vertex' form of it, OpenAI's; Vertex' default version, the moving
# alias.
_VERSION = re.compile(
    r"(?:[-@]20\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
    r"|-20\d{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])|@default|-latest)\Z",
    re.ASCII,
)

GOVERNMENT = "us-gov"


class Marks(NamedTuple):
    """What a name says about the call.

    `profile` is the place of a Bedrock inference profile ("global", "eu" …), or "".
    `bedrock` and `vertex`: the name is one of theirs. `claude`: one of these models.
    """

    batch: bool = False
    fast: bool = False
    bedrock: bool = False
    vertex: bool = False
    profile: str = ""
    claude: bool = False


def spellings(name: str) -> Iterator[str]:
    """Yield `name` and then its shorter forms, the most exact one first.

    Route and ARN go first, then the marks at the end, then Bedrock's region and version.
    A date or moving alias is taken off last, and only one.
    """
    yield name
    shorter = name
    for shorten in _SHORTENED:
        before, shorter = shorter, shorten(shorter)
        if shorter != before:
            yield shorter
    yield from _without_version(shorter)
    bare = shorter.removeprefix(_VENDOR)
    if bare != shorter and bare:
        yield bare
        yield from _without_version(bare)


def same_model(one: str, other: str) -> bool:
    """Whether two names differ at most in what may be taken off."""
    return one == other or _stem(one) == _stem(other)


@lru_cache(maxsize=4096)
def marks(name: str) -> Marks:
    """Return what a name says about the call, beside the model."""
    route = _ROUTE.match(name)
    arn = _ARN.match(name[route.end() :] if route else name)
    called = _called(name)
    profile = _PROFILE.match(called)
    place = profile["place"] if profile else ""
    if arn and "gov" in arn["partition"]:
        place = GOVERNMENT
    through = route[0] if route else ""
    return Marks(
        batch=_without_fast(called).endswith(_BATCH),
        fast=_without_fast(called) != called,
        bedrock=bool(
            arn or profile or called.startswith(_VENDOR) or through.startswith("bedrock")
        ),
        vertex=through == "vertex_ai/",
        profile=place,
        claude=_stem(name).startswith("claude-"),
    )


def _stem(name: str) -> str:
    *_, shortest = spellings(name)
    return shortest


def _called(name: str) -> str:
    """Return what was called, without route and without the rest of an ARN."""
    route = _ROUTE.match(name)
    name = name[route.end() :] if route else name
    arn = _ARN.match(name)
    return arn["name"] if arn else name


def _without_fast(name: str) -> str:
    fast = _FAST.match(name)
    return fast["model"] if fast else name


def _without_batch(name: str) -> str:
    return name.removesuffix(_BATCH)


def _without_context(name: str) -> str:
    return name.removesuffix(_CONTEXT)


def _in_no_region(name: str) -> str:
    profile = _PROFILE.match(name)
    return name[profile.end() :] if profile else name


def _without_bedrock_version(name: str) -> str:
    return _BEDROCK_VERSION.sub("", name) if name.startswith(_VENDOR) else name


_SHORTENED = (
    _called,
    _without_fast,
    _without_batch,
    _without_context,
    _in_no_region,
    _without_bedrock_version,
)


def _without_version(name: str) -> Iterator[str]:
    unversioned = _VERSION.sub("", name)
    if unversioned != name:
        yield unversioned
