"""Keys at rest, and the verb that makes them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.errors import BadRequest, KeysDamaged, LakeError
from indexer.trust import state_folder
from indexer.words import moment
from service.api.serving.keys import KeyStore
from service.cli.arguments import parser
from service.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "state")


# -- the store


def test_a_key_opens_and_a_near_miss_does_not(store: KeyStore) -> None:
    key, secret = store.add("laptop")
    assert store.check(secret) == key
    assert (key.name, key.scope, key.prefix) == ("laptop", "read", secret[:10])
    last = "a" if secret[-1] != "a" else "b"
    for wrong in (
        "",
        "lks_",
        secret[:-1],
        secret[:-1] + last,
        secret + "a",
        secret.upper(),
        key.sha256,
        key.prefix,
    ):
        assert store.check(wrong) is None
    assert store.check("x" * 10_000_000) is None
    assert store.check("lks_\ud800") is None


def test_a_secret_is_256_random_bits_of_url_safe_text(store: KeyStore) -> None:
    first, second = store.add("a")[1], store.add("b")[1]
    assert first != second
    for secret in (first, second):
        assert re.fullmatch(r"lks_[A-Za-z0-9_-]{43}", secret)  # 43 x 6 bits hold 32 bytes


def test_only_the_hash_is_on_disk(store: KeyStore) -> None:
    key, secret = store.add("laptop", "write")
    text = store.path.read_text()
    assert secret not in text
    assert secret[len(key.prefix) :] not in text
    (entry,) = json.loads(text)["keys"]
    assert entry["sha256"] == hashlib.sha256(secret.encode()).hexdigest()
    assert set(entry) == {"id", "name", "scope", "created_at", "prefix", "sha256"}


def test_each_scope_includes_those_before_it(store: KeyStore) -> None:
    allowed = {scope: store.add(scope, scope)[0] for scope in ("read", "label", "write")}
    assert [allowed["read"].allows(scope) for scope in ("read", "label", "write")] == [
        True,
        False,
        False,
    ]
    assert [allowed["label"].allows(scope) for scope in ("read", "label", "write")] == [
        True,
        True,
        False,
    ]
    assert [allowed["write"].allows(scope) for scope in ("read", "label", "write")] == [
        True,
        True,
        True,
    ]
    assert not allowed["write"].allows("root")


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_the_file_is_the_users_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = KeyStore(tmp_path / "deep" / "state")
        store.add("laptop")
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert store.warnings() == []


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
def test_a_file_that_others_can_read_is_warned_of(store: KeyStore) -> None:
    store.add("laptop")
    store.path.chmod(0o640)
    assert store.warnings() == [
        f"{store.path} is open to other users of this machine; close it: chmod 600 {store.path}"
    ]
    store.path.chmod(0o600)
    store.folder.chmod(0o777)
    assert store.warnings() == [
        f"{store.folder} is writable for other users; close it: chmod 700 {store.folder}"
    ]


def test_another_store_notices_added_and_revoked_keys(store: KeyStore) -> None:
    server = KeyStore(store.folder)
    assert server.list() == ()
    key, secret = store.add("laptop")
    assert server.check(secret) == key
    other, other_secret = store.add("phone")
    assert server.get(key.id) == key
    assert store.revoke("laptop") == key
    assert server.check(secret) is None
    assert server.get(key.id) is None
    assert server.check(other_secret) == other
    assert store.revoke(other.id) == other  # by id
    assert server.check(other_secret) is None
    assert server.list() == ()


def test_names_are_unique_and_can_be_shown(store: KeyStore) -> None:
    key, _ = store.add("laptop")
    with pytest.raises(BadRequest, match="there is a key 'laptop' already"):
        store.add("laptop")
    with pytest.raises(BadRequest, match="already"):
        store.add(key.id)  # or `revoke` would not know which
    for name in ("", " ", " laptop", "a\nb", "\x1b[31m", "x" * 65):
        with pytest.raises(BadRequest, match="printable characters"):
            store.add(name)
    with pytest.raises(BadRequest, match="'root' is none of read, label, write"):
        store.add("phone", "root")
    assert [key.name for key in store.list()] == ["laptop"]


def test_revoking_an_unknown_key_names_those_there_are(store: KeyStore) -> None:
    with pytest.raises(BadRequest, match="there is no key 'phone'; there are none"):
        store.revoke("phone")
    assert not store.folder.exists()
    store.add("laptop")
    with pytest.raises(BadRequest, match="there is no key 'phone'; there are laptop"):
        store.revoke("phone")


def _document(**changes: object) -> str:
    key = {
        "id": "1", "name": "n", "scope": "read", "created_at": "t", "prefix": "p", "sha256": "00" * 32,
        **changes,
    }  # fmt: skip
    return json.dumps({"format": 1, "keys": [key]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "\xff",
        '{"format": 1}',
        '{"format": 2, "keys": []}',
        '{"format": 1, "keys": [{"id": "1"}]}',
        '{"format": 1, "keys": [7]}',
        "[" * 100_000,
        _document(sha256=""),
        _document(sha256="00"),
        _document(sha256="zz" * 32),
        _document(sha256=None),
        _document(scope="root"),
        _document(more="than there should be"),
    ],
)
def test_with_a_damaged_file_nobody_gets_in_and_nothing_is_overwritten(
    store: KeyStore, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    _, secret = store.add("laptop")
    store.path.write_text(text, "latin-1")
    with caplog.at_level(logging.WARNING):
        assert store.check(secret) is None
    assert f"no key is taken: {store.path} cannot be read (" in caplog.text
    for call in (store.list, lambda: store.add("x"), lambda: store.revoke("laptop")):
        with pytest.raises(
            KeysDamaged, match="move it away and make new keys with: lakesift key add NAME"
        ):
            call()
    assert store.path.read_text("latin-1") == text


def test_a_document_like_ours_is_read(store: KeyStore) -> None:
    store.folder.mkdir()
    store.path.write_text(_document(sha256=hashlib.sha256(b"lks_x").hexdigest()))
    key = store.check("lks_x")
    assert key is not None and key.name == "n"


def test_what_is_too_long_for_a_secret_is_not_even_hashed(store: KeyStore) -> None:
    store.folder.mkdir()
    for length, taken in ((200, True), (201, False)):
        secret = "x" * length
        store.path.write_text(_document(sha256=hashlib.sha256(secret.encode()).hexdigest()))
        assert (store.check(secret) is not None) is taken


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LakeError, match=r"cannot be written .*LAKESIFT_STATE names another folder"):
        KeyStore(tmp_path / "file" / "state").add("laptop")


def test_two_processes_adding_at_once_lose_nothing(store: KeyStore) -> None:
    code = (
        "import sys; from service.api.serving.keys import KeyStore; store = KeyStore(sys.argv[1])\n"
        "for i in range(25): print(store.add(f'{sys.argv[2]}{i}')[1])"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(store.folder), name], stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    made = [secret for child in children for secret in child.communicate(timeout=60)[0].split()]
    assert [child.returncode for child in children] == [0, 0]
    assert {key.name for key in store.list()} == {f"{name}{i}" for name in "ab" for i in range(25)}
    assert len(made) == 50
    assert len({key.id for key in map(store.check, made) if key}) == 50
    assert sorted(path.name for path in store.folder.iterdir() if path.suffix != ".lock") == [
        "keys.json"
    ]


def test_keys_lie_in_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKESIFT_STATE", str(tmp_path / "here"))
    assert state_folder() == tmp_path / "here"
    assert KeyStore(state_folder()).path == tmp_path / "here" / "keys.json"
    monkeypatch.delenv("LAKESIFT_STATE")
    assert state_folder().name == "lakesift"


# -- the verb


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAKESIFT_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_add_prints_the_secret_alone(state: Path, capsys: Capture) -> None:
    assert main(["key", "add", "laptop"]) == 0
    out, err = capsys.readouterr()
    key = KeyStore(state).check(out.removesuffix("\n"))
    assert key is not None and (key.name, key.scope) == ("laptop", "read")
    assert "it is not shown again" in err
    assert out.strip() not in err


def test_add_list_and_revoke_in_json_and_in_words(state: Path, capsys: Capture) -> None:
    assert main(["key", "add", "lab", "--scope", "label", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert list(made) == ["id", "name", "scope", "created_at", "prefix", "secret"]
    assert main(["key", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed == {
        "keys": [{name: made[name] for name in ("id", "name", "scope", "created_at", "prefix")}]
    }
    assert main(["key", "list"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.index("name") == line.index("lab", line.index("UTC"))
    assert line.split() == [
        made["id"], made["secret"][:10], "label", *moment(made["created_at"]).split(), "lab"
    ]  # fmt: skip
    assert main(["key", "revoke", made["id"]]) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"revoked key lab ({made['id']}, {made['prefix']}...)\n")
    assert main(["key", "list"]) == 0
    assert capsys.readouterr() == ("", "there are no keys; make one with: lakesift key add NAME\n")


def test_mistakes_are_one_sentence(state: Path, capsys: Capture) -> None:
    assert main(["key", "revoke", "laptop"]) == 2
    assert (
        capsys.readouterr().err
        == "lakesift: NAME_OR_ID: there is no key 'laptop'; there are none\n"
    )
    assert main(["key", "add", "a\nb"]) == 2
    assert "NAME: 'a\\nb' is not 1 to 64 printable characters" in capsys.readouterr().err
    state.mkdir()
    (state / "keys.json").write_text("{")
    assert main(["key", "list"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "cannot be read (JSONDecodeError: " in err
    for wrong in (["key"], ["key", "add"], ["key", "add", "x", "--scope", "root"]):
        with pytest.raises(SystemExit) as ended:
            main(wrong)
        assert ended.value.code == 2


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
def test_a_readable_file_is_warned_of(state: Path, capsys: Capture) -> None:
    main(["key", "add", "laptop"])
    (state / "keys.json").chmod(0o644)
    capsys.readouterr()
    assert main(["key", "list"]) == 0
    assert f"warning: {state}/keys.json is open to other users" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["add", "list", "revoke"])
def test_every_action_helps_with_two_examples(action: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["key", action, "--help"])
    assert ended.value.code == 0
    examples = re.findall(
        r"^  (lakesift .*)$", capsys.readouterr().out.partition("examples:\n")[2], re.M
    )
    assert len(examples) == 2
    for example in examples:
        parser().parse_args(shlex.split(example)[1:])
