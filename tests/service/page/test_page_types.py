"""What the page's modules are checked with is what the service answers and the pages have."""

from __future__ import annotations

from service.api.routes.page import FOLDER
from tests.service.page.page_types import ANSWERS, ELEMENTS, answers, elements, pages, served

MAKE = "python -m tests.service.page.page_types"
OPENAPI = {
    "paths": {
        "/v1/rows": {
            "get": {
                "responses": {
                    "200": {"content": {"schema": {"$ref": "#/components/schemas/RowsAnswer"}}},
                    "422": {"content": {"schema": {"$ref": "#/components/schemas/Refused"}}},
                }
            }
        }
    },
    "components": {
        "schemas": {
            "RowsAnswer": {
                "required": ["rows", "kind"],
                "properties": {
                    "rows": {"type": "array", "items": {"$ref": "#/components/schemas/a__b__Row"}},
                    "kind": {"enum": ["all", "some"]},
                    "where": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
            },
            "a__b__Row": {
                "required": ["row_id"],
                "properties": {
                    "row_id": {"type": "integer"},
                    "columns": {"type": "object", "additionalProperties": {"type": "number"}},
                    "any": {},
                    "two": {"type": "array", "items": {"enum": [1, 2]}},
                },
                "additionalProperties": True,
            },
            "Refused": {"properties": {"message": {"type": "string"}}},
        }
    },
}
DECLARED = """\
declare namespace Answers {
  interface BRow {
    row_id: number;
    columns?: Record<string, number>;
    any?: any;
    two?: (1 | 2)[];
    [more: string]: any;
  }
  interface RowsAnswer {
    rows: BRow[];
    kind: "all" | "some";
    where?: string | null;
  }
}
"""


def test_the_answers_are_those_of_openapi() -> None:
    assert ANSWERS.read_text(encoding="utf-8") == answers(served()), f"{MAKE} makes it anew"


def test_the_elements_are_those_of_the_pages() -> None:
    assert ELEMENTS.read_text(encoding="utf-8") == elements(pages()), f"{MAKE} makes it anew"


def test_a_schema_is_a_type_and_a_refusal_is_no_answer() -> None:
    assert answers(OPENAPI).partition("*/\n")[2] == DECLARED


def test_an_id_has_the_type_of_its_element_on_any_page() -> None:
    one = '<input id="words"><div id="box"></div><symbol id="icon-x"></symbol><p>no id</p>'
    two = '<svg id="bars"><path id="bar"/></svg><textarea id="words"></textarea>'
    assert elements([one, two]).partition("*/\n")[2] == (
        "interface PageElements {\n"
        '  "bar": SVGPathElement;\n'
        '  "bars": SVGSVGElement;\n'
        '  "box": HTMLElement;\n'
        '  "key": HTMLInputElement;\n'
        '  "words": HTMLInputElement | HTMLTextAreaElement;\n'
        "}\n"
    )


def test_no_page_loads_what_is_for_the_checker_alone() -> None:
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.ts")} == {
        "common/answers.d.ts",
        "common/elements.d.ts",
    }
    assert [text for text in pages() if ".d.ts" in text] == []
