"""What an operator's linter asks of manifests: each check takes the objects of a rendering and yields what is wrong.

CHECKS is the table; test_chart.py shows of each that it is clean on what the chart renders, and that it can fail.
"""

from .chart import pod_template

CLUSTER_WIDE = {"MutatingWebhookConfiguration", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}
API_VERSIONS = {
    "Deployment": {"apps/v1"}, "Pod": {"v1"}, "Service": {"v1"}, "ServiceAccount": {"v1"}, "Secret": {"v1"},
    "ConfigMap": {"v1"}, "PodDisruptionBudget": {"policy/v1"}, "NetworkPolicy": {"networking.k8s.io/v1"},
    "MutatingWebhookConfiguration": {"admissionregistration.k8s.io/v1"},
    "MutatingAdmissionPolicy": {"admissionregistration.k8s.io/v1"},
    "MutatingAdmissionPolicyBinding": {"admissionregistration.k8s.io/v1"},
    "Certificate": {"cert-manager.io/v1"}, "Issuer": {"cert-manager.io/v1"},
    "PodMonitor": {"monitoring.coreos.com/v1"}, "PrometheusRule": {"monitoring.coreos.com/v1"},
}
LABELS = {"helm.sh/chart", "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version",
          "app.kubernetes.io/component", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by"}


def name_of(thing):
    return f"{thing['kind']} {thing['metadata']['name']}"


def pods(objects):
    for thing in objects:
        found = pod_template(thing)
        if found:
            yield (thing, *found)


def containers(objects):
    for thing, _, spec in pods(objects):
        for container in spec.get("initContainers", []) + spec["containers"]:
            yield f"{name_of(thing)}, container {container['name']}", container


def deployments(objects):
    return [thing for thing in objects if thing["kind"] == "Deployment"]


def selects(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def each_container(is_good, what):
    """A check that holds one container at a time."""

    def check(objects):
        for name, container in containers(objects):
            if not is_good(container):
                yield f"{name}: {what}"

    return check


def security(container):
    return container.get("securityContext", {})


def has_version(container):
    image = container["image"].split("/")[-1]
    return "@sha256:" in image or (":" in image and not image.endswith(":latest"))


def has_resources(container):
    resources = container.get("resources", {})
    return {"cpu", "memory"} <= set(resources.get("requests", {})) and "memory" in resources.get("limits", {})


def has_probes(objects):
    for thing in deployments(objects):
        for container in thing["spec"]["template"]["spec"]["containers"]:
            live, ready = container.get("livenessProbe"), container.get("readinessProbe")
            if not live or not ready or live.get("httpGet") == ready.get("httpGet"):
                yield f"{name_of(thing)}: liveness and readiness probes, which differ"


def has_disruption_budget(objects):
    for thing in deployments(objects):
        budgets = [one for one in objects if one["kind"] == "PodDisruptionBudget"
                   and selects(one["spec"]["selector"]["matchLabels"], thing["spec"]["template"]["metadata"]["labels"])]
        if thing["spec"]["replicas"] > 1 and not budgets:
            yield f"{name_of(thing)}: more than one replica, but no PodDisruptionBudget"


def has_anti_affinity(objects):
    for thing in deployments(objects):
        rules = thing["spec"]["template"]["spec"].get("affinity", {}).get("podAntiAffinity", {})
        terms = [term.get("podAffinityTerm", term) for kind in rules.values() for term in kind]
        labels = thing["spec"]["template"]["metadata"]["labels"]
        if not any(selects(term["labelSelector"]["matchLabels"], labels) for term in terms):
            yield f"{name_of(thing)}: no anti-affinity to its own pods"


def has_network_policy(objects):
    for thing in deployments(objects):
        labels = thing["spec"]["template"]["metadata"]["labels"]
        policies = [one for one in objects if one["kind"] == "NetworkPolicy"
                    and selects(one["spec"]["podSelector"]["matchLabels"], labels)]
        if not policies:
            yield f"{name_of(thing)}: no NetworkPolicy"
        ports = {port["containerPort"] for one in thing["spec"]["template"]["spec"]["containers"]
                 for port in one.get("ports", [])}
        for policy in policies:
            admitted = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
            if admitted != ports:
                yield f"{name_of(policy)}: lets in {admitted}, the container has {ports}"


def has_service_account(objects):
    accounts = {one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"}
    for thing in deployments(objects):
        if thing["spec"]["template"]["spec"].get("serviceAccountName") not in accounts:
            yield f"{name_of(thing)}: no ServiceAccount of its own"


def mounts_no_token(objects):
    for thing, _, spec in pods(objects):
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{name_of(thing)}: automountServiceAccountToken is not false"


def services_lead_somewhere(objects):
    for service in (one for one in objects if one["kind"] == "Service"):
        behind = [spec for _, meta, spec in pods(objects) if selects(service["spec"]["selector"], meta.get("labels", {}))]
        if not behind:
            yield f"{name_of(service)}: selects nothing"
        for port in service["spec"]["ports"]:
            names = {one.get("name") for spec in behind for container in spec["containers"]
                     for one in container.get("ports", [])}
            if port["targetPort"] not in names:
                yield f"{name_of(service)}: targetPort {port['targetPort']} is none of {names}"


def webhooks_lead_somewhere(objects):
    services = {(one["metadata"]["name"], one["metadata"]["namespace"]): one for one in objects if one["kind"] == "Service"}
    for thing in (one for one in objects if one["kind"] == "MutatingWebhookConfiguration"):
        for webhook in thing["webhooks"]:
            to = webhook["clientConfig"]["service"]
            service = services.get((to["name"], to["namespace"]))
            if not service or to["port"] not in [port["port"] for port in service["spec"]["ports"]]:
                yield f"{name_of(thing)}, {webhook['name']}: no such service"


def selectors_select_their_own(objects):
    for thing in deployments(objects):
        if not selects(thing["spec"]["selector"]["matchLabels"], thing["spec"]["template"]["metadata"]["labels"]):
            yield f"{name_of(thing)}: its selector is not in its template"


def selectors_never_change(objects):
    """A selector with a version in it makes the next upgrade fail: selectors are immutable."""
    for thing in deployments(objects):
        extra = set(thing["spec"]["selector"]["matchLabels"]) & {"helm.sh/chart", "app.kubernetes.io/version"}
        if extra:
            yield f"{name_of(thing)}: its selector has {extra}, which change"


def api_versions_are_current(objects):
    for thing in objects:
        if thing["apiVersion"] not in API_VERSIONS.get(thing["kind"], ()):
            yield f"{name_of(thing)}: apiVersion {thing['apiVersion']}"


def namespaces_are_set(objects):
    for thing in objects:
        if ("namespace" in thing["metadata"]) == (thing["kind"] in CLUSTER_WIDE):
            yield f"{name_of(thing)}: namespace {thing['metadata'].get('namespace')}"


def labels_are_complete(objects):
    for thing in objects:
        missing = LABELS - set(thing["metadata"].get("labels", {}))
        if missing:
            yield f"{name_of(thing)}: no label {', '.join(sorted(missing))}"


def names_are_unique(objects):
    seen = set()
    for thing in objects:
        key = (thing["apiVersion"], thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"])
        if key in seen:
            yield f"{name_of(thing)}: there twice"
        seen.add(key)


def mounts_have_volumes(objects):
    for thing, _, spec in pods(objects):
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        mounted = {mount["name"] for container in spec["containers"] for mount in container.get("volumeMounts", [])}
        if volumes != mounted:
            yield f"{name_of(thing)}: volumes {volumes}, mounts {mounted}"


def shares_nothing_of_the_node(objects):
    for thing, _, spec in pods(objects):
        if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")) or \
                any("hostPath" in volume for volume in spec.get("volumes", [])):
            yield f"{name_of(thing)}: shares namespaces or files of its node"


CHECKS = {
    "image has a version": each_container(has_version, "no version, or latest"),
    "resources": each_container(has_resources, "requests of cpu and memory, a limit of memory"),
    "not root": each_container(lambda c: security(c).get("runAsNonRoot") is True and security(c).get("runAsUser", 0) > 0,
                               "may run as root"),
    "read-only root": each_container(lambda c: security(c).get("readOnlyRootFilesystem") is True,
                                     "writes to its root file system"),
    "no escalation": each_container(lambda c: security(c).get("allowPrivilegeEscalation") is False
                                    and not security(c).get("privileged"), "may gain privileges"),
    "no capabilities": each_container(lambda c: security(c).get("capabilities") == {"drop": ["ALL"]},
                                      "has capabilities"),
    "seccomp": each_container(lambda c: security(c).get("seccompProfile") == {"type": "RuntimeDefault"},
                              "has no seccomp profile"),
    "probes": has_probes,
    "disruption budget": has_disruption_budget,
    "anti-affinity": has_anti_affinity,
    "network policy": has_network_policy,
    "service account": has_service_account,
    "no token": mounts_no_token,
    "services": services_lead_somewhere,
    "webhooks": webhooks_lead_somewhere,
    "selectors": selectors_select_their_own,
    "stable selectors": selectors_never_change,
    "apiVersions": api_versions_are_current,
    "namespaces": namespaces_are_set,
    "labels": labels_are_complete,
    "names": names_are_unique,
    "volumes": mounts_have_volumes,
    "node": shares_nothing_of_the_node,
}
