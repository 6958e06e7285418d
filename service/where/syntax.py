"""Text of a `where` -> a sqlglot tree of nothing but the words
and signs we know; knows no column's type.

The tokens are checked before they are parsed: what is not on a short list never reaches the parser,
nesting is counted there (the parser recurses, about 23 Python frames a bracket), and every word
that is not one of our keywords becomes a quoted name, so that columns called `format` or `offset`
need no quotes, whatever the SQL dialect reserves.

sqlglot takes 0.1 s to import, so it is imported when there is something to parse.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from indexer.errors import WhereError

if TYPE_CHECKING:
    from sqlglot import Token
    from sqlglot.errors import ParseError

Node: TypeAlias = Any  # of a syntax tree; the name of its class moved between versions of sqlglot

MAX_BYTES = 4096
MAX_DEPTH = 32
ALLOWED = (
    "allowed are column names, literals, comparisons (= <> < <= > >=), AND, OR, NOT, IN (...), LIKE, ILIKE, "
    "BETWEEN, IS NULL, IS TRUE, IS FALSE and IS DISTINCT FROM"
)

_KEYWORDS = {"AND", "OR", "NOT", "IN", "LIKE", "ILIKE", "BETWEEN", "IS", "NULL", "TRUE", "FALSE"}
_KEYWORDS_AFTER_IS = {"DISTINCT", "FROM", "UNKNOWN"}  # elsewhere they are names
# when a text follows; else they are names
_TIME_LITERALS = {"DATE", "TIMESTAMP", "TIMESTAMPTZ", "DATETIME"}
_SIGNS = {"=", "==", "<>", "!=", "<", "<=", ">", ">=", "(", ")", ",", "."}
_REFUSED_WORDS = {
    "SELECT": "a subquery",
    "WITH": "a subquery",
    "EXISTS": "a subquery",
    "CASE": "CASE",
    "CAST": "a cast",
    "TRY_CAST": "a cast",
    "INTERVAL": "an interval",
    "COLLATE": "COLLATE",
    "SIMILAR": "SIMILAR TO",
    "GLOB": "GLOB",
    "REGEXP": "REGEXP",
    "RLIKE": "RLIKE",
    "SYMMETRIC": "BETWEEN SYMMETRIC",
    "ANY": "ANY",
    "ALL": "ALL",
    "ORDER": "ORDER BY",
    "GROUP": "GROUP BY",
    "LIMIT": "LIMIT",
    "UNION": "UNION",
    "XOR": "XOR",
    "ISNULL": "ISNULL (write IS NULL)",
    "NOTNULL": "NOTNULL (write IS NOT NULL)",
}
_REFUSED_SIGNS = {
    ";": "a semicolon",
    "::": "a cast",
    "?": "a parameter",
    "$": "a parameter",
    ":": "a parameter",
    "@": "a parameter",
    "||": "joining texts with ||",
    "->": "JSON access",
    "->>": "JSON access",
    "[": "a list",
    "{": "a struct or template",
    "+": "arithmetic",
    "-": "arithmetic",
    "*": "arithmetic",
    "/": "arithmetic",
    "//": "arithmetic",
    "%": "arithmetic",
    "**": "arithmetic",
    "^": "arithmetic",
}
# a word, or several that sqlglot makes one token: ORDER BY
_WORDS = re.compile(r"([^\W\d]\w*)(\s+\w+)*")


def parse_tree(text: str, is_column: Callable[[str], bool]) -> Node:
    """Parse a boolean expression, or say in one sentence what stands in the way.

    :param is_column: whether a word is a column's name; then it may be one that we refuse
        otherwise: `limit`.
    :raises WhereError: on anything that is not on the list, with its place where there is one.
    """
    _check_size(text)
    tokens = _checked(text, _tokenize(text), is_column)
    _check_depth(text, tokens)
    return _parse(text, tokens)


def _check_size(text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise WhereError(
            text, f"character {error.start + 1} is half a character (a lone surrogate)"
        ) from None
    if size > MAX_BYTES:
        raise WhereError(text, f"the expression has {size:,} bytes, {MAX_BYTES:,} are allowed")
    if not text.strip():
        raise WhereError(text, "the expression is empty; leave it out to keep every row")


def _tokenize(text: str) -> list[Token]:
    from sqlglot.dialects.duckdb import DuckDB
    from sqlglot.errors import TokenError

    try:
        tokens: list[Token] = DuckDB().tokenize(text)
    except TokenError:
        raise WhereError(text, "a quote or a comment is opened and never closed") from None
    if not tokens or any(token.comments for token in tokens):
        raise _refused(text, "a comment")
    return tokens


def _checked(text: str, tokens: list[Token], is_column: Callable[[str], bool]) -> list[Token]:
    """Refuse every token that is not on the list, and make plain words names."""
    checked: list[Token] = []
    for i, token in enumerate(tokens):
        before = checked[-1] if checked else None
        after = tokens[i + 1] if i + 1 < len(tokens) else None
        checked.append(_checked_token(text, token, before, after, is_column))
    return checked


def _checked_token(
    text: str,
    token: Token,
    before: Token | None,
    after: Token | None,
    is_column: Callable[[str], bool],
) -> Token:
    from sqlglot import TokenType

    written = text[token.start : token.end + 1]
    if token.token_type == TokenType.STRING:
        if before is not None and before.token_type == TokenType.STRING:
            raise _misread(text, token)  # sqlglot joins 'a' 'b'
        return token
    if token.token_type == TokenType.NUMBER:
        return token
    if token.token_type == TokenType.IDENTIFIER:
        return _as_name(token)
    if words := _WORDS.fullmatch(written):
        return _checked_word(text, token, words[1], before, after, is_column)
    if written in ("-", "+") and _is_sign_of_number(before, after):
        return token
    if written not in _SIGNS:
        raise _refused(text, _REFUSED_SIGNS.get(written, written), token)
    if (
        written == ","
        and before is not None
        and before.token_type in (TokenType.COMMA, TokenType.L_PAREN)
    ):
        raise _misread(text, token)  # sqlglot reads (1,,2) as (1, 2)
    return token


def _checked_word(
    text: str,
    token: Token,
    word: str,
    before: Token | None,
    after: Token | None,
    is_column: Callable[[str], bool],
) -> Token:
    from sqlglot import TokenType

    upper = word.upper()
    before_type = None if before is None else before.token_type
    after_type = None if after is None else after.token_type
    after_is = before_type in {TokenType.IS, TokenType.NOT, TokenType.DISTINCT}
    if word == token.text and (
        upper in _KEYWORDS
        or (upper in _KEYWORDS_AFTER_IS and after_is)
        or (upper in _TIME_LITERALS and after_type == TokenType.STRING)
        or (upper == "ESCAPE" and before_type == TokenType.STRING)
    ):
        return token
    if upper == "WHERE" and before is None and not is_column(word):
        raise WhereError(text, "leave out the word WHERE: the expression alone is wanted")
    if upper in _REFUSED_WORDS and not (word == token.text and is_column(word)):
        raise _refused(text, _REFUSED_WORDS[upper], token)
    if after is not None and after_type == TokenType.L_PAREN:
        raise _refused(text, f"{word}(...), a function,", token)
    if word != token.text or (after is not None and after_type == TokenType.STRING):
        raise _misread(text, token)  # two words in one token, or x'ff'
    return _as_name(token)


def _as_name(token: Token) -> Token:
    from sqlglot import Token, TokenType

    return Token(
        TokenType.IDENTIFIER,
        text=token.text,
        line=token.line,
        col=token.col,
        start=token.start,
        end=token.end,
    )


def _is_sign_of_number(before: Token | None, after: Token | None) -> bool:
    from sqlglot import TokenType

    operands = {TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING, TokenType.R_PAREN}
    starts = {TokenType.NUMBER, TokenType.DOT}
    return (
        (before is None or before.token_type not in operands)
        and after is not None
        and after.token_type in starts
    )


def _check_depth(text: str, tokens: list[Token]) -> None:
    """Check that brackets pair up, and count those and the NOTs that are open at once."""
    open_at: list[int] = []  # what each open bracket adds: itself and the NOTs before it
    nots = 0
    for token in tokens:
        written = text[token.start : token.end + 1].upper()
        if written == "NOT":
            nots += 1
        elif written == "(":
            open_at.append(1 + nots)
            nots = 0
        else:
            nots = 0
            if written == ")" and not open_at:
                raise WhereError(text, f"the bracket at character {token.start + 1} closes nothing")
            if written == ")":
                open_at.pop()
        if sum(open_at) + nots > MAX_DEPTH:
            raise WhereError(text, f"brackets and NOTs are nested deeper than {MAX_DEPTH}")
    if open_at:
        raise WhereError(text, "a bracket is opened and never closed")


def _parse(text: str, tokens: list[Token]) -> Node:
    from sqlglot import exp
    from sqlglot.dialects.duckdb import DuckDB
    from sqlglot.errors import ParseError

    try:
        trees = DuckDB().parser().parse_into(exp.Condition, tokens, text)
    except ParseError as error:
        raise _misread_at(text, tokens, error) from None
    # 32 brackets take about 750 frames, so this needs a caller who is deep already
    except RecursionError:
        raise WhereError(text, "brackets and NOTs are nested too deeply") from None
    if len(trees) != 1 or trees[0] is None:
        raise WhereError(text, f"this is not one expression; {ALLOWED}")
    return trees[0]


def _misread_at(text: str, tokens: list[Token], error: ParseError) -> WhereError:
    """Say the place of a syntax error:
    sqlglot names the line and the column at which a token ends.
    """
    place = error.errors[0] if error.errors else {}
    for token in tokens:
        if (token.line, token.col) == (place.get("line"), place.get("col")) and token is not tokens[
            -1
        ]:
            return _misread(text, token)
    return WhereError(text, f"syntax error near the end, at {text[tokens[-1].start :]}; {ALLOWED}")


def _misread(text: str, token: Token) -> WhereError:
    written = text[token.start : token.end + 1]
    return WhereError(text, f"syntax error at character {token.start + 1}, at {written}; {ALLOWED}")


def _refused(text: str, thing: str, token: Token | None = None) -> WhereError:
    place = f" (character {token.start + 1})" if token is not None else ""
    return WhereError(text, f"{thing} is not allowed{place}; {ALLOWED}")
