"""Write every page, and say which ones changed."""

from __future__ import annotations

from pathlib import Path

from scripts.reference.pages import FOLDER, pages

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Write the pages into ``docs/reference/``."""
    folder = ROOT / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for page in pages():
        path = folder / f"{page.name}.md"
        text = page.render()
        changed = not path.is_file() or path.read_text(encoding="utf-8") != text
        path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'written' if changed else 'unchanged'}")


if __name__ == "__main__":
    main()
