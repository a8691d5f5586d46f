"""As much of a Kubernetes API server as a chart that looks something up asks: what kinds there are, and objects."""

import http.server
import json
import threading

KINDS = {  # (path, group and version) -> plural: kind; in no namespace where the plural ends with "configurations"
    ("/api/v1", "v1"): {"secrets": "Secret", "services": "Service", "serviceaccounts": "ServiceAccount",
                        "configmaps": "ConfigMap", "pods": "Pod"},
    ("/apis/apps/v1", "apps/v1"): {"deployments": "Deployment"},
    ("/apis/policy/v1", "policy/v1"): {"poddisruptionbudgets": "PodDisruptionBudget"},
    ("/apis/networking.k8s.io/v1", "networking.k8s.io/v1"): {"networkpolicies": "NetworkPolicy"},
    ("/apis/admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1"): {
        "mutatingwebhookconfigurations": "MutatingWebhookConfiguration"},
}


def discovery():
    """path -> answer."""
    groups = [{"name": version.split("/")[0], "versions": [{"groupVersion": version, "version": "v1"}],
               "preferredVersion": {"groupVersion": version, "version": "v1"}} for _, version in KINDS if "/" in version]
    answers = {"/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
               "/api": {"kind": "APIVersions", "versions": ["v1"]},
               "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}}
    for (path, version), kinds in KINDS.items():
        answers[path] = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [
            {"name": plural, "kind": kind, "namespaced": not plural.endswith("configurations"), "verbs": ["get", "create"]}
            for plural, kind in kinds.items()]}
    return answers


class ApiServer:
    """Listens on loopback of the network namespace that it is made in. `objects`: path -> object."""

    def __init__(self):
        self.objects = {}
        answers, objects = discovery(), self.objects

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.split("?")[0]
                found = answers.get(path) or objects.get(path)
                body = json.dumps(found or {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
                                            "code": 404}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def put_secret(self, secret):
        meta = secret["metadata"]
        self.objects[f"/api/v1/namespaces/{meta['namespace']}/secrets/{meta['name']}"] = secret

    def close(self):
        self._server.shutdown()
        self._server.server_close()
