"""What is installed is pinned, has a reason, and comes from the reader's own index."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

_PINNED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(\[[\w,.-]+\])?==\S+")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


# --- requirements/*.txt -------------------------------------------------------------


def unlocked(text: str) -> list[str]:
    """What in a lock could install something else tomorrow, or from somewhere else."""
    found = []
    for line in _logical_lines(text):
        pinned = _PINNED.match(line)
        if not pinned:
            found.append(f"{line.split()[0]} is no pinned requirement")
        elif not _HASH.search(line):
            found.append(f"{pinned['name']} has no hash")
        if re.search(r"://|\bfile:", line):
            found.append(f"{line.split()[0]} names a place")
    return found


def _logical_lines(text: str) -> Iterator[str]:
    joined = re.sub(r"\\\n", " ", text)
    for line in joined.splitlines():
        stripped = line.partition(" #")[0].strip()
        if stripped and not stripped.startswith("#"):
            yield stripped


# --- pyproject.toml -----------------------------------------------------------------


def unexplained(pyproject: str, *tables: str) -> list[str]:
    """Dependencies in these tables (`project.dependencies`) without a comment above."""
    document = tomllib.loads(pyproject)
    lines = pyproject.splitlines()
    return [
        f"{requirement} has no comment that says why"
        for table in tables
        for requirement in _listed(_at(document, table))
        if not _commented(lines, requirement)
    ]


def _at(document: dict[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value[name]
    return value


def _listed(value: Any) -> list[str]:
    """The requirements of a list, or of a table of lists; not groups that they include."""
    if isinstance(value, dict):
        return [one for part in value.values() for one in _listed(part)]
    return [one for one in value if isinstance(one, str)]


def _commented(lines: list[str], requirement: str) -> bool:
    at = next(number for number, line in enumerate(lines) if f'"{requirement}"' in line)
    return at > 0 and lines[at - 1].lstrip().startswith("#")


# --- Everything ---------------------------------------------------------------------


def machine_places(text: str) -> list[str]:
    """Hosts of registries and mirrors, and directories of one person's machine."""
    return [match[0] for match in _PLACES.finditer(text)]


# Put together, so that this file does not name what it looks for.
_HOSTS = (
    *(("pypi", "org"), ("files", "pythonhosted"), ("registry", "npmjs")),
    *(("registry", "yarnpkg"), ("deb", "debian", "org"), ("security", "debian", "org")),
    *(("archive", "ubuntu", "com"), ("proxy", "golang", "org"), ("static", "crates", "io")),
)
_PLACES = re.compile(
    "|".join(
        [
            *(r"\b" + r"\.".join(host) + r"\b" for host in _HOSTS),
            r"(?<![\w.-])/" + "root" + "/",
            r"(?<![\w.-])/(?:" + "home" + "|" + "Users" + r")/\w[\w.-]*",
            r"\b[A-Z]:\\" + "Users" + r"\\\w+",
        ]
    )
)
