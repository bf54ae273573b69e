"""Write static/js/types.d.ts: the documents of pages, the live protocol and the feed's events as scripts see them.

Everything comes from the Python classes that the server sends. With `--check`, write nothing; exit with status 1 if the
file is not what would be written.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "static" / "js" / "types.d.ts"

HEAD = """\
// Written by `make types` from dispatcher/queries/shapes, dispatcher/live and dispatcher/events.py: do not edit.

/** ISO 8601 in UTC. */
export type Time = string;
"""
PLAIN = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    NoneType: "null",
    datetime: "Time",
    Any: "unknown",
}


def main() -> int:
    """Write or check the file."""
    text = types()
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text, encoding="utf-8")
        return 0
    if FILE.exists() and FILE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("static/js/types.d.ts is not what the Python classes say. Run: make types\n")
    return 1


def types() -> str:
    """Return the text of the file."""
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskdist_site.settings")
    os.environ.setdefault("TASKDIST_SECRET_KEY", "unused")
    import django

    django.setup()
    parts = [HEAD, *_documents(), *_protocol(), *_events()]
    return "\n".join(parts)


# --- The parts of the file ------------------------------------------------------------------------


def _documents() -> Iterator[str]:
    from dispatcher.live.topics import Topic
    from dispatcher.queries import shapes

    for name in shapes.__all__:
        yield _typed_dict(getattr(shapes, name))
    topics = sorted(_concrete(Topic), key=lambda topic: topic.pattern)
    for topic in topics:
        if not (topic.pattern and topic.shape):
            raise SystemExit(f"{topic.__name__} has no pattern or no shape: say what it is called and what it sends")
    patterns = {topic.pattern: f"`{re.sub('<.*>', '${string}', topic.pattern)}`" for topic in topics}
    yield "/** The topics that can be subscribed to. */"
    yield f"export type Topic = {' | '.join(patterns.values())};\n"
    yield "/** The document of a topic. */"
    yield "export type DocumentOf<T extends Topic> ="
    for topic in topics:
        yield f"  T extends {patterns[topic.pattern]} ? {topic.shape.__name__} :"
    yield "  never;\n"


def _protocol() -> Iterator[str]:
    from dispatcher.live import deltas, messages

    sent = {"Welcome": messages.Welcome, "SnapshotFrame": messages.Snapshot, "DeltaFrame": messages.DeltaFrame,
            "Resumed": messages.Resumed, "GoneFrame": messages.Gone, "ErrorFrame": messages.Error,
            "Pong": messages.Pong}  # fmt: skip
    asked = {"TasksParams": messages.TasksParams, "Place": messages.Place, "Sub": messages.Sub, "Unsub": messages.Unsub,
             "Visible": messages.Visible, "Ack": messages.Ack, "Ping": messages.Ping}  # fmt: skip
    yield _struct("RowChanges", deltas.RowChanges)
    for name, struct in (sent | asked).items():
        yield _struct(name, struct, {"DeltaFrame.rows": "Record<string, RowChanges>"})
    yield "/** What the server sends. */"
    yield f"export type Frame = {' | '.join(sent)};\n"
    yield "/** What a tab sends. */"
    yield f"export type Message = {' | '.join(name for name in asked if name not in ('TasksParams', 'Place'))};\n"


def _events() -> Iterator[str]:
    from dispatcher import events

    fields = [_ts(hint) for hint in get_type_hints(events.TaskChange).values()]
    yield f"{_comment(events.TaskChange)}export type TaskChange = [{', '.join(fields)}];\n"
    for event in events.CATALOGUE.values():
        yield _struct(event.__name__, event, kind=event.kind)
    yield "/** What can happen. */"
    names = "\n".join(f"  | {event.__name__}" for event in events.CATALOGUE.values())
    yield f"export type FeedEvent =\n{names};\n"
    yield 'export type EventKind = FeedEvent["kind"];\n'


# --- One class ------------------------------------------------------------------------------------


def _typed_dict(shape: type) -> str:
    # With the members of its bases: before Python 3.12 a TypedDict does not know them.
    optional: frozenset[str] = getattr(shape, "__optional_keys__", frozenset())
    notes = _notes(shape)
    lines = [
        f"{notes.get(name, '')}  {name}{'?' if name in optional else ''}: {_ts(hint)};"
        for name, hint in get_type_hints(shape).items()
    ]
    return _block(shape, shape.__name__, lines)


def _struct(name: str, struct: Any, known: dict[str, str] | None = None, *, kind: str = "") -> str:
    config = struct.__struct_config__
    lines = [f'  {config.tag_field}: "{config.tag}";'] if config.tag else []
    lines += [f'  kind: "{kind}";'] if kind else []
    hints = get_type_hints(struct)
    notes = _notes(struct)
    # Of what is sent, a member is left out only where the class says so; of what is asked, whatever has a default.
    may_lack = config.omit_defaults or config.forbid_unknown_fields
    for field in msgspec.structs.fields(struct):
        mark = "?" if may_lack and not field.required else ""
        hint = (known or {}).get(f"{name}.{field.name}") or _ts(hints[field.name])
        lines.append(f"{notes.get(field.name, '')}  {field.encode_name}{mark}: {hint};")
    return _block(struct, name, lines)


def _block(source: type, head: str, lines: list[str]) -> str:
    return f"{_comment(source)}export interface {head} {{\n" + "".join(f"{line}\n" for line in lines) + "}\n"


def _comment(source: type) -> str:
    text = inspect.cleandoc(source.__doc__ or "").replace("``", "`")
    return "/** " + text.replace("\n", "\n * ") + " */\n" if text else ""


def _notes(source: type) -> dict[str, str]:
    """The `#:` comments above the members of a class."""
    found: dict[str, str] = {}
    note: list[str] = []
    for line in inspect.getsource(source).splitlines():
        text = line.strip()
        if text.startswith("#:"):
            note.append(text[2:].strip())
        elif member := re.match(r"(\w+): ", text):
            if note:
                found[member[1]] = "  /** " + "\n   * ".join(note).replace("``", "`") + " */\n"
            note = []
        else:
            note = []
    return found


def _concrete(topic: Any) -> Iterator[Any]:
    for found in topic.__subclasses__():
        # Tests have topics of their own.
        if found.__module__.startswith("dispatcher.") and not inspect.isabstract(found):
            yield found
        yield from _concrete(found)


def _ts(hint: Any) -> str:
    """A type annotation in TypeScript."""
    if hint in PLAIN:
        return PLAIN[hint]
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _ts(parts[0])
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(_ts(part) for part in parts))
    if origin is Literal:
        return " | ".join(f'"{part}"' for part in parts)
    if origin is list:
        inner = _ts(parts[0])
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if origin is tuple:
        return f"[{', '.join(_ts(part) for part in parts)}]"
    if origin in (dict, Mapping):
        return f"Record<{_ts(parts[0])}, {_ts(parts[1])}>"
    if isinstance(hint, type):
        return hint.__name__
    raise SystemExit(f"write_types does not know {hint!r}")


if __name__ == "__main__":
    sys.exit(main())
