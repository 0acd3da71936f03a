#!/usr/bin/env python3
"""Writes python/seclude/types.py, of what docs/request.schema.json says; with --check it only looks whether that is so."""

import json
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCHEMA = HERE.parent.parent / "docs/request.schema.json"
TYPES = HERE / "python/seclude/types.py"

HEAD = '''"""The nouns of a container, as dataclasses and as the types of dicts.

Made by generate_types.py from docs/request.schema.json: change that, not this.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Dict, List, Literal, Optional, TypedDict, Union

'''
# Those that have a form of their own in Python.
OWN = {
    "Text": 'Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]',
    "Content": "Union[str, bytes]",
}
WIDTH = 120


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def type_of(schema, suffix):
    """The type of what a schema describes; nouns are dataclasses, or the types of dicts that end in `suffix` as well."""
    if "$ref" in schema:
        return name_of(schema["$ref"].rsplit("/", 1)[1], suffix)
    if "anyOf" in schema or "oneOf" in schema:
        kinds = schema.get("anyOf") or schema["oneOf"]
        if all("const" in kind for kind in kinds):
            return f"Literal[{', '.join(quoted(kind['const']) for kind in kinds)}]"
        names = []
        for kind in kinds:
            name = type_of(kind, suffix)
            if name not in names and name != "None":
                names.append(name)
        union = names[0] if len(names) == 1 else f"Union[{', '.join(names)}]"
        return union
    if "enum" in schema:
        return f"Literal[{', '.join(map(quoted, schema['enum']))}]"
    kinds = schema.get("type")
    kind = next((kind for kind in kinds if kind != "null"), "null") if isinstance(kinds, list) else kinds
    if kind == "array":
        return f"List[{type_of(schema.get('items', {}), suffix)}]"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"Dict[str, {type_of(values, suffix) if isinstance(values, dict) else 'Any'}]"
    if kind == "string" and schema.get("format") in ("ip", "ipv4", "ipv6"):
        return "Union[str, IPv4Address, IPv6Address]"
    return {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}.get(kind, "Any")


def name_of(name, suffix):
    return f"Union[{name}, {name}Dict]" if suffix and name in NOUNS else name


def comment(text, indent):
    prefix = indent + "#: "
    lines = textwrap.wrap(" ".join(text.split()), WIDTH - len(prefix), break_long_words=False)
    return "".join(f"{prefix}{line}\n" for line in lines)


def doc(text):
    text = " ".join(text.split()).replace("\\", "\\\\")
    if len(text) + 10 <= WIDTH:
        return f'    """{text}"""\n\n'
    return '    """' + "\n    ".join(textwrap.wrap(text, WIDTH - 8)) + '\n    """\n\n'


def noun(name, schema):
    required = schema.get("required", [])
    fields = sorted(schema["properties"].items(), key=lambda field: field[0] not in required)
    text = f"@dataclass\nclass {name}:\n" + doc(schema["description"])
    for key, value in fields:
        kind = type_of(value, True)
        text += comment(value.get("description", ""), "    ")
        text += f"    {key}: {kind}\n" if key in required else f"    {key}: Optional[{kind}] = None\n"
    text += f"\n\nclass {name}Dict(TypedDict, total=False):\n" + doc(f"The same as a dict. {schema['description']}")
    for key, value in fields:
        kind = type_of(value, True)
        text += f"    {key}: {kind}\n" if key in required else f"    {key}: Optional[{kind}]\n"
    return text


def generate(schema):
    global NOUNS
    kinds = dict(schema["$defs"])
    kinds["Container"] = {**schema, "description": schema["description"]}
    NOUNS = {name for name, kind in kinds.items() if "properties" in kind}
    text = HEAD
    for name, kind in kinds.items():
        if name in NOUNS:
            continue
        text += comment(kind.get("description", ""), "")
        text += f"{name} = {OWN.get(name) or type_of(kind, False)}\n"
    for name in sorted(NOUNS, key=lambda name: (name == "Container", name)):
        text += "\n\n" + noun(name, kinds[name])
    return text


def main():
    text = generate(json.loads(SCHEMA.read_text()))
    if "--check" in sys.argv[1:]:
        if TYPES.read_text() != text:
            sys.exit(f"{TYPES.name} is not what {SCHEMA.name} says: run {Path(__file__).name}")
    else:
        TYPES.write_text(text)


if __name__ == "__main__":
    main()
