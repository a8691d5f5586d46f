"""The admission webhook as a process, and an API server's side of it.

    injector = Injector(tmp_path, authority.issue("outrigger.test")).start()
    review = injector.review(pod)            # the AdmissionReview that it answers with
"""

import base64
import http.client
import json
import os
import pathlib
import ssl
import subprocess
import uuid

from harness.ports import free_port
from harness.proxy import BINARY, sanitizer_env
from harness.waiting import wait_until

NAME = "outrigger.test"
STOP_SECONDS = 20


def pod(name="payments", labels=None, annotations=None, **spec):
    """A pod of one container, as the API server shows it to a webhook."""
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "labels": labels or {}, "annotations": annotations or {}},
            "spec": {"containers": [{"name": "app", "image": "app:1"}], **spec}}


def admission_review(obj, uid=None):
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": uid or str(uuid.uuid4()), "kind": {"group": "", "version": "v1", "kind": "Pod"},
                        "resource": {"group": "", "version": "v1", "resource": "pods"}, "operation": "CREATE",
                        "namespace": "shop", "object": obj}}


def patch_of(review):
    """The JSON Patch in an answer."""
    response = review["response"]
    assert response["allowed"] is True and response["patchType"] == "JSONPatch"
    return json.loads(base64.b64decode(response["patch"]))


class Injector:
    def __init__(self, folder, pair, authority, *options):
        self.folder = pathlib.Path(folder)
        self.pair, self.authority, self.options = pair, authority, options
        self.port, self.metrics_port = free_port(), free_port()
        self.stderr_path, self.sanitizer_path = self.folder / "injector.stderr", self.folder / "injector.sanitizer"

    def arguments(self):
        return [BINARY, "injector", "--cert", str(self.pair.cert), "--key", str(self.pair.key),
                "--listen", f"127.0.0.1:{self.port}", "--metrics-listen", f"127.0.0.1:{self.metrics_port}",
                *self.options]

    def launch(self):
        with open(self.stderr_path, "ab") as stderr:
            self.process = subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
                                            env={**os.environ, **sanitizer_env(self.sanitizer_path)})
        return self

    def start(self):
        self.launch()
        wait_until(lambda: self.process.poll() is not None or self.is_ready(), what=self.stderr())
        assert self.process.poll() is None, self.stderr()
        return self

    def stop(self):
        """At once: a second signal cuts what the first one let go on."""
        self.process.terminate()
        wait_until(lambda: self.process.poll() is not None or not self.is_ready())
        self.process.terminate()
        code = self.process.wait(STOP_SECONDS)
        assert not list(self.folder.glob("injector.sanitizer*")), self.stderr()
        return code

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    # the plain port

    def plain(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def is_ready(self):
        try:
            return self.plain("/ready")[0] == 200
        except OSError:
            return False

    def metric(self, name, labels=""):
        line = next(line for line in self.plain("/metrics")[1].splitlines()
                    if line.startswith(f"outrigger_injector_{name}{labels} "))
        return float(line.rsplit(" ", 1)[1])

    # reviews

    def context(self):
        return ssl.create_default_context(cafile=str(self.authority.cert))

    def connect(self):
        """A connection that checks the certificate for NAME, as the API server does."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context())
        plain = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        plain.connect()
        connection.sock = self.context().wrap_socket(plain.sock, server_hostname=NAME)
        return connection

    def post(self, body, path="/inject", connection=None):
        connection = connection or self.connect()
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def review(self, obj, connection=None, uid=None):
        status, body = self.post(json.dumps(admission_review(obj, uid)), connection=connection)
        assert status == 200, body
        return json.loads(body)
