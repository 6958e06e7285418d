"""What may be opened for a lake: a lake may come from somebody else, rows and manifest alike.

Two rules. A row's image lies below a source of its lake (`Reach`): else it is not opened. And
where a lake, not the user, names the place (`check_site`), it is on this disk, in an object store
or on a public web server; every other kind of address, and every server inside the own network,
has to be one that the user named himself. Opens nothing.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from indexer import trust
from indexer.address import Address, is_url
from indexer.disk.manifest import SourceEntry
from indexer.errors import SourceError
from indexer.sources.columns import TABLE_SUFFIXES
from indexer.sources.globs import has_magic
from indexer.sources.names import CVAT_SUFFIXES, JSON_SUFFIXES, YOLO_SUFFIXES, uri_of

_WEB = ("http", "https")
# The host of an object store is said by this machine's settings, not by a lake's address; memory://
# is of this process alone.
_KEYED = ("s3", "s3a", "gs", "gcs")
_FREE = (*_KEYED, "az", "abfs", "abfss", "adl", "memory", *_WEB)

_WAY_OUT = (
    "and no lake alone has it asked; if you trust this one, put the site "
    f"(as http://photos.example) into {trust.TRUST_SITES}, or name it in `lakesift index`"
)
INSIDE = f"its server lies inside this network, {_WAY_OUT}"
OTHER_KIND = f"it is neither a file, an object of a store nor on the web, {_WAY_OUT}"
_LISTS = (*TABLE_SUFFIXES, *JSON_SUFFIXES, *YOLO_SUFFIXES, *CVAT_SUFFIXES)
_SOURCES = "`lakesift info` lists those"


class Reach:
    """What the rows of a lake may name: places below its sources.

    A list, a table or a labelled set names places anywhere, so rows of one may lie anywhere; so may
    rows that were imported. Whatever a row names is one address: no `..`, no other address after a
    `::`.
    """

    @classmethod
    def of(cls, sources: Sequence[SourceEntry], seeks: Path | None = None) -> Reach:
        """:param sources: the manifest's."""
        # a table that names images is its own table of columns, whatever its name
        listed = [s.uri for s in sources if not s.is_imported and s.columns != s.uri]
        return cls(listed, anywhere=len(listed) < len(sources), seeks=seeks)

    def __init__(
        self, sources: Iterable[str], *, anywhere: bool = False, seeks: Path | None = None
    ) -> None:
        """:param sources: as the lake's manifest has them.
        :param anywhere: True: one more source names places anywhere.
        :param seeks: the folder of the lake's seek indexes; None: it is not known.
        """
        self.seeks = seeks
        self._has_list = anywhere
        self._roots: set[str] = set()
        for source in sources:
            if source.startswith("@") or source.lower().endswith(_LISTS):
                self._has_list = True
            else:
                self._roots |= {source, *_before_magic(source)}

    def why_not(self, address: Address) -> str | None:
        """Why a row's image is not opened; None if it may be."""
        path = address.path
        # Of a local file the bytes are opened, not the name that is shown for them.
        place = address.uri if path is None else uri_of(path)[0]
        if path is not None and not os.path.isabs(path):  # noqa: PTH117 - pathlib knows no bytes
            return f"it is no whole path, as of the lake's sources; {_SOURCES}"
        scheme = _scheme(place) if path is None else ""
        # In a bucket `..` and `::` are a part of a key as any other.
        if scheme not in _KEYED and ".." in unquote(place).replace("\\", "/").split("/"):
            return f"its path goes up again (..), out of the lake's sources; {_SOURCES}"
        if scheme and "::" in place and scheme not in _KEYED:
            return f"it holds two addresses (::), not one below the lake's sources; {_SOURCES}"
        if self._has_list or any(_is_below(place, root) for root in self._roots):
            return None
        return f"it lies in no source of its lake; {_SOURCES}"


def check_site(url: str) -> None:
    """:raises SourceError: if no lake may name a place of this kind unless the user did, too."""
    if not is_url(url):
        return
    site = site_of(url)
    if _scheme(url) not in _FREE and not trust.is_named("sites", site):
        raise SourceError(url, OTHER_KIND)


def site_of(url: str) -> str:
    """Scheme and bucket, or host."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def remember_sites(urls: Iterable[str]) -> None:
    """The user named these himself. Only those are kept for which it matters."""
    sites = {
        site_of(url)
        for url in urls
        if is_url(url) and (_scheme(url) in _WEB or _scheme(url) not in _FREE)
    }
    if sites:
        trust.remember("sites", sites)


def storage_options(url: str) -> dict[str, Any]:
    """What a store is opened with where a lake names it: a web server that redirects, or whose name
    means another address by now, leads nowhere inside the own network.
    """
    if _scheme(url) not in _WEB or trust.is_named("sites", site_of(url)):
        return {}
    return {"get_client": _public_client}


async def _public_client(**options: Any) -> Any:
    import aiohttp

    # Asked for each connection that is made: by name or by number, redirected or not.
    connector = aiohttp.TCPConnector(socket_factory=_public_socket)
    return aiohttp.ClientSession(connector=connector, **options)


def _public_socket(found: tuple[Any, ...]) -> socket.socket:
    """:raises OSError: if the address is none of the public internet."""
    family, kind, protocol, _, address = found
    if not _is_public(address[0]):
        raise PermissionError(errno.EACCES, INSIDE)
    return socket.socket(family=family, type=kind, proto=protocol)


def _is_public(host: str) -> bool:
    ip = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # An old address in a new one's clothes.
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    return ip.is_global and not ip.is_multicast


def _before_magic(source: str) -> list[str]:
    """Where a glob starts. That what exists is no pattern is not known here; it lies below, too."""
    if source.lower().startswith(("http://", "https://")):  # there a "?" starts the query
        return []
    parts = source.split("/")
    first = next((i for i, part in enumerate(parts) if has_magic(part)), len(parts))
    # A pattern of whole buckets is none that is known.
    return [] if is_url(source) and first < 3 else ["/".join(parts[:first]) or "/"]


def _is_below(place: str, root: str) -> bool:
    return place == root or place.startswith(root if root.endswith("/") else f"{root}/")
