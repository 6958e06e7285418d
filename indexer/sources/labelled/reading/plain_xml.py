"""Refuses XML that may grow while it is read: one with a document type."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from xml.parsers import expat


def refuse_document_type(data: bytes) -> None:
    """What is not XML at all passes: the reader tells.

    :raises ValueError: if the XML declares a document type.
    """

    def declared(*_: Any) -> None:
        raise ValueError(
            "it declares a document type, which no annotation tool writes; it is not read"
        )

    def begun(*_: Any) -> None:
        raise _Begun  # a document type stands before the first element, or nowhere

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = declared
    parser.StartElementHandler = begun
    with suppress(expat.ExpatError, _Begun):
        parser.Parse(data, True)


class _Begun(Exception):
    pass
