"""The one way in which the launcher gives up."""

from collections.abc import Sequence


class CannotStart(Exception):
    """Something that only the person at the keyboard can put right.

    `sentence` says what is wrong and what to do; `details` are lines to show above it
    (the end of a log). The command ends with exit code 2.
    """

    def __init__(self, sentence: str, details: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.details = tuple(details)

    def __str__(self) -> str:
        return "\n".join((*self.details, self.sentence))
