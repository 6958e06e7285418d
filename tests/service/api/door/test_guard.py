"""The guard, attacked: names, pages of other sites, keys, sessions."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

from indexer.errors import BadRequest, KeysDamaged
from service.api.answers import error_response
from service.api.app import create_app
from service.api.config import ServeConfig
from service.api.door.access import NEEDS, Access, Need, scope_needed
from service.api.door.attempts import Attempts
from service.api.door.guard import Guard, check_start
from service.api.door.hosts import Host, is_loopback, same_origin
from service.api.door.sessions import Sessions
from service.api.routes import session
from service.api.serving.keys import KeyStore
from tests.service.api.conftest import four_colours

HOME = "http://localhost:8377"
OPEN = ServeConfig()
LOCKED = ServeConfig(require_key=True)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "state")


def echo(request: Request) -> Response:
    return PlainTextResponse(f"{request.method} {request.url.path}")


def client(
    config: ServeConfig, keys: KeyStore, access: Access | None = None, base_url: str = HOME
) -> TestClient:
    """A service with the real session route; all other paths answer what they were asked."""
    app = FastAPI()
    app.include_router(session.router)
    app.add_route("/{path:path}", echo, methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"])
    app.add_middleware(Guard, config=config, keys=keys, access=access)
    return TestClient(app, base_url=base_url)


@pytest.fixture
def opened(keys: KeyStore) -> Iterator[TestClient]:
    with client(OPEN, keys) as made:
        yield made


@pytest.fixture
def locked(keys: KeyStore) -> Iterator[TestClient]:
    with client(LOCKED, keys) as made:
        yield made


def refused(answer: Any, status: int, code: str) -> str:
    """The sentence of an answer that must be this refusal."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert list(answer.json()) == ["error"]
    assert list(error) == ["code", "message", "field"]
    assert (error["code"], error["field"]) == (code, None)
    assert answer.headers["cache-control"] == "no-store"
    return str(error["message"])


# -- Host


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST:8377", "localhost.", "localhost.:1", "127.0.0.1", "127.0.0.1:65535", "[::1]",
        "[::1]:8377", "[0:0:0:0:0:0:0:1]", "localhost:",
    ],
)  # fmt: skip
def test_names_of_this_machine_are_known(opened: TestClient, host: str) -> None:
    answer = opened.get("/v1/lakes", headers={"Host": host})
    if host.endswith(":"):
        refused(answer, 403, "host_not_allowed")  # no browser sends it
    else:
        assert answer.text == "GET /v1/lakes"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8377", "localhost.evil.example", "evil-localhost", "localhost@evil.example",
        "localhost:8377@evil.example", "evil.example@localhost", "user:pw@localhost:8377", "localhost:8377:80",
        "localhost:x", "localhost:123456", "localhost..", ".localhost", "", " ", "local host", "localhost/",
        "localhost#", "localhost,evil.example", "localhost\\.evil.example", "127.0.0.1.evil.example", "127.1",
        "2130706433", "0x7f.0.0.1", "0.0.0.0", "127.0.0.2", "[::1", "::1", "[::ffff:127.0.0.1]", "[::2]", "[evil]",
        "[::1]evil", "[::1]:", "\u0142ocalhost".encode("utf-8").decode("latin-1"), "localhost\x00", "*",
    ],
)  # fmt: skip
def test_other_names_are_refused_on_every_route(opened: TestClient, host: str) -> None:
    for path in ("/", "/page/search/search.js", "/healthz", "/v1/lakes", "/v1/session"):
        message = refused(
            opened.get(path, headers=[(b"host", host.encode("latin-1"))]), 403, "host_not_allowed"
        )
        assert "--allow-host" in message or "is not a host and a port" in message


def test_a_rebound_name_is_told_how_to_become_known(opened: TestClient) -> None:
    message = refused(
        opened.get("/", headers={"Host": "Photos.Example.com:8377"}), 403, "host_not_allowed"
    )
    assert message == (
        "this service is not known as photos.example.com; if it should be, start it with "
        "--allow-host photos.example.com"
    )


def test_allowed_and_bound_hosts_are_known(keys: KeyStore) -> None:
    secret = keys.add("laptop")[1]
    config = ServeConfig(
        host="192.168.1.5", allow_hosts=("Photos.Example.com.", "fd00::0:5", "box:9000")
    )
    with client(config, keys) as made:
        for host in (
            "192.168.1.5:8377",
            "photos.example.com",
            "PHOTOS.example.com.:443",
            "[fd00::5]:1",
            "box:1",
        ):
            assert made.get("/x", headers={"Host": host, "X-API-Key": secret}).text == "GET /x"
        refused(made.get("/x", headers={"Host": "a.photos.example.com"}), 403, "host_not_allowed")


@pytest.mark.parametrize(
    "name", ["https://photos.example.com", "*", "*.example.com", "a b", "", "a/b", "u@a"]
)
def test_an_allowed_host_that_is_no_name_stops_the_start(keys: KeyStore, name: str) -> None:
    with pytest.raises(BadRequest, match=r"--allow-host: .* is not a name like photos.example.com"):
        check_start(ServeConfig(allow_hosts=(name,)), keys)


@pytest.mark.parametrize("name", ["Host", "Origin"])
def test_a_header_sent_twice_is_refused(opened: TestClient, name: str) -> None:
    first = "localhost:8377" if name == "Host" else HOME
    answer = opened.get(
        "/v1/lakes", headers=[(name, first), (name, first.replace("localhost", "evil.example"))]
    )
    message = refused(answer, 400, "invalid_request")
    assert message == f"the header {name} was sent 2 times; send it once"


# -- Origin, and what browsers say of where a request comes from


@pytest.mark.parametrize(
    ("base", "origin"),
    [
        ("http://localhost:8377", "http://localhost:8377"),
        ("http://localhost:8377", "HTTP://LocalHost:8377"),
        ("http://127.0.0.1:8377", "http://127.0.0.1:8377"),
        ("http://[::1]:8377", "http://[::1]:8377"),
        ("http://localhost", "http://localhost:80"),
        ("https://localhost", "https://localhost"),
        ("https://localhost:443", "https://localhost"),
    ],
)
def test_the_services_own_page_is_taken(keys: KeyStore, base: str, origin: str) -> None:
    with client(OPEN, keys, base_url=base) as made:
        assert made.post("/v1/search", headers={"Origin": origin}).text == "POST /v1/search"


@pytest.mark.parametrize(
    "origin",
    [
        "null", "", "http://evil.example", "http://localhost", "http://localhost:3000", "https://localhost:8377",
        "http://127.0.0.1:8377", "http://localhost:8377.evil.example", "http://localhost:8377@evil.example",
        "http://user@localhost:8377", "http://localhost:8377/", "http://localhost:8377/x", "http://localhost:8377?x",
        "http://localhost:8377 http://evil.example", "file://", "localhost:8377", "//localhost:8377", "http://[::1",
        "chrome-extension://localhost:8377", "http://localhost:8377#",
    ],
)  # fmt: skip
def test_pages_of_others_are_refused(opened: TestClient, origin: str) -> None:
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        answer = opened.request(method, "/v1/session", headers={"Origin": origin})
        assert "only from this service's own page at http://localhost:8377" in refused(
            answer, 403, "origin_not_allowed"
        )
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_sites_page_loads_is_refused_and_links_are_followed(
    opened: TestClient, site: str
) -> None:
    def ask(method: str, mode: str, dest: str) -> Any:
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
        return opened.request(method, "/", headers=headers)

    for method, mode, dest in (
        ("GET", "no-cors", "image"),
        ("GET", "no-cors", "script"),
        ("GET", "cors", "empty"),
        ("GET", "navigate", "iframe"),
        ("GET", "navigate", "object"),
        ("POST", "navigate", "document"),
    ):
        refused(ask(method, mode, dest), 403, "origin_not_allowed")
    assert ask("GET", "navigate", "document").text == "GET /"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_what_ones_own_page_or_a_person_asks_for_is_taken(opened: TestClient, site: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    assert opened.get("/v1/lakes", headers=headers).status_code == 200


def test_web_sockets_do_not_slip_past(opened: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect) as ended, opened.websocket_connect("/v1/search"):
        pass
    assert ended.value.code == 1008


# -- keys


def test_on_loopback_no_key_is_asked_for(opened: TestClient) -> None:
    assert opened.post("/v1/search").text == "POST /v1/search"
    assert opened.delete("/v1/lakes/x").text == "DELETE /v1/lakes/x"
    assert opened.get("/v1/session").json() == {
        "key_needed": False, "signed_in": False, "name": None, "scopes": ["read", "label", "write"],
    }  # fmt: skip


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_opens_by_either_header(locked: TestClient, keys: KeyStore, header: str) -> None:
    secret = keys.add("laptop")[1]
    for sent in (
        ("Bearer " + secret, "bearer  " + secret) if header == "Authorization" else (secret,)
    ):
        assert locked.get("/v1/lakes", headers={header: sent}).text == "GET /v1/lakes"
        assert locked.post("/v1/search", headers={header: sent}).text == "POST /v1/search"
        assert locked.head("/v1/lakes", headers={header: sent}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/page/search/search.js", "/page/", "/healthz", "/readyz", "/favicon.ico", "/v1/session"],
)
def test_the_page_and_its_sign_in_are_open(locked: TestClient, path: str) -> None:
    assert locked.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/lakes", "/v1/lakes/x/rows/1/image", "/docs", "/docs/start.js", "/openapi.json", "/metrics", "/readyz/",
        "/page", "/pages/x", "//", "/v1/session/", "/v1/session/x", "/v1/sessions", "/healthz/", "/nonsense",
        "/V1/session", "//page/x",
    ],
)  # fmt: skip
def test_everything_else_needs_a_key(locked: TestClient, path: str) -> None:
    answer = locked.get(HOME + path)
    assert "lakesift key add NAME" in refused(answer, 401, "key_needed")
    assert answer.headers["www-authenticate"] == 'Bearer realm="lakesift"'


def test_open_paths_are_open_for_reading_only(locked: TestClient) -> None:
    for path in ("/", "/page/search/search.js", "/healthz", "/readyz", "/favicon.ico"):
        refused(locked.post(path), 401, "key_needed")


def test_a_wrong_key_is_refused(locked: TestClient, keys: KeyStore) -> None:
    _, secret = keys.add("laptop")
    for wrong in (secret[:-1], "lks_", "x" * 5_000):
        answer = locked.get("/v1/lakes", headers={"Authorization": f"Bearer {wrong}"})
        assert "is not known here, or was revoked" in refused(answer, 401, "key_invalid")
        assert (
            answer.headers["www-authenticate"] == 'Bearer realm="lakesift", error="invalid_token"'
        )
        assert wrong not in answer.text
    refused(locked.get("/v1/lakes", headers={"X-API-Key": ""}), 401, "key_invalid")
    refused(locked.get("/v1/lakes", headers={"Authorization": "Bearer"}), 401, "key_invalid")
    refused(locked.get("/v1/lakes", headers={"Authorization": "Basic bGtzOng="}), 401, "key_needed")
    refused(locked.get("/v1/lakes", headers=[(b"x-api-key", b"lks_\xff")]), 401, "key_invalid")


def test_a_proxys_basic_authorization_does_not_hide_the_key(
    locked: TestClient, keys: KeyStore
) -> None:
    secret = keys.add("laptop")[1]
    answer = locked.get(
        "/v1/lakes", headers={"Authorization": "Basic bGtzOng=", "X-API-Key": secret}
    )
    assert answer.status_code == 200


def test_keys_sent_twice_are_refused(locked: TestClient, keys: KeyStore) -> None:
    secret, other = keys.add("laptop")[1], keys.add("phone")[1]
    twice = [("X-API-Key", secret), ("X-API-Key", secret)]
    assert "was sent 2 times" in refused(locked.get("/x", headers=twice), 400, "invalid_request")
    both = {"X-API-Key": secret, "Authorization": f"Bearer {other}"}
    assert "hold different keys" in refused(locked.get("/x", headers=both), 400, "invalid_request")
    assert (
        locked.get("/x", headers={**both, "Authorization": f"Bearer {secret}"}).status_code == 200
    )


def test_a_key_in_the_address_is_refused_with_a_warning(locked: TestClient, keys: KeyStore) -> None:
    secret = keys.add("laptop")[1]
    for name in ("key", "api_key", "access_token", "x-api-key"):
        message = refused(locked.get("/v1/lakes", params={name: secret}), 401, "key_needed")
        assert "a key in the address is not taken, since addresses are logged" in message


def test_a_narrow_key_cannot_do_more(locked: TestClient, keys: KeyStore) -> None:
    secrets = {scope: keys.add(scope, scope)[1] for scope in ("read", "label", "write")}
    for scope in ("read", "label"):
        answer = locked.delete("/v1/lakes/x", headers={"X-API-Key": secrets[scope]})
        message = refused(answer, 403, "scope_missing")
        assert message == (
            f"this needs a key of scope write, and {scope} has {scope}; make one with: "
            "lakesift key add NAME --scope write"
        )
        assert 'error="insufficient_scope", scope="write"' in answer.headers["www-authenticate"]
    assert locked.delete("/v1/lakes/x", headers={"X-API-Key": secrets["write"]}).status_code == 200


def test_the_table_of_scopes() -> None:
    assert scope_needed("GET", "/") is None
    assert scope_needed("HEAD", "/healthz") is None
    assert scope_needed("POST", "/v1/search") == "read"
    assert scope_needed("POST", "/v1/search/upload") == "read"
    assert scope_needed("HEAD", "/v1/lakes") == "read"
    assert scope_needed("POST", "/v1/lakes/x/filters/y/label") == "label"
    assert scope_needed("POST", "/v1/lakes/x/filters/y/decide") == "read"
    assert scope_needed("POST", "/v1/lakes/x/filters/y/apply") == "write"
    assert scope_needed("GET", "/v1/lakes/x/tags") == "read"
    assert scope_needed("POST", "/v1/lakes/x/tags") == "label"
    assert scope_needed("POST", "/v1/lakes/x/tags/undo") == "label"
    assert scope_needed("GET", "/v1/lakes/x/searches/y") == "read"
    assert scope_needed("PUT", "/v1/lakes/x/searches/y") == "label"
    assert scope_needed("DELETE", "/v1/lakes/x/searches/y") == "label"
    assert scope_needed("POST", "/v1/lakes/x/filters//label") == "write"  # no such route
    assert scope_needed("BREW", "/nonsense") == "write"
    assert NEEDS[-1] == Need("*", "*", "write")  # whatever is forgotten is shut


def test_a_running_service_notices_new_and_revoked_keys(locked: TestClient, keys: KeyStore) -> None:
    refused(locked.get("/v1/lakes"), 401, "key_needed")
    elsewhere = KeyStore(keys.folder)
    secret = elsewhere.add("laptop")[1]
    assert locked.get("/v1/lakes", headers={"X-API-Key": secret}).status_code == 200
    elsewhere.revoke("laptop")
    refused(locked.get("/v1/lakes", headers={"X-API-Key": secret}), 401, "key_invalid")


def test_with_a_damaged_keys_file_nobody_gets_in(locked: TestClient, keys: KeyStore) -> None:
    secret = keys.add("laptop")[1]
    sign_in(locked, secret)
    keys.path.write_text("{")
    refused(locked.get("/v1/lakes", headers={"X-API-Key": secret}), 401, "key_invalid")
    refused(locked.get("/v1/lakes"), 401, "key_needed")  # the session either
    assert locked.get("/healthz").status_code == 200


# -- sessions


def sign_in(made: TestClient, secret: str) -> str:
    """The cookie's header."""
    answer = made.post("/v1/session", json={"key": secret})
    assert answer.status_code == 204, answer.text
    assert answer.content == b""
    return str(answer.headers["set-cookie"])


def test_a_key_is_traded_for_a_cookie(locked: TestClient, keys: KeyStore) -> None:
    secret = keys.add("laptop", "label")[1]
    assert locked.get("/v1/session").json() == {
        "key_needed": True,
        "signed_in": False,
        "name": None,
        "scopes": [],
    }
    cookie = sign_in(locked, f" {secret}\n")  # as pasted
    assert re.fullmatch(
        r"lakesift_session_8377=[A-Za-z0-9_-]{43}; HttpOnly; Path=/; SameSite=strict", cookie
    )
    assert secret not in cookie
    assert locked.get("/v1/lakes").text == "GET /v1/lakes"
    assert locked.get("/v1/session").json() == {
        "key_needed": True, "signed_in": True, "name": "laptop", "scopes": ["read", "label"],
    }  # fmt: skip
    refused(locked.delete("/v1/lakes/x"), 403, "scope_missing")


def test_over_https_the_cookie_is_secure(keys: KeyStore) -> None:
    secret = keys.add("laptop")[1]
    with client(LOCKED, keys, base_url="https://localhost:8377") as made:
        assert "; Secure" in sign_in(made, secret)


def test_signing_out_ends_the_session_and_not_only_the_cookie(
    locked: TestClient, keys: KeyStore
) -> None:
    token = re.findall("=([^;]+);", sign_in(locked, keys.add("laptop")[1]))[0]
    answer = locked.delete("/v1/session")
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    refused(locked.get("/v1/lakes"), 401, "key_needed")
    kept = {"Cookie": f"lakesift_session_8377={token}"}
    refused(locked.get("/v1/lakes", headers=kept), 401, "key_needed")
    assert locked.delete("/v1/session").status_code == 204  # twice is no mistake


def test_revoking_a_key_ends_its_sessions_and_no_others(keys: KeyStore) -> None:
    access = Access(LOCKED, keys)
    with client(LOCKED, keys, access) as first, client(LOCKED, keys, access) as second:
        sign_in(first, keys.add("laptop")[1])
        sign_in(second, keys.add("phone")[1])
        assert first.get("/v1/lakes").status_code == 200
        KeyStore(keys.folder).revoke("laptop")
        refused(first.get("/v1/lakes"), 401, "key_needed")
        assert second.get("/v1/lakes").status_code == 200
        keys.add("laptop")  # of the same name, and yet another key
        refused(first.get("/v1/lakes"), 401, "key_needed")


def test_a_wrong_key_beside_a_good_session_is_refused(locked: TestClient, keys: KeyStore) -> None:
    sign_in(locked, keys.add("laptop")[1])
    refused(locked.get("/v1/lakes", headers={"X-API-Key": "lks_wrong"}), 401, "key_invalid")
    answer = locked.get("/v1/session", headers={"X-API-Key": "lks_wrong"})
    assert answer.json() == {"key_needed": True, "signed_in": False, "name": None, "scopes": []}
    twice = [("X-API-Key", "a"), ("X-API-Key", "b")]
    refused(locked.get("/v1/session", headers=twice), 400, "invalid_request")


def test_made_up_cookies_open_nothing(locked: TestClient, keys: KeyStore) -> None:
    key, secret = keys.add("laptop")
    for value in ("", "x", secret, key.id, key.sha256, "a" * 100_000, '"', "\xff"):
        headers = [(b"cookie", f"lakesift_session_8377={value}".encode("latin-1"))]
        refused(locked.get("/v1/lakes", headers=headers), 401, "key_needed")


def test_a_session_ends_twelve_hours_after_its_last_use(keys: KeyStore) -> None:
    clock = Clock()
    sessions = Sessions(keys, clock=clock)
    key = keys.add("laptop")[0]
    token = sessions.begin(key)
    clock.now_s += 11 * 3600
    assert sessions.key_of(token) == key
    clock.now_s += 12 * 3600 - 1  # 23 hours after it began
    assert sessions.key_of(token) == key
    clock.now_s += 12 * 3600
    assert sessions.key_of(token) is None
    assert len(sessions) == 0


def test_sessions_are_bounded_and_the_least_used_goes_first(keys: KeyStore) -> None:
    sessions = Sessions(keys, max_sessions=2)
    key = keys.add("laptop")[0]
    first, second = sessions.begin(key), sessions.begin(key)
    assert sessions.key_of(first) == key
    third = sessions.begin(key)
    assert [sessions.key_of(token) for token in (first, second, third)] == [key, None, key]
    assert len(sessions) == 2


# -- wrong keys, many


def test_after_ten_wrong_keys_an_address_waits(keys: KeyStore) -> None:
    clock = Clock()
    secret = keys.add("laptop")[1]
    with client(LOCKED, keys, Access(LOCKED, keys, attempts=Attempts(clock=clock))) as made:
        for number in range(10):
            clock.now_s += 1
            if number % 2:
                answer = made.get("/v1/lakes", headers={"X-API-Key": f"lks_{number}"})
            else:
                answer = made.post("/v1/session", json={"key": f"lks_{number}"})
            refused(answer, 401, "key_invalid")
        for answer in (
            made.get("/v1/lakes", headers={"X-API-Key": "lks_x"}),
            made.post("/v1/session", json={"key": "lks_x"}),
        ):
            # 60 s after the first
            assert refused(answer, 429, "too_many_attempts").endswith("wait 51 s")
            assert answer.headers["retry-after"] == "51"
        # nobody is locked out
        assert made.get("/v1/lakes", headers={"X-API-Key": secret}).status_code == 200
        refused(made.get("/v1/lakes"), 401, "key_needed")  # no key is no wrong key
        clock.now_s += 51
        refused(made.get("/v1/lakes", headers={"X-API-Key": "lks_x"}), 401, "key_invalid")
        refused(made.get("/v1/lakes", headers={"X-API-Key": "lks_x"}), 429, "too_many_attempts")


def test_addresses_wait_for_themselves_and_are_forgotten_in_order() -> None:
    attempts = Attempts(clock=Clock(), max_addresses=2)
    assert [attempts.fail("10.0.0.1") for _ in range(11)] == [0] * 10 + [60]
    assert attempts.fail("10.0.0.2") == 0
    assert attempts.fail("10.0.0.1") == 60
    assert attempts.fail("10.0.0.3") == 0  # pushes out 10.0.0.2
    assert attempts.fail("10.0.0.1") == 60
    assert len(attempts) == 2


def test_a_network_of_ipv6_addresses_is_one_caller() -> None:
    attempts = Attempts(clock=Clock())
    waits = [attempts.fail(f"2001:db8:1:2::{number:x}") for number in range(11)]
    assert waits == [0] * 10 + [60]
    assert attempts.fail("2001:db8:1:3::1") == 0


# -- starting


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("localhost", True), ("LocalHost", True), ("::1", True),
        ("[::1]", True), ("0.0.0.0", False), ("::", False), ("", False), ("192.168.1.5", False), ("0", False),
        ("localhost.evil.example", False), ("photos", False), ("127.0.0.1.example", False),
    ],
)  # fmt: skip
def test_which_hosts_are_this_machine_alone(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_off_loopback_it_does_not_start_without_a_key(keys: KeyStore) -> None:
    check_start(OPEN, keys)
    with pytest.raises(BadRequest) as wide:
        check_start(ServeConfig(host="0.0.0.0"), keys)
    assert str(wide.value) == (
        "--host: others can reach 0.0.0.0, and there is no key yet; make one with: lakesift key add NAME"
    )
    with pytest.raises(
        BadRequest, match="--require-key: a key is asked for, and there is no key yet"
    ):
        check_start(LOCKED, keys)
    keys.add("laptop")
    check_start(ServeConfig(host="0.0.0.0"), keys)
    check_start(LOCKED, keys)
    keys.path.write_text("{")
    with pytest.raises(KeysDamaged):
        check_start(LOCKED, keys)
    check_start(OPEN, keys)


def test_a_readable_keys_file_is_warned_of_at_the_start(
    keys: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    keys.add("laptop")
    keys.path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        check_start(LOCKED, keys)
    assert [record.message for record in caplog.records] == keys.warnings() != []


def test_off_loopback_keys_are_asked_for(keys: KeyStore) -> None:
    with client(ServeConfig(host="0.0.0.0"), keys) as made:
        refused(made.get("/v1/lakes"), 401, "key_needed")


# -- the pieces


def test_hosts_have_one_spelling() -> None:
    assert Host.parse("LOCALHOST.:80") == Host("localhost", 80)
    assert Host.parse("[0::0:1]") == Host("::1")
    assert Host.parse("a" * 300) is None
    assert not same_origin("http://localhost\n", "http", Host("localhost"))


def test_a_message_with_half_a_character_is_still_an_answer() -> None:
    answer = error_response(
        422, "invalid_request", "no \ud800 here", "a\udfff", headers={"Retry-After": "1"}
    )
    assert answer.body == (
        rb'{"error":{"code":"invalid_request","message":"no \\ud800 here","field":"a\\udfff"}}'
    )
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("headers", [[], [(b"host", b"localhost"), (b"host", b"localhost")]])
def test_without_exactly_one_host_nothing_passes(
    keys: KeyStore, headers: list[tuple[bytes, bytes]]
) -> None:
    import anyio

    guard = Guard(Starlette(routes=[Route("/", echo)]), OPEN, keys)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers, "scheme": "http",
        "client": None, "server": ("127.0.0.1", 8377),
    }  # fmt: skip
    anyio.run(guard, scope, receive, send)
    assert sent[0]["status"] == (400 if headers else 403)


def test_a_key_that_may_read_is_asked_for_no_more_by_what_changes_nothing(
    tmp_path: Path,
) -> None:
    """Every operation that is no GET, by the key it needs: a new one has to be put somewhere."""
    operations = {
        (method.upper(), path)
        for path, each in create_app([four_colours(tmp_path).lake]).openapi()["paths"].items()
        for method in each
        if method not in ("get", "head")
    }
    by_scope = {
        scope: {pair for pair in operations if scope_needed(*pair) == scope}
        for scope in ("read", "label", "write", None)
    }
    lake, filter = "/v1/lakes/{lake}", "/v1/lakes/{lake}/filters/{name}"
    assert by_scope[None] == {("POST", "/v1/session"), ("DELETE", "/v1/session")}
    assert by_scope["read"] == {
        ("POST", path)
        for path in (
            "/knn-service",
            "/metadata",
            "/v1/embeddings",
            "/v1/facets",
            "/v1/scores",
            "/v1/scores/upload",
            "/v1/search",
            "/v1/search/many",
            "/v1/search/upload",
            f"{lake}/map/colours",
            f"{lake}/pick",
            f"{lake}/compare",
            f"{lake}/strange",
            f"{filter}/decide",
        )
    }
    assert by_scope["label"] == {
        ("POST", f"{lake}/tags"),
        ("POST", f"{lake}/tags/undo"),
        ("PUT", f"{lake}/searches/{{name}}"),
        ("DELETE", f"{lake}/searches/{{name}}"),
        *{("POST", f"{filter}/{what}") for what in ("next", "label", "undo")},
    }
    assert by_scope["write"] == {
        ("POST", f"{lake}/doctor"),
        ("POST", f"{lake}/sync"),
        ("DELETE", f"{lake}/sync"),
        ("POST", f"{lake}/filters"),
        ("POST", f"{lake}/filters/upload"),
        ("DELETE", filter),
        ("POST", f"{filter}/apply"),
    }
