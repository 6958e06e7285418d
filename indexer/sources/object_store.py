"""Where a table lies, as `deltalake` and `pylance` take it: they open buckets by themselves."""

from __future__ import annotations

import os
from typing import Any

import fsspec

from indexer.address import Address
from indexer.errors import SourceError

_BUCKETS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
_OPTIONS = {"key": "access_key_id", "secret": "secret_access_key", "token": "session_token"}


def place_of(root: Address, kind: str) -> str:
    """The table's folder, for a library of Rust's.

    :raises SourceError: if such a library cannot open it there.
    """
    if root.path is not None:
        try:
            return root.path.decode()
        except UnicodeDecodeError:
            why = "its path is not UTF-8, and its library opens no other; rename that folder"
            raise SourceError(root.uri, why) from None
    scheme, _, rest = root.uri.partition("://")
    if scheme not in _BUCKETS:
        raise SourceError(
            root.uri,
            f"{kind} tables are read on disks, s3://, gs:// and az://, and not on {scheme}://",
        )
    return f"{'s3' if scheme == 's3a' else scheme}://{rest}"


def object_store_options(url: str) -> dict[str, str] | None:
    """What the user set for fsspec and for his store's own tools, as these libraries take it.

    Keys of the environment they find themselves.
    """
    if not url.startswith(("s3://", "s3a://")):
        return None
    given: dict[str, Any] = dict(fsspec.config.conf.get("s3", {}))
    options = {f"aws_{name}": str(given[key]) for key, name in _OPTIONS.items() if given.get(key)}
    endpoint = (
        given.get("endpoint_url")
        or (given.get("client_kwargs") or {}).get("endpoint_url")
        or os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
    )
    if endpoint:
        options["aws_endpoint"] = str(endpoint)
        # The user named it himself.
        options["allow_http"] = "true" if str(endpoint).startswith("http://") else "false"
    if str(given.get("anon", "")).lower() in ("true", "1"):
        options["aws_skip_signature"] = "true"
    if not (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")) and endpoint:
        options["aws_region"] = "us-east-1"
    return options
