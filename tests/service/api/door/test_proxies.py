"""What proxies say of their callers is believed where they were named, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request

from indexer.errors import BadRequest
from service.api.config import ServeConfig
from service.api.door.hosts import check_proxies
from service.cli.main import main
from tests.serving import running

SAID = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "Forwarded": "for=203.0.113.8;proto=https;host=evil.example",
}


def seen(config: ServeConfig, headers: dict[str, str]) -> tuple[str, str, str]:
    """Client, scheme and host as a route has them."""
    app = FastAPI()
    app.state.config = config

    @app.get("/")
    def seen(request: Request) -> list[str]:
        assert request.client is not None
        return [request.client.host, request.url.scheme, request.url.hostname or ""]

    with running(app) as url:
        client, scheme, host = httpx.get(url, headers=headers).json()
    return client, scheme, host


def test_nobody_is_believed_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own word for it
    assert seen(ServeConfig(), SAID) == ("127.0.0.1", "http", "127.0.0.1")
    elsewhere = ServeConfig(trust_proxies=("10.0.0.0/8",))
    assert seen(elsewhere, SAID) == ("127.0.0.1", "http", "127.0.0.1")


@pytest.mark.parametrize("named", ["127.0.0.1", "127.0.0.0/8"])
def test_a_named_proxy_is_believed_of_address_and_scheme(named: str) -> None:
    trusting = ServeConfig(trust_proxies=(named,))
    assert seen(trusting, SAID) == ("203.0.113.7", "https", "127.0.0.1")
    # What stands before the last address that is not the proxy's own, anybody may have written.
    chain = {**SAID, "X-Forwarded-For": "198.51.100.1, 203.0.113.7, 127.0.0.1"}
    assert seen(trusting, chain)[0] == "203.0.113.7"


def test_only_addresses_are_proxies(capsys: pytest.CaptureFixture[str]) -> None:
    check_proxies(ServeConfig(trust_proxies=("::1", "10.0.0.2", "10.0.0.0/24")))
    for wrong in ("*", "proxy.example", "10.0.0.1/24"):
        with pytest.raises(BadRequest, match=r"^--trust-proxy: "):
            check_proxies(ServeConfig(trust_proxies=(wrong,)))
    assert main(["serve", "no.lake", "--trust-proxy", "proxy"]) != 0
    assert "'proxy' is no address like 10.0.0.2 or 10.0.0.0/24" in capsys.readouterr().err


def test_it_is_a_variable_too() -> None:
    config = ServeConfig.from_env({"LAKESIFT_TRUST_PROXIES": "10.0.0.2, 10.1.0.0/16"})
    assert config == replace(ServeConfig(), trust_proxies=("10.0.0.2", "10.1.0.0/16"))
