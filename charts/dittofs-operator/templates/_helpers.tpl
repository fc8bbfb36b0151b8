{{- define "dittofs-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Prefix of the names of objects. It is truncated so that the longest suffix fits. */}}
{{- define "dittofs-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- $full = default $full .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $full) }}
{{- printf "%q is not a valid prefix for the name of a Service (it must start with a letter and contain only lower-case letters, digits and -): set fullnameOverride" $full | fail }}
{{- end }}
{{- $full }}
{{- end }}

{{/* Name of a cluster-wide object. Releases in different namespaces must not share it. */}}
{{- define "dittofs-operator.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "dittofs-operator.fullname" .) }}
{{- end }}

{{- define "dittofs-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "dittofs-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* `kubectl dittofs report` finds the pods of the operator by part-of and component, whatever their names are. */}}
{{- define "dittofs-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "dittofs-operator.selectorLabels" . }}
app.kubernetes.io/part-of: dittofs
app.kubernetes.io/component: operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Labels and annotations of an object: (list $ extraLabels extraAnnotations). The labels of the chart take precedence. */}}
{{- define "dittofs-operator.meta" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values -}}
{{- $own := include "dittofs-operator.labels" $root | fromYaml -}}
labels:
  {{- mustMerge $own (deepCopy (index . 1)) (deepCopy $values.commonLabels) | toYaml | nindent 2 }}
{{- with mustMerge (deepCopy (index . 2)) (deepCopy $values.commonAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "dittofs-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "dittofs-operator.fullname" .) .Values.serviceAccount.name }}
{{- else if and .Values.rbac.create (not .Values.serviceAccount.name) }}
{{- fail "serviceAccount.create=false without serviceAccount.name would give the rights of the operator to every pod that uses the ServiceAccount default: set the name" }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "dittofs-operator.image" -}}
{{- $image := .Values.image }}
{{- $name := $image.repository }}
{{- if $image.registry }}{{ $name = printf "%s/%s" $image.registry $image.repository }}{{ end }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{/* A duration such as 1m30s or 500ms, in milliseconds. */}}
{{- define "dittofs-operator.milliseconds" -}}
{{- $sum := 0.0 }}
{{- range regexFindAll "[0-9.]+(ms|s|m)" . -1 }}
{{- $unit := regexFind "[a-z]+" . }}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (dict "ms" 1 "s" 1000 "m" 60000 | dig $unit 0)) }}
{{- end }}
{{- $sum }}
{{- end }}

{{/* Fails if the operator would refuse to start, or if two replicas would reconcile at the same time. */}}
{{- define "dittofs-operator.checkElection" -}}
{{- $election := .Values.leaderElection }}
{{- if $election.enabled }}
{{- $lease := include "dittofs-operator.milliseconds" $election.leaseDuration | float64 }}
{{- $renew := include "dittofs-operator.milliseconds" $election.renewDeadline | float64 }}
{{- $retry := include "dittofs-operator.milliseconds" $election.retryPeriod | float64 }}
{{- if not $retry }}
{{- fail "leaderElection.retryPeriod must be more than 0" }}
{{- end }}
{{- if le $lease $renew }}
{{- fail "leaderElection.renewDeadline must be less than leaderElection.leaseDuration" }}
{{- end }}
{{- if le $renew (mulf $retry 1.2) }}
{{- fail "leaderElection.renewDeadline must be more than 1.2 × leaderElection.retryPeriod" }}
{{- end }}
{{- else if .Values.shardSelector }}
{{- fail "shardSelector needs a Lease: set leaderElection.enabled=true" }}
{{- else if gt (int .Values.replicas) 1 }}
{{- printf "%v replicas without leader election would all reconcile at the same time: set leaderElection.enabled=true or replicas=1" .Values.replicas | fail }}
{{- end }}
{{- end }}

{{/* Fails if a value would have no effect. */}}
{{- define "dittofs-operator.checkMetrics" -}}
{{- $metrics := .Values.metrics }}
{{- if not $metrics.enabled }}
{{- range list "serviceMonitor" "prometheusRule" }}
{{- if (index $metrics .).enabled }}
{{- printf "metrics.%s.enabled=true needs the metrics, but metrics.enabled=false: set both to true or both to false" . | fail }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $metrics.certSecretName (not $metrics.secure) }}
{{- fail "metrics.certSecretName is used only for TLS, but metrics.secure=false: set metrics.secure=true or remove metrics.certSecretName" }}
{{- end }}
{{- end }}

{{/* Subjects of the bindings. */}}
{{- define "dittofs-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "dittofs-operator.serviceAccountName" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{/* Rules of the operator in a namespace that it watches. docs/rbac.md gives the reason for each rule. */}}
{{- define "dittofs-operator.rules" -}}
- apiGroups: [dittofs.dittofs.com]
  resources: [dittoservers]
  verbs: [get, list, watch, patch]
- apiGroups: [dittofs.dittofs.com]
  resources: [dittoservers/status]
  verbs: [patch]
- apiGroups: [dittofs.dittofs.com]
  resources: [dittoservers/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
- apiGroups: [pgv2.percona.com]
  resources: [perconapgclusters]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* The rule for the CRDs of the kinds that may be missing. CRDs are in no namespace, so a Role cannot have it. */}}
{{- define "dittofs-operator.definitionsRule" -}}
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames: [dittoservers.dittofs.dittofs.com, perconapgclusters.pgv2.percona.com, servicemonitors.monitoring.coreos.com]
  verbs: [list, watch]
{{- end }}
