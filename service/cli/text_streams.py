"""Text on the command's streams, whatever the locale and the environment say of its encoding."""

from __future__ import annotations

import codecs
import io
import os
import sys

_ESCAPED = "lakesift-escaped"


def use_utf8() -> None:
    """Paths and arguments in UTF-8, and no character on stdout that ends the command.

    For the command alone: a program that calls `main` keeps its own streams. Where the locale knows
    ASCII only, and Python's own way out of that was switched off (PYTHONUTF8=0), names of files
    could not be written and texts of queries not be read; the command begins anew in Python's
    UTF-8 mode then.
    """
    is_ascii = codecs.lookup(sys.getfilesystemencoding()).name == "ascii"
    if is_ascii and not sys.flags.utf8_mode and sys.executable:
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error(_ESCAPED, _escaped)
        sys.stdout.reconfigure(errors=_ESCAPED)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""What an encoding lacks, as JSON escapes it: é as \u00e9, which a person can read, too."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(f"\\u{unit:04x}" for unit in pairs), error.end
