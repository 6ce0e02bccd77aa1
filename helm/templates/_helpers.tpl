{{- define "staffetta.fullname" -}}
{{- ternary .Release.Name (printf "%s-staffetta" .Release.Name) (contains "staffetta" .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* Of everything: dict "root" $ "process" name (may be empty). */}}
{{- define "staffetta.selector" -}}
app.kubernetes.io/name: staffetta
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .process }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "staffetta.labels" -}}
{{ include "staffetta.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "staffetta.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end }}

{{- define "staffetta.embedded" -}}
{{- if eq .Values.config.log.kind "embedded" -}}yes{{- end -}}
{{- end }}

{{/* JSON, name to process: what the embedded log asks for is one process with every stage. */}}
{{- define "staffetta.processes" -}}
{{- if include "staffetta.embedded" . -}}
{{- toJson (dict "all" (dict "stages" list "replicas" 1 "resources" .Values.single.resources)) -}}
{{- else -}}
{{- $kept := dict -}}
{{- range $name, $process := .Values.processes -}}
{{- if $process -}}{{- $_ := set $kept $name $process -}}{{- end -}}
{{- end -}}
{{- toJson $kept -}}
{{- end -}}
{{- end }}

{{/* Whether these stages sit in groups, so that their pods need an ordinal each: dict "stages" list. */}}
{{- define "staffetta.seated" -}}
{{- if or (empty .stages) (without .stages "directory" "status" "ingest") -}}yes{{- end -}}
{{- end }}

{{/* Whether a process runs a stage: dict "stages" list "stage" word. */}}
{{- define "staffetta.runs" -}}
{{- if or (empty .stages) (has .stage .stages) -}}yes{{- end -}}
{{- end }}

{{- define "staffetta.partitions" -}}
{{- .Values.config.log.partitions | default 8 | int -}}
{{- end }}

{{- define "staffetta.users" -}}
{{- if and .Values.strimzi.cluster .Values.strimzi.users -}}yes{{- end -}}
{{- end }}

{{/* Leaving the Services, closing the doors, finishing what is in hand, hearing late answers, and a margin. */}}
{{- define "staffetta.grace" -}}
{{- $grace := div (add (.Values.config.worker.grace_ms | default 10000 | int) 999) 1000 -}}
{{- add .Values.leaveSeconds 5 (mul 2 $grace) 5 -}}
{{- end }}

{{/* A table as lines of TOML: dict "prefix" path "table" map. JSON's strings and numbers are TOML's. */}}
{{- define "staffetta.toml" -}}
{{- $prefix := .prefix -}}
{{- range $key, $value := .table -}}
{{- $name := ternary $key (toJson $key) (regexMatch "^[A-Za-z0-9_-]+$" $key) -}}
{{- $path := ternary $name (printf "%s.%s" $prefix $name) (empty $prefix) -}}
{{- if kindIs "map" $value -}}
{{- include "staffetta.toml" (dict "prefix" $path "table" $value) -}}
{{- else if not (kindIs "invalid" $value) }}
{{ $path }} = {{ toJson $value }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "staffetta.configuration" -}}
{{- $config := deepCopy .Values.config -}}
{{- if include "staffetta.users" . -}}
{{- $place := "/run/secrets/staffetta" -}}
{{- $_ := set $config.log "security" (dict
  "security.protocol" "ssl"
  "ssl.ca.location" (printf "%s/kafka-ca/ca.crt" $place)
  "ssl.certificate.location" (printf "%s/kafka/user.crt" $place)
  "ssl.key.location" (printf "%s/kafka/user.key" $place)) -}}
{{- end -}}
# What differs from `staffetta config show`.
{{- include "staffetta.toml" (dict "prefix" "" "table" $config) }}
{{- end }}

{{- define "staffetta.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "staffetta.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
{{- end }}

{{/* dict "root" $ "seated" bool. */}}
{{- define "staffetta.environment" -}}
- name: STAFFETTA_CONFIG
  value: /etc/staffetta/staffetta.toml
{{- if .seated }}
- name: STAFFETTA_WORKER__ORDINAL
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['apps.kubernetes.io/pod-index']
{{- end }}
{{- with .root.Values.secrets.s3 }}
{{- if .name }}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .name }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- range $key, $secret := .root.Values.secrets.environment }}
- name: STAFFETTA_{{ $key | replace "." "__" | upper }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret.name }}
      key: {{ $secret.key }}
{{- end }}
{{- end }}

{{- define "staffetta.mounts" -}}
- name: configuration
  mountPath: /etc/staffetta
  readOnly: true
- name: keyring
  mountPath: /run/secrets/staffetta/keyring
  readOnly: true
{{- if include "staffetta.users" . }}
- name: kafka
  mountPath: /run/secrets/staffetta/kafka
  readOnly: true
- name: kafka-ca
  mountPath: /run/secrets/staffetta/kafka-ca
  readOnly: true
{{- end }}
{{- range .Values.secrets.files }}
- name: secret-{{ . }}
  mountPath: /run/secrets/staffetta/{{ . }}
  readOnly: true
{{- end }}
{{- end }}

{{/* Mode 0440 of root and our group: nobody else. dict "root" $ "process" name. */}}
{{- define "staffetta.volumes" -}}
- name: configuration
  configMap:
    name: {{ include "staffetta.fullname" .root }}
- name: keyring
  secret:
    secretName: {{ .root.Values.secrets.keyring.name }}
    defaultMode: 0440
    items:
      - key: {{ .root.Values.secrets.keyring.key }}
        path: keyring.json
{{- if include "staffetta.users" .root }}
- name: kafka
  secret:
    secretName: {{ include "staffetta.fullname" .root }}-{{ .process }}
    defaultMode: 0440
- name: kafka-ca
  secret:
    secretName: {{ .root.Values.strimzi.cluster }}-cluster-ca-cert
    defaultMode: 0440
{{- end }}
{{- range .root.Values.secrets.files }}
- name: secret-{{ . }}
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- define "staffetta.port" -}}
{{- splitList ":" . | last -}}
{{- end }}
