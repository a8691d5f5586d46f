"""Free ports, below the ephemeral range, so that no outgoing connection can take one between choice and use.

Test runs beside each other (the debug and the release build, say) share the machine's ports: each holds a block of its
own for as long as it lives, by listening on the block's first port.
"""

import os
import socket

LOWEST, HIGHEST, BLOCK = 12288, 31744, 1024
_block = None  # the socket that holds it
_next = 0


def _is_free(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
            return True
        except OSError:
            return False


def _take_block():
    blocks = range(LOWEST, HIGHEST, BLOCK)
    for turn in range(len(blocks)):
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", blocks[(os.getpid() + turn) % len(blocks)]))
            holder.listen(1)
            return holder
        except OSError:
            holder.close()
    raise RuntimeError(f"every block of ports from {LOWEST} to {HIGHEST} is held: too many test runs at once")


def free_port(host="127.0.0.1"):
    global _block, _next
    if _block is None:
        _block = _take_block()
    first = _block.getsockname()[1]
    for _ in range(BLOCK):
        _next = _next % (BLOCK - 1) + 1
        if _is_free(host, first + _next):
            return first + _next
    raise RuntimeError(f"no free port from {first} to {first + BLOCK}")
