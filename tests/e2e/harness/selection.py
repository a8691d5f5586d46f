"""Label selectors as the API server understands them, applied to what selects pods for injection."""

OPERATORS = {
    "In": lambda value, values: value in values,  # what is not there is in no list
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, values: value is not None,
    "DoesNotExist": lambda value, values: value is None,
}


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and \
        all(OPERATORS[term["operator"]](labels.get(term["key"]), term.get("values", []))
            for term in selector.get("matchExpressions", []))


def selected_by(objects, namespace, namespace_label, pod_label):
    """The webhooks, or bindings of a policy, that such a pod is sent to."""
    key = "outrigger.dev/inject"
    of_namespace = {"kubernetes.io/metadata.name": namespace, **({key: namespace_label} if namespace_label else {})}
    of_pod = {"app": "shop", **({key: pod_label} if pod_label else {})}
    ways = [webhook for one in objects.all("MutatingWebhookConfiguration") for webhook in one["webhooks"]]
    ways += [{**one["spec"]["matchResources"], "name": one["metadata"]["name"]}
             for one in objects.all("MutatingAdmissionPolicyBinding")]
    return [way["name"] for way in ways
            if matches(way["namespaceSelector"], of_namespace) and matches(way["objectSelector"], of_pod)]
