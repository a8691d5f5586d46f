"""Free ports below the ephemeral range, so that no outgoing connection can take one between choice and use."""

import os
import socket

LOWEST, HIGHEST = 12000, 31000
_next = LOWEST + os.getpid() * 97 % (HIGHEST - LOWEST)


def free_port(host="127.0.0.1"):
    global _next
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        _next = _next + 1 if _next < HIGHEST else LOWEST
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, _next))
                return _next
            except OSError:
                continue
