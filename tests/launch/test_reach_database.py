"""What is said of a DATABASE_URL that does not work, and that it is no password."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from launch import reach_database, temporary
from launch.postgres import find_binaries

Complaint = Callable[[str], str]


@pytest.fixture
def complaint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Complaint:
    """What the check says of a URL; empty when the database can be used."""

    def complaint(url: str) -> str:
        monkeypatch.setenv("DATABASE_URL", url)
        code = reach_database.main()
        said = capsys.readouterr()
        assert said.err == ""
        assert code == (1 if said.out else 0)
        return said.out

    return complaint


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The query part of URLs of a server that asks for a password."""
    with temporary.server(find_binaries(Path(sys.prefix))) as server:
        with psycopg.connect(server.url(user="postgres"), autocommit=True) as superuser:
            superuser.execute("ALTER ROLE purser PASSWORD 'open sesame'")
            row = superuser.execute("SHOW hba_file").fetchone()
            assert row
            Path(row[0]).write_text("local all all scram-sha-256\n")
            superuser.execute("SELECT pg_reload_conf()")
        yield server.url().partition("?")[2]


def test_url_that_works_is_not_complained_of(guarded: str, complaint: Complaint) -> None:
    assert complaint(f"postgresql://purser:open%20sesame@/purser?{guarded}") == ""


@pytest.mark.parametrize(
    ("user", "database", "reason"),
    [
        ("purser:secret", "purser", 'password authentication failed for user "purser"'),
        ("purser", "purser", "no password supplied"),
        ("purser:open%20sesame", "nope", 'database "nope" does not exist'),
    ],
)
def test_refusal_of_the_server_is_told(
    guarded: str, complaint: Complaint, user: str, database: str, reason: str
) -> None:
    said = complaint(f"postgresql://{user}@/{database}?{guarded}")

    assert said.startswith(f"DATABASE_URL cannot be used: database {database} on /")
    assert reason in said
    assert said.count("\n") == 1
    assert "secret" not in said
    assert "sesame" not in said


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://u:secret@127.0.0.1:1/x", "on 127.0.0.1:1 as user u: Connection"),
        ("postgres://u:secret@nowhere.invalid/x", "failed to resolve host"),
        ("postgresql:///x?host=/nowhere", "No such file or directory"),
        ("postgresql://u:secret@127.0.0.1/x?sslmode=secretly", "invalid sslmode"),
        ("mysql://u:secret@127.0.0.1/x", "has to name a PostgreSQL database"),
        ("sqlite:///x", "has to name a PostgreSQL database"),
        ("postgresql://u:secret@127.0.0.1/", "cannot be read as postgresql://USER:"),
        ("127.0.0.1:5432", "cannot be read as postgresql://USER:"),
        ("nonsense", "cannot be read as postgresql://USER:"),
        ("postgresql://u:secret@127.0.0.1:port/x", "cannot be read as"),
    ],
)
def test_wrong_url_is_told_in_one_sentence(
    complaint: Complaint, url: str, reason: str
) -> None:
    said = complaint(url)

    assert reason in said
    assert said.count("\n") == 1
    assert "secret@" not in said


@pytest.mark.parametrize("special", ["@", "/", ":", "#", "?", "%", "]", "[", " ", "&"])
@pytest.mark.parametrize("place", ["12345{}67890", "hush{}shh", "{}hush", "1{}hush"])
def test_unquoted_password_is_never_repeated(
    complaint: Complaint, special: str, place: str
) -> None:
    password = place.format(special)

    said = complaint(f"postgresql://u:{password}@127.0.0.1:1/x")

    assert said
    for piece in password.split(special):
        assert len(piece) < 3 or piece not in said
