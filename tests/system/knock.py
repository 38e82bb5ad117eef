# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a stranger can do with a guest's address: knock.py CID PORT. Connects by AF_VSOCK and tries
to get past the handshake without the key; prints what it got, a line a try."""

import os
import socket
import sys

GREETING = 9 + 64 + 1 + 64 + 1


def say(cid, port, *lines):
    """All that comes back before the other end closes, or what is wrong."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as stream:
        stream.settimeout(30)
        heard, got = "", b""
        try:
            stream.connect((cid, port))
            for line in lines:
                stream.sendall(line)
                if line.startswith(b"BANGER"):
                    while len(got) < GREETING:
                        piece = stream.recv(GREETING - len(got))
                        if not piece:
                            return heard + "closed"
                        got += piece
                    heard, got = "challenged, ", b""
            got = stream.recv(4096)
        except (ConnectionResetError, BrokenPipeError):
            return heard + "closed"
        except OSError as error:
            return heard + type(error).__name__
        return heard + ("closed" if got == b"" else "got %r" % got)


def main():
    cid, port = map(int, sys.argv[1:])
    hello = b"BANGER/1 %08x %s\n" % (port, os.urandom(32).hex().encode())
    print("http", say(cid, 1024, b"GET /healthz HTTP/1.1\r\nHost: guest\r\n\r\n" + b"x" * 100))
    print("guess", say(cid, 1024, hello, os.urandom(32).hex().encode() + b"\n"))
    print("own", say(cid, 1024, hello, hello[9:73] + b"\n"))
    print("port", say(cid, port, b"hello\n"))


if __name__ == "__main__":
    main()
