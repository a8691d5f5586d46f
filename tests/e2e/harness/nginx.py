"""nginx as an upstream that speaks TLS.

    with Nginx(peer("nginx"), tmp_path, pair, http2=True) as server:
        ... f"localhost:{server.port}" ...
"""

import contextlib
import socket
import subprocess

from .ports import free_port
from .waiting import wait_until

CONFIG = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl{http2};
        ssl_certificate {pair.cert}; ssl_certificate_key {pair.key};
        {more}
        location / {{ return 200 "$server_protocol"; }}
    }}
}}
"""
# Each call a connection, each connection a whole handshake.
ONLY_FULL_HANDSHAKES = "keepalive_timeout 0; ssl_session_tickets off; ssl_session_cache none;"


class Nginx:
    def __init__(self, program, folder, pair, http2=False, more=""):
        self.port, self.folder = free_port(), folder / "nginx"
        self.folder.mkdir()
        config = self.folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=self.folder, port=self.port, pair=pair, more=more,
                                        http2=" http2" if http2 else ""))
        self.process = subprocess.Popen([program, "-p", str(self.folder), "-c", str(config), "-e",
                                         str(self.folder / "error.log")], stdin=subprocess.DEVNULL)

    def __enter__(self):
        wait_until(self._listens, what="nginx listens")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def _listens(self):
        assert self.process.poll() is None, "nginx ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False
