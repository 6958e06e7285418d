"""The files of `deploy/`: what they say is understood, and the commands that they name do it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from PIL import Image

from indexer.disk.layout import Layout
from indexer.disk.manifest import read_manifest
from tests.floors import ROOT
from tests.test_packaging import build, sources

DEPLOY = ROOT / "deploy"
KUBERNETES = [
    each
    for name in ("index.yaml", "serve.yaml")
    for each in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text())
]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
WITH_POSTGRES = yaml.safe_load((DEPLOY / "compose.postgres.yaml").read_text())


class Machine:
    """Runs the commands as a container would, with its folders below one of ours."""

    def __init__(self, root: Path, bucket: str) -> None:
        self._root, self._bucket = root, bucket
        bin_ = root / "bin"
        bin_.mkdir()
        script = bin_ / "lakesift"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m service.cli "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        self.env = {
            **os.environ,
            "PATH": f"{bin_}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "LAKESIFT_STATE": str(root / "state"),
            "LAKESIFT_CACHE": str(root / "cache"),
            "LAKESIFT_PORT": "0",
        }

    def here(self, word: str) -> str:
        word = word.replace("s3://bucket/", f"s3://{self._bucket}/")
        return re.sub(r"(?<![\w/.])/(data|lakes|photos|state)\b", rf"{self._root}/\1", word)

    def start(self, words: list[str], **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.here(word) for word in words],
            env={**self.env, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, words: list[str], **variables: str) -> str:
        process = self.start(words, **variables)
        out, said = process.communicate(timeout=120)
        assert process.returncode == 0, (words, out, said)
        return said


@pytest.fixture
def machine(tmp_path: Path, bucket: tuple[str, Any]) -> Machine:
    for name in ("photos", "data/photos"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(4):
            colour = (60 * number, 255 - 60 * number, 90)
            Image.new("RGB", (32, 32), colour).save(tmp_path / name / f"{number}.png")
    for name in ("lakes", "state"):
        (tmp_path / name).mkdir()
    return Machine(tmp_path, bucket[0])


def words_of(container: dict[str, Any]) -> list[str]:
    """What a container runs; the image's entry point is `lakesift`."""
    return container.get("command") or ["lakesift", *container["args"]]


def pod_of(kind: str, name: str) -> dict[str, Any]:
    [found] = [
        each for each in KUBERNETES if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def said_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError(said)


@pytest.mark.slow
def test_kubernetes_makes_a_lake_on_many_machines_and_others_serve_it(
    machine: Machine, tmp_path: Path
) -> None:
    [parts] = pod_of("Job", "lake-parts")["containers"]
    words = words_of(parts)
    [job] = [each for each in KUBERNETES if each["metadata"]["name"] == "lake-parts"]
    assert f"/{job['spec']['completions']}" == re.findall(r"/\d+$", words[-1])[0]
    for index in "01":  # two instead of sixteen
        fewer = [*words[:-1], words[-1].replace("/16", "/2")]
        machine.run(fewer, JOB_COMPLETION_INDEX=index)
    commit = pod_of("Job", "lake-commit")
    for container in (*commit["initContainers"], *commit["containers"]):
        machine.run(words_of(container))
    deployment = pod_of("Deployment", "lakesift")
    for container in deployment["initContainers"]:
        machine.run(words_of(container))
    assert read_manifest(Layout(tmp_path / "lakes" / "my.lake"))[0].live_rows == 4
    pulling, serving = map(words_of, deployment["containers"])
    machine.run(["lakesift", "key", "add", "callers", "--scope", "read"])
    [service] = [each for each in deployment["containers"] if each["name"] == "serve"]
    secrets = {
        each["name"]: each["value"] for each in service["env"] if "value" in each
    }  # its names of hosts
    follower = machine.start(pulling)
    server = machine.start(serving, LAKESIFT_CURSOR_SECRET="00" * 32, **secrets)
    try:
        url = said_until(server, r"serving at (http://\S+) ")[1]
        said_until(follower, r"my\.lake has snapshot \d+ of 4 images")
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            get = service[probe]["httpGet"]
            headers = {each["name"]: each["value"] for each in get["httpHeaders"]}
            answer = httpx.get(f"{url}{get['path']}", headers=headers, timeout=60)
            assert answer.status_code == 200, (probe, answer.text)
        # A probe without its Host, which is the pod's address, is refused: so the file has one.
        strange = {"Host": "10.1.2.3:8377"}
        assert httpx.get(f"{url}/healthz", headers=strange).status_code == 403
        follower.terminate()
        assert follower.wait(30) == 0
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert httpx.get(f"{url}/readyz").status_code == 503
        out, _ = server.communicate(timeout=60)
        pod_s = deployment["terminationGracePeriodSeconds"]
        assert 10 <= time.monotonic() - began < pod_s
        assert '"route": "/readyz", "status": 503' in out
    finally:
        for process in (follower, server):
            process.kill()
            process.communicate()


@pytest.mark.slow
def test_compose_indexes_and_serves_behind_a_key_that_it_makes(
    machine: Machine, tmp_path: Path
) -> None:
    services = COMPOSE["services"]
    machine.run(["lakesift", *services["index"]["command"]])
    following = machine.start(["lakesift", *services["sync"]["command"]])
    [script] = services["serve"]["command"]
    server = machine.start([*services["serve"]["entrypoint"], script])
    try:
        url = said_until(server, r"serving at (http://\S+) ")[1]
        assert httpx.get(f"{url}/v1/lakes").status_code == 401
        key = (tmp_path / "state" / "first-key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{url}/v1/lakes", headers=headers).json()["lakes"][0]["rows"] == 4
        assert stat.S_IMODE((tmp_path / "state" / "first-key").stat().st_mode) == 0o600
        check = services["serve"]["healthcheck"]["test"]
        assert check[:3] == ["CMD", "python", "-c"]
        port = url.rpartition(":")[2]
        machine.run([sys.executable, "-c", check[3].replace(":8377", f":{port}")])
    finally:
        for process in (following, server):
            process.kill()
            process.communicate()


@pytest.mark.slow
def test_compose_with_postgres_brings_the_lake_there_and_searches_it(
    machine: Machine, tmp_path: Path, database: str
) -> None:
    services = WITH_POSTGRES["services"]
    machine.run(["lakesift", *COMPOSE["services"]["index"]["command"]])
    [script] = services["push"]["command"]
    there = {"LAKESIFT_ENGINE": database, "PUSH_EVERY_S": "1"}
    pushing = machine.start([*services["push"]["entrypoint"], script.replace("$$", "$")], **there)
    [command] = COMPOSE["services"]["serve"]["command"]
    server = machine.start([*COMPOSE["services"]["serve"]["entrypoint"], command], **there)
    try:
        for said in ("4 rows sent", "0 rows sent"):  # again and again, and only what is new
            said_until(pushing, said)
        url = said_until(server, r"serving at (http://\S+) ")[1]
        key = (tmp_path / "state" / "first-key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        body = {"texts": ["red"], "k": 2}
        until = time.monotonic() + 60
        while True:
            answer = httpx.post(f"{url}/v1/search", json=body, headers=headers, timeout=60).json()
            if answer["searched"].get("engine") == "pgvector" or time.monotonic() > until:
                break
            time.sleep(0.2)
        assert answer["searched"]["engine"] == "pgvector", answer
        assert len(answer["hits"]) == 2
        pushing.terminate()
        assert pushing.wait(60) == 0
    finally:
        for process in (pushing, server):
            process.kill()
            process.communicate()


def test_what_compose_says_of_postgres_fits_together() -> None:
    services = WITH_POSTGRES["services"]
    for name in ("push", "serve"):
        engine = httpx.URL(services[name]["environment"]["LAKESIFT_ENGINE"])
        assert engine.host in services, name
        made = services[engine.host]["environment"]
        assert engine.username == made["POSTGRES_USER"], name
        assert engine.path == f"/{made['POSTGRES_DB']}", name
        assert services[name]["environment"]["PGPASSWORD"] == made["POSTGRES_PASSWORD"], name


def exec_lines() -> Iterator[tuple[str, list[str]]]:
    for path in sorted((DEPLOY / "systemd").glob("*.service")):
        for line in path.read_text().splitlines():
            if line.startswith("Exec"):
                yield path.name, line.partition("=")[2].split()


@pytest.mark.slow
def test_systemd_s_commands_run(machine: Machine, tmp_path: Path) -> None:
    machine.run(["lakesift", "index", "/data/photos", "--into", "/data/my.lake"])
    for name, words in exec_lines():
        assert words[0] == "/opt/lakesift/bin/lakesift", name
        ours = ["lakesift", *words[1:]]
        if words[1] != "serve":
            machine.run(ours)
            continue
        server = machine.start(ours)
        try:
            said_until(server, r"serving at (http://\S+) ")
        finally:
            server.kill()
            server.communicate()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_understands_its_units(tmp_path: Path) -> None:
    units = []
    for path in (DEPLOY / "systemd").iterdir():
        copy = tmp_path / path.name
        copy.write_text(path.read_text().replace("/opt/lakesift/bin/lakesift", "/bin/true"))
        units.append(str(copy))
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    bad = Path(units[0])
    bad.write_text(bad.read_text().replace("[Unit]", "[Unit]\nNoSuchThing=1"))
    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, timeout=60
    )
    assert "NoSuchThing" in done.stderr  # it would have said so


def test_all_places_of_kubernetes_and_compose_are_there() -> None:
    """A volume that is mounted is declared, a service that is waited for exists."""
    for each in KUBERNETES:
        if each["kind"] == "Service":
            continue
        pod = each["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        containers = [*pod.get("initContainers", ()), *pod["containers"]]
        mounted = {mount["name"] for container in containers for mount in container["volumeMounts"]}
        assert mounted == volumes, each["metadata"]["name"]
    both = {**COMPOSE["services"], **WITH_POSTGRES["services"]}
    for file in (COMPOSE, WITH_POSTGRES):
        for name, service in file["services"].items():
            assert set(service.get("depends_on", {})) <= set(both)
            named = {each.partition(":")[0] for each in service.get("volumes", ())} - {"${PHOTOS"}
            if name == "postgres":  # whose files are nobody else's
                assert named == {"postgres"} == set(WITH_POSTGRES["volumes"])
            elif named:
                assert named == set(COMPOSE["volumes"]), name


def test_the_image_installs_extras_that_there_are() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    docker = (DEPLOY / "Dockerfile").read_text()
    [wanted] = re.findall(r'"\.\[([a-z0-9,-]+)\]"', docker)
    assert set(wanted.split(",")) <= set(extras)
    assert {"bucket", "pgvector", "traces"} <= set(wanted.split(","))


@pytest.mark.slow
def test_what_docker_is_given_is_enough_to_build_from(tmp_path: Path) -> None:
    """And no more: a folder of photos or keys beside the code goes into no image."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    given = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines and (DEPLOY / "Dockerfile").read_text().count("COPY . .") == 1
    for name in sources():
        if name.split("/")[0] in given:
            copy = tmp_path / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy)
    assert {path.name for path in tmp_path.iterdir()} == given
    assert build(tmp_path, 0o022).wheel.stat().st_size > 1_000_000
