"""``make pictures``: start an installation with real work, and photograph every page in both themes and two widths.

Exit status 1 if a page answers with an error, is wider than its window, or the browser has something to complain about.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.architecture.sources import ROOT
from tests.e2e.browser import chromium
from tests.launch.installation import installation
from tests.pictures import camera, scene, shots

WIDTHS = (1280, 390)
#: The picture of the README, in both themes.
COVER, COVER_WIDTH = "overview", 1280
COVER_FOLDER = ROOT / "docs" / "images"
#: Bytes.
MOST_COVER = 250_000


def main() -> int:
    """Take them all, or those asked for."""
    options = _options()
    # What was started, ends also when this is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begun = time.monotonic()
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [shot for shot in [shots.FIRST_RUN, *shots.SHOTS] if not options.only or shot.name in options.only]
    for old in folder.glob("*.png"):
        if not options.only:
            old.unlink()
    with tempfile.TemporaryDirectory(prefix="taskdist-pictures-") as scratch:
        wrong = _photograph(Path(scratch), folder, options, wanted)
    index = camera.write_gallery(folder, [shot.name for shot in [shots.FIRST_RUN, *shots.SHOTS]], options.widths)
    num = len(list(folder.glob("*.png")))
    print(f"{num} pictures in {folder}, all on {index}; {time.monotonic() - begun:.0f} s")
    for one in wrong:
        print(f"  wrong: {one}")
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.pictures", description=__doc__)
    parser.add_argument("--out", default=str(ROOT / "var" / "pictures"), help="folder (%(default)s)")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="only these, such as overview task-failed"
    )
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS, metavar="PX", help="(%(default)s)")
    parser.add_argument("--no-cover", action="store_true", help="leave the picture of the README as it is")
    return parser.parse_args()


def _photograph(scratch: Path, folder: Path, options: argparse.Namespace, wanted: list[shots.Shot]) -> list[str]:
    with installation(scratch / "var") as installed:
        installed.start("--workers", "0")
        with chromium() as browser:
            eye = camera.Camera(browser, installed, folder)
            if shots.FIRST_RUN in wanted:
                for width in options.widths:
                    eye.take([shots.FIRST_RUN], scene.Scene(), width)
            by = scene.people(installed)
            scene.describe(by)
            with scene.nodes(installed, scratch) as nodes, scene.steady_work(by["admin"]):
                made = scene.make(installed, nodes, by)
                module = [sys.executable, "-m", "tests.pictures.history"]
                subprocess.run(module, cwd=ROOT, env=installed.environment, check=True)
                for width in options.widths:
                    eye.take([shot for shot in wanted if shot != shots.FIRST_RUN], made, width)
    if not options.no_cover and COVER_WIDTH in options.widths and COVER in [shot.name for shot in wanted]:
        eye.wrong += [f"{file.name} is too large" for file in _covers(folder) if file.stat().st_size > MOST_COVER]
    return eye.wrong


def _covers(folder: Path) -> list[Path]:
    """The pictures of the README, in fewer colours."""
    from PIL import Image

    made = []
    for theme in camera.THEMES:
        with Image.open(folder / f"{COVER}-{COVER_WIDTH}-{theme}.png") as picture:
            file = COVER_FOLDER / f"{COVER}-{theme}.png"
            picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
            made.append(file)
    return made


if __name__ == "__main__":
    sys.exit(main())
