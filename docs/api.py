# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bus interfaces, as their XML documents them, as one page in Markdown: api.py FILE.xml…

Interfaces come in the order of the files: the Manager first. Each member stands below a comment `Name:`, one `@argument: what it is` a line, `@since: version`,
an empty line and paragraphs; what lacks one is an error."""

import re
import sys
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

HEAD = """\
# The bus interfaces of banger

The service owns the name `org.banger.Banger1`, on the system bus or, in session mode, on the session bus. This page is made from the XML that is installed in `/usr/share/dbus-1/interfaces`.
banger-cookbook(7) shows calls from a shell.

"""
EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"
HOW_IT_CHANGES = {"true": "", "const": "Never changes.", "invalidates": "Changes are told without the value.",
                  "false": "Changes are not told."}


class Doc:
    """What a comment says: its fields (@name: text) and its paragraphs."""

    def __init__(self, name, comment):
        text = textwrap.dedent(comment).strip("\n")
        if text.lstrip().startswith(name + ": ") and "\n" not in text.strip():
            # A property in one line: "Name: what it is. @since: 0.1"
            body, _, since = text.strip()[len(name) + 2:].partition(" @since: ")
            self.fields, self.body = {"since": since.strip()}, body.strip()
            return
        text = textwrap.dedent(text)
        first, _, rest = text.partition("\n")
        if first.strip() != name + ":":
            raise ValueError("the comment above %s begins with %r" % (name, first.strip()))
        head, _, body = rest.partition("\n\n")
        self.fields = {}
        for field in re.split(r"\n(?=\s*@)", head):
            key, _, value = field.strip().partition(":")
            self.fields[key.lstrip("@")] = " ".join(value.split())
        self.body = textwrap.dedent(body).strip()


def documented(parent):
    """Each member below @parent with the Doc of the comment above it."""
    comment = None
    for child in parent:
        if child.tag is ET.Comment:
            comment = child.text
        elif child.tag != "annotation":
            name = child.get("name")
            if comment is None:
                raise ValueError("%s has no comment" % name)
            doc, comment = Doc(name, comment), None
            if not doc.fields.get("since"):
                raise ValueError("%s does not say since when it is there" % name)
            yield child, doc


def paragraphs(body):
    """The text with each paragraph and each item of a list on one line."""
    for block in re.split(r"\n\s*\n", body):
        items = re.split(r"\n(?=- )", block.strip())
        yield "\n".join(" ".join(item.split()) for item in items)


def callable_lines(kind, element, doc):
    arguments = element.findall("arg")
    into = ["%s %s" % (a.get("type"), a.get("name")) for a in arguments if a.get("direction") == "in"]
    out = ["%s %s" % (a.get("type"), a.get("name")) for a in arguments if a.get("direction") != "in"]
    name = element.get("name")
    if kind == "signal":
        yield "### `%s (%s)`" % (name, ", ".join(out))
    else:
        yield "### `%s (%s)%s`" % (name, ", ".join(into), " → (%s)" % ", ".join(out) if out else "")
    yield from ("", *("%s\n" % p for p in paragraphs(doc.body)))
    if arguments:
        yield "| argument | what it is |\n|---|---|"
        for argument in arguments:
            if argument.get("name") not in doc.fields:
                raise ValueError("%s does not say what %s is" % (name, argument.get("name")))
            yield "| `%s` | %s |" % (argument.get("name"), doc.fields[argument.get("name")])
        yield ""


def property_line(element, doc):
    notes = [a.get("value") for a in element.findall("annotation") if a.get("name") == EMITS]
    text = " ".join(" ".join(paragraphs(doc.body)).split())
    how = HOW_IT_CHANGES[notes[0] if notes else "true"]
    return "| `%s` (`%s`) | %s |" % (element.get("name"), element.get("type"), " ".join((text, how)).strip())


def interface_lines(path):
    tree = ET.parse(path, ET.XMLParser(target=ET.TreeBuilder(insert_comments=True)))
    for interface, doc in documented(tree.getroot()):
        members = list(documented(interface))
        summary = doc.fields["short_description"]
        yield "## `%s`: %s\n" % (interface.get("name"), summary[0].lower() + summary[1:])
        yield from ("%s\n" % p for p in paragraphs(doc.body))
        for kind in ("method", "signal"):
            for element, about in members:
                if element.tag == kind:
                    yield from callable_lines(kind, element, about)
        properties = [(e, d) for e, d in members if e.tag == "property"]
        yield "### Properties of `%s`\n\n| property | what it is |\n|---|---|" % interface.get("name")
        yield from (property_line(e, d) for e, d in properties)
        yield ""


def page(paths):
    return HEAD + "\n".join(line for path in paths for line in interface_lines(path))


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    try:
        sys.stdout.write(page(map(Path, sys.argv[1:])))
    except ValueError as error:
        sys.exit("api.py: %s" % error)
