"""What a service signs it knows again, and nobody else's; the secret is made once and kept."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer.errors import BadRequest
from service.api.signing import SECRET_FILE, Signer, secret_of


def test_what_was_signed_comes_back_and_what_was_not_is_refused() -> None:
    one, other = Signer("one"), Signer("other")
    signed = one.signed(b"a place")
    assert (signed[:7], len(signed), one.opened(signed)) == (b"a place", 23, b"a place")
    for refused in (b"a place", b"", other.signed(b"a place"), signed[:-1], signed + b"\0"):
        with pytest.raises(ValueError, match="not signed by this service"):
            one.opened(refused)


def test_a_secret_is_made_once_for_all_who_start_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: secret_of("", folder), range(8)))
    [secret] = made
    assert len(secret) == 64 and int(secret, 16) > 0
    assert [path.name for path in folder.iterdir()] == [SECRET_FILE]
    assert stat.S_IMODE((folder / SECRET_FILE).stat().st_mode) == 0o600
    assert secret_of("", folder) == secret  # after a restart


def test_one_that_a_full_disk_cut_short_is_made_again(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).write_text("ab")
    secret = secret_of("", tmp_path)
    assert len(secret) == 64 and (tmp_path / SECRET_FILE).read_text() == secret


def test_where_none_can_be_kept_there_is_one_until_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "file"
    folder.write_text("no folder")
    one, other = secret_of("", folder), secret_of("", folder)
    assert len(one) == 64 and one != other
    assert "pages of hits cannot be followed after a restart" in caplog.text


def test_a_given_secret_is_taken_and_a_short_one_refused(tmp_path: Path) -> None:
    assert secret_of("s" * 32, tmp_path) == "s" * 32
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadRequest, match=r"^LAKESIFT_CURSOR_SECRET: it has 31 characters, and"):
        secret_of("s" * 31, tmp_path)
