"""Certificates made on the spot by the openssl command, and TLS servers that show them.

    authority = Authority(tmp_path)
    pair = authority.issue("shop.test")                      # paths of certificate and key
    server = Upstream(tls=server_context(pair))
    ... "tls: {caFile: %s}" % authority.cert ...
"""

import collections
import pathlib
import ssl
import subprocess

Pair = collections.namedtuple("Pair", "cert key")
DAY = 86400


def openssl(*arguments, folder):
    done = subprocess.run(["openssl", *map(str, arguments)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder, name="authority"):
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir(parents=True)
        self.cert, self.key, self.count = self.folder / "ca.pem", self.folder / "ca.key", 0
        self._key(self.key)
        openssl("req", "-x509", "-new", "-key", self.key, "-days", "30", "-subj", f"/CN={name}", "-out", self.cert,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
                folder=self.folder)

    def _key(self, path):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path, folder=self.folder)

    def issue(self, *names, usage="serverAuth", days=30, into=None):
        """A certificate for names ("shop.test", "IP:127.0.0.1", "URI:spiffe://..."); days < 0: it has expired."""
        self.count += 1
        stem = into or self.folder / f"leaf-{self.count}"
        pair = Pair(pathlib.Path(f"{stem}.pem"), pathlib.Path(f"{stem}.key"))
        fresh = Pair(pathlib.Path(f"{stem}.pem.new"), pathlib.Path(f"{stem}.key.new"))
        self._key(fresh.key)
        extensions = self.folder / "extensions"
        alternatives = ",".join(name if ":" in name else f"DNS:{name}" for name in names)
        extensions.write_text(f"subjectAltName={alternatives}\nextendedKeyUsage={usage}\n")
        request = self.folder / "request"
        openssl("req", "-new", "-key", fresh.key, "-subj", f"/CN=leaf {self.count}", "-out", request,
                folder=self.folder)
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-set_serial", self.count + 1,
                "-days", days, "-extfile", extensions, "-out", fresh.cert, folder=self.folder)
        fresh.key.rename(pair.key)
        fresh.cert.rename(pair.cert)
        return pair


def self_signed(folder, name):
    pair = Pair(pathlib.Path(folder) / "self.pem", pathlib.Path(folder) / "self.key")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", pair.key,
            "-out", pair.cert, "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
            folder=folder)
    return pair


def server_context(pair, clients=None, alpn=None):
    """`clients`: the Authority whose client certificates are required."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.cert)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context
