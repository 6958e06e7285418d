"""Names in Host and Origin headers: what they mean, and which of them are this service's.

A page on any site can be made to reach this machine under the site's own name (DNS rebinding); its
requests then carry that name as their Host. So a Host that we do not know is refused, and an Origin
counts only if it is the Host itself.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from indexer.errors import BadRequest
from service.api.config import ServeConfig

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_NAME = r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_])?"
_HOST = re.compile(
    rf"(?:\[(?P<ip6>[0-9a-f:.]{{2,45}})\]|(?P<name>{_NAME})\.?)(?::(?P<port>[0-9]{{1,5}}))?"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Host:
    """A host as headers name it, in one spelling: lower case,
    no trailing dot, the shortest form of an IPv6 address.
    """

    name: str
    port: int | None = None  # None: the scheme's own

    @classmethod
    def parse(cls, text: str) -> Host | None:
        """None for what is no `name[:port]`: user names, spaces, other characters, two ports."""
        match = _HOST.fullmatch(text.lower())
        if match is None:
            return None
        name = match["name"]
        if match["ip6"] is not None:
            try:
                name = str(ipaddress.IPv6Address(match["ip6"]))
            except ValueError:
                return None
        return cls(name, None if match["port"] is None else int(match["port"]))

    def port_for(self, scheme: str) -> int | None:
        return _DEFAULT_PORTS.get(scheme) if self.port is None else self.port


def allowed_names(config: ServeConfig) -> frozenset[str]:
    """The names that callers may know this service by; any port goes with each.

    :raises BadRequest: if one of config.allow_hosts is not a name.
    """
    return frozenset({*LOOPBACK_NAMES, _bare(config.host), *map(_allowed, config.allow_hosts)})


def _allowed(text: str) -> str:
    host = Host.parse(text) or Host.parse(f"[{text}]")
    if host is None:
        raise BadRequest(
            "--allow-host",
            f"{text!r} is not a name like photos.example.com; leave out schemes, paths and stars",
        )
    return host.name


def _bare(host: str) -> str:
    parsed = Host.parse(host) or Host.parse(f"[{host}]")
    return host.lower() if parsed is None else parsed.name


def allowed_origins(config: ServeConfig) -> frozenset[str]:
    """The origins of other sites whose pages may read.

    :raises BadRequest: if one of config.allow_origins is no origin.
    """
    for text in config.allow_origins:
        scheme, _, rest = text.partition("://")
        if scheme not in _DEFAULT_PORTS or rest != rest.lower() or Host.parse(rest) is None:
            raise BadRequest(
                "--allow-origin",
                f"{text!r} is no origin like http://localhost:3005, as browsers send it: a scheme, a "
                "name in small letters and a port, without a path or a star",
            )
    return frozenset(config.allow_origins)


def check_proxies(config: ServeConfig) -> None:
    """:raises BadRequest: if one of config.trust_proxies is neither an address nor a network."""
    for text in config.trust_proxies:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise BadRequest(
                "--trust-proxy", f"{text!r} is no address like 10.0.0.2 or 10.0.0.0/24 ({error})"
            ) from None


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    name = _bare(host)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def same_origin(origin: str, scheme: str, host: Host) -> bool:
    """Whether an Origin header names the scheme, host and port that the request itself came to."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    from_host = Host.parse(parts.netloc)
    return (
        from_host is not None
        and origin.lower() == f"{parts.scheme}://{parts.netloc}".lower()  # and nothing else
        and parts.scheme == scheme
        and from_host.name == host.name
        and from_host.port_for(scheme) == host.port_for(scheme)
    )
