"""docker-compose.yml, as far as it can be checked without an engine."""

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


@pytest.mark.parametrize("name", OURS)
def test_ours_are_no_root(name: str):
    assert SERVICES[name]["user"] == "10001"


@pytest.mark.parametrize("name", sorted({*SERVICES} - {"migrate"}))
def test_what_stays_up_has_a_health_check(name: str):
    assert SERVICES[name]["healthcheck"]["test"]


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
