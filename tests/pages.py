# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads the commands of a page as a reader would: line by line, in one shell."""

import re
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def commands(path):
    """The commands in the page's blocks of `sh`, one a line."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


class Reader:
    """One shell for all lines, as a reader has one; a mark after each line tells them apart. After
    @seconds it is ended, so that a line that waits for ever fails."""

    def __init__(self, env, cwd, seconds):
        self.shell = subprocess.Popen(
            ["bash", "-o", "pipefail"], cwd=cwd, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.timer = threading.Timer(seconds, self.shell.kill)
        self.timer.start()

    def close(self):
        self.timer.cancel()
        self.shell.communicate()

    def type(self, line):
        """What the line printed, and its status."""
        self.shell.stdin.write("{ %s\n} </dev/null\nprintf '\\nended %%d\\n' $?\n" % line)
        self.shell.stdin.flush()
        output = ""
        for text in self.shell.stdout:
            ended = re.fullmatch(r"ended (\d+)\n", text)
            if ended:
                return output, int(ended.group(1))
            output += text
        return output, -1
