"""The command's parser: a mistake is told in a sentence with the way out, and exits with 2.

On top of argparse: options and words in any order (`search my.lake --paths "a cat"`), no
abbreviations of options, "did you mean", and a query that begins with a minus is no option.
"""

from __future__ import annotations

import argparse
import difflib
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from service.cli.codes import USAGE

Words = Callable[[argparse.Namespace, list[str]], str]


class Parser(argparse.ArgumentParser):
    """As argparse's own, of the command, a verb or an action."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # An abbreviation that works today is ambiguous with the next option.
        super().__init__(*args, **{"allow_abbrev": False} | options)
        self.register("type", int, whole_number)
        self.register("type", float, number)
        self.parts: Any = None  # the sub-parsers: verbs or actions
        # Tells what to do with words that have no place, where the parser knows better.
        self.tell_words: Words = _tell_words
        self._is_intermixed = False

    def add_subparsers(self, **options: Any) -> Any:
        self.parts = super().add_subparsers(**options)
        return self.parts

    def parse_known_args(  # type: ignore[override]
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """:returns: nothing in the list: what is not known is told here, by whom it was said to."""
        if self._is_intermixed:
            return super().parse_known_args(args, namespace)
        if self.parts is not None:
            found, extra = super().parse_known_args(args, namespace)
        else:
            self._is_intermixed = True
            try:
                found, extra = self.parse_known_intermixed_args(args, namespace)
            finally:
                self._is_intermixed = False
        if extra:
            self.error(self._unexpected(found, extra))
        return found, []

    def _unexpected(self, found: argparse.Namespace, extra: list[str]) -> str:
        options = [word.partition("=")[0] for word in extra if word.startswith("--")]
        if self.parts is not None:
            options = options or extra
        if not options:
            return self.tell_words(found, extra)
        known = [name for action in self._actions for name in action.option_strings]
        near = did_you_mean(options[0], known)
        if self.parts is not None and not near:
            verb = self.parts.metavar
            article = "an" if verb[0] in "AEIOU" else "a"
            near = f" before the {verb}; those of {article} {verb.lower()} stand behind it"
        return f"there is no option {options[0]}{near}"

    # argparse has no public way to say these two differently.

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        near = did_you_mean(str(value), choices)
        if action.nargs != argparse.PARSER:
            what = "/".join(action.option_strings) or str(action.metavar or action.dest)
            self.error(f"{what}: {value!r} is none of {', '.join(choices)}{near}")
        within = [f"{part.prog} {value}" for part in self._verbs() if value in part.names]
        if within:
            near = f"; did you mean {' or '.join(within)}?"
        elif not near:
            near = f"; there are {', '.join(choices)}"
        self.error(f"there is no {self.parts.metavar.lower()} {value!r}{near}")

    def _verbs(self) -> Iterable[Parser]:
        return () if self.parts is None else self.parts.choices.values()

    @property
    def names(self) -> frozenset[str]:
        """Of its verbs or actions."""
        return frozenset(() if self.parts is None else self.parts.choices)

    def _get_option_tuples(self, option_string: str) -> list[Any]:
        # "-kitten" is the beginning of a query, and -k5 an option with its value.
        if option_string[1:2] != "-" and not option_string[2:].isdecimal():
            return []
        return super()._get_option_tuples(option_string)

    def error(self, message: str) -> NoReturn:
        """Tell the mistake, and exit with 2."""
        if message.startswith("the following arguments are required"):
            if self.parts is None:
                self.print_usage(sys.stderr)
            else:
                self.print_help(sys.stderr)
                self.exit(USAGE, f"\n{self.prog}: say which {self.parts.metavar}\n")
        told = re.sub("^argument ", "", message)
        self.exit(USAGE, f"{self.prog}: {told}\nhelp: {self.prog} --help\n")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """As in "; did you mean search?"; "" where nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else ""


def in_quotes(text: str) -> str:
    """A text as people would write it behind a command."""
    return shlex.quote(text) if re.search(r'["$`\\!]', text) else f'"{text}"'


def _tell_words(_: argparse.Namespace, words: list[str]) -> str:
    return f"nothing is expected at {' '.join(words)}; a text or path with blanks stands in quotes"


def whole_number(text: str) -> int:
    """:raises argparse.ArgumentTypeError: if it is none."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def number(text: str) -> float:
    """:raises argparse.ArgumentTypeError: if it is none."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
