"""The Docker files: nothing runs with more rights than it needs, and the sample settings are the real ones."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import yaml

from pipeline import serving
from pipeline.checks import settings_in_force
from pipeline.settings import PROJECT, Settings

SERVICES: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]


@pytest.mark.parametrize("name", ["app", "worker"])
def test_a_service_runs_without_rights_and_comes_back_by_itself(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"]
    assert service["restart"] == "unless-stopped"
    assert service["logging"]["options"]["max-size"]
    assert "state:/data" in service["volumes"]


def test_every_published_port_is_on_the_loopback_address_and_n8n_has_none() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(ports) == {"app", "mailpit"}
    assert all(port.startswith("127.0.0.1:") for published in ports.values() for port in published)


@pytest.mark.parametrize(("name", "profile"), [("n8n", "n8n"), ("mailpit", "demo"), ("postgres", "postgres")])
def test_what_only_some_want_waits_for_its_profile_and_has_few_rights(name: str, profile: str) -> None:
    service = SERVICES[name]
    assert service["profiles"] == [profile]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["healthcheck"]
    assert service["logging"]["options"]["max-size"]
    assert ":latest" not in service["image"]


def test_n8n_keeps_its_key_and_its_memory_of_sent_mails_on_a_volume() -> None:
    volumes = SERVICES["n8n"]["volumes"]
    assert volumes[0] == "n8n:/home/node/.n8n"
    assert SERVICES["n8n"]["environment"]["N8N_USER_FOLDER"] == "/home/node"  # start.sh keeps the key in .n8n there
    mounted = PROJECT / volumes[1].split(":")[0]
    for used in (*SERVICES["n8n"]["entrypoint"], *SERVICES["n8n"]["healthcheck"]["test"]):
        if used.startswith("/neopulse/"):
            assert (mounted / used.removeprefix("/neopulse/")).exists()


def test_the_postgres_profile_holds_no_secret_keeps_its_data_and_comes_before_those_that_need_it() -> None:
    postgres = SERVICES["postgres"]
    assert postgres["environment"]["POSTGRES_PASSWORD"] == "${POSTGRES_PASSWORD:-}"
    assert postgres["volumes"] == ["postgres:/var/lib/postgresql/data"]
    assert (postgres["user"], postgres["read_only"], "ports" in postgres) == ("postgres", True, False)
    assert "postgres" in yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["volumes"]
    for name in ("app", "worker"):
        # Not required: without the profile there is no such service, and SQLite serves.
        assert SERVICES[name]["depends_on"]["postgres"] == {"condition": "service_healthy", "required": False}
    assert "'.[postgres]'" in (PROJECT / "Dockerfile").read_text()  # the driver is in the image


def test_in_the_containers_the_logs_are_json_and_health_is_answered_inside_the_network_alone() -> None:
    assert SERVICES["worker"]["environment"]["NEOPULSE_LOG_FORMAT"] == "${NEOPULSE_LOG_FORMAT:-json}"
    assert SERVICES["worker"]["environment"]["NEOPULSE_HEALTH_PORT"] == "8502"
    assert "ports" not in SERVICES["worker"]


def test_every_image_that_is_not_built_here_is_pinned_to_a_release() -> None:
    images = {name: service["image"] for name, service in SERVICES.items() if "build" not in service}
    assert all(image.rpartition(":")[2][0].isdigit() or image.rpartition(":")[2].startswith("v") for image in images.values()), (
        images
    )


def test_the_image_runs_as_a_numbered_user_and_holds_no_secret() -> None:
    assert "USER 10001:10001" in (PROJECT / "Dockerfile").read_text().splitlines()
    allowed = (PROJECT / ".dockerignore").read_text().splitlines()
    assert allowed[1] == "*"
    assert not [line for line in allowed if "env" in line or "secret" in line]


def test_the_sample_settings_are_settings_with_their_defaults() -> None:
    lines = (PROJECT / ".env.example").read_text().splitlines()
    given = dict(line.removeprefix("# ").split("=", 1) for line in lines if line.startswith("# NEOPULSE_"))
    given.pop("NEOPULSE_RAW")  # has no default that one could show
    defaults = {setting.name: setting.default for setting in settings_in_force(None)}
    assert given == {name: defaults.get(name) for name in given}
    assert all(line.startswith("#") for line in lines if line)


@contextmanager
def answering(status: int) -> Iterator[int]:
    """What answers each question with that status; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def probes(port: int) -> dict[str, list[str]]:
    """The commands by which the containers are asked whether they are well, about what answers at that port."""
    dockerfile = (PROJECT / "Dockerfile").read_text().partition("HEALTHCHECK")[2].splitlines()[1]
    worker = SERVICES["worker"]
    commands = {"app": json.loads(dockerfile.strip().removeprefix("CMD ")), "worker": worker["healthcheck"]["test"][1:]}
    health_port = worker["environment"]["NEOPULSE_HEALTH_PORT"]
    return {
        name: [sys.executable if word == "python" else word.replace(f"{health_port},", f"{port},") for word in command]
        for name, command in commands.items()
    }


@pytest.mark.parametrize("name", ["app", "worker"])
def test_a_container_is_asked_itself_whatever_proxy_is_set_and_only_200_is_well(name: str) -> None:
    codes = []
    for status in (200, 503):
        with answering(status) as port:
            around = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "NEOPULSE_PORT": str(port)}
            codes.append(subprocess.run(probes(port)[name], env=around, check=False, timeout=30).returncode)
    assert codes == [0, 1]
    assert subprocess.run(probes(9)[name], env={"NEOPULSE_PORT": "9"}, stderr=subprocess.DEVNULL, check=False).returncode == 1


def test_the_demo_asks_its_own_app_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with answering(200) as port:
        assert serving.is_answering(Settings(_env_file=None, port=port))  # type: ignore[call-arg]
