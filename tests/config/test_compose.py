"""docker-compose.yml, as far as it can be checked without an engine."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("migrate", "web", "worker", "sender", "beat")


def test_it_runs_what_the_launcher_runs():
    assert set(SERVICES) == {"postgres", *OURS}


@pytest.mark.parametrize("name", SERVICES)
def test_every_root_is_read_only_and_without_privileges(name: str):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_runs_as_root(name: str):
    assert SERVICES[name]["user"] == ("999:999" if name == "postgres" else "10001")
    assert "cap_add" not in SERVICES[name]


@pytest.mark.parametrize("name", sorted({*SERVICES} - {"migrate"}))
def test_what_stays_up_has_a_health_check(name: str):
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize(("age", "code"), [(0, 0), (100, 0), (140, 1), (None, 1)])
@pytest.mark.parametrize("name", ["worker", "sender", "beat"])
def test_who_has_no_address_is_asked_for_its_heartbeat(
    name: str, age: int | None, code: int, tmp_path: Path
):
    """The command itself, as the engine hands it to a shell."""
    kept_in = str(Path(SERVICES[name]["environment"]["HEARTBEAT_FILE"]).parent)
    shell, command = SERVICES[name]["healthcheck"]["test"]
    file = tmp_path / "heartbeat"
    if age is not None:
        file.touch()
        then = file.stat().st_mtime - age
        os.utime(file, (then, then))

    asked = subprocess.run(
        ["/bin/sh", "-c", command.replace("$$", "$")],
        env={"PATH": os.environ["PATH"], "HEARTBEAT_FILE": str(file)},
        capture_output=True,
        check=False,
    )

    assert kept_in in SERVICES[name]["tmpfs"]
    assert shell == "CMD-SHELL"
    assert asked.returncode == code


def test_the_web_check_is_answered_whatever_hosts_are_allowed():
    """It asks 127.0.0.1, which is no host name that anybody would think of."""
    hosts = SERVICES["web"]["environment"]["ALLOWED_HOSTS"]

    assert hosts.partition("}")[2] == ",127.0.0.1"


@pytest.mark.parametrize("name", ["PUBLIC_URL", "EMAIL_URL", "DEFAULT_FROM_EMAIL"])
def test_alerts_can_be_sent_from_it(name: str):
    assert SERVICES["sender"]["environment"][name].startswith(f"${{{name}:-")


def test_each_process_has_the_role_of_its_task():
    roles = {name: SERVICES[name]["environment"]["DATABASE_ROLE"] for name in OURS}

    assert roles == {
        "migrate": "owner",
        "web": "app",
        **dict.fromkeys(("worker", "sender", "beat"), "worker"),
    }


@pytest.mark.parametrize("name", ["web", "worker", "sender", "beat"])
def test_nothing_serves_before_the_tables_are_there(name: str):
    waits = SERVICES[name]["depends_on"]["migrate"]["condition"]

    assert waits == "service_completed_successfully"


def test_the_web_port_is_open_to_this_machine_alone():
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["web"]["ports"])


def test_no_secret_has_a_default():
    text = (ROOT / "docker-compose.yml").read_text()

    for secret in ("SECRET_KEY", "POSTGRES_PASSWORD"):
        assert f"${{{secret}:?" in text
        assert f"${{{secret}:-" not in text


@pytest.mark.parametrize("line", (ROOT / "Dockerfile").read_text().splitlines())
def test_the_image_copies_what_exists(line: str):
    if line.startswith("COPY ") and "--from" not in line:
        assert (ROOT / line.split()[1]).exists()


def test_the_image_does_not_run_as_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()

    assert "USER purser" in lines
    assert lines.index("USER purser") > lines.index("COPY templates templates")
