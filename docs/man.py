# SPDX-License-Identifier: LGPL-2.1-or-later
"""A page of ours in Markdown as a manual page: man.py NAME SECTION VERSION FILE.md…

The first heading is the page's summary. Knows what our pages use: headings, paragraphs, lists, fenced
code, tables, `code`."""

import re
import sys
from pathlib import Path


def verbatim(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga")
    return "\\&" + text if text[:1] in (".", "'") else text


def inline(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    # A line may be broken within JSON, which has no blanks.
    text = re.sub(r"`([^`]*)`", lambda m: "\\fB%s\\fR" % re.sub(',(?=["{])', r",\\:", m[1]), text)
    return "\\&" + text if text[:1] in (".", "'") else text


RULE = re.compile(r"\|[-| ]+\|$")


def table_row(line):
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    return ".TP\n%s\n%s" % (inline(cells[0]), inline(" · ".join(cells[1:])))


def blocks(lines):
    """The roff of each line or run of lines."""
    code = False
    for line, following in zip(lines, lines[1:] + [""]):
        if line.startswith("```"):
            code = not code
            yield ".PP\n.RS 4\n.nf" if code else ".fi\n.RE"
        elif code:
            yield verbatim(line) if line else "\\&"
        elif line.startswith("#"):
            level, title = line.split(" ", 1)
            yield (".SH " if len(level) < 3 else ".SS ") + inline(title)
        elif RULE.match(line) or RULE.match(following):
            continue  # headings of columns are for tables that are seen as such
        elif line.startswith("|"):
            yield table_row(line)
        elif line.startswith("- "):
            yield ".IP \\(bu 2\n" + inline(line[2:])
        else:
            yield inline(line) if line else ".PP"


def page(name, section, version, text):
    title, body = text.split("\n", 1)
    summary = title.lstrip("# ")
    # Words as long as code are no good to fill lines with: left-aligned.
    head = ['.TH %s %s "" "banger %s"' % (name.upper(), section, version), ".ad l", ".SH NAME",
            "%s \\- %s" % (name.replace("-", "\\-"), inline(summary)), ".SH DESCRIPTION"]
    return "\n".join(head + list(blocks(body.strip("\n").split("\n")))) + "\n"


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    TEXTS = [Path(name).read_text(encoding="utf-8") for name in sys.argv[4:]]
    sys.stdout.write(page(*sys.argv[1:4], "\n".join(TEXTS)))
