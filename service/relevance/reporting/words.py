"""Numbers and names as the report writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.words import count as count


def percent(share: float) -> str:
    """95 %, 97.9 %."""
    return f"{round(share * 100, 1):g}\N{NO-BREAK SPACE}%"


def share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else ""


def signed(number: float, digits: int) -> str:
    """-0.50, with the sign that is as wide as a digit."""
    return f"{number:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def money(amount: float, prices: Mapping[str, Any]) -> str:
    """1,781.60 EUR; whole annotations."""
    number = f"{amount:,.0f}" if prices["currency"] == "annotations" else f"{amount:,.2f}"
    number = (
        "0"
        if number == "-0"
        else "0.00"
        if number == "-0.00"
        else number.replace("-", "\N{MINUS SIGN}")
    )
    return f"{number} {prices['currency']}".strip()


def price(amount: float, prices: Mapping[str, Any]) -> str:
    """Of one look, annotation or miss: 0.30 EUR; 1 annotation, 0.5 of an annotation."""
    if prices["currency"] != "annotations":
        return money(amount, prices)
    if amount == 1:
        return "1 annotation"
    return f"{amount:g} of an annotation" if amount < 1 else f"{amount:g} annotations"


def each_at(number: int, price: float, prices: Mapping[str, Any]) -> str:
    """So many at a price: 1,200 at 0.80 EUR; 40, each 0.5 of an annotation."""
    if prices["currency"] == "annotations":
        return f"{number:,}" if price == 1 else f"{number:,}, each {price:g} of an annotation"
    return f"{number:,} at {money(price, prices)}"


def other_promise(assumption: str | None) -> str:
    """The one that the same audit gives with an assumption, where this has none, or without."""
    assumes = "assumes nothing" if assumption else "assumes the tail"
    return f"the same audit's promise that {assumes}"


def name_of(uri: str | None) -> str:
    """The last part of a path or URL."""
    return (uri or "").rpartition("/")[2] or (uri or "gone")


def sentence(text: str) -> str:
    """With a capital letter and one full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."
