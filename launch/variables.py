"""Environment variables: what was given, and what each process gets."""

from collections.abc import Mapping
from pathlib import Path

from launch import purser
from launch.failures import CannotStart
from launch.home import Home

DEFAULT_PORT = 8000
DEMO_RECORDS = 300_000
_MOST_RECORDS = 100_000_000


def read_env_file(path: Path) -> dict[str, str]:
    """KEY=VALUE lines; `export`, quotes around a value, comments and blanks allowed."""
    if not path.is_file():
        return {}
    variables = {}
    for line in path.read_text().splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            variables[name.strip()] = _unquoted(value.strip())
    return variables


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def given(checkout: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment over the checkout's `.env`; an empty value counts as none."""
    variables = read_env_file(checkout / ".env") | dict(environment)
    return {name: value for name, value in variables.items() if value}


def home(checkout: Path, variables: Mapping[str, str]) -> Home:
    """PURSER_HOME, relative to the checkout; `var` unless given."""
    path = Path(variables.get("PURSER_HOME", "var")).expanduser()
    return Home((checkout / path).absolute())


def port(variables: Mapping[str, str]) -> int:
    text = variables.get("PORT", str(DEFAULT_PORT))
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise CannotStart(f"PORT={text} is not a port: give a number from 1 to 65535.")


def demo_records(variables: Mapping[str, str]) -> int:
    """How many records the demo gets, about; on somebody's own server none unasked."""
    default = 0 if "DATABASE_URL" in variables else DEMO_RECORDS
    text = variables.get("DEMO_RECORDS", str(default))
    if text.isascii() and text.isdigit() and int(text) <= _MOST_RECORDS:
        return int(text)
    raise CannotStart(
        f"DEMO_RECORDS={text} is not a number of records: give one from 0 to"
        f" {_MOST_RECORDS:,}, without commas."
    )


def address(variables: Mapping[str, str]) -> str:
    """Where what `make up` starts answers."""
    return f"http://{purser.HOST}:{port(variables)}"


def without_libpq(variables: Mapping[str, str]) -> dict[str, str]:
    """Drop PGHOST, PGPORT, PGOPTIONS …: they would bend the embedded server's URL."""
    return {name: value for name, value in variables.items() if name[:2] != "PG"}


def for_processes(given: Mapping[str, str], home: Home) -> dict[str, str]:
    """What every process of Purser gets: our defaults, under what was given."""
    defaults = {
        "SECRET_KEY": home.secret_key(),
        "DEBUG": "false",
        "HTTPS_ONLY": "false",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "PUBLIC_URL": address(given),
        # A log that is read while its process runs, and after a kill.
        "PYTHONUNBUFFERED": "1",
    }
    return {**defaults, **given, "PURSER_HOME": str(home.path)}
