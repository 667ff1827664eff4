"""What was given, and what the processes get."""

from pathlib import Path

import pytest

from launch import variables
from launch.failures import CannotStart
from launch.home import Home


def test_env_file_is_read_simply(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# DATABASE_URL=no\n\nPORT=8001\nexport SECRET_KEY='a=b'\nALLOWED_HOSTS=\"*\"\n x\n"
    )

    assert variables.read_env_file(tmp_path / ".env") == {
        "PORT": "8001",
        "SECRET_KEY": "a=b",
        "ALLOWED_HOSTS": "*",
    }
    assert variables.read_env_file(tmp_path / "none") == {}


def test_environment_wins_over_the_file_and_empty_is_not_given(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=8001\nDEBUG=true\nDATABASE_URL=\n")

    given = variables.given(tmp_path, {"PORT": "8002"})

    assert given == {"PORT": "8002", "DEBUG": "true"}
    assert variables.port(given) == 8002


def test_home_is_relative_to_the_checkout(tmp_path: Path) -> None:
    assert variables.home(tmp_path, {}).path == tmp_path / "var"
    assert variables.home(tmp_path, {"PURSER_HOME": "x"}).path == tmp_path / "x"
    assert variables.home(tmp_path, {"PURSER_HOME": "/x"}).path == Path("/x")


@pytest.mark.parametrize("text", ["no", "0", "65536", "-1", "8000.0", "٨"])
def test_what_is_no_port_is_told(text: str) -> None:
    with pytest.raises(CannotStart, match=f"PORT={text} is not a port"):
        variables.port({"PORT": text})


def test_somebodys_own_server_gets_no_records_unasked() -> None:
    url = {"DATABASE_URL": "postgresql://somewhere/else"}

    assert variables.demo_records({}) == 300_000
    assert variables.demo_records(url) == 0
    assert variables.demo_records(url | {"DEMO_RECORDS": "5"}) == 5
    assert variables.demo_records({"DEMO_RECORDS": "0"}) == 0


def test_given_values_win_and_the_key_stays(tmp_path: Path) -> None:
    home = Home(tmp_path)

    first = variables.for_processes({"DEBUG": "true", "PURSER_HOME": "x"}, home)
    second = variables.for_processes({}, home)

    assert first["DEBUG"] == "true"
    assert second["DEBUG"] == "false"
    assert first["PURSER_HOME"] == str(tmp_path)
    assert first["SECRET_KEY"] == second["SECRET_KEY"] != ""
    assert (tmp_path / "secret-key").stat().st_mode & 0o777 == 0o600


def test_links_lead_to_the_port_unless_an_address_is_given(tmp_path: Path) -> None:
    home = Home(tmp_path)
    public = {"PUBLIC_URL": "https://purser.example.com"}

    assert variables.for_processes({}, home)["PUBLIC_URL"] == "http://127.0.0.1:8000"
    at_9000 = variables.for_processes({"PORT": "9000"}, home)
    assert at_9000["PUBLIC_URL"] == "http://127.0.0.1:9000"
    assert (
        variables.for_processes({"PORT": "9000", **public}, home).items() >= public.items()
    )


def test_libpq_variables_do_not_reach_an_embedded_server() -> None:
    given = {"PGHOST": "elsewhere", "PGPORT": "1", "PATH": "/bin"}

    assert variables.without_libpq(given) == {"PATH": "/bin"}
