"""The files that demo tasks work on: texts in folders, and images. The same seed makes the same files."""

from __future__ import annotations

import importlib
import random
from pathlib import Path

NUM_FOLDERS = 20
FILES_PER_FOLDER = 6
WORDS_PER_FILE = 1500
NUM_IMAGE_FOLDERS = 4
IMAGES_PER_FOLDER = 3
IMAGE_SIZE = (640, 400)

_WORDS = (
    "queue",
    "node",
    "task",
    "lane",
    "lease",
    "claim",
    "push",
    "poll",
    "batch",
    "slot",
    "retry",
    "harbour",
    "signal",
)


def make_material(root: Path) -> None:
    """Make the files below ``root`` unless they are there. Images only where Pillow is installed."""
    root.mkdir(parents=True, exist_ok=True)
    rng = random.Random(20261123)
    for folder in folders():
        for number in range(FILES_PER_FOLDER):
            _write(root / folder / f"text-{number:02}.txt", " ".join(rng.choices(_WORDS, k=WORDS_PER_FILE)))
    if has_images():
        for folder in image_folders():
            for number in range(IMAGES_PER_FOLDER):
                _draw(root / folder / f"picture-{number:02}.png", rng)


def folders() -> list[str]:
    """Folders of texts, relative to the root."""
    return [f"texts/{number:02}" for number in range(NUM_FOLDERS)]


def image_folders() -> list[str]:
    """Folders of images, relative to the root."""
    return [f"images/{number:02}" for number in range(NUM_IMAGE_FOLDERS)]


def has_images() -> bool:
    """Whether Pillow is there to make and shrink images."""
    try:
        importlib.import_module("PIL.Image")
    except ImportError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _draw(path: Path, rng: random.Random) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    image = importlib.import_module("PIL.Image").new("RGB", IMAGE_SIZE)
    brush = importlib.import_module("PIL.ImageDraw").Draw(image)
    for _ in range(60):
        left, top = rng.randrange(IMAGE_SIZE[0]), rng.randrange(IMAGE_SIZE[1])
        colour = tuple(rng.randrange(256) for _ in range(3))
        brush.ellipse((left, top, left + rng.randrange(20, 200), top + rng.randrange(20, 200)), fill=colour)
    image.save(path)
