# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of OpenAgent: stream.py session|system VM-PATH PORT. Standard input goes to that port of
the guest, what comes back goes to standard output."""

import os
import socket
import sys

from gi.repository import Gio, GLib


def open_agent(bus, path, port):
    connection = Gio.bus_get_sync(Gio.BusType.SYSTEM if bus == "system" else Gio.BusType.SESSION)
    reply, fds = connection.call_with_unix_fd_list_sync(
        "org.banger.Banger1", path, "org.banger.Banger1.VM", "OpenAgent",
        GLib.Variant("(ua{sv})", (port, {})), None, Gio.DBusCallFlags.NONE, 60000, None, None)
    return socket.socket(fileno=fds.get(reply.unpack()[0]))


def main():
    stream = open_agent(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    stream.settimeout(60)
    stream.sendall(sys.stdin.buffer.read())
    stream.shutdown(socket.SHUT_WR)
    while True:
        piece = stream.recv(65536)
        if not piece:
            break
        os.write(1, piece)


if __name__ == "__main__":
    try:
        main()
    except GLib.Error as error:
        print(error.message, file=sys.stderr)
        sys.exit(1)
