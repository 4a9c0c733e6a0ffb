"""Every page in a real Chromium, light and dark: what it shows, that it can be used by everybody, and a contact sheet.

`make looks` keeps the pictures in out/looks, for a person to look at.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Page, chromium
from looks import LOOKS, make_pages, make_site
from PIL import Image, ImageDraw

from tests.axe import violations

KEPT = os.environ.get("HEALTHYTWIN_LOOKS")
SEEN = """(selector) => [...document.querySelectorAll(selector)].some((one) => {
  const box = one.getBoundingClientRect();
  return box.width > 0 && box.height > 0 && (one.tagName !== "IMG" || one.naturalWidth > 0);
})"""
NAMELESS = "[...document.images].filter((one) => !one.alt && !one.closest('[aria-hidden]')).length"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every page; those of the site where mkdocs is installed."""
    folder = tmp_path_factory.mktemp("pages")
    make_pages(folder)
    if importlib.util.find_spec("mkdocs") is not None:
        make_site(folder)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where pictures go; they are laid out on one sheet at the end."""
    folder = Path(KEPT) if KEPT else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    if KEPT:
        contact_sheet(folder)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", LOOKS)
def test_it_shows_what_it_should_and_everybody_can_use_it(
    name: str, dark: bool, page: Page, pages: Path, pictures: Path
) -> None:
    look = LOOKS[name]
    if not (pages / look.page).is_file():
        pytest.skip('mkdocs is not installed (pip install -e ".[docs]"): THE SITE IS NOT LOOKED AT')
    page.errors.clear()
    page.look(dark=dark)
    page.open((pages / look.page).as_uri())
    look.act(page)
    page.picture(pictures / f"{name.replace(' ', '-')}{'-dark' if dark else ''}.png")
    missing = [selector for selector in look.shows if not page.evaluate(f"({SEEN})({selector!r})")]
    words = page.evaluate("document.body.textContent")
    assert (missing, [one for one in look.says if one not in words]) == ([], [])
    assert page.evaluate(NAMELESS) == 0
    assert violations(page) == []
    assert (page.errors, page.requests) == ([], [])
    if look.fits:
        page.look(width=390, height=844, dark=dark)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert violations(page) == [], "on a phone"


def contact_sheet(folder: Path, *, across: int = 4, width: int = 480) -> Path:
    """All pictures of a folder on one sheet, each with its name."""
    files = sorted(path for path in folder.glob("*.png") if path.name != "contact-sheet.png")
    height = round(width * 900 / 1280) + 22
    sheet = Image.new("RGB", (across * width, math.ceil(len(files) / across) * height), "white")
    for number, path in enumerate(files):
        with Image.open(path) as picture:
            small = picture.convert("RGB")
            small.thumbnail((width - 8, height - 24))
        place = (number % across * width + 4, number // across * height + 20)
        sheet.paste(small, place)
        ImageDraw.Draw(sheet).text((place[0], place[1] - 16), path.stem, fill="black")
    target = folder / "contact-sheet.png"
    sheet.save(target)
    return target


def test_the_contact_sheet_holds_every_picture(tmp_path: Path) -> None:
    for name, colour in (("one", "red"), ("two", "blue")):
        Image.new("RGB", (1280, 900), colour).save(tmp_path / f"{name}.png")
    with Image.open(contact_sheet(tmp_path)) as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 20)}
    assert {(255, 0, 0), (0, 0, 255)} <= colours
