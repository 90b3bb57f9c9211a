"""Opens connections to a server and keeps them, as many and as idle as it is told.

usage: crowd.py PORT COUNT KIND, where KIND says what each of them sends:
  silent    nothing
  greeting  what a connection of HTTP/2 begins with
  dripping  the first bytes of that, and no more
  torn      that, and the beginning of a request that never ends

It prints `open` when all of them stand, and then waits until its input ends.
"""

import resource
import socket
import sys

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
# Headers of 1,000 bytes are promised, and ten come.
TORN = bytes([0, 3, 232, 1, 4, 0, 0, 0, 1]) + bytes(10)
SAYS = {
    "silent": b"",
    "greeting": PREFACE + SETTINGS,
    "dripping": PREFACE[:7],
    "torn": PREFACE + SETTINGS + TORN,
}


def main():
    port, count, says = int(sys.argv[1]), int(sys.argv[2]), SAYS[sys.argv[3]]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.sendall(says)
        held.append(connection)
    print("open", flush=True)
    sys.stdin.read()


main()
