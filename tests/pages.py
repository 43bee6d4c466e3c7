"""The pages of the manual and the code on them."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    """``output`` where text follows Python within a section."""
    code: str
    line: int
    """Of the page, that the code starts after."""


def blocks(page: str) -> list[Block]:
    """Blocks of a page in their order."""
    text, found, end = (ROOT / page).read_text(), [], 0
    for fence in _FENCE.finditer(text):
        language, code = fence.groups()
        if language == "text" and found and found[-1].language == "python" and "\n#" not in text[end : fence.start()]:
            language = "output"
        found.append(Block(language, code, text.count("\n", 0, fence.start(2))))
        end = fence.end()
    return found
