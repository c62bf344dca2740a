{{- define "webhooks.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "webhooks.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "webhooks.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "webhooks.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "webhooks.selector" -}}
app.kubernetes.io/name: {{ include "webhooks.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "webhooks.labels" -}}
{{ include "webhooks.selector" . }}
app.kubernetes.io/part-of: portal
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "webhooks.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "webhooks.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "webhooks.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{/* A variable from the installation's Secret. */}}
{{- define "webhooks.secret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.existingSecret }}
      key: {{ .name }}
{{- end -}}

{{/* What everything that talks to Kafka needs; whatever is about topics reads the same topics.yaml. */}}
{{- define "webhooks.kafkaEnv" -}}
{{- $kafka := .Values.kafka -}}
- name: DISPATCHER_KAFKA_BOOTSTRAP_SERVERS
  value: {{ required "kafka.bootstrapServers: host:port[,host:port] of your Kafka" $kafka.bootstrapServers | quote }}
- name: DISPATCHER_KAFKA_SECURITY_PROTOCOL
  value: {{ $kafka.securityProtocol }}
{{- if hasPrefix "SASL" $kafka.securityProtocol }}
- name: DISPATCHER_KAFKA_SASL_MECHANISM
  value: {{ $kafka.saslMechanism }}
{{ include "webhooks.secret" (dict "root" . "name" "DISPATCHER_KAFKA_SASL_USERNAME") }}
{{ include "webhooks.secret" (dict "root" . "name" "DISPATCHER_KAFKA_SASL_PASSWORD") }}
{{- end }}
{{- if $kafka.tlsSecret }}
- name: DISPATCHER_KAFKA_SSL_CAFILE
  value: /etc/dispatcher/kafka-tls/ca.crt
{{- if $kafka.clientCertificate }}
- name: DISPATCHER_KAFKA_SSL_CERTFILE
  value: /etc/dispatcher/kafka-tls/tls.crt
- name: DISPATCHER_KAFKA_SSL_KEYFILE
  value: /etc/dispatcher/kafka-tls/tls.key
{{- end }}
{{- end }}
{{- with $kafka.prefix }}
- name: DISPATCHER_KAFKA_PREFIX
  value: {{ . | quote }}
{{- end }}
- name: DISPATCHER_TOPICS_FILE
  value: /etc/dispatcher/topics/topics.yaml
- name: DISPATCHER_LOG_FORMAT
  value: json
{{- range $name, $value := .Values.settings }}
- name: DISPATCHER_{{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* What a role needs beside: no process has a secret that it has no use for. */}}
{{- define "webhooks.roleEnv" -}}
{{- $values := .root.Values -}}
- name: DISPATCHER_METRICS_PORT
  value: {{ $values.metrics.port | quote }}
{{- if has .role (list "matcher" "sender" "portal") }}
{{ include "webhooks.secret" (dict "root" .root "name" "DISPATCHER_ENCRYPTION_KEY") }}
{{- end }}
{{- if has .role (list "matcher" "sender") }}
{{- with $values.tracing.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- if has .role (list "recorder" "portal") }}
{{ include "webhooks.secret" (dict "root" .root "name" "DISPATCHER_CLICKHOUSE_URL") }}
{{- with $values.clickhouse.cluster }}
- name: DISPATCHER_CLICKHOUSE_CLUSTER
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- if has .role (list "sender" "portal") }}
{{- with $values.targets.allowedNetworks }}
- name: DISPATCHER_ALLOWED_TARGET_NETWORKS
  value: {{ join "," . | quote }}
{{- end }}
{{- with $values.targets.egressProxy }}
- name: DISPATCHER_EGRESS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- if eq .role "portal" }}
- name: DISPATCHER_HTTP_PORT
  value: "8080"
{{- with $values.publicUrl }}
- name: DISPATCHER_PUBLIC_URL
  value: {{ . | quote }}
{{- end }}
{{- if $values.auth.jwksUrl }}
- name: DISPATCHER_AUTH_JWKS_URL
  value: {{ $values.auth.jwksUrl | quote }}
{{- else }}
{{ include "webhooks.secret" (dict "root" .root "name" "DISPATCHER_AUTH_SECRET") }}
{{- end }}
{{- with $values.auth.issuer }}
- name: DISPATCHER_AUTH_ISSUER
  value: {{ . | quote }}
{{- end }}
{{- with $values.auth.audience }}
- name: DISPATCHER_AUTH_AUDIENCE
  value: {{ . | quote }}
{{- end }}
{{- if $values.oidc.issuer }}
- name: DISPATCHER_OIDC_ISSUER
  value: {{ $values.oidc.issuer | quote }}
- name: DISPATCHER_OIDC_CLIENT_ID
  value: {{ required "oidc.clientId: the client that the provider knows" $values.oidc.clientId | quote }}
{{ include "webhooks.secret" (dict "root" .root "name" "DISPATCHER_OIDC_CLIENT_SECRET") }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "webhooks.volumeMounts" -}}
- name: topics
  mountPath: /etc/dispatcher/topics
  readOnly: true
{{- if .Values.kafka.tlsSecret }}
- name: kafka-tls
  mountPath: /etc/dispatcher/kafka-tls
  readOnly: true
{{- end }}
- name: tmp
  mountPath: /tmp
{{- end -}}

{{/* `topics` is the name of the ConfigMap. */}}
{{- define "webhooks.volumes" -}}
- name: topics
  configMap:
    name: {{ .topics }}
{{- with .root.Values.kafka.tlsSecret }}
- name: kafka-tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- end -}}

{{- define "webhooks.topicsFile" -}}
topics.yaml: |
  {{- toYaml .Values.topics | nindent 2 }}
{{- end -}}
