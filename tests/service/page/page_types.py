"""What the page's modules are checked with: the types of the service's answers, from its OpenAPI,
and of the elements that the pages have, from their HTML.

`python -m tests.service.page.page_types` writes both files anew; a test says if they are old.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

from service.api.app import create_app
from service.api.routes.page import FOLDER

ANSWERS = FOLDER / "common" / "answers.d.ts"
ELEMENTS = FOLDER / "common" / "elements.d.ts"
HEAD = """\
/**
 * {what} Made by `python -m tests.service.page.page_types`, not by hand.
 * For the type checker alone: no page loads it, and the wheel is without it.
 */
"""
# Tags whose elements have more than HTMLElement has.
TAGS = {
    "a": "HTMLAnchorElement",
    "button": "HTMLButtonElement",
    "canvas": "HTMLCanvasElement",
    "details": "HTMLDetailsElement",
    "dialog": "HTMLDialogElement",
    "form": "HTMLFormElement",
    "img": "HTMLImageElement",
    "input": "HTMLInputElement",
    "meter": "HTMLMeterElement",
    "ol": "HTMLOListElement",
    "output": "HTMLOutputElement",
    "path": "SVGPathElement",
    "progress": "HTMLProgressElement",
    "select": "HTMLSelectElement",
    "svg": "SVGSVGElement",
    "table": "HTMLTableElement",
    "template": "HTMLTemplateElement",
    "textarea": "HTMLTextAreaElement",
    "ul": "HTMLUListElement",
}
# Made by modules, and found by others.
MADE = {"key": "input"}
PLAIN = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}
REF = "#/components/schemas/"


def answers(openapi: Mapping[str, Any]) -> str:
    """:param openapi: the document that the service serves as /openapi.json"""
    head = HEAD.format(what="What the service answers, as its OpenAPI says it.")
    schemas = openapi["components"]["schemas"]
    parts = [_declared(name, schemas[name]) for name in sorted(_answered(openapi), key=_short)]
    return f"{head}declare namespace Answers {{\n{''.join(parts)}}}\n"


def _answered(openapi: Mapping[str, Any]) -> set[str]:
    """The schemas that successful answers consist of."""
    schemas = openapi["components"]["schemas"]
    left = [
        name
        for operations in openapi["paths"].values()
        for operation in operations.values()
        for status, answer in operation["responses"].items()
        if status.startswith("2")
        for name in _named(answer)
    ]
    found: set[str] = set()
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left.extend(_named(schemas[name]))
    return found


def _named(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].removeprefix(REF)
        for each in part.values():
            yield from _named(each)
    elif isinstance(part, list):
        for each in part:
            yield from _named(each)


def _declared(name: str, schema: Mapping[str, Any]) -> str:
    if "properties" not in schema:
        return f"  type {_short(name)} = {_type(schema)};\n"
    return f"  interface {_short(name)} {_object(schema, '  ')}\n"


def _short(name: str) -> str:
    """Two modules may call theirs alike: service__api__routes__about__FormatFacts."""
    return "".join(
        re.sub(r"\W", "_", part)[:1].upper() + part[1:] for part in name.split("__")[-2:]
    )


def _object(schema: Mapping[str, Any], indent: str) -> str:
    needed = set(schema.get("required", ()))
    lines = [
        f"{indent}  {json.dumps(name) if not name.isidentifier() else name}"
        f"{'' if name in needed else '?'}: {_type(each)};\n"
        for name, each in schema["properties"].items()
    ]
    if schema.get("additionalProperties") is True:
        lines.append(f"{indent}  [more: string]: any;\n")
    return f"{{\n{''.join(lines)}{indent}}}"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _short(schema["$ref"].removeprefix(REF))
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " | ".join(dict.fromkeys(map(_type, schema[several])))
    if "enum" in schema:
        return " | ".join(map(json.dumps, schema["enum"]))
    if "const" in schema:
        return json.dumps(schema["const"])
    kind = schema.get("type")
    if kind == "array":
        return _array(schema)
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"Record<string, {_type(more) if isinstance(more, Mapping) else 'any'}>"
    return PLAIN[kind] if isinstance(kind, str) else "any"


def _array(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(map(_type, schema['prefixItems']))}]"
    inside = _type(schema.get("items", {}))
    return f"({inside})[]" if " | " in inside else f"{inside}[]"


class _Ids(HTMLParser):
    """The elements that have an id, with their tags."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = dict(attrs).get("id")
        if name is not None and tag != "symbol":
            self.found[name] = tag


def elements(pages: Iterable[str]) -> str:
    """:param pages: the HTML of each; an id that several have may be of different tags there"""
    kinds: dict[str, set[str]] = {name: {TAGS[tag]} for name, tag in MADE.items()}
    for text in pages:
        ids = _Ids()
        ids.feed(text)
        for name, tag in ids.found.items():
            kinds.setdefault(name, set()).add(TAGS.get(tag, "HTMLElement"))
    head = HEAD.format(what="The elements that modules find by their id.")
    lines = [f'  "{name}": {" | ".join(sorted(kinds[name]))};\n' for name in sorted(kinds)]
    return f"{head}interface PageElements {{\n{''.join(lines)}}}\n"


def pages() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*/*.html"))]


def served() -> Mapping[str, Any]:
    """The OpenAPI document of a service; it needs no lake for that."""
    document: Mapping[str, Any] = create_app([]).openapi()
    return document


if __name__ == "__main__":
    ANSWERS.write_text(answers(served()), encoding="utf-8")
    ELEMENTS.write_text(elements(pages()), encoding="utf-8")
