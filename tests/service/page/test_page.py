"""The page as people use it: a real browser, a real server, real photos."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import APIResponse, Route, expect

from indexer.disk.layout import Layout
from indexer.disk.manifest import SourceEntry
from service.api.config import ServeConfig
from service.api.serving.keys import KeyStore
from tests.conftest import sample_folders
from tests.fakes import ColourEmbedder
from tests.indexer.videos import film
from tests.lakes import BLUE, GREEN, RED, Desk, png, write
from tests.service.page.conftest import Served, Visit, Visitor, serving, sync_and_wait

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
ALL = 31  # sample photos


def photo(name: str) -> Path:
    return Path(sample_folders()[0]) / name


def as_jpeg(name: str, width_px: int = 200) -> bytes:
    """A sample photo as somebody else would have it: smaller, and of another format."""
    image = Image.open(photo(name)).convert("RGB")
    image.thumbnail((width_px, width_px))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def many(tmp_path: Path) -> Desk:
    """70 photos, more than a page holds: 00.png is row 1."""
    desk = Desk(tmp_path)
    for number in range(70):
        desk.add(f"{number:02}.png", (255, number, 0), size=(4, 8))
    desk.index()
    return desk


# -- looking and searching


def test_a_first_visit_shows_the_photos_and_what_to_do(visitor: Visitor) -> None:
    visitor.open()
    assert visitor.page.locator("#status").inner_text() == f"{ALL} images"
    assert len(visitor.names) == ALL
    # Without columns of their own, and too few for z: what cameras wrote is all there is to offer.
    expect(visitor.page.locator("#suggestions a")).to_have_text(["taken in May 2015"])
    assert visitor.focused == "words"
    assert visitor.page.locator("#foot").inner_text() == f"End · {ALL} images"
    visitor.search("a cat")
    assert visitor.names[0] == "chelsea.png"
    assert not visitor.page.locator("#intro").is_visible()


def test_words_find_the_photo(visitor: Visitor) -> None:
    visitor.open().search("a cat")
    assert visitor.names[0] == "chelsea.png"
    assert len(visitor.names) == ALL
    assert visitor.address == "/?q=a+cat"
    status = visitor.page.locator("#status").inner_text()
    assert status.startswith(f"{ALL} images · most similar first · ")
    assert status.endswith(" ms")
    assert visitor.page.title() == "a cat · lakesift"
    assert visitor.page.locator("#live").inner_text() == f"{ALL} images shown, that is all"


def test_more_like_this_and_less_like_this(visitor: Visitor) -> None:
    visitor.open()
    coffee = visitor.page.locator(".cell", has=visitor.page.get_by_alt_text("coffee.png"))
    coffee.hover()
    coffee.get_by_role("button", name="More like this: coffee.png").click()
    visitor.settled()
    assert visitor.names[0] == "coffee.png"
    assert visitor.chips == ["more coffee.png"]

    visitor.page.locator("#chips .sign").focus()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#chips .unwanted")).to_have_count(1)
    visitor.settled()
    # the focus stayed there
    assert visitor.page.evaluate("document.activeElement.className") == "sign"
    assert visitor.chips == ["less coffee.png"]
    assert visitor.names[-1] == "coffee.png"
    assert "unlike=" in visitor.address

    visitor.page.get_by_role("button", name="Remove coffee.png").click()
    visitor.settled()
    assert visitor.address == "/"
    assert visitor.focused == "words"
    assert not visitor.page.locator("#chips").is_visible()
    assert visitor.page.locator("#intro").is_visible()


def test_typed_signs_make_chips_and_leave_the_words_alone(visitor: Visitor) -> None:
    visitor.open().search("a cat").search('-"an animal"').search("+a motorcycle")
    assert visitor.page.input_value("#words") == "a cat"
    assert visitor.chips == ["less an animal", "more a motorcycle"]
    assert visitor.address == "/?q=a+cat&not=an+animal&also=a+motorcycle"
    assert visitor.names.index("motorcycle_left.png") < 3

    visitor.page.locator("#chips .remove").first.click()
    visitor.settled()
    assert visitor.chips == ["more a motorcycle"]


def test_less_of_this_takes_the_words_out_of_the_box(visitor: Visitor) -> None:
    visitor.open().search("a cat")
    visitor.page.click("#less-of")
    visitor.settled()
    assert visitor.page.input_value("#words") == ""
    assert visitor.chips == ["less a cat"]
    assert visitor.names[-1] == "chelsea.png"


def test_back_and_forward_and_reload_show_what_was_there(visitor: Visitor) -> None:
    visitor.open().search("a cat")
    cats = visitor.names
    visitor.search("a cup of coffee")
    assert visitor.names[0] == "coffee.png"
    visitor.page.go_back()
    expect(visitor.page.locator("#words")).to_have_value("a cat")
    visitor.settled()
    assert visitor.names == cats
    visitor.page.go_forward()
    expect(visitor.page.locator("#words")).to_have_value("a cup of coffee")
    visitor.settled()
    assert visitor.names[0] == "coffee.png"
    visitor.page.reload()
    visitor.settled()
    assert visitor.page.input_value("#words") == "a cup of coffee"
    assert visitor.names[0] == "coffee.png"


def test_a_late_answer_never_takes_the_place_of_a_newer_one(visitor: Visitor) -> None:
    visitor.open().search("a rocket")
    held: list[tuple[Route, APIResponse]] = []

    def hold_the_cats(route: Route) -> None:
        if "a cat" in (route.request.post_data or ""):
            held.append((route, route.fetch()))
        else:
            route.continue_()

    visitor.page.route("**/v1/search", hold_the_cats)
    visitor.page.fill("#words", "a cat")
    visitor.page.press("#words", "Enter")
    expect(
        visitor.page.locator("#grid.dim")
    ).to_be_visible()  # it takes its time: the images are those from before
    visitor.search("a cup of coffee")
    newer = visitor.names
    ((route, late),) = held
    route.fulfill(response=late)
    visitor.page.wait_for_timeout(300)
    assert newer[0] == "coffee.png"
    assert visitor.names == newer
    assert visitor.address == "/?q=a+cup+of+coffee"


# -- images of one's own


def test_a_chosen_image_finds_its_like_also_after_a_reload(visitor: Visitor) -> None:
    visitor.open()
    with visitor.page.expect_file_chooser() as chooser:
        visitor.page.click("#choose")
    chooser.value.set_files(
        {"name": "mine.jpg", "mimeType": "image/jpeg", "buffer": as_jpeg("coffee.png")}
    )
    expect(visitor.page.locator("#chips img")).to_be_visible()
    visitor.settled()
    assert visitor.names[0] == "coffee.png"
    assert visitor.chips == ["more mine.jpg"]
    visitor.page.reload()
    visitor.settled()
    assert visitor.names[0] == "coffee.png"
    assert visitor.chips == ["more mine.jpg"]


# Whether the page took it for itself.
TRANSFER = """([kind, images, text, link]) => {
  const transfer = new DataTransfer();
  if (text) transfer.setData("text/plain", text);
  if (link) transfer.setData("text/uri-list", link);
  for (const { name, type, base64 } of images) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const padding = new Uint8Array(name === "huge.jpg" ? 81_200_000 - bytes.length : 0);
    transfer.items.add(new File([bytes, padding], name, { type }));
  }
  const facts = { bubbles: true, cancelable: true };
  const event = kind === "paste"
    ? new ClipboardEvent(kind, { ...facts, clipboardData: transfer })
    : new DragEvent(kind, { ...facts, dataTransfer: transfer });
  return !document.activeElement.dispatchEvent(event);
}"""


def carry(visitor: Visitor, kind: str, *names: str, text: str = "", link: str = "") -> bool:
    """Drag, drop or paste sample photos (and as notes.txt and
    broken.jpg what is none, as huge.jpg 81.2 MB).

    :returns: whether the page took it.
    """
    fakes = {"notes.txt": "text/plain", "broken.jpg": "image/jpeg", "huge.jpg": "image/jpeg"}
    images = [
        {
            "name": name,
            "type": fakes.get(name, "image/jpeg"),
            "base64": base64.b64encode(b"no image" if name in fakes else as_jpeg(name)).decode(),
        }
        for name in names
    ]
    return bool(visitor.page.evaluate(TRANSFER, [kind, images, text, link]))


def test_dropped_images_find_their_like(visitor: Visitor) -> None:
    visitor.open()
    carry(visitor, "dragenter", "rocket.jpg")
    expect(visitor.page.locator("#drop")).to_be_visible()
    carry(visitor, "drop", "rocket.jpg", "chelsea.png", "notes.txt")
    expect(visitor.page.locator("#drop")).to_be_hidden()
    expect(visitor.page.locator("#chips li")).to_have_count(2)
    visitor.settled()
    assert visitor.chips == ["more rocket.jpg", "more chelsea.png"]
    assert set(visitor.names[:2]) == {"rocket.jpg", "chelsea.png"}
    expect(visitor.page.locator("#notices")).to_have_text(
        "notes.txt is not an image and was left out."
    )


def test_of_thirty_images_the_first_sixteen_are_taken(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.index()
    images: list[Any] = [
        {"name": f"{number:02}.png", "mimeType": "image/png", "buffer": png((255, number, 0))}
        for number in range(30)
    ]
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open()
        said = visitor.page.locator("#notices")
        visitor.page.set_input_files("#files", images[:10])
        expect(visitor.page.locator("#chips li")).to_have_count(10)
        visitor.page.set_input_files("#files", images[10:])
        expect(said).to_have_text(
            "Only 16 images can be searched by at once; the first 6 were taken."
        )
        visitor.settled()
        assert visitor.chips == [f"more {number:02}.png" for number in range(16)]
        assert visitor.names == ["red.png"]
        visitor.page.set_input_files("#files", images[:1])
        expect(said).to_have_text(
            "Only 16 images can be searched by at once; remove some to add others."
        )
        visitor.search("red")
        expect(said).to_have_text("")


def test_a_pasted_image_finds_its_like_and_pasted_text_stays_text(visitor: Visitor) -> None:
    visitor.open()
    carry(visitor, "paste", "chelsea.png")
    expect(visitor.page.locator("#chips li")).to_have_count(1)
    visitor.settled()
    assert visitor.names[0] == "chelsea.png"

    visitor.page.focus("#words")
    assert not carry(visitor, "paste", "rocket.jpg", text="a rocket")
    assert visitor.chips == ["more chelsea.png"]


def test_a_dropped_link_is_no_way_out_of_the_page(visitor: Visitor) -> None:
    visitor.open()
    visitor.page.locator("#grid").focus()
    assert carry(visitor, "drop", link="http://127.0.0.1:1/cat.jpg")
    expect(visitor.page.locator("#notices")).to_contain_text("That was a link.")
    assert visitor.address == "/"


def test_a_shared_link_says_that_it_lacks_the_image(visitor: Visitor) -> None:
    visitor.open("/?q=a+cat&up=0123456789abcdef")
    assert visitor.names[0] == "chelsea.png"
    assert "This address names an image that only another browser has." in (
        visitor.page.locator("#notices").inner_text()
    )
    visitor.page.locator("#notices button").click()
    visitor.settled()
    assert visitor.address == "/?q=a+cat"
    assert visitor.page.locator("#notices").inner_text() == ""


def test_a_broken_image_is_named_and_can_be_removed(visitor: Visitor) -> None:
    visitor.refusals = {422}
    visitor.open()
    broken = {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": as_jpeg("coffee.png")[:80]}
    visitor.page.set_input_files("#files", broken)  # type: ignore[arg-type]
    expect(visitor.page.locator("#chips li.amiss")).to_be_visible()
    expect(visitor.page.locator("#message h2")).to_have_text("That did not work")
    assert "files[0]" not in visitor.message
    visitor.page.click("text=Remove broken.jpg")
    visitor.settled()
    assert len(visitor.names) == ALL


def test_every_bad_file_of_a_mixed_drop_is_named_and_the_others_are_taken(visitor: Visitor) -> None:
    visitor.refusals = {422}
    visitor.open()
    carry(visitor, "drop", "coffee.png", "notes.txt", "broken.jpg", "huge.jpg", "chelsea.png")
    expect(visitor.page.locator("#message p").first).to_contain_text("broken.jpg: ")
    assert visitor.page.locator("#notices .notice").all_inner_texts() == [
        "notes.txt is not an image and was left out.",
        "huge.jpg (81.2 MB) was left out: all images of a search together may have 64 MB.",
    ]
    assert visitor.chips == ["more coffee.png", "more broken.jpg", "more chelsea.png"]
    assert visitor.page.locator("#chips li").nth(1).get_attribute("class") == "chip wanted amiss"
    assert visitor.page.locator("#chips li.amiss").count() == 1
    visitor.page.click("text=Remove broken.jpg")
    visitor.settled()
    assert visitor.chips == ["more coffee.png", "more chelsea.png"]
    assert set(visitor.names[:2]) == {"coffee.png", "chelsea.png"}


# -- the filter


def test_a_filter_with_a_mistake_and_then_right(visitor: Visitor) -> None:
    visitor.refusals = {422}
    visitor.open()
    assert not visitor.page.locator("#where").is_visible()
    visitor.page.click("#filter-button")
    expect(visitor.page.locator("#columns button", has_text="width_px")).to_be_visible()
    visitor.page.fill("#where", "widht > 3")
    visitor.page.press("#where", "Enter")
    problem = visitor.page.locator("#where-problem")
    expect(problem).to_have_text("There is no column widht; did you mean width_px?")
    assert visitor.page.get_attribute("#where", "aria-invalid") == "true"

    visitor.page.fill("#where", "uri like '%coffee%'")
    visitor.page.press("#where", "Enter")
    expect(problem).to_have_text("")
    visitor.settled()
    assert visitor.names == ["coffee.png"]
    assert visitor.page.locator("#status").inner_text() == "1 image"

    visitor.page.fill("#where", "wid")
    visitor.page.locator("#columns button").click()
    assert visitor.page.input_value("#where") == "width_px "
    visitor.page.keyboard.type("> 100000")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#message h2")).to_have_text("No image passes")
    assert visitor.message.split("\n\n")[1] == f"width_px > 100000 excludes all {ALL} images."
    visitor.page.click("text=Remove the condition")
    visitor.settled()
    assert len(visitor.names) == ALL
    assert visitor.address == "/"


def test_a_filter_in_the_address_is_open_and_used(visitor: Visitor) -> None:
    visitor.open("/?q=a+cat&where=uri+like+'%25coffee%25'")
    assert visitor.names == ["coffee.png"]
    assert visitor.page.input_value("#where") == "uri like '%coffee%'"


def test_a_video_s_frames_have_their_times_on_them_and_open_large(
    tmp_path: Path, visit: Visit
) -> None:
    desk = Desk(tmp_path)
    film(desk.photos / "clip.mp4", [("red", 62), ("lime", 2)], fps=5)
    desk.sync(add=[SourceEntry(str(desk.photos), frames="31s")])
    desk.add("photo.png", BLUE)
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open()
        visitor.search("green")
        assert visitor.names[0] == "clip.mp4, 1:02"
        assert sorted(visitor.names) == [
            "clip.mp4, 0:00",
            "clip.mp4, 0:31",
            "clip.mp4, 1:02",
            "photo.png",
        ]
        times = visitor.page.locator(".moment").all_inner_texts()
        assert sorted(times) == ["0:00", "0:31", "1:02"]
        assert visitor.page.locator(".cell.loaded").count() == 4
        visitor.page.locator(".cell .photo").first.click()
        large = visitor.page.get_by_role("dialog", name="clip.mp4, 1:02").locator("img.large")
        expect(large).to_be_visible()
        assert large.evaluate("image => image.naturalWidth") == 32


def test_a_moment_of_a_video_is_one_image_with_its_span(tmp_path: Path, visit: Visit) -> None:
    desk = Desk(tmp_path)
    shown = [("red", 70), ("lime", 4), ("red", 20), ("lime", 1), ("red", 30)]
    film(desk.photos / "a clip.mp4", shown, fps=5)
    desk.add("photo.png", BLUE)
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        page = visit(served).open().page
        expect(page.get_by_label("Fold moments")).to_be_hidden()  # without a query nothing folds
        visitor = visit(served).open("/?q=green")
        page = visitor.page
        times = page.locator(".moment")
        assert times.all_inner_texts()[:2] == ["1:10 to 1:13 (4 frames)", "1:34"]
        assert visitor.names[0] == "a clip.mp4, 1:10 to 1:13 (4 frames)"
        page.locator(".cell .photo").first.click()
        expect(page.locator(".when-stream")).to_have_text("a clip.mp4")
        expect(page.locator(".when-time")).to_have_text("1:10 to 1:13 (4 frames)")
        page.get_by_role("link", name="Show its frames").click()
        expect(times).to_have_text(["1:10", "1:11", "1:12", "1:13"])
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.go_back()
        page.go_back()
        page.get_by_label("Fold moments").uncheck()
        expect(times.nth(3)).to_have_text("1:13")
        assert times.all_inner_texts()[:5] == ["1:10", "1:11", "1:12", "1:13", "1:34"]
        assert page.url.endswith("/?q=green&moments=0")


def test_near_identical_images_fold_into_one(visit: Visit, tmp_path: Path) -> None:
    """The same picture twice: brick.png again as a large JPEG."""
    desk = Desk(tmp_path)
    desk.add("a.png", RED)
    write(tmp_path / "photos" / "b.png", (tmp_path / "photos" / "a.png").read_bytes())
    desk.add("c.png", BLUE)
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open()
        assert visitor.page.locator("#collapse").is_disabled()  # there is nothing yet to be near to
        visitor.search("red")
        assert visitor.names == ["a.png", "b.png", "c.png"]
        visitor.page.check("#collapse")
        visitor.settled()
        assert visitor.names == ["a.png", "c.png"]
        assert visitor.page.locator(".folded").all_inner_texts() == ["+1"]
        assert visitor.address == "/?q=red&collapse=1"
        visitor.page.locator(".photo").first.click()
        visitor.page.locator(".twin-list a").click()
        expect(visitor.page.locator(".uri-text")).to_contain_text("b.png")


# -- the large view


def test_the_large_view_shows_all_and_closes_by_key_and_by_back(visitor: Visitor) -> None:
    visitor.open().search("a cat")
    visitor.page.get_by_alt_text("chelsea.png").click()
    dialog = visitor.page.get_by_role("dialog", name="chelsea.png")
    expect(dialog).to_be_visible()
    table = {
        row.locator("th").inner_text(): row.locator("td").inner_text()
        for row in dialog.locator("tr").all()
    }
    assert table["size"] == "451 × 300 px"
    assert table["format"] == "png"
    assert table["uri"].startswith(str(photo("chelsea.png")))
    expect(dialog.locator("img.large")).to_have_js_property(
        "naturalWidth", 451
    )  # the whole image, not a thumbnail

    visitor.page.keyboard.press("ArrowRight")
    expect(visitor.page.get_by_role("dialog", name=visitor.names[1])).to_be_visible()
    visitor.page.keyboard.press("ArrowLeft")
    expect(dialog).to_be_visible()
    visitor.page.keyboard.press("ArrowRight")
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.locator("#view")).to_be_hidden()
    assert visitor.address == "/?q=a+cat"
    assert visitor.focused == visitor.names[1]

    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#view")).to_be_visible()
    visitor.page.go_back()
    expect(visitor.page.locator("#view")).to_be_hidden()
    assert visitor.address == "/?q=a+cat"


def test_a_second_click_on_close_leads_no_further_back(visitor: Visitor) -> None:
    visitor.open().search("a cat").search("a dog")
    for _ in range(2):  # the second time at once: a step that was done keeps none out
        visitor.page.locator(".cell .photo").first.click()
        expect(visitor.page.locator("#view")).to_be_visible()
        close = visitor.page.locator("#view [data-step=close]")
        close.evaluate("each => { each.click(); each.click(); }")
        expect(visitor.page.locator("#view")).to_be_hidden()
        visitor.settled()
        assert visitor.address == "/?q=a+dog"


def test_an_address_opens_the_large_view_and_more_like_this_leaves_it(visitor: Visitor) -> None:
    visitor.open().search("a cat")
    visitor.page.get_by_alt_text("chelsea.png").click()
    address = visitor.address
    visitor.page.goto("about:blank")
    visitor.open(address)
    expect(visitor.page.get_by_role("dialog", name="chelsea.png")).to_be_visible()
    visitor.page.locator("#view [data-step=less]").click()
    expect(visitor.page.locator("#view")).to_be_hidden()
    visitor.settled()
    assert visitor.chips == ["less chelsea.png"]
    visitor.page.go_back()
    expect(visitor.page.get_by_role("dialog", name="chelsea.png")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.locator("#view")).to_be_hidden()
    assert visitor.address == "/?q=a+cat"


def test_a_row_that_is_not_there_is_said(visitor: Visitor) -> None:
    visitor.refusals = {404}
    visitor.open("/?row=999")
    expect(visitor.page.locator(".view-problem")).to_contain_text("999")
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.locator("#view")).to_be_hidden()
    assert len(visitor.names) == ALL


def test_the_large_view_goes_on_past_the_page_it_began_on(
    visit: Visit, many: Desk, tmp_path: Path
) -> None:
    with serving(tmp_path / "state", {"my": many.lake}, embedder=many.model) as served:
        visitor = visit(served, viewport={"width": 700, "height": 300})
        visitor.open("/?row=59")
        for number in range(60, 71):  # the second page begins after 60
            expect(visitor.page.locator(".step.right")).to_be_enabled()
            visitor.page.keyboard.press("ArrowRight")
            expect(visitor.page.get_by_role("dialog", name=f"{number - 1:02}.png")).to_be_visible()
        expect(visitor.page.locator(".step.right")).to_be_disabled()
        expect(visitor.page.locator(".place")).to_have_text("Image 70")


# -- by keyboard alone


def test_everything_by_keyboard(visitor: Visitor) -> None:
    visitor.open()
    press = visitor.page.keyboard.press
    visitor.page.keyboard.type("a cat")
    press("Enter")
    expect(visitor.page.locator(".cell img").first).to_have_attribute("alt", "chelsea.png")
    visitor.settled()
    for _ in range(20):
        press("Tab")
        if visitor.focused == "chelsea.png":
            break
    else:
        raise AssertionError("Tab does not lead to the grid")
    press("ArrowRight")
    assert visitor.focused == visitor.names[1]
    press("End")
    assert visitor.focused == visitor.names[-1]
    press("Home")
    press("ArrowDown")
    below = visitor.names.index(visitor.focused)
    boxes = places(visitor)
    assert boxes[below]["y"] > boxes[0]["y"]
    press("ArrowUp")
    assert visitor.focused == "chelsea.png"
    press("m")
    expect(visitor.page.locator("#chips li")).to_have_count(1)
    visitor.settled()
    assert visitor.chips == ["more chelsea.png"]
    assert visitor.focused == "chelsea.png"  # still where the reader was
    press("l")
    expect(visitor.page.locator("#chips li.unwanted")).to_have_count(1)
    visitor.settled()
    press("Tab")
    assert visitor.page.evaluate("document.activeElement.dataset.act") == "more"
    press("/")
    assert visitor.focused == "words"
    press("Tab")
    visitor.page.locator("#grid").focus()
    press("?")
    expect(visitor.page.locator("#help")).to_be_visible()
    press("Escape")
    expect(visitor.page.locator("#help")).to_be_hidden()


# -- screens


@pytest.mark.parametrize("width_px", [360, 320])
@pytest.mark.parametrize(
    "address", ["/", f"/?q=a+cat&like=3&not=snow&also={'long+' * 30}&where=width_px+>+1", "/?row=3"]
)
def test_a_phone_shows_all_without_scrolling_sideways(
    visit: Visit, photos: Served, address: str, width_px: int
) -> None:
    screen = {**PHONE, "viewport": {"width": width_px, "height": 740}}
    visitor = visit(photos, **screen).open(address)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == width_px
    small = visitor.page.evaluate(
        """() => [...document.querySelectorAll("button, select, input[type=text], .toggle, .photo")]
          .filter((each) => each.checkVisibility() && !each.matches(".unseen, .skip"))
          .map((each) => [each.getBoundingClientRect(), each.outerHTML.slice(0, 90)])
          .filter(([box]) => box.width > 0 && (box.width < 44 || box.height < 44)).map(([, text]) => text)"""
    )
    assert small == []


def test_a_phone_can_ask_for_more_without_hovering(visit: Visit, photos: Served) -> None:
    visitor = visit(photos, **PHONE).open()
    visitor.page.get_by_role("button", name="More like this: astronaut.png").tap()
    expect(visitor.page.locator("#chips li")).to_have_count(1)
    visitor.settled()
    assert visitor.names[0] == "astronaut.png"


CONTRAST = """() => {
  const IGNORED = ".cell, .unseen, .skip, :disabled, .toggle:has(:disabled)"; // on photos, unseen, out of use
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = numbers(colour).map((value) => linear(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if ((numbers(colour)[3] ?? 1) === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim());
    if (!texts.length && !element.matches("input")) continue;
    if (!element.checkVisibility() || element.closest(IGNORED)) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) poor.push([element.outerHTML.slice(0, 80), ratio]);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(visit: Visit, photos: Served, scheme: str) -> None:
    """WCAG AA asks for 4.5 to 1."""
    visitor = visit(photos, color_scheme=scheme)
    visitor.refusals = {422}
    visitor.open("/?q=a+cat&like=3&not=snow&where=widht")
    visitor.page.wait_for_selector("#where-problem:not(:empty)")
    assert visitor.page.evaluate(CONTRAST) == []
    visitor.open("/?row=3")
    visitor.page.wait_for_selector(".facts")
    assert visitor.page.evaluate(CONTRAST) == []
    ground = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(251, 251, 250)", "dark": "rgb(20, 20, 20)"}[scheme]


def places(visitor: Visitor) -> list[dict[str, float]]:
    """Where each image of the grid lies, in px of the screen."""
    found: list[dict[str, float]] = visitor.page.locator(".cell").evaluate_all(
        "all => all.map((each) => each.getBoundingClientRect().toJSON())"
    )
    return found


@pytest.mark.parametrize(
    "screen", [{"viewport": {"width": 1280, "height": 500}}, PHONE], ids=["desk", "phone"]
)
@pytest.mark.parametrize("address", ["/", "/?q=a+cat&like=3&not=snow&where=width_px+>+1"])
def test_nothing_shifts_while_thumbnails_load(
    visit: Visit, photos: Served, screen: dict[str, Any], address: str
) -> None:
    visitor = visit(photos, **screen)

    def later(route: Route) -> None:
        visitor.page.wait_for_timeout(15)
        route.continue_()

    def much_later(route: Route) -> None:
        visitor.page.wait_for_timeout(400)
        route.continue_()

    visitor.page.route("**/thumbnail?*", later)
    visitor.page.route("**/columns", much_later)
    visitor.open(address)
    visitor.page.wait_for_timeout(500)
    boxes = places(visitor)
    for _ in range(4):
        visitor.page.evaluate("scrollBy(0, 500)")
        visitor.settled()
    visitor.page.evaluate("scrollTo(0, 0)")
    visitor.page.wait_for_timeout(100)
    assert places(visitor) == boxes
    assert visitor.shifted == []


# -- when things are not as they should be


def test_a_thumbnail_that_fails_says_why(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    # like no other: its thumbnail is in no cache
    red = desk.add("red.png", (201, 7, 3), size=(9, 7))
    desk.add("blue.png", BLUE)
    desk.index()
    red.unlink()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.refusals = {410}
        visitor.open()
        expect(visitor.page.locator(".why")).to_contain_text("red.png")
        assert visitor.page.locator(".cell.failed").count() == 1
        assert visitor.page.locator(".cell.loaded").count() == 1
        visitor.page.locator(".cell.failed .photo").click()
        expect(visitor.page.locator(".view-problem")).to_contain_text(
            "red.png: it is not there any more"
        )
        assert visitor.page.locator(".large").count() == 0  # no broken image beside the sentence


def test_a_busy_server_is_asked_again_for_a_thumbnail(visitor: Visitor) -> None:
    busy = {
        "error": {
            "code": "too_busy",
            "message": "64 requests are under way; try again",
            "field": None,
        }
    }
    refused: list[str] = []

    def refuse_first(route: Route) -> None:
        """The image's own request and the page's for the reason; then the server has time again."""
        if "rows/1/" in route.request.url and len(refused) < 2:
            refused.append(route.request.url)
            route.fulfill(status=429, json=busy)
        else:
            route.continue_()

    visitor.refusals = {429}
    visitor.page.route("**/thumbnail?*", refuse_first)
    visitor.open()
    expect(
        visitor.page.locator(".cell.loaded", has=visitor.page.get_by_alt_text("astronaut.png"))
    ).to_be_visible()
    assert len(refused) == 2
    assert visitor.page.locator(".why").count() == 0


def test_a_stopped_server_is_said_and_found_again(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.add("blue.png", BLUE)
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open()
        visitor.may_be_gone = True
        served.stop()
        visitor.page.fill("#words", "blue")
        visitor.page.press("#words", "Enter")
        banner = visitor.page.locator("#banner")
        expect(banner).to_have_text("The server does not answer. Trying again…")
        assert len(visitor.names) == 2  # what was there stays
        served.start()
        expect(banner).to_be_hidden(timeout=15_000)
        visitor.settled()
        assert visitor.names == ["blue.png", "red.png"]


def test_a_lake_of_one_row_and_one_of_none(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    only = desk.add("green.png", GREEN)
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open().search("green")
        assert visitor.names == ["green.png"]
        assert visitor.page.locator("#foot").inner_text() == "End · 1 image"
    only.unlink()
    desk.sync(allow_empty=True)
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open()
        expect(visitor.page.locator("#message h2")).to_have_text("my has no images yet")
        assert visitor.page.locator("#status").inner_text() == "0 images"


def test_hostile_and_foreign_captions_are_only_text(visit: Visit, tmp_path: Path) -> None:
    captions = ["<img src=x onerror=alert(1)>", "שלום עולם ‮gnp.exe", "🦆" * 40, "a" * 300]
    desk = Desk(tmp_path)
    for number, caption in enumerate(captions):
        desk.add(f"{number}.png", (10 * number + 10, 200, 3), size=(6, 4))
        write(desk.photos / f"{number}.txt", caption.encode())
    desk.index()
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served, **PHONE)
        visitor.page.on(
            "dialog", lambda dialog: visitor.complaints.append(f"alert: {dialog.message}")
        )
        visitor.open()
        assert visitor.names == captions
        visitor.page.locator(".photo").first.tap()
        expect(visitor.page.locator(".facts")).to_contain_text(captions[0])
        assert visitor.page.locator("img[src=x]").count() == 0
        assert visitor.page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_key_is_asked_for_once(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.index()
    _, secret = KeyStore(tmp_path / "state").add("reader")
    config = ServeConfig(require_key=True)
    with serving(tmp_path / "state", {"my": desk.lake}, config, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.refusals = {401}
        visitor.page.goto(served.url)
        expect(visitor.page.locator("#message h2")).to_have_text("Sign in")
        assert visitor.focused == "key"
        assert not visitor.page.locator("#strip").is_visible()
        visitor.page.fill("#key", "lks_wrong")
        visitor.page.keyboard.press("Enter")
        expect(visitor.page.locator("#key-problem")).not_to_be_empty()
        visitor.page.fill("#key", secret)
        visitor.page.keyboard.press("Enter")
        expect(visitor.page.locator(".cell")).to_have_count(1)
        visitor.page.reload()
        visitor.settled()
        assert visitor.names == ["red.png"]
        visitor.page.click("#help-button")
        visitor.page.click("#sign-out")
        expect(visitor.page.locator("#message h2")).to_have_text("Sign in")


def test_a_revoked_key_is_said_and_another_goes_on(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.add("blue.png", BLUE)
    desk.index()
    keys = KeyStore(tmp_path / "state")
    secrets = [keys.add(name)[1] for name in ("old", "new")]
    config = ServeConfig(require_key=True)
    with serving(tmp_path / "state", {"my": desk.lake}, config, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.refusals = {401}
        visitor.page.goto(served.url)
        expect(visitor.page.locator("#key")).to_be_focused()
        assert visitor.page.locator("#key-problem").inner_text() == ""
        visitor.page.fill("#key", secrets[0])
        visitor.page.keyboard.press("Enter")
        expect(visitor.page.locator(".cell.loaded")).to_have_count(2)
        keys.revoke("old")
        visitor.page.fill("#words", "blue")
        visitor.page.press("#words", "Enter")
        problem = visitor.page.locator("#key-problem")
        expect(problem).to_contain_text("This key is not accepted any more")
        visitor.page.fill("#key", secrets[0])
        visitor.page.keyboard.press("Enter")
        expect(problem).to_contain_text("This key is not known here, or was revoked")
        visitor.page.fill("#key", secrets[1])
        visitor.page.keyboard.press("Enter")
        expect(visitor.page.locator(".cell.loaded")).to_have_count(2)
        assert visitor.names == ["blue.png", "red.png"]  # what was asked for


def test_a_lake_with_damage_says_so_and_shows_the_rest(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.index()
    desk.add("blue.png", BLUE)
    desk.sync()
    segment = Layout(desk.lake).segment(desk.manifest.segments[0].id)
    vectors = next(segment.glob("*.faiss"))
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"?")
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served).open()
        assert visitor.names == ["blue.png"]
        expect(visitor.page.locator("#notices summary")).to_have_text("1 problem with this lake")
        visitor.page.click("#notices summary")
        expect(visitor.page.locator("#notices li")).to_contain_text(vectors.name)


def test_a_lake_of_another_model_shows_its_images_and_says_why_no_text_is_found(
    visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    desk.add("red.png", RED)
    desk.index()
    monkeypatch.chdir(tmp_path)
    lakes = {"my": Path("my.lake")}
    with serving(tmp_path / "state", lakes, embedder=ColourEmbedder(weights="1")) as served:
        visitor = visit(served)
        visitor.refusals = {503}
        visitor.open()
        assert visitor.names == ["red.png"]
        visitor.search("red")
        expect(visitor.page.locator("#message p").first).to_have_text(
            # no capital: it is a name
            "my.lake was built with colours (weights 0), but this is colours (weights 1); "
            "use the model it was built with, or make a new lake: `lakesift index --sources-of` takes its sources "
            "there, `lakesift filter copy --into` its filters and labels."
        )


def test_two_lakes_can_be_chosen_from(visit: Visit, tmp_path: Path) -> None:
    desks = {"one": Desk(tmp_path / "1"), "two": Desk(tmp_path / "2")}
    desks["one"].add("red.png", RED)
    desks["two"].add("blue.png", BLUE)
    for desk in desks.values():
        desk.index()
    lakes = {name: desk.lake for name, desk in desks.items()}
    with serving(tmp_path / "state", lakes, embedder=desks["one"].model) as served:
        visitor = visit(served).open()
        assert visitor.names == ["red.png"]
        visitor.page.select_option("#lake", "two")
        expect(visitor.page.get_by_alt_text("blue.png")).to_be_visible()
        assert visitor.address == "/?lake=two"
        visitor.refusals = {404}
        visitor.open("/?lake=three")
        assert "three" in visitor.message
        visitor.page.click("#message button")
        expect(visitor.page.get_by_alt_text("red.png")).to_be_visible()


COME_BACK = "dispatchEvent(new Event('focus'))"  # to the page, from another window


def test_new_images_are_told_and_shown_when_asked_for(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    red = desk.add("red.png", RED, size=(7, 5))
    desk.add("blue.png", BLUE)
    desk.index()
    here = red.read_bytes()
    red.unlink()  # its image fails until it is there again
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.refusals = {410}
        visitor.open()
        expect(visitor.page.locator(".cell.failed")).to_have_count(1)
        write(red, here)
        desk.add("green.png", GREEN)
        sync_and_wait(desk, visitor)
        moved = visitor.page.locator("#moved")
        assert not moved.is_visible()
        visitor.page.evaluate(COME_BACK)
        expect(moved.locator("span")).to_have_text("The lake has changed: 3 images now.")
        assert visitor.names == ["blue.png", "red.png"]
        assert visitor.page.locator(".cell.failed").count() == 1
        assert visitor.shifted == []
        visitor.page.click("text=Show them")
        expect(visitor.page.locator(".cell.loaded")).to_have_count(3)
        assert not moved.is_visible()
        assert visitor.page.locator("#status").inner_text() == "3 images"
        assert visitor.names == ["blue.png", "red.png", "green.png"]


def test_an_empty_lake_shows_its_first_images_by_itself(visit: Visit, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    only = desk.add("green.png", GREEN)
    desk.index()
    only.unlink()
    desk.sync(allow_empty=True)
    with serving(tmp_path / "state", {"my": desk.lake}, embedder=desk.model) as served:
        visitor = visit(served)
        visitor.page.clock.install()
        visitor.open()
        expect(visitor.page.locator("#message h2")).to_have_text("my has no images yet")
        desk.add("red.png", RED)
        sync_and_wait(desk, visitor)
        visitor.page.clock.fast_forward(31_000)  # nobody touches it
        expect(visitor.page.locator(".cell.loaded")).to_have_count(1)
        assert visitor.names == ["red.png"]
        assert visitor.page.locator("#status").inner_text() == "1 image"
        assert visitor.page.locator("#message").inner_text() == ""


def test_a_lake_that_moved_on_offers_the_current_results(
    visit: Visit, many: Desk, tmp_path: Path
) -> None:
    with serving(tmp_path / "state", {"my": many.lake}, embedder=many.model) as served:
        visitor = visit(served, viewport={"width": 700, "height": 300})
        visitor.refusals = {410}
        gone = {
            "error": {
                "code": "snapshot_gone",
                "message": "snapshot 1 of my is gone",
                "field": "cursor",
            }
        }
        visitor.page.route("**/rows?*cursor=*", lambda route: route.fulfill(status=410, json=gone))
        visitor.open()
        visitor.page.locator("#foot").scroll_into_view_if_needed()
        expect(visitor.page.locator("#foot")).to_contain_text(
            "The lake has changed since this search."
        )
        assert len(visitor.names) == 60
        visitor.page.unroute("**/rows?*cursor=*")
        visitor.page.click("text=Show current results")
        visitor.settled()
        visitor.page.locator("#foot").scroll_into_view_if_needed()
        expect(visitor.page.locator("#foot")).to_have_text("End · 70 images")
        assert visitor.names == [f"{number:02}.png" for number in range(70)]
