"""`daw-bridge templates`: which bus templates there are, what is in them, whether one's own is right."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli.console import one_line
from daw_bridge.errors import OutputError, TemplateError, UsageError

if TYPE_CHECKING:
    from daw_bridge.templates.bus_template import BusTemplate
    from daw_bridge.templates.store import TemplateFile


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `templates` with its commands."""
    from daw_bridge.cli.main import add_output_options

    parser = subparsers.add_parser("templates", help="bus templates: list, show, check, JSON Schema for editors")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="all templates that can be given by name")
    listing.set_defaults(func=_list)

    show = commands.add_parser("show", help="print a template, to read it or as a start for your own")
    show.add_argument("template", help="name, or path of a .yaml file")
    show.set_defaults(func=_show)

    check = commands.add_parser("check", help="say what is wrong in a template, with line and column")
    check.add_argument("templates", nargs="+", metavar="TEMPLATE", help="name, or path of a .yaml file")
    check.set_defaults(func=_check)

    schema = commands.add_parser("schema", help="the JSON Schema, so that editors complete and check templates")
    schema.set_defaults(func=_schema)

    extract = commands.add_parser("extract", help="make a template of a session that you mixed")
    extract.add_argument(
        "session", nargs="?", type=Path, metavar="SESSION", help="a REAPER project (.rpp) or a .dawproject"
    )
    extract.add_argument("--live", action="store_true", help="the project that is open in REAPER")
    extract.add_argument("--name", help="name of the template (default: that of the session)")
    extract.add_argument("--daw", default=None, help="whose session it is (default: by the suffix of its name)")
    extract.add_argument("-o", "--output", type=Path, metavar="FILE", help="a new .yaml file (default: print it)")
    extract.set_defaults(func=_extract)

    for command in (listing, show, check, schema, extract):
        add_output_options(command, default=argparse.SUPPRESS)


def _extract(args: argparse.Namespace) -> int:
    from daw_bridge.workflow import extract_open_template, extract_template

    if args.live == (args.session is not None):
        raise UsageError("give a session file, or --live for the project that is open in REAPER")
    if args.output is not None and args.output.exists():
        raise OutputError(f"{args.output}: exists already; give another name with -o")
    if args.live:
        extracted = extract_open_template(daw=args.daw or "reaper-live", name=args.name)
    else:
        extracted = extract_template(args.session, daw=args.daw, name=args.name)
    if args.output is not None:
        extracted.save(args.output)
    elif extracted.files:
        raise UsageError("the states of its plug-ins are too long to print; give -o FILE, and they are put beside it")
    limits = [f"{limit.where}: {limit.feature} {limit.support}: {limit.what}" for limit in extracted.limits]
    if args.json:
        path = str(args.output) if args.output else None
        answer = {"name": extracted.template.name, "path": path, "text": extracted.text, "limits": limits}
        print(json.dumps(answer | {"usage": extracted.usage(), "files": list(extracted.files)}))
        return 0
    for limit in limits:
        print(one_line(limit), file=sys.stderr)
    if not args.quiet:
        print(one_line(extracted.usage()), file=sys.stderr)
    if args.output is None:
        print(extracted.text, end="")
    elif not args.quiet:
        print(one_line(f"{args.output}: {_summary(extracted.template)}"))
    return 0


def _list(args: argparse.Namespace) -> int:
    from daw_bridge.templates.bus_template import read_template
    from daw_bridge.templates.store import list_templates, user_folder

    rows: list[dict[str, object]] = []
    for found in list_templates():
        row = _row(found)
        try:
            row["description"] = read_template(found.path).description
        except TemplateError as exc:
            row["error"] = str(exc)
        rows.append(row)
    if args.json:
        print(json.dumps({"templates": rows, "user_folder": str(user_folder())}, indent=2))
        return 0
    if args.quiet:
        return 0
    width = max(len(str(row["name"])) for row in rows) if rows else 0
    for row in rows:
        origin = "" if row["origin"] == "shipped" else " [yours]"
        print(one_line(f"{row['name']:{width}}  {row.get('error') or row['description']}{origin}"))
    print(f"\nYour own go into {user_folder()}", file=sys.stderr)
    return 0


def _row(found: TemplateFile) -> dict[str, object]:
    return {
        "name": found.name,
        "origin": found.origin,
        "path": str(found.path),
        "hides_shipped": found.hides_shipped,
    }


def _show(args: argparse.Namespace) -> int:
    from daw_bridge.templates.bus_template import parse_template
    from daw_bridge.templates.store import find_template
    from daw_bridge.templates.yaml_nodes import parse_yaml, read_yaml_text

    path = find_template(args.template)
    text = read_yaml_text(path)
    if not args.json:
        print(text, end="")
        return 0
    template = parse_template(text, str(path))
    content = parse_yaml(text, str(path)).plain()
    print(json.dumps({"name": template.name, "path": str(path), "text": text, "content": content}, indent=2))
    return 0


def _check(args: argparse.Namespace) -> int:
    from daw_bridge.templates.bus_template import doubtful
    from daw_bridge.templates.store import find_template, load_template

    results: list[dict[str, object]] = []
    failed = 0
    for name in args.templates:
        try:
            template = load_template(name)
        except TemplateError as exc:
            failed = exc.exit_code
            row = {"template": name, "ok": False, "error": str(exc), "line": exc.line, "column": exc.column}
            results.append(row | {"others": [str(other) for other in exc.others]})
            if not args.json:
                lines = dict.fromkeys(str(each) for each in (exc, *exc.others))
                for line in lines:
                    print(one_line(f"daw-bridge: {line}"), file=sys.stderr)
            continue
        notes = doubtful(template)
        results.append({"template": name, "ok": True, "path": str(find_template(name)), "notes": list(notes)})
        if not args.json and not args.quiet:
            for line in (f"right ({_summary(template)})", *notes):
                print(one_line(f"{name}: {line}"))
    if args.json:
        print(json.dumps({"results": results}, indent=2))
    return failed


def _summary(template: BusTemplate) -> str:
    parts = [(len(template.buses), "bus", "buses"), (len(template.returns), "return", "returns")]
    effects = sum(len(strip.effects) for strip in (*template.buses, *template.returns, template.mix_bus))
    parts.append((effects, "effect", "effects"))
    return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in parts)


def _schema(args: argparse.Namespace) -> int:  # noqa: ARG001
    from daw_bridge.templates.schema import template_schema

    print(json.dumps(template_schema(), indent=2))
    return 0
