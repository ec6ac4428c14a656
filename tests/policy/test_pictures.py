"""The pictures in docs are what the script draws from the policies, and well-formed."""

from __future__ import annotations

import runpy
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
DRAWN = runpy.run_path(str(PICTURES / "draw.py"))["pictures"]()


def test_every_picture_is_drawn_by_the_script() -> None:
    assert {path.name for path in PICTURES.glob("*.svg")} == set(DRAWN)


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_the_committed_picture_is_up_to_date(name: str) -> None:
    assert (PICTURES / name).read_text() == DRAWN[name], "run python docs/pictures/draw.py"
    assert ET.fromstring(DRAWN[name]).tag == "{http://www.w3.org/2000/svg}svg"
