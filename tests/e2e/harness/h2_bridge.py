"""Proxies that speak one HTTP upstream whatever the caller speaks."""

import pytest

from .h2 import RawClient

MIB = 1024 * 1024
HELD_BYTES = 2 * MIB  # what the proxy and the kernel may take in for a peer that reads nothing


@pytest.fixture
def to_h1(make_proxy, upstream):
    """to_h1(policy) runs a proxy that speaks HTTP/1.1 upstream whatever the caller speaks."""
    return lambda policy=None, **how: make_proxy(upstream, policy, protocol="http1", **how).start()


@pytest.fixture
def to_h2(make_proxy, h2_upstream):
    """to_h2(policy) runs a proxy that speaks HTTP/2 upstream whatever the caller speaks."""
    return lambda policy=None, **how: make_proxy(h2_upstream, policy, protocol="http2", **how).start()


def call(proxy, *args, **kwargs):
    """One call over HTTP/2 on a connection of its own."""
    with RawClient(proxy.port) as client:
        return client.call(*args, **kwargs)


def lower(pairs):
    """HTTP/1.1 may spell names as it likes."""
    return [(name.lower(), value) for name, value in pairs]
