"""`.env.example` explains every variable that is read, and nothing more."""

from pathlib import Path

import pytest

from config import databases
from launch.variables import DEFAULT_PORT, DEMO_RECORDS
from tests.guards import environment
from tests.guards.environment import complaints, read_by_launcher, read_by_settings

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = (ROOT / ".env.example").read_text()
SERVICES = [role for role in databases.ROLES if role != "owner"]


def really_read() -> dict[str, str | None]:
    read: dict[str, str | None] = {
        "PORT": str(DEFAULT_PORT),
        "DEMO_RECORDS": str(DEMO_RECORDS),
    }
    for path in (ROOT / "launch").glob("*.py"):
        read = dict.fromkeys(read_by_launcher(path.read_text())) | read
    for path in (ROOT / "config").glob("*.py"):
        read |= read_by_settings(path.read_text(), SERVICES)
    return read


# --- The real ones ------------------------------------------------------------------


def test_every_variable_is_explained():
    assert complaints(EXAMPLE, really_read()) == []


def test_variables_of_all_readers_are_found():
    read = really_read()

    assert read["SECRET_KEY"] == "none"
    assert {"APP_DATABASE_URL", "WORKER_DATABASE_URL", "DATABASE_ROLE"} <= read.keys()
    assert {"PORT", "PURSER_PG_AS", "PURSER_HOME", "DATABASE_URL"} <= read.keys()


@pytest.mark.parametrize("package", ["teams", "billing"])
def test_nothing_else_reads_the_environment(package: str):
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / package).rglob("*.py")
        if "environ" in path.read_text()
    ]

    assert readers == []


# --- Planted ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ('A = env.str("SECRET")', {"SECRET": "none"}),
        ('A = env.bool("DEBUG", default=False)', {"DEBUG": "false"}),
        ('A = env.list("HOSTS", default=[])', {"HOSTS": "empty"}),
        ('A = HERE / env.str("HOME_OF", default="var")', {"HOME_OF": "var"}),
        ('env.db_url(f"{role.upper()}_URL", default="")', {"APP_URL": "empty"}),
        (
            'own = f"{role.upper()}_URL"\nif own in env.ENVIRON: env.db_url(own)',
            {"APP_URL": "empty"},
        ),
        (
            'own = f"{role}_URL"\nif env.ENVIRON.get(own): env.db_url(own)',
            {"APP_URL": "empty"},
        ),
        ('env.read_env(".env"); other.str("NAME")', {}),
    ],
)
def test_variable_of_the_settings_is_found(source: str, read: dict[str, str]):
    assert read_by_settings(source, ["app"]) == read


def test_variable_with_a_computed_name_is_refused():
    with pytest.raises(ValueError, match="unknown way to name a variable: name"):
        read_by_settings("env.str(name)", ["app"])


@pytest.mark.parametrize(
    "source",
    [
        'os.environ["PORT"]',
        'os.environ.get("PORT")',
        'os.getenv("PORT", "8000")',
        'self._given.get("PORT", str(DEFAULT))',
        '"PORT" in variables',
    ],
)
def test_variable_of_the_launcher_is_found(source: str):
    assert read_by_launcher(source) == {"PORT"}


@pytest.mark.parametrize(
    "source",
    [
        'env["PORT"] = "1"',
        '{"PORT": "1"}',
        'os.environ["PATH"]',
        'env.get("port")',
        'parts["PORT"]',
    ],
)
def test_what_the_launcher_does_not_read_is_not_found(source: str):
    assert read_by_launcher(source) == set()


def test_variable_that_is_explained_passes():
    text = "# Where it listens.\n# Default: 8000; of `make up`.\n# PORT=8080\n"

    assert complaints(text, {"PORT": "8000"}) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "PORT is not explained"),
        ("# Where.\n# Default: 1\n# PORT=2\nPORT=3\n", "PORT is set"),
        ("# Default: 1\n# PORT=2\n", "PORT has no purpose"),
        ("# Where.\n# PORT=2\n", "PORT has no default"),
        ("# Where.\n\n# Default: 1\n# PORT=2\n", "PORT has no purpose"),
        ("# Where.\n# Default: 1\n# PORT=\n", "PORT has no example"),
        (
            "# Where.\n# Default: 2\n# PORT=3\n",
            "PORT is said to be 2 by default, not 1",
        ),
    ],
)
def test_variable_that_is_explained_badly_is_caught(text: str, complaint: str):
    assert complaints(text, {"PORT": "1"}) == [complaint]


def test_variable_that_nobody_reads_is_caught():
    text = "# Where.\n# Default: 1\n# PORT=2\n"

    assert complaints(text, {}) == ["PORT is read by nobody"]


def test_secret_that_somebody_will_use_is_caught():
    text = "# Signs.\n# Default: none\n# SECRET_KEY=insecure\n"

    assert complaints(text, {"SECRET_KEY": "none"}) == [
        "SECRET_KEY has an example that somebody will use"
    ]


def test_variables_are_found_in_their_order():
    assert [variable.name for variable in environment.explained(EXAMPLE)][:2] == [
        "SECRET_KEY",
        "DATABASE_URL",
    ]
