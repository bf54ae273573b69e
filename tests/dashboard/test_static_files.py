from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from dispatcher.dashboard.formats import ICONS
from dispatcher.dashboard.queues import purge_texts
from dispatcher.dashboard.waiting_formats import waiting_texts
from dispatcher.states import AttemptOutcome, BreakerState, NodeState, TaskState
from taskdist_site.static_files import packed
from tests.architecture.sources import ROOT, script_files

STATIC = ROOT / "static"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
OWN_TEMPLATES = [path for path in TEMPLATES if "admin" not in path.parts]
SCRIPTS = {path: path.read_text() for path in script_files()}
#: All words that something's state is shown by, those of the screen only included.
STATES = {
    *(state.word for state in TaskState),
    *(str(word) for words in (NodeState, AttemptOutcome, BreakerState) for word in words),
    *("retrying", "cancelling", "draining", "disabled", "paused", "waiting", "idle"),
}


def symbols() -> set[str]:
    return set(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons/icons.svg").read_text()))


def texts() -> set[str]:
    return set(re.findall(r'^  "(\w+\.\w+)(?:\.one)?":', (STATIC / "js/words/en.js").read_text(), re.MULTILINE))


#: What is brought along: for the pages, and for the tests.
LOCKS = {STATIC: STATIC / "vendor/vendor.lock.json", ROOT / "tests/vendor": ROOT / "tests/vendor/vendor.lock.json"}


@pytest.mark.parametrize("base", LOCKS, ids=lambda base: base.name)
def test_vendored_files_are_what_the_lock_says(base: Path) -> None:
    lock = json.loads(LOCKS[base].read_text())
    listed = {name: digest for entry in lock for name, digest in entry["files"].items()}
    folders = {Path(name).parent for name in listed}
    present = {path.relative_to(base).as_posix() for folder in folders for path in (base / folder).iterdir()}
    assert present == set(listed)
    assert {folder.name for folder in LOCKS[base].parent.iterdir() if folder.is_dir()} <= {one.name for one in folders}
    for name, digest in listed.items():
        assert hashlib.sha256((base / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("base", LOCKS, ids=lambda base: base.name)
def test_the_lock_says_whose_it_is_and_where_it_is_from(base: Path) -> None:
    for entry in json.loads(LOCKS[base].read_text()):
        assert entry["source"] == f"npm {entry['name']}@{entry['version']}"
        assert entry["integrity"].startswith("sha512-")
        assert entry["licence"] in {"MIT", "ISC", "MPL-2.0"}
        assert any(name.endswith("/LICENSE") for name in entry["files"]), entry["name"]


def test_the_chart_library_is_the_published_one_with_an_export() -> None:
    [entry] = [one for one in json.loads(LOCKS[STATIC].read_text()) if one["name"] == "uplot"]
    text = (STATIC / "vendor/uplot-1.6.32/uPlot.min.js").read_bytes()
    published = text.removesuffix(b"export default uPlot;\n")
    assert published != text
    assert hashlib.sha256(published).hexdigest() == entry["unchanged"]["dist/uPlot.iife.min.js"]


def test_every_icon_that_is_used_exists() -> None:
    used = {name for path in OWN_TEMPLATES for name in re.findall(r'{% icon "([^"]+)"', path.read_text())}
    used |= {name for text in SCRIPTS.values() for name in re.findall(r'makeIcon\("([^"]+)"', text)}
    used |= {ICONS.get(state, state) for state in STATES}
    assert used - symbols() == set()


def test_every_text_that_scripts_show_is_in_the_catalogue() -> None:
    keys = {key for text in SCRIPTS.values() for key in re.findall(r'\b(?:t|key:)\(?\s*"([a-z]+\.\w+)"', text)}
    keys |= {f"state.{state}" for state in STATES}
    assert keys
    assert keys - texts() - set(waiting_texts() | purge_texts()) == set()


def test_no_text_in_the_catalogue_is_unused() -> None:
    source = "".join(text for path, text in SCRIPTS.items() if path.parent.name != "words")
    built = {"bulk", "live", "breaker", "timeline", "state", "number", "event", "range", "relation"}
    unused = {key for key in texts() if key.partition(".")[0] not in built and f'"{key}"' not in source}
    assert unused == set()


def test_every_file_that_a_page_asks_for_exists() -> None:
    wanted = {name for path in OWN_TEMPLATES for name in re.findall(r"{% static '([^']+)' %}", path.read_text())}
    assert {name for name in wanted if not (STATIC / name).is_file()} == set()


def test_every_import_of_a_script_exists() -> None:
    for path, text in SCRIPTS.items():
        for name in re.findall(r'^(?:import|export) .*?from "([^"]+)";$', text, re.MULTILINE):
            assert name.startswith("."), f"{path.name}: {name}"
            assert (path.parent / name).resolve().is_file(), f"{path.name}: {name}"


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
)
def test_scripts_never_make_markup_from_text(word: str) -> None:
    assert [path.name for path, text in SCRIPTS.items() if word in text] == []


def test_nothing_is_loaded_from_elsewhere() -> None:
    files = [*OWN_TEMPLATES, *SCRIPTS, *sorted((STATIC / "css").iterdir())]
    namespace = "http://www.w3.org/"
    found = {
        (path.name, address)
        for path in files
        for address in re.findall(r"https?://[^\s\"'`<>{}]+", path.read_text())
        if not address.startswith(namespace)
    }
    assert found == set()


@pytest.mark.parametrize("tests", sorted((STATIC / "js/tests").glob("*.test.mjs")), ids=lambda path: path.stem)
def test_pure_modules_in_node_where_there_is_one(tests: Path) -> None:
    node = shutil.which("node")
    if node is None:
        return  # Browsers run these modules in tests/e2e; node only names the culprit sooner.
    done = subprocess.run([node, "--test", str(tests)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


# --- How much a browser has to load ---------------------------------------------------------------

#: All pages together; what a tab loads is bounded below.
MAX_KB_IN_ALL = 105
IMPORT = re.compile(r"""(?:^import|^export|^} from|\bimport\()[^;"']*["'](\.[^"']+)["']""", re.MULTILINE)
#: No page loads more than this: the one with the charts is the largest.
MAX_KB_OF_A_PAGE = 75


def gzipped(paths: Iterable[Path]) -> float:
    """KB of files, each packed and compressed by itself, as they are sent."""
    return sum(len(gzip.compress(packed(path, STATIC), 9)) for path in paths) / 1000


def loaded(entry: Path) -> set[Path]:
    """A script and all that it imports."""
    found: set[Path] = set()
    waiting = [entry]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            text = path.read_text()
            names = IMPORT.findall(text)
            waiting += [(path.parent / name).resolve() for name in names]
    return found


def in_one_language(paths: Iterable[Path]) -> float:
    """KB of files. A page has one language, and loads the texts of that one only: the largest counts."""
    files = set(paths)
    languages = {path for path in files if path.parent.name == "words"}
    return gzipped(files - languages) + max((gzipped([language]) for language in languages), default=0.0)


def test_all_scripts_together_fit_the_budget() -> None:
    total = in_one_language(path for path in STATIC.rglob("*.js") if "tests" not in path.parts)
    assert total <= MAX_KB_IN_ALL, f"{total:.1f} KB"


def test_the_scripts_of_every_page_fit_the_budget() -> None:
    shell = loaded(STATIC / "js/shell.js") | {STATIC / "js/theme.js"}
    entries = sorted((STATIC / "js/pages").glob("*.js"))
    sizes = {path.stem: in_one_language(shell | loaded(path)) for path in entries}
    assert STATIC / "vendor/uplot-1.6.32/uPlot.min.js" in loaded(STATIC / "js/pages/overview.js")
    assert {page: size for page, size in sizes.items() if size > MAX_KB_OF_A_PAGE} == {}
