"""The page of filters as people use it: a real browser, a real server, real photos."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from playwright.sync_api import Route, expect

from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from service.lake import Lake
from service.relevance import Filters, Target
from service.relevance.labels.book import Record
from tests.lakes import Desk
from tests.service.page.conftest import Served, Visit, Visitor, serving

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
ALL = 31  # sample photos
FEW = 5  # images left when the page asks for more
ANIMALS = "/label?lake=photos&filter=animals"
READY = '[data-answer="yes"][aria-disabled="false"]'


@pytest.fixture
def lake(photo_lake: Path, tmp_path: Path) -> Path:
    """The sample photos' lake, a copy: filters write into it."""
    return Path(shutil.copytree(photo_lake, tmp_path / "photos.lake"))


@pytest.fixture
def served(lake: Path, tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "state", {"photos": lake}) as served:
        yield served


def make_filter(lake: Path, **more: Any) -> None:
    with Lake.open(lake) as opened:
        Filters(opened).create(
            "animals", keep_texts=["an animal", "a cat"], drop_texts=["a building"], **more
        )


def book(lake: Path) -> list[Record]:
    """All lines of the labels of `animals`."""
    with Lake.open(lake) as opened:
        return Filters(opened).open("animals").labels.book.records()


def at(visitor: Visitor, address: str = ANIMALS) -> Visitor:
    """Open a filter, and wait for its first image."""
    visitor.page.goto(visitor.url + address)
    visitor.page.wait_for_selector(READY)
    return visitor


def asked(visitor: Visitor) -> str:
    """What the image is called."""
    return str(visitor.page.locator(".asked").get_attribute("alt"))


def press(visitor: Visitor, key: str) -> str:
    """Answer by key, as a person does: once the image is there; the name of the image."""
    visitor.page.wait_for_selector(READY)
    name = asked(visitor)
    visitor.page.keyboard.press(key)
    return name


def call(visitor: Visitor, name: str) -> None:
    """Say who labels."""
    visitor.page.fill("#labeller", name)
    visitor.page.press("#labeller", "Enter")


def counted(visitor: Visitor, labels: int, counts: str) -> None:
    expect(visitor.page.locator("#labels")).to_have_text(str(labels))
    expect(visitor.page.locator("#counts")).to_have_text(counts)


# -- making one


def test_make_a_filter_label_six_images_by_key_and_undo(
    visit: Visit, served: Served, lake: Path
) -> None:
    visitor = visit(served).open()
    page = visitor.page
    page.click("#to-filters")
    expect(page.locator("#none")).to_contain_text("There is no filter yet.")
    page.fill("#new-name", "animals")
    page.fill("#new-keep", "an animal\n\n  a cat  \n")
    page.fill("#new-drop", "a building")
    page.fill("#new-recall", "90")
    page.press("#new-recall", "Enter")

    page.wait_for_selector(READY)
    assert visitor.address == ANIMALS
    assert page.title() == "animals · lakesift"
    expect(page.locator("#question")).to_have_text("Is this: an animal or a cat?")
    expect(page.locator("#not-this")).to_have_text("Answer no to: a building.")
    wanted = "Keep at least 90\u00a0% of what belongs here, with 95\u00a0% confidence."
    expect(page.locator("#wanted")).to_have_text(wanted)
    counted(visitor, 0, "0 yes, 0 no")

    names = [press(visitor, key) for key in ("y", "n", "s", "y", "n", "n")]
    assert len(set(names)) == 6
    counted(visitor, 6, "2 yes, 3 no, 1 skipped")
    press(visitor, "u")
    counted(visitor, 5, "2 yes, 2 no, 1 skipped")
    assert asked(visitor) == names[5]
    assert page.locator("#live").inner_text() == "Took back no."
    press(visitor, "y")
    counted(visitor, 6, "3 yes, 2 no, 1 skipped")

    with Lake.open(lake) as opened:
        definition = Filters(opened).open("animals").definition
        answers = Filters(opened).open("animals").answers().values()
        uris = {answer.label: [] for answer in answers}  # type: ignore[var-annotated]
        for answer in answers:
            place = opened.snapshot.find(answer.row_id)
            assert place is not None
            uri = place[0].columns(["uri"]).slice(place[1], 1).to_pylist()[0]["uri"]
            uris[answer.label].append(Path(uri).name)
    assert definition.keep.texts == ("an animal", "a cat")
    assert definition.target == Target(0.9, None, 0.95)
    assert set(uris["yes"]) == {names[0], names[3], names[5]}
    assert uris["skip"] == [names[2]]


def test_a_filter_that_cannot_be_made_says_why_beside_the_field(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    visitor = visit(served)
    visitor.refusals = {409, 422}
    page = visitor.page
    page.goto(f"{served.url}/label?lake=photos")
    expect(page.locator(".filter-link")).to_contain_text(
        "animals" + "Not taught yet · 0 labels · recall 95\u00a0%, confidence 95\u00a0%"
    )
    page.fill("#new-name", "animals")
    page.click("#new-submit")
    expect(page.locator("#new-keep-problem")).to_have_text(
        "Say or show what you want: give at least one text or example image."
    )
    page.fill("#new-keep", "a cat")
    page.click("#new-submit")
    problem = page.locator("#new-name-problem")
    expect(problem).to_have_text(
        "There is a filter 'animals' already; choose another name, or delete that one."
    )
    assert visitor.focused == "new-name"
    page.fill("#new-name", "кошки")
    page.click("#new-submit")
    expect(problem).to_contain_text("'кошки' is no name for a filter")
    page.fill("#new-name", "cats")
    page.fill("#new-where", "size = 1")
    page.click("#new-submit")
    expect(page.locator("#new-where-problem")).not_to_be_empty()
    expect(problem).to_be_empty()
    page.fill("#new-where", "width_px >= 1")
    page.fill("#new-recall", "100")
    page.click("#new-submit")
    expect(page.locator("#new-recall-problem")).to_have_text(
        "100 % cannot be guaranteed; say 1 or more and less than 100, as 95 for 95 %."
    )


def test_a_filter_that_is_not_there(visit: Visit, served: Served, lake: Path) -> None:
    make_filter(lake)
    visitor = visit(served)
    visitor.refusals = {404}
    visitor.page.goto(f"{served.url}/label?lake=photos&filter=animal")
    expect(visitor.page.locator("#message")).to_contain_text("did you mean 'animals'?")
    visitor.page.click("text=All filters")
    visitor.page.click(".filter-link")
    visitor.page.wait_for_selector(READY)


# -- labelling


def test_every_image_once_until_nothing_is_left(visit: Visit, served: Served, lake: Path) -> None:
    make_filter(lake)
    visitor = at(visit(served))
    names = {press(visitor, "yn"[number % 2]) for number in range(ALL)}
    assert len(names) == ALL
    expect(visitor.page.locator("#frame")).to_contain_text("Nothing is left to label")
    counted(visitor, ALL, "16 yes, 15 no")
    visitor.page.keyboard.press("y")  # there is nothing that it could answer
    visitor.page.keyboard.press("u")
    counted(visitor, ALL - 1, "15 yes, 15 no")
    visitor.page.wait_for_selector(READY)
    assert len({record.row_id for record in book(lake)}) == ALL


def test_the_labeller_s_name_is_remembered_and_typed_keys_are_no_answers(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    visitor = at(visit(served))
    visitor.page.fill("#labeller", "")
    visitor.page.focus("#labeller")
    visitor.page.keyboard.type("sunny ")
    visitor.page.keyboard.press("Enter")
    counted(visitor, 0, "0 yes, 0 no")
    press(visitor, "y")
    counted(visitor, 1, "1 yes, 0 no")
    visitor.page.reload()
    visitor.page.wait_for_selector(READY)
    assert visitor.page.input_value("#labeller") == "sunny"
    press(visitor, "n")
    counted(visitor, 2, "1 yes, 1 no")
    assert [record.labeller for record in book(lake)] == ["sunny", "sunny"]


def test_undo_after_a_reload_takes_back_one_s_own_answer_alone(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    visitor = at(visit(served))
    call(visitor, "ann")
    mine = press(visitor, "y")
    counted(visitor, 1, "1 yes, 0 no")
    with Lake.open(lake) as opened:
        Filters(opened).open("animals").label([{"row_id": 30, "label": "no", "labeller": "bob"}])
    at(visitor)
    counted(visitor, 2, "1 yes, 1 no")
    visitor.page.click('[data-answer="undo"]')
    counted(visitor, 1, "0 yes, 1 no")
    expect(visitor.page.locator(".asked")).to_have_attribute(
        "alt", mine
    )  # it is fetched: others are in the queue
    visitor.page.click('[data-answer="undo"]')
    expect(visitor.page.locator("#notices")).to_contain_text(
        "You have given no answer that could be taken back."
    )


def test_of_two_without_a_name_neither_takes_back_what_the_other_said(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    visitor = at(visit(served))
    mine = press(visitor, "y")
    counted(visitor, 1, "1 yes, 0 no")
    other = at(visit(served))
    press(other, "n")
    counted(other, 2, "1 yes, 1 no")
    at(visitor)
    visitor.page.click('[data-answer="undo"]')
    # Theirs was the later one, and is not taken back: mine is, after a reload as well.
    counted(visitor, 1, "0 yes, 1 no")
    expect(visitor.page.locator(".asked")).to_have_attribute("alt", mine)
    visitor.page.click('[data-answer="undo"]')
    notices = visitor.page.locator("#notices")
    expect(notices).to_contain_text("You have given no answer in this tab that could be taken back")
    counted(visitor, 1, "0 yes, 1 no")
    # What the other said since of the same image is a sentence, once, and stays.
    visitor.refusals = {409}
    press(visitor, "y")
    counted(visitor, 2, "1 yes, 1 no")
    row_id = book(lake)[-1].row_id
    with Lake.open(lake) as opened:
        Filters(opened).open("animals").label([{"row_id": row_id, "label": "no"}])
    visitor.page.click('[data-answer="undo"]')
    expect(notices).to_contain_text(
        f"is not the last of row {row_id}: unnamed said no since, in answer"
    )
    visitor.page.click('[data-answer="undo"]')
    expect(notices).to_contain_text("You have given no answer in this tab that could be taken back")
    assert book(lake)[-1].undo is None


def test_what_another_has_answered_is_passed_over_by_the_next_batch(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    ann, bob = at(visit(served)), at(visit(served))
    call(ann, "ann")
    call(bob, "bob")
    theirs = [press(bob, "n") for _ in range(12)]
    counted(bob, 12, "0 yes, 12 no")
    with ann.page.expect_response("**/next"):
        before = [press(ann, "y") for _ in range(12 - FEW + 1)]
    assert before == theirs[: len(before)]  # both began with the same ones
    expect(ann.page.locator("#counts")).to_have_text("0 yes, 4 no, 8 in dispute")
    press(ann, "y")  # the one that was looked at meanwhile
    after = [press(ann, "y") for _ in range(3)]
    assert not set(after) & set(theirs)


def test_an_answer_that_is_not_saved_is_said_and_its_image_comes_back(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    visitor = at(visit(served))
    visitor.refusals = {503}
    body = '{"error": {"code": "lake_error", "message": "the disk is full", "field": null}}'

    def refuse(route: Route) -> None:
        route.fulfill(status=503, content_type="application/json", body=body)

    visitor.page.route("**/animals/label", refuse, times=1)
    lost = press(visitor, "y")
    notice = visitor.page.locator("#notices")
    expect(notice).to_contain_text(
        f"The answer for {lost} was not saved: the disk is full. It is asked again."
    )
    press(visitor, "n")
    assert press(visitor, "y") == lost
    counted(visitor, 2, "1 yes, 1 no")
    expect(notice).to_be_empty()


def test_images_that_cannot_be_chosen_are_told_at_once_and_asked_for_again(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    visitor = visit(served)
    visitor.refusals = {503}
    page = visitor.page
    body = '{"error": {"code": "lake_error", "message": "the disk is full", "field": null}}'
    page.route("**/next", lambda route: route.fulfill(status=503, body=body), times=1)
    page.goto(visitor.url + ANIMALS)
    expect(page.locator("#frame")).to_contain_text("The disk is full.")
    page.wait_for_timeout(400)  # longer than until a sign of waiting
    expect(page.locator("#frame")).to_contain_text("The disk is full.")
    page.click("text=Try again")
    page.wait_for_selector(READY)


def test_a_description_stays_while_images_are_chosen_and_where_they_cannot_be(
    visit: Visit, served: Served, lake: Path
) -> None:
    """The sign of waiting comes after a quarter of a second, and took its place."""
    make_filter(lake)
    visitor = visit(served)
    visitor.refusals = {503}
    page = visitor.page
    held: list[Route] = []
    page.route("**/next", lambda route: held.append(route))
    page.goto(visitor.url + ANIMALS)
    page.locator(".steps label", has_text="Describe").click()
    described = page.locator("#frame .described")
    expect(described).to_be_visible()
    page.wait_for_timeout(400)
    expect(described).to_be_visible()
    error = {"error": {"code": "too_busy", "message": "much is asked", "field": None}}
    for each in held:
        each.fulfill(status=503, json=error)
    expect(page.locator("#notices")).to_contain_text("Much is asked")
    expect(described).to_be_visible()
    page.unroute("**/next")
    page.locator(".steps label", has_text="Teach").click()
    expect(page.locator(READY)).to_be_visible()


def test_a_long_name_is_cut_and_the_way_back_is_not(
    visit: Visit, served: Served, lake: Path
) -> None:
    with Lake.open(lake) as opened:
        Filters(opened).create("n" * 64, keep_texts=["an animal"], where="width_px >= 1")
    for screen in (PHONE, {"viewport": {"width": 900, "height": 700}}):
        visitor = at(visit(served, **screen), f"/label?lake=photos&filter={'n' * 64}")
        box = visitor.page.locator("#to-filters").bounding_box()
        assert box is not None
        assert box["height"] <= 44  # one line
        expect(visitor.page.locator("#only-where")).to_have_text("Only images where width_px >= 1")


def test_the_server_goes_away_and_comes_back(visit: Visit, served: Served, lake: Path) -> None:
    make_filter(lake)
    visitor = at(visit(served))
    visitor.may_be_gone = True
    press(visitor, "y")
    counted(visitor, 1, "1 yes, 0 no")
    served.stop()
    lost = press(visitor, "n")
    expect(visitor.page.locator("#banner")).to_be_visible()
    expect(visitor.page.locator("#notices")).to_contain_text(f"The answer for {lost} was not saved")
    expect(visitor.page.locator(READY)).to_have_count(0)
    served.start()
    expect(visitor.page.locator("#banner")).to_be_hidden()
    names = [press(visitor, "n"), press(visitor, "n")]
    assert lost in names
    counted(visitor, 3, "1 yes, 2 no")


def test_an_image_that_is_gone_can_be_skipped(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in range(4):
        desk.add(f"{number}.png", (250 - number, number, 0), size=(40, 30))
    desk.index()
    with Lake.open(desk.lake, desk.model) as opened:
        Filters(opened).create("reds", keep_texts=["red"])
    (desk.photos / "0.png").unlink()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.refusals = {410}
        at(visitor, "/label?lake=my&filter=reds")
        expect(visitor.page.locator(".amiss")).to_contain_text("run `lakesift sync`")
        expect(visitor.page.locator(".amiss")).to_contain_text("Skip it")
        visitor.page.keyboard.press("s")
        expect(visitor.page.locator(".asked")).to_be_visible()
        counted(visitor, 1, "0 yes, 0 no, 1 skipped")


# -- the promise


def test_before_an_audit_nothing_is_promised_and_beginning_one_is_told(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    visitor = at(visit(served))
    page = visitor.page
    page.click("#apply")
    outcome = page.locator("#outcome")
    expect(outcome).to_contain_text(
        "Nothing is guaranteed before a random check; begin one, and answer what it asks."
    )
    press(visitor, "y")
    expect(outcome).to_be_empty()  # it was of the labels before
    page.locator('input[value="audit"]').check(force=True)
    expect(page.locator(".invite")).to_contain_text("It fixes what the filter has learnt so far")
    expect(page.locator(".plan")).to_contain_text(
        "1 of 31 images is known to belong; how many do in all is not known"
    )
    assert book(lake)[-1].purpose == "teach"
    page.click("text=Begin the random check")
    page.wait_for_selector(READY)
    expect(page.locator("#audit-text")).to_contain_text("0 answered, about")
    press(visitor, "n")
    expect(page.locator("#audit-text")).to_contain_text("1 answered")
    assert book(lake)[-1].purpose == "audit"
    page.click("#apply")
    expect(outcome).to_contain_text("1 answer of the random check does not yet show recall 0.95")
    expect(outcome).to_contain_text("more may do")
    page.locator('input[value="teach"]').check(force=True)
    page.wait_for_selector(READY)
    expect(page.locator("#purpose-text")).to_contain_text("learns most from")


def test_an_untaught_audit_is_warned_of_and_a_spent_budget_can_be_raised(
    visit: Visit, served: Served, lake: Path
) -> None:
    # What is asked for is so little that a plan knows what it takes of 31 images.
    make_filter(lake, target=Target(0.9, None, 0.9))
    page = (visitor := at(visit(served))).page
    page.locator('input[value="audit"]').check(force=True)
    expect(page.locator(".invite")).to_contain_text("Nothing was taught yet")
    plan = page.request.get(f"{served.url}/v1/lakes/photos/filters/animals/plan").json()
    known = [option for option in plan["options"] if option["labels"] is not None]
    least = min(known, key=lambda option: option["labels"] / 2 + option["kept"])["labels"]
    begin = page.get_by_role("button", name="Begin the random check")
    expect(begin).to_have_text(re.compile(f"^Begin the random check: about {least} answers?$"))
    page.fill("#budget", "2")
    expect(begin).to_have_text("Begin the random check: at most 2 answers")
    begin.click()
    first = [press(visitor, "n"), press(visitor, "n")]
    frame = page.locator("#frame")
    expect(frame).to_contain_text("All 2 labels that it may take are given")
    expect(page.locator("#labels")).to_have_text("2")
    page.click("text=Go on")
    assert press(visitor, "n") not in first
    expect(page.locator("#labels")).to_have_text("3")
    page.locator("#again").click()
    expect(page.locator(".invite")).to_contain_text("A new random check")
    expect(page.locator(".invite")).not_to_contain_text("Nothing was taught yet")


def test_applying_shows_what_was_kept_and_dropped(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in range(30):
        desk.add(f"a{number:03}.png", (255, number * 3, 0), size=(40, 30))
    for number in range(90):
        desk.add(f"b{number:03}.png", (150 - number, 0, 160 + number), size=(30, 40))
    desk.index()
    with Lake.open(desk.lake, desk.model) as opened:
        # as sure as a coin, so that most images have no answer when it is applied
        filter = Filters(opened).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.5))
        filter.label(answers(filter.next(10)["rows"]))
        with patch("service.relevance.promise.audit.fresh_seed", lambda: "5eed" * 16):
            while rows := filter.next(3, "audit", budget=15)["rows"]:
                filter.label(answers(rows))
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        page = visitor.page
        page.goto(f"{served.url}/label?lake=my&filter=reds")
        expect(page.locator("#frame")).to_contain_text("The random check is done")
        expect(page.locator("#audit-text")).to_contain_text("can be applied, which drops")
        assert not page.locator("#samples").is_visible()
        expect(page.locator('input[value="result"]')).to_be_disabled()
        page.click("#apply")
        promised = "Guaranteed: recall at least 90\u00a0%, with 50\u00a0% confidence."
        expect(page.locator("#outcome")).to_contain_text(promised)
        with Lake.open(desk.lake, desk.model) as opened:
            filter = Filters(opened).open("reds")
            kept, dropped = (filter.samples(decision).rows for decision in ("keep", "drop"))
            said_no = filter.samples("drop").by_people
            answer = filter.decisions.applied()
        said = f"Kept {answer.kept} of 120 images, dropped {answer.dropped}."
        expect(page.locator("#outcome")).to_contain_text(said)
        precision = round(100 * answer.measured["precision"]["estimate"], 1)
        expect(page.locator("#outcome")).to_contain_text(f"precision about {precision:g}\u00a0%.")
        shown = page.locator("#sample-grid img")
        expect(shown).to_have_count(len(kept))
        assert [i.get_attribute("alt") for i in shown.all()] == [Path(row.uri).name for row in kept]
        # Beneath each what it is most like of all that is known.
        nearest = [
            (row.nearest_yes, row.nearest_no)
            for row in kept
            if row.nearest_yes is not None and row.nearest_no is not None
        ]
        assert len(nearest) == len(kept)
        assert page.locator("#sample-grid .because").all_inner_texts() == [
            f"Like image {yes.row_id}: yes"
            if yes.cosine >= no.cosine
            else f"Like image {no.row_id}: no"
            for yes, no in nearest
        ]
        page.locator('input[value="drop"]').check(force=True)
        expect(shown.first).to_have_attribute("alt", Path(dropped[0].uri).name)
        assert [i.get_attribute("alt") for i in shown.all()] == [
            Path(row.uri).name for row in dropped
        ]
        expect(page.locator("#sample-text")).to_contain_text(
            f"People's own answers decided {said_no} more, which are not among these."
        )
        page.locator('input[value="ask"]').check(force=True)
        expect(page.locator("#sample-none")).to_have_text("None.")
        assert page.locator(".tabs b").all_inner_texts() == [
            str(number) for number in (answer.kept, answer.dropped, answer.asked)
        ]
        scores_told = page.locator("#score-bars-text")
        expect(scores_told).to_contain_text("Cut-off at ")
        expect(scores_told).to_contain_text(f"{answer.dropped - said_no} dropped below it")
        drawn = page.locator("#bars-drop").get_attribute("d")
        assert drawn is not None
        # The dropped end, to a hair, where the kept begin: at the cut-off.
        end = re.search(r"H([\d.]+)V100Z$", drawn)
        assert end is not None
        kept_from = str(page.locator("#bars-keep").get_attribute("d")).removeprefix("M").split()[0]
        assert float(kept_from) == pytest.approx(float(end[1]))
        page.locator('input[value="drop"]').check(force=True)
        page.locator('input[value="people"]').check(force=True)
        told = page.locator("#sample-grid .told")
        expect(told).to_have_count(said_no)
        assert set(told.all_inner_texts()) == {"labelled no"}
        page.locator('input[value="line"]').check(force=True)
        first = Path(dropped[0].uri).name
        page.get_by_role("button", name=f"Restore: {first}").click()
        expect(told).to_have_text("Yes: kept from the next Apply on")
        with Lake.open(desk.lake, desk.model) as opened:
            assert Filters(opened).open("reds").answers()[dropped[0].row_id].label == "yes"
        # By key: the arrows choose an image, y restores it, u takes that back.
        page.locator("#sample-grid a").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("y")
        expect(told).to_have_count(2)
        assert page.evaluate("document.activeElement.title") == Path(dropped[2].uri).name
        with Lake.open(desk.lake, desk.model) as opened:
            assert Filters(opened).open("reds").answers()[dropped[1].row_id].label == "yes"
        page.keyboard.press("u")
        expect(told).to_have_count(1)
        page.keyboard.press("n")
        expect(told).to_have_text(
            ["Yes: kept from the next Apply on", "No: dropped from the next Apply on"]
        )
        with Lake.open(desk.lake, desk.model) as opened:
            book_of = Filters(opened).open("reds").answers()
            assert dropped[1].row_id not in book_of
            assert book_of[dropped[2].row_id].label == "no"
        page.reload()
        expect(page.locator("#outcome")).to_contain_text(said)  # and is still there tomorrow
        page.locator("#sample-grid a").first.click()
        expect(page.locator("#view .large")).to_be_visible()
        visitor.may_be_gone = True  # thumbnails below the screen may still be on their way


def test_other_guarantees_of_the_same_check_are_buttons(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in range(120):
        desk.add(f"{number:03}.png", (255 - 2 * number, 2 * number, 0), size=(40, 30))
    desk.index()
    with Lake.open(desk.lake, desk.model) as opened:
        filter = Filters(opened).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
        with patch("service.relevance.promise.audit.fresh_seed", lambda: "5eed" * 16):
            filter.label(answers(filter.next(6, "audit")["rows"]))
        offered, found = filter.offers(), filter.estimate()
    assert len(offered.offers) == 3
    first = offered.offers[0]
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        page = visitor.page
        at(visitor, "/label?lake=my&filter=reds")
        page.click("#apply")
        expect(page.locator("#outcome")).to_contain_text("not yet show recall 0.9")
        expect(page.locator("#offers")).to_contain_text("Guarantees that hold now")
        bounds = f"between {found.at_least} and {found.at_most} belong"
        expect(page.locator("#offers .how-many")).to_contain_text(bounds)
        buttons = page.locator("#offers .offer")
        expect(buttons).to_have_count(len(offered.offers))
        expect(buttons.first).to_contain_text(f"drops {first.dropped}")
        priced = [each for each in offered.tighter if each.labels is not None]
        assert priced
        expect(page.locator("#offers")).to_contain_text("What a tighter one would cost")
        expect(page.locator("#offers li:not(:has(button))")).to_have_count(len(priced))
        buttons.first.click()
        expect(page.locator("#outcome")).to_contain_text(f"dropped {first.dropped}.")
        expect(page.locator("#outcome")).to_contain_text(
            f"Guaranteed: recall at least {100 * (first.recall or 0):g}\u00a0%"
        )
        expect(page.locator("#offers .offer")).to_have_count(len(offered.offers) - 1)
        visitor.may_be_gone = True


def test_what_came_since_and_a_smaller_promise_are_told(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number, colour in enumerate(((255, 0, 0), (255, 60, 0), (0, 0, 255), (0, 255, 0))):
        desk.add(f"{number}.png", colour, size=(40, 30))
    desk.index()
    with Lake.open(desk.lake, desk.model) as opened:
        filter = Filters(opened).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
        filter.label(answers(filter.next(9, "audit")["rows"]))
        assert filter.apply(recall=0.5).refused is False
    desk.add("4.png", (9, 9, 9), size=(40, 30))
    desk.sync()
    since = "1 image came since: undecided."
    smaller = (
        "Guaranteed: recall at least 50\u00a0%, with 95\u00a0% confidence, "
        "for it was applied for less than is wanted."
    )
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        page = visitor.page
        page.goto(f"{served.url}/label?lake=my")
        for said in (since, smaller):
            expect(page.locator("#filters")).to_contain_text(said)
        page.goto(f"{served.url}/label?lake=my&filter=reds")
        for said in ("Every image was answered by a person: this is counted.", smaller):
            expect(page.locator("#outcome")).to_contain_text(said)
        expect(page.locator("#since")).to_contain_text(since)
        page.click("#apply")
        promised = "Guaranteed: recall at least 90\u00a0%, with 95\u00a0% confidence."
        expect(page.locator("#outcome")).to_contain_text(promised)
        expect(page.locator("#since")).to_contain_text(since)
        expect(page.locator("#outcome")).not_to_contain_text("less than is wanted")
        visitor.may_be_gone = True


def test_a_random_check_is_extended_by_what_came(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    others = [(100 - number % 100, number % 200, 160 + number % 95) for number in range(30, 300)]
    for number, colour in enumerate([(255, number * 2, 0) for number in range(30)] + others):
        desk.add(f"{number:03d}.png", colour)
    desk.index()
    with Lake.open(desk.lake, desk.model) as opened:
        filter = Filters(opened).create("reds", keep_texts=["red"], target=Target(0.8, None, 0.9))
        while rows := filter.next(40, "audit")["rows"]:
            filter.label(answers(rows))
        assert filter.apply().refused is False
        before = filter.progress().audit
    for number in range(30):
        desk.add(f"new{number}.png", (0, number, 255), size=(5, 5))
    desk.sync()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        page = visitor.page
        page.goto(f"{served.url}/label?lake=my&filter=reds")
        expect(page.locator("#since")).to_contain_text("30 images came since: undecided.")
        page.get_by_role("button", name="Decide them: extend the random check").click()
        assert asked(visitor).startswith("new")
    with Lake.open(desk.lake, desk.model) as opened:
        extended = Filters(opened).open("reds")
        audit = extended.progress().audit
        assert before is not None
        assert audit is not None
        assert audit.follows is not None
        assert (audit.follows.came, audit.follows.labels_before) == (30, before.answered)
        assert (extended.definition.audit, extended.definition.pieces) == (1, 1)


def test_a_check_of_scenes_is_told_as_one_and_a_yes_passes_over_the_rest(
    visit: Visit, tmp_path: Path
) -> None:
    """Six scenes of two images; of the first three both are red."""
    desk = Desk(tmp_path)
    lines = ["uri,sequence"]
    for number in range(12):
        colour = (255, number * 9, 0) if number < 6 else (0, number * 9, 255)
        lines.append(f"{desk.add(f'{number:02d}.png', colour, size=(40, 30))},q{number // 2}")
    table = tmp_path / "columns.csv"
    table.write_text("\n".join(lines) + "\n")
    desk.index(columns=table)
    with Lake.open(desk.lake, desk.model) as opened:
        filter = Filters(opened).create("reds", keep_texts=["red"], target=Target(0.9, None, 0.95))
        filter.next(12, "audit", scene="sequence")
    seen: list[int] = []
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        page = visitor.page
        page.goto(f"{served.url}/label?lake=my&filter=reds")
        while len(seen) < 9:
            page.wait_for_selector(READY)
            number = int(asked(visitor).partition(".")[0])
            assert number not in seen
            seen.append(number)
            page.keyboard.press("y" if number < 6 else "n")
            expect(page.locator("#labels")).to_have_text(str(len(seen)))
        # One image of each red scene, and both of the others.
        assert sorted(number // 2 for number in seen) == [0, 1, 2, 3, 3, 4, 4, 5, 5]
        expect(page.locator("#audit-text")).to_contain_text("6 scenes answered")
        page.click("#apply")
        promised = "Guaranteed: at least 90\u00a0% of the scenes that show it keep an image of it"
        expect(page.locator("#outcome")).to_contain_text(promised)
        expect(page.locator("#outcome")).to_contain_text("Nothing is guaranteed of single images.")
        visitor.may_be_gone = True


def answers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As a person who knows red would answer."""
    return [
        {"row_id": row["row_id"], "label": "yes" if row["row_id"] <= 30 else "no"} for row in rows
    ]


# -- who, and on what


def test_a_key_to_read_shows_but_does_not_label(visit: Visit, lake: Path, tmp_path: Path) -> None:
    make_filter(lake)
    _, secret = KeyStore(tmp_path / "state").add("guest", "read")
    with serving(tmp_path / "state", {"photos": lake}, ServeConfig(require_key=True)) as served:
        visitor = visit(served)
        page = visitor.page
        page.goto(served.url + ANIMALS)
        page.fill("#key", secret)
        page.press("#key", "Enter")
        expect(page.locator("#frame")).to_contain_text(
            "Labelling needs a key of scope label; the service's owner makes one with "
            "lakesift key add NAME --scope label."
        )
        expect(page.locator("#apply")).to_be_disabled()
        expect(page.locator("#no-apply")).to_contain_text("Applying needs a key of scope write")
        page.keyboard.press("y")
        page.click("#to-filters")
        expect(page.locator(".filter-link")).to_be_visible()
        assert not page.locator("#new").is_visible()
        expect(page.locator("#no-new")).to_contain_text(
            "Making a filter needs a key of scope write"
        )
    assert book(lake) == []


def test_with_a_key_answers_have_its_name_whatever_was_typed_before(
    visit: Visit, lake: Path, tmp_path: Path
) -> None:
    make_filter(lake)
    _, secret = KeyStore(tmp_path / "state").add("ann", "label")
    with serving(tmp_path / "state", {"photos": lake}, ServeConfig(require_key=True)) as served:
        visitor = visit(served)
        page = visitor.page
        page.goto(served.url + ANIMALS)
        page.evaluate("localStorage.setItem('lakesift-labeller', 'bob')")
        page.fill("#key", secret)
        page.press("#key", "Enter")
        press(visitor, "y")
        counted(visitor, 1, "1 yes, 0 no")
        assert page.input_value("#labeller") == "ann"
        expect(page.locator("#labeller")).not_to_be_editable()
    assert [record.labeller for record in book(lake)] == ["ann"]


def test_on_a_phone_everything_is_within_reach(visit: Visit, served: Served, lake: Path) -> None:
    make_filter(lake)
    visitor = at(visit(served, **PHONE))
    page = visitor.page
    buttons = page.locator("[data-answer]").all()
    assert len(buttons) == 4
    for button in buttons:
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["width"] >= 44
        assert box["y"] + box["height"] <= 740  # in sight, without scrolling
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
    page.locator('[data-answer="yes"]').tap()
    expect(page.locator("#brief")).to_have_text("1 label")
    for address in (ANIMALS, "/label?lake=photos", "/"):
        page.goto(served.url + address)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    visitor.settled()


def test_the_next_image_is_there_before_it_is_asked_for(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    visitor = at(visit(served))
    page = visitor.page
    page.wait_for_timeout(500)
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    for answered in range(1, 3):
        press(visitor, "n")
        assert page.locator(".asked").evaluate(
            "(image) => image.complete && image.naturalWidth > 0"
        )
        counted(visitor, answered, f"0 yes, {answered} no")
    shown = page.locator(".asked").evaluate("(image) => image.src")
    assert shown not in loaded


def test_a_page_narrower_than_a_phone_with_a_mouse_cuts_nothing(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    visitor = at(visit(served, viewport={"width": 320, "height": 640}))
    for part in visitor.page.locator("[data-answer], #frame, #question").all():
        box = part.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320


def test_nothing_moves_while_one_labels(visit: Visit, served: Served, lake: Path) -> None:
    make_filter(lake)
    visitor = at(visit(served))
    visitor.page.wait_for_timeout(300)
    visitor.page.evaluate("window.shifts.length = 0")
    for _ in range(5):
        press(visitor, "y")
    counted(visitor, 5, "5 yes, 0 no")
    assert visitor.shifted == []


def test_a_damaged_filter_is_named_and_the_others_are_listed(
    visit: Visit, served: Served, lake: Path
) -> None:
    make_filter(lake)
    with Lake.open(lake) as opened:
        Filters(opened).copy("animals", "broken")
    (lake / "filters" / "broken" / "000001.json").write_text("{")
    visitor = visit(served)
    page = visitor.page
    page.goto(f"{visitor.url}/label?lake=photos")
    expect(page.locator(".filter-name")).to_have_text(["animals"])
    expect(page.locator("#damaged .notice")).to_contain_text("broken cannot be used: ")
    expect(page.locator("#damaged .notice")).to_contain_text("broken/000001.json is damaged: ")
    expect(page.locator("#none")).to_be_hidden()


def test_the_pages_lead_to_each_other_within_the_chosen_lake(
    visit: Visit, lake: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(lake, tmp_path / "a b.lake"))
    with serving(tmp_path / "state", {"photos": lake, "a b": other}) as served:
        visitor = visit(served)
        page = visitor.page
        visitor.open("/?lake=a+b")
        page.click("#to-filters")
        expect(page.locator("#list-title")).to_have_text("Filters of a b")
        assert visitor.address == "/label?lake=a+b"
        page.click("#home")
        visitor.settled()
        assert visitor.address == "/?lake=a+b"
        assert page.input_value("#lake") == "a b"

        page.goto(served.url + "/label")
        expect(page.locator("#list-title")).to_have_text("Filters of photos")
        assert page.locator("#lake option").all_inner_texts() == ["photos", "a b"]
        page.select_option("#lake", "a b")
        expect(page.locator("#list-title")).to_have_text("Filters of a b")
        assert visitor.address == "/label?lake=a+b"
        page.goto(served.url + "/label")
        expect(page.locator("#home")).to_have_attribute("href", "/")
