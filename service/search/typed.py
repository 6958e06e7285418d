"""What a person typed into a search box or behind `lakesift search`: wanted and unwanted texts.

    "hospital room" a night scene -baby -"a red car"
    wanted: hospital room, a night scene; unwanted: baby, a red car

The rules, which `service/page` follows too; `tests/data/typed_queries.json` holds their cases:

- Words are parted by blanks. All wanted words that stand outside quotes are one text.
- A quote at the beginning of a word opens a text of its own, up to the next quote, or to the end
  where none follows. Quotes are " “ ” „ in any pairing; inside a word (12" wide) they are letters.
- A minus at the very start or after a blank, with a letter, a digit or a quote right after it,
  makes that word, or the text in the quotes, unwanted. So x-ray, "a cat - asleep", --, +, – and —
  are text.
- A number below zero (-5, -2.5, -10%, -5°C) is text, as in "-5 degrees"; -"5" is unwanted.
- , ; . at the end of an unwanted word do not belong to it: -baby, -cat.
- A backslash before a quote, a minus or a backslash makes it a letter: \\-5, "a \\"red\\" car".

Pure: knows no model, and gives no weights.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_BLANK = r"[\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_QUOTES = '"“”„'
_BLANKS = re.compile(f"{_BLANK}+")
_WORD = re.compile(r"(?:(?!" + _BLANK + r").)+", re.DOTALL)
# a text in quotes: without its first quote, up to the last one or to the end
_QUOTED = re.compile(rf"((?:\\.|[^{_QUOTES}])*)[{_QUOTES}]?", re.DOTALL)
_ESCAPED = re.compile(rf"\\([{_QUOTES}\\-])")
_BELOW_ZERO = re.compile(r"-[0-9]+(?:[.,][0-9]+)*(?:%|°[CF]?)?[,;.]?(?=" + _BLANK + r"|\Z)")


@dataclass(frozen=True, slots=True)
class TypedQuery:
    """The texts of a typed query, in the order in which each begins; none is empty."""

    wanted: tuple[str, ...]
    unwanted: tuple[str, ...]

    @classmethod
    def parse(cls, typed: str) -> TypedQuery:
        """Understand what was typed; nothing is a mistake, but there may be no texts."""
        wanted: list[str] = []
        unwanted: list[str] = []
        loose: list[str] = []  # wanted words outside quotes
        at_loose = 0  # where in `wanted` their text belongs
        at = _skip_blanks(typed, 0)
        while at < len(typed):
            is_unwanted = _has_minus(typed, at)
            at += is_unwanted
            if typed[at] in _QUOTES:
                found = _QUOTED.match(typed, at + 1)
                assert found is not None  # it matches nothing at all, too
                if text := _plain(found[1]):
                    (unwanted if is_unwanted else wanted).append(text)
            else:
                found = _WORD.match(typed, at)
                assert found is not None  # here is no blank
                if is_unwanted:
                    unwanted.append(_plain(found[0]).rstrip(",;."))
                else:
                    at_loose = at_loose if loose else len(wanted)
                    loose.append(_plain(found[0]))
            at = _skip_blanks(typed, found.end())
        if loose:
            wanted.insert(at_loose, " ".join(loose))
        return cls(tuple(wanted), tuple(unwanted))

    @property
    def is_parted(self) -> bool:
        """Whether it is more than one wanted text."""
        return len(self.wanted) + len(self.unwanted) > 1 or not self.wanted

    @property
    def sentence(self) -> str:
        """What was understood, as in "wanted: a hospital room; unwanted: baby"."""
        sides = (("wanted", self.wanted), ("unwanted", self.unwanted))
        return "; ".join(f"{side}: {_listed(texts)}" for side, texts in sides if texts)


def _has_minus(typed: str, at: int) -> bool:
    after = typed[at + 1 : at + 2]
    if typed[at] != "-" or not after or _BELOW_ZERO.match(typed, at):
        return False
    begins = at == 0 or _BLANKS.match(typed, at - 1) is not None
    return begins and (after in _QUOTES or unicodedata.category(after)[0] in "LN")


def _skip_blanks(typed: str, at: int) -> int:
    found = _BLANKS.match(typed, at)
    return at if found is None else found.end()


def _plain(text: str) -> str:
    """Without backslashes that escape, and with single blanks between words."""
    return _BLANKS.sub(" ", _ESCAPED.sub(r"\1", text)).strip(" ")


def _listed(texts: tuple[str, ...]) -> str:
    return texts[0] if len(texts) == 1 else ", ".join(f'"{text}"' for text in texts)
