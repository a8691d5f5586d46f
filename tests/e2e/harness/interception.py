"""Who is who where the kernel redirects an app to its proxy: fixtures `app`, `serve` and `redirected`."""

import pathlib

from .proxy import BINARY

INIT = pathlib.Path(BINARY).with_name("outrigger-init")
APP_UID, PROXY_UID = 1000, 0
OUTBOUND = 'outbound: {listen: ["127.0.0.1:15001", "[::1]:15001"]}'
