"""A bucket's address and the keys to it. Knows what stores are called and how they are opened, not
what lies in them.

Names are taken as they are written: of two addresses that look different none is another's folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from indexer.errors import BadRequest, BucketError
from indexer.sources.object_store import object_store_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
# A store that says nothing for so long is asked again; one that goes on sending, however slowly, is
# awaited: the library's own 30 s a request are too few for a large file on a slow line.
QUIET_S = 180.0
_WHOLE = timedelta(days=7)
_FORMS = "give s3://bucket/folder, gs://bucket/folder or az://container/folder"
_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*")
_REQUEST = re.compile(r"Error performing [A-Z]+ \S+ in .*? - ")
_CODE = re.compile(r"<Code>([^<]{1,100})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})</Message>")
# Stores answer in XML or JSON.
_PAGE = re.compile(
    r"status code: ([0-9]{3}[A-Za-z '-]{0,40}): \s*<(?:!doctype html|html)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder in a bucket."""

    scheme: str
    bucket: str
    folder: str  # without slashes at its ends

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.folder}"


def place_of(url: str) -> Place:
    """:raises BadRequest: if it names no folder in a bucket, or one that tools call differently."""
    scheme, _, rest = url.partition("://")
    bucket, _, folder = rest.partition("/")
    scheme, folder = scheme.lower(), folder.rstrip("/")
    if scheme not in SCHEMES or not bucket:
        raise BadRequest("bucket", f"{url} is no folder in a bucket; {_FORMS}")
    if not _BUCKET.fullmatch(bucket):
        raise BadRequest(
            "bucket",
            f"{bucket.rpartition('@')[2]!r} is no bucket's name: keys and a server's address stand in the environment; "
            f"{_FORMS}",
        )
    if not folder.strip("/"):
        raise BadRequest(
            "bucket",
            f"{url} names a whole bucket; name a folder in it, as {scheme}://{bucket}/my.lake",
        )
    parts = folder.split("/")
    odd = next((sign for sign in "%#?\\" if sign in folder), None)
    if odd or not folder.isprintable() or folder != folder.strip():
        what = repr(odd) if odd else "a character that cannot be seen"
        raise BadRequest(
            "bucket",
            f"{url!r} has {what} in it, which tools read in different ways; choose a folder without",
        )
    if any(part in ("", ".", "..") for part in parts):
        raise BadRequest(
            "bucket",
            f"{url} has an empty name, '.' or '..' between slashes; write the folder's name without",
        )
    return Place(scheme, bucket, folder)


def opened(place: Place) -> ObjectStore:
    """:raises BucketError: if it cannot be, or the package that reads buckets is not installed."""
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError:
        raise BucketError(
            place.url,
            "lakes in buckets need a package that is not installed: pip install 'lakesift[bucket]'",
        ) from None
    if place.scheme == "s3":
        _check_endpoint(place.url)
    config: Any = object_store_options(place.url) or {}
    allow_http = config.pop("allow_http", "false") == "true"
    provider = _profile() if place.scheme == "s3" and not _has_keys(config) else None
    try:
        return from_url(
            place.url,
            config=config,
            client_options={
                "allow_http": allow_http,
                "connect_timeout": timedelta(seconds=10),
                "read_timeout": timedelta(seconds=QUIET_S),
                "timeout": _WHOLE,
            },
            credential_provider=provider,
        )
    except (BaseError, ValueError) as error:
        raise BucketError(place.url, said_by_store(error)) from None


def said_by_store(error: BaseException) -> str:
    """In its own words, where it has some, and without the request, which names the server's own
    address and how long it took.
    """
    text = str(error)
    line = text.partition("\n")[0]
    line = _REQUEST.sub("", line).partition(": <?xml")[0].strip().rstrip(".")
    code, message = _CODE.search(text), _MESSAGE.search(text)
    if page := _PAGE.search(text):
        return (
            f"a web page came where a store answers in XML or JSON ({page[1].strip()}), as from a proxy on the "
            "way: see HTTPS_PROXY, NO_PROXY, and AWS_ENDPOINT_URL where it is set, then run the "
            "same command again"
        )
    if "Received redirect without LOCATION" in line:
        return "the bucket is in another region: set AWS_REGION to its own"
    if code is None:
        return line
    # Azure's goes on with the request's number, on lines of its own.
    said = f"{message[1].strip().partition(chr(10))[0].rstrip('.')} " if message else ""
    return f"{said}({code[1]})"


def _check_endpoint(url: str) -> None:
    """:raises BucketError: if what this machine's settings say is none: the library would panic."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        said = os.environ.get(name)
        if said is not None and not said.startswith(("http://", "https://")):
            raise BucketError(
                url, f"{name} is {said!r}, and no address: set it as http://HOST:PORT, or unset it"
            )


def _has_keys(config: Mapping[str, str]) -> bool:
    names = ("aws_access_key_id", "aws_skip_signature")
    return any(config.get(name) for name in names) or bool(os.environ.get("AWS_ACCESS_KEY_ID"))


def _profile() -> Callable[[], Any] | None:
    """Keys of `~/.aws` as its own tools find them, which the store's library does not read; None
    where botocore, which s3fs brings, is not installed or finds none.
    """
    try:
        from botocore.session import Session
    except ImportError:
        return None
    found = Session().get_credentials()
    if found is None:
        return None

    def keys() -> dict[str, Any]:
        frozen = found.get_frozen_credentials()  # renews those that end
        again = datetime.now(UTC) + timedelta(minutes=10)
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": again,
        }

    return keys
