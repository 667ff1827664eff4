"""Usage of a Claude model called on Vertex AI: Anthropic's own object.

Which endpoint it was depends on the location, which is the record's `geo`.
"""

from billing.formats import anthropic
from billing.formats.conditions import required_provider
from billing.formats.posted import Record
from billing.pricing.usage import Usage


def read(record: Record) -> Usage:
    """Return the normalised usage, read like that of the Messages API.

    Raises RecordError like it, and for another provider than google.
    """
    required_provider(record, "google")
    return anthropic.read(record)


known_members = anthropic.known_members
