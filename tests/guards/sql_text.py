"""SQL as nested tokens: as much structure as the guard needs, and no grammar.

A parenthesis becomes a tuple of what stands in it. Comments vanish; a string, also one in
dollars (the body of a function), is one token whose content nobody reads as SQL.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<literal> '(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | \d+(?:\.\d+)? )
    | "(?P<quoted>(?:[^"]|"")*)"
    | (?P<word> [^\W\d][\w$]* )
    | %\((?P<named>\w+)\)[sbt]
    | (?P<counted>%[sbt])
    | (?P<mark> :: | <= | >= | <> | != | => | -> | %% | \S )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is word, quoted, literal, parameter or mark.

    Words are in lower case, so that a quoted name is never taken for a keyword. The text
    of a parameter is its name, or its number in the order of the statement.
    """

    kind: str
    text: str

    @property
    def is_name(self) -> bool:
        return self.kind in ("word", "quoted")


Items = tuple[Any, ...]
"""Tokens, and tuples of them for parentheses."""


def statements(sql: str) -> list[Items]:
    """The statements of a text, without their semicolons."""
    return [part for part in split(_nested(sql), ";") if part]


def _nested(sql: str) -> Items:
    stack: list[list[Any]] = [[]]
    for token in _tokens(sql):
        if token == Token("mark", "("):
            stack.append([])
        elif token == Token("mark", ")") and len(stack) > 1:
            closed = tuple(stack.pop())
            stack[-1].append(closed)
        else:
            stack[-1].append(token)
    while len(stack) > 1:
        rest = tuple(stack.pop())
        stack[-1].append(rest)
    return tuple(stack[0])


def _tokens(sql: str) -> Iterator[Token]:
    counted = 0
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or "mark"
        text = match[kind]
        if kind == "word":
            yield Token("word", text.lower())
        elif kind == "named":
            yield Token("parameter", text)
        elif kind == "counted":
            yield Token("parameter", str(counted))
            counted += 1
        elif kind != "comment":
            yield Token(kind, text)


# --- Looking into items -------------------------------------------------------------


def says(item: Any, *texts: str) -> bool:
    """Whether an item is one of these keywords or marks."""
    return isinstance(item, Token) and item.kind != "quoted" and item.text in texts


def names(item: Any, text: str) -> bool:
    """Whether an item is this identifier, quoted or not."""
    return isinstance(item, Token) and item.is_name and item.text == text


def split(items: Items, separator: str) -> list[Items]:
    """The parts between separators of this level."""
    parts: list[list[Any]] = [[]]
    for item in items:
        if says(item, separator):
            parts.append([])
        else:
            parts[-1].append(item)
    return [tuple(part) for part in parts]


def position(items: Items, matches: Callable[[Any], bool]) -> int | None:
    return next((at for at, item in enumerate(items) if matches(item)), None)


def after(items: Items, *keywords: str) -> Items:
    """What stands behind the first of these keywords; nothing if there is none."""
    at = position(items, lambda item: says(item, *keywords))
    return () if at is None else items[at + 1 :]


def before(items: Items, *keywords: str) -> Items:
    """What stands before the first of these keywords; everything if there is none."""
    return items[: position(items, lambda item: says(item, *keywords))]


def deep(items: Items) -> Iterator[Token]:
    """All tokens, those in parentheses too."""
    for item in items:
        if isinstance(item, tuple):
            yield from deep(item)
        else:
            yield item
