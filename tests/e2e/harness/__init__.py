"""What the whole-system tests stand on: a programmable upstream, a raw client, and the proxy as a process."""
