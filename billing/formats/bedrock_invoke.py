"""Usage of a Claude model called by Bedrock's InvokeModel: Anthropic's own object.

Which endpoint it was stands in the model's name, as Bedrock has it.
"""

from billing.formats import anthropic
from billing.formats.conditions import required_provider
from billing.formats.posted import Record
from billing.pricing.usage import Usage


def read(record: Record) -> Usage:
    """Return the normalised usage, read like that of the Messages API.

    Raises RecordError like it, and for another provider than aws.
    """
    required_provider(record, "aws")
    return anthropic.read(record)


known_members = anthropic.known_members
