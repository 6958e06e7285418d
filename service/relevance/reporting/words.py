"""Texts and numbers of the report, safe to put into HTML: names and prompts may hold anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from service.printing import one_line


def safe(text: object) -> str:
    """Escaped, on one line, in its own direction: a name cannot turn round what stands beside it."""
    return f"<bdi>{plain(text)}</bdi>"


def plain(text: object) -> str:
    """As `safe`, for attributes and for our own sentences."""
    return escape(one_line(str(text)), quote=True)


def count(number: int | float, one: str = "", many: str = "") -> str:
    """1,234, or with a word: 1 image, 2 images."""
    word = one if number == 1 else many or (f"{one}s" if one else "")
    return f"{number:,.0f} {word}".strip()


def percent(share: float) -> str:
    """95 %, 97.9 %."""
    return f"{round(share * 100, 1):g}\N{NO-BREAK SPACE}%"


def share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else ""


def money(amount: float, prices: Mapping[str, Any]) -> str:
    """1,781.60 EUR; whole annotations."""
    number = f"{amount:,.0f}" if prices["currency"] == "annotations" else f"{amount:,.2f}"
    number = "0" if number == "-0" else "0.00" if number == "-0.00" else number.replace("-", "\N{MINUS SIGN}")
    return f"{number} {plain(prices['currency'])}".strip()


def price(amount: float, prices: Mapping[str, Any]) -> str:
    """Of one look, annotation or miss: 0.30 EUR; 1 annotation, 0.5 of an annotation."""
    if prices["currency"] != "annotations":
        return money(amount, prices)
    if amount == 1:
        return "1 annotation"
    return f"{amount:g} of an annotation" if amount < 1 else f"{amount:g} annotations"


def name_of(uri: str | None) -> str:
    """The last part of a path or URL."""
    return (uri or "").rpartition("/")[2] or (uri or "gone")


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int], classes: Sequence[str] = ()
) -> str:
    """:param head, rows: cells as HTML; the first of a row names it; numbers: the columns set flush right.
    :param classes: of each row."""
    kinds = ["n" if at in numbers else "" for at in range(len(head))]
    heads = "".join(f'<th scope="col" class="{k}">{cell}</th>' for k, cell in zip(kinds, head, strict=True))
    body = []
    for at, row in enumerate(rows):
        cells = "".join(f'<td class="{k}">{c}</td>' for k, c in zip(kinds[1:], row[1:], strict=True))
        css = f' class="{classes[at]}"' if at < len(classes) and classes[at] else ""
        body.append(f'<tr{css}><th scope="row">{row[0]}</th>{cells}</tr>')
    thead = f"<thead><tr>{heads}</tr></thead>" if any(head) else ""
    return f'<div class="scroll"><table>{thead}<tbody>{"".join(body)}</tbody></table></div>'
