{{/* Names. */}}
{{- define "outrigger.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "outrigger.fullname" -}}
{{- $name := include "outrigger.name" . }}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $both .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "outrigger.injector" -}}
{{ include "outrigger.fullname" . }}-injector
{{- end }}

{{- define "outrigger.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Labels by which a Service, a PDB and the like find pods: they never change. Argument: dict "root" $ "component" ... */}}
{{- define "outrigger.selectorLabels" -}}
app.kubernetes.io/name: {{ include "outrigger.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "outrigger.labels" -}}
helm.sh/chart: {{ include "outrigger.chart" .root }}
{{ include "outrigger.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: outrigger
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "outrigger.image" -}}
{{- $image := .Values.image }}
{{- $tag := default .Chart.AppVersion $image.tag }}
{{- if $image.digest -}}
{{ $image.repository }}:{{ $tag }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $tag }}
{{- end }}
{{- end }}

{{/* What Pod Security "restricted" asks of a container. */}}
{{- define "outrigger.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 2102
runAsGroup: 2102
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Namespaces that are never injected, as a JSON list. */}}
{{- define "outrigger.excludedNamespaces" -}}
{{- concat (list "kube-system" "kube-node-lease" "kube-public" .Release.Namespace) .Values.injection.excludedNamespaces | uniq | toJson }}
{{- end }}

{{/* The two ways to be selected, which exclude each other, so that no pod is sent twice: by the namespace's label, or by the
pod's own where the namespace says nothing. Argument: dict "root" $ "by" "namespace" or "object". */}}
{{- define "outrigger.selectors" -}}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: {{ include "outrigger.excludedNamespaces" .root }}
    - key: outrigger.dev/inject
      {{- if eq .by "namespace" }}
      operator: In
      values: [enabled]
      {{- else }}
      operator: NotIn
      values: [enabled, disabled]
      {{- end }}
objectSelector:
  matchExpressions:
    - key: outrigger.dev/inject
      {{- if eq .by "namespace" }}
      operator: NotIn
      values: ["false"]
      {{- else }}
      operator: In
      values: ["true"]
      {{- end }}
{{- end }}

{{/* CEL conditions that hold for a webhook and for an admission policy alike. */}}
{{- define "outrigger.matchConditions" -}}
- name: is-not-injected
  expression: >-
    !has(object.metadata.annotations) || !('outrigger.dev/status' in object.metadata.annotations)
- name: is-no-mirror-of-a-static-pod
  expression: >-
    !has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)
{{- end }}

{{/* A request or limit; "none" where there is none, which is not the same as saying nothing. Argument: list RESOURCES KIND NAME. */}}
{{- define "outrigger.amount" -}}
{{- dig (index . 1) (index . 2) "none" (index . 0) | default "none" }}
{{- end }}

{{/* The defaults of sidecars as a JSON list of KEY=VALUE, KEY being that of the annotation outrigger.dev/KEY. */}}
{{- define "outrigger.sidecarSettings" -}}
{{- $sidecar := .Values.sidecar }}
{{- $set := list (printf "image=%s" (include "outrigger.image" .)) }}
{{- range $key, $value := dict
    "policy" (join "," $sidecar.policy)
    "skip-outbound-ports" (join "," $sidecar.skipOutboundPorts)
    "include-outbound-ports" (join "," $sidecar.includeOutboundPorts)
    "skip-outbound-cidrs" (join "," $sidecar.skipOutboundCidrs)
    "opaque-ports" (join "," $sidecar.opaquePorts)
    "interception" $sidecar.interception
    "native-sidecar" (toString $sidecar.nativeSidecar)
    "image-pull-policy" $sidecar.imagePullPolicy
    "log-level" $sidecar.logLevel
    "drain" $sidecar.drain
    "cpu-request" (include "outrigger.amount" (list $sidecar.resources "requests" "cpu"))
    "cpu-limit" (include "outrigger.amount" (list $sidecar.resources "limits" "cpu"))
    "memory-request" (include "outrigger.amount" (list $sidecar.resources "requests" "memory"))
    "memory-limit" (include "outrigger.amount" (list $sidecar.resources "limits" "memory")) }}
{{- if $value }}
{{- $set = append $set (printf "%s=%s" $key $value) }}
{{- end }}
{{- end }}
{{- $set | toJson }}
{{- end }}

{{/* The certificate of webhook.certs.mode helm, as JSON: {ca, cert, key, expires}. Made once in a rendering, or taken from
the Secret of before while it has 30 days left. */}}
{{- define "outrigger.madeCerts" -}}
{{- if not (hasKey .Values "_madeCerts") }}
{{- $name := include "outrigger.injector" . }}
{{- $secret := lookup "v1" "Secret" .Release.Namespace (printf "%s-certs" $name) }}
{{- $expires := dig "metadata" "annotations" "outrigger.dev/certificate-expires" "0" (default dict $secret) | int64 }}
{{- $certs := dict }}
{{- if gt (sub $expires 2592000) (now | unixEpoch | int64) }}
{{- $data := $secret.data }}
{{- $certs = dict "ca" (index $data "ca.crt") "cert" (index $data "tls.crt") "key" (index $data "tls.key") "expires" $expires }}
{{- else }}
{{- $days := int .Values.webhook.certs.validDays }}
{{- $host := printf "%s.%s.svc" $name .Release.Namespace }}
{{- $ca := genCAWithKey (printf "%s-ca" $name | trunc 63) $days (genPrivateKey "ecdsa") }}
{{- $cert := genSignedCertWithKey ($host | trunc 63 | trimSuffix ".") nil (list $host (printf "%s.cluster.local" $host)) $days $ca (genPrivateKey "ecdsa") }}
{{- $certs = dict "ca" ($ca.Cert | b64enc) "cert" ($cert.Cert | b64enc) "key" ($cert.Key | b64enc) "expires" (add (now | unixEpoch | int64) (mul $days 86400)) }}
{{- end }}
{{- $_ := set .Values "_madeCerts" $certs }}
{{- end }}
{{- .Values._madeCerts | toJson }}
{{- end }}

{{- define "outrigger.certsSecret" -}}
{{- if eq .Values.webhook.certs.mode "existing" -}}
{{ .Values.webhook.certs.existing.secretName }}
{{- else -}}
{{ include "outrigger.injector" . }}-certs
{{- end }}
{{- end }}
