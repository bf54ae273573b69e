"""Scripts and styles as they are sent: small, kept by browsers, and the same program as was written."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from http import HTTPStatus
from pathlib import Path

import pytest
from django.conf import settings
from django.templatetags.static import static
from django.test import Client

from taskdist_site.static_files import edition, packed
from tests.architecture.sources import ROOT, script_files

STATIC = ROOT / "static"


def body(path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """What is answered to a request for a file."""
    answer = Client(headers=headers).get(path)
    content = b"".join(answer) if answer.streaming else answer.content
    answer.close()
    return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, content


def test_what_a_page_names_is_kept_for_good() -> None:
    status, headers, _ = body(static("js/shell.js"))
    assert (status, headers["cache-control"]) == (HTTPStatus.OK, "public, max-age=31536000, immutable")


@pytest.mark.parametrize("prefix", ["/static/", "/static/0123456789ab/"])
def test_another_edition_gets_the_present_file_to_be_asked_for_again(prefix: str) -> None:
    status, headers, content = body(f"{prefix}js/shell.js")
    assert (status, headers["cache-control"]) == (HTTPStatus.OK, "public, no-cache")
    assert content == body(static("js/shell.js"))[2]
    status, _, content = body(f"{prefix}js/shell.js", if_none_match=headers["etag"])
    assert (status, content) == (HTTPStatus.NOT_MODIFIED, b"")


@pytest.mark.parametrize("name", ["js/shell.js", "css/base.css", "icons/icons.svg", "admin/css/base.css"])
def test_texts_are_compressed_for_those_who_can_read_it(name: str) -> None:
    _, plain, content = body(static(name))
    assert "content-encoding" not in plain
    assert int(plain["content-length"]) == len(content)
    _, headers, compressed = body(static(name), accept_encoding="br, gzip;q=0.8")
    assert (headers["content-encoding"], headers["vary"]) == ("gzip", "Accept-Encoding")
    assert int(headers["content-length"]) == len(compressed) < len(content)
    assert gzip.decompress(compressed) == content
    assert "content-encoding" not in body(static(name), accept_encoding="gzip;q=0, identity")[1]


def test_files_are_only_read() -> None:
    head = Client().head(static("js/shell.js"))
    assert (head.status_code, head.getvalue()) == (HTTPStatus.OK, b"")
    assert int(head.headers["Content-Length"]) > 0
    assert Client().post(static("js/shell.js")).status_code == HTTPStatus.METHOD_NOT_ALLOWED


@pytest.mark.parametrize("name", ["no/such.js", "js/../../manage.py", "0123456789ab/0123456789ab/js/shell.js"])
def test_there_is_nothing_else(client: Client, name: str, db: None) -> None:
    assert body(f"/static/{name}")[0] == HTTPStatus.NOT_FOUND


def test_the_edition_changes_with_any_file(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "js/a.js").write_text("1")
    first = edition(tmp_path)
    assert edition(tmp_path) == first
    (tmp_path / "js/a.js").rename(tmp_path / "js/b.js")
    second = edition(tmp_path)
    (tmp_path / "js/b.js").write_text("2")
    assert len({first, second, edition(tmp_path)}) == 3
    assert f"/static/{edition(STATIC)}/" == settings.STATIC_URL


def test_scripts_are_sent_without_comments_and_mean_the_same(tmp_path: Path) -> None:
    scripts = script_files()
    for path in scripts:
        sent = packed(path, STATIC).decode()
        assert "\n//" not in sent, path.name
        assert "/**" not in sent, path.name
        (tmp_path / f"{path.parent.name}.{path.stem}.mjs").write_text(sent)
    node = shutil.which("node")
    if node is None:
        return  # Browsers run these very texts in tests/e2e; node only names the culprit sooner.
    names = sorted(str(path) for path in tmp_path.glob("*.mjs"))
    check = """
        import { readFileSync } from "node:fs";
        import vm from "node:vm";
        for (const name of process.argv.slice(1))
          new vm.SourceTextModule(readFileSync(name, "utf8"), { identifier: name });
    """
    done = subprocess.run(
        [node, "--experimental-vm-modules", "--input-type=module", "-e", check, *names],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_files_that_others_wrote_are_sent_as_they_are() -> None:
    path = STATIC / "vendor/uplot-1.6.32/uPlot.min.js"
    assert packed(path, STATIC) == path.read_bytes()
