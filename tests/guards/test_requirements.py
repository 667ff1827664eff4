"""Locks are whole, dependencies have reasons, and no file names a machine."""

import subprocess
from pathlib import Path

import pytest

from tests.guards.requirement_lint import machine_places, unexplained, unlocked

ROOT = Path(__file__).resolve().parent.parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text()
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
HASH = f"--hash=sha256:{'0a' * 32}"


# --- The real ones ------------------------------------------------------------------


def test_there_are_four_locks():
    names = [lock.name for lock in LOCKS]

    assert names == ["base.txt", "bench.txt", "dev.txt", "local.txt"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_lock_is_whole(lock: Path):
    assert unlocked(lock.read_text()) == []


def test_every_dependency_has_a_reason():
    tables = ("project.dependencies", "project.optional-dependencies")

    assert unexplained(PYPROJECT, *tables) == []


def test_every_tool_has_a_reason():
    assert unexplained(PYPROJECT, "dependency-groups") == []


def test_no_file_names_a_machine():
    found = {
        path: places
        for path in tracked_files()
        if (places := machine_places(text_of(ROOT / path)))
    }

    assert found == {}


def tracked_files() -> list[str]:
    """What is in the repository, or would be with the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in listed.stdout.split("\0") if (ROOT / path).is_file()]


def text_of(path: Path) -> str:
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode()


# --- Planted: locks -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"# made by uv\nname==1.0 \\\n    {HASH} \\\n    {HASH}\n",
        f"name[extra]==1.0 ; python_version < '3.12' \\\n    {HASH}\n    # via other\n",
    ],
)
def test_pinned_requirement_passes(text: str):
    assert unlocked(text) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name==1.0", "name has no hash"),
        (f"name>=1.0 {HASH}", "name>=1.0 is no pinned requirement"),
        (f"name==1.0 {HASH[:-1]}", "name has no hash"),
        ("--find-links wheels", "--find-links is no pinned requirement"),
        ("-e .", "-e is no pinned requirement"),
        ("-r other.txt", "-r is no pinned requirement"),
        (f"name==1.0 {HASH} --config file:///wheels", "name==1.0 names a place"),
    ],
)
def test_requirement_that_is_not_locked_is_caught(text: str, complaint: str):
    assert unlocked(text) == [complaint]


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.com/simple",
        "--extra-index-url https://example.com/simple",
        "name@https://example.com/name.whl",
    ],
)
def test_place_to_install_from_is_caught(line: str):
    first = line.split()[0]

    assert unlocked(line) == [
        f"{first} is no pinned requirement",
        f"{first} names a place",
    ]


# --- Planted: reasons ---------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '[project]\ndependencies = [\n    # It counts.\n    "name>=1",\n]\n',
        '[project]\n# It counts.\ndependencies = ["name>=1"]\n',
    ],
)
def test_dependency_with_a_reason_passes(text: str):
    assert unexplained(text, "project.dependencies") == []


def test_dependency_without_a_reason_is_caught():
    text = '[project]\ndependencies = [\n    # It counts.\n    "a>=1",\n    "b>=2",\n]\n'

    assert unexplained(text, "project.dependencies") == [
        "b>=2 has no comment that says why"
    ]


def test_tool_without_a_reason_is_caught():
    text = '[dependency-groups]\ndev = [\n    "a>=1",\n    {include-group = "b"},\n]\n'

    assert unexplained(text, "dependency-groups") == ["a>=1 has no comment that says why"]


# --- Planted: machines --------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "pypi" + ".org",
        "files." + "pythonhosted",
        "registry." + "npmjs",
        "deb." + "debian.org",
        "/" + "root/",
        "/" + "home/alice",
        "/" + "Users/alice",
        "C:" + "\\Users\\alice",
    ],
)
def test_place_on_a_machine_is_caught(place: str):
    assert machine_places(f"see {place} or ask") == [place]


@pytest.mark.parametrize(
    "text",
    ["the homepage", "api/home/page", "chroot/root/", "PURSER_HOME/log", "pypi and npm"],
)
def test_what_is_no_place_on_a_machine_passes(text: str):
    assert machine_places(text) == []


def test_no_tracked_file_is_a_link():
    """A link can lead out of the checkout, to a place on one machine."""
    listed = subprocess.run(
        ["git", "ls-files", "--stage"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    links = [line for line in listed.stdout.splitlines() if line.startswith("120000 ")]
    assert links == []
