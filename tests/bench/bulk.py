"""bulk.py PORT down|up BYTES SECONDS: long bodies one after another on one connection for at least so long, as JSON.

Down: GET /blob, up: PUT /sink/blob. Each answer is read whole and must be a good one."""

import json
import re
import socket
import sys
import time

PIECE = 2**20


def read_head(sock, buffer):
    """Returns (status, Content-Length, bytes of the body that came along)."""
    received = b""
    while b"\r\n\r\n" not in received:
        count = sock.recv_into(buffer)
        if not count:
            sys.exit("bulk: the connection was closed")
        received += buffer[:count]
    head, rest = received.split(b"\r\n\r\n", 1)
    length = re.search(rb"content-length: *(\d+)", head, re.I)
    return int(head.split()[1]), int(length[1]) if length else 0, len(rest)


def exchange(sock, way, size, zeros, buffer):
    if way == "down":
        sock.sendall(b"GET /blob HTTP/1.1\r\nHost: bench.test\r\n\r\n")
    else:
        sock.sendall(f"PUT /sink/blob HTTP/1.1\r\nHost: bench.test\r\nContent-Length: {size}\r\n\r\n".encode())
        left = size
        while left:
            left -= sock.send(zeros[:min(left, PIECE)])
    status, length, got = read_head(sock, buffer)
    if status not in (200, 201, 204) or (way == "down" and length != size):
        sys.exit(f"bulk: answered {status} with {length} bytes")
    while got < length:
        count = sock.recv_into(buffer)
        if not count:
            sys.exit("bulk: the connection was closed within a body")
        got += count


def main():
    port, way, size, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    zeros, buffer, moved = memoryview(bytes(PIECE)), memoryview(bytearray(PIECE)), 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        begun = time.monotonic()
        while moved == 0 or time.monotonic() < begun + seconds:
            exchange(sock, way, size, zeros, buffer)
            moved += size
        print(json.dumps({"bytes": moved, "seconds": time.monotonic() - begun}))


if __name__ == "__main__":
    main()
