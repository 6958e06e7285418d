"""What every answer tells browsers not to do. A header that a route has set stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.types import Message, Send

EVERYWHERE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
    # a cache on the way must not show one key's answers to another
    "Cache-Control": "private, no-cache",
}
PAGE: Mapping[str, str] = {
    **EVERYWHERE,
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}


_RAW: Mapping[bool, Sequence[tuple[bytes, bytes]]] = {
    of_page: [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    for of_page, headers in ((False, EVERYWHERE), (True, PAGE))
}


def is_page(path: str) -> bool:
    return path in ("/", "/label", "/lake", "/favicon.ico") or path.startswith("/page/")


def security_headers(path: str) -> Mapping[str, str]:
    return PAGE if is_page(path) else EVERYWHERE


def with_security_headers(path: str, send: Send) -> Send:
    """Send, with the headers above put into the answer's start."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            there = {name for name, _ in headers}
            headers += [each for each in _RAW[is_page(path)] if each[0] not in there]
            message["headers"] = headers
        await send(message)

    return sending
