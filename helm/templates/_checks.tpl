{{/* What no schema can say. Each refusal names the value and what to write. */}}
{{- define "staffetta.check" -}}
{{- if include "staffetta.embedded" . -}}
{{- include "staffetta.checkEmbedded" . -}}
{{- else -}}
{{- include "staffetta.checkKafka" . -}}
{{- include "staffetta.checkProcesses" . -}}
{{- include "staffetta.checkScaling" . -}}
{{- end -}}
{{- range list "sasl.password" "ssl.key.password" "ssl.key.pem" -}}
{{- if hasKey ($.Values.config.log.security | default dict) . -}}
{{- fail (printf "config.log.security: %s is a secret, and values are none; give the whole table by secrets.environment.\"log.security\"" .) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.config.citizen_api.issuer (not .Values.config.citizen_api.jwks) -}}
{{- fail "config.citizen_api.jwks: name the issuer's key set, an https URL or a file below /run/secrets/staffetta/" -}}
{{- end -}}
{{- end }}

{{- define "staffetta.checkEmbedded" -}}
{{- if ne (.Values.config.directory.kind | default "embedded") "embedded" -}}
{{- fail "config.directory.kind: the embedded log is one process, which holds its views itself; leave it \"embedded\", or set config.log.kind to \"kafka\"" -}}
{{- end -}}
{{- if .Values.scaling.enabled -}}
{{- fail "scaling.enabled: the embedded log serves one process; set it to false, or config.log.kind to \"kafka\"" -}}
{{- end -}}
{{- if .Values.strimzi.cluster -}}
{{- fail "strimzi.cluster: the embedded log asks no Kafka; leave it empty, or set config.log.kind to \"kafka\"" -}}
{{- end -}}
{{- end }}

{{- define "staffetta.checkKafka" -}}
{{- $config := .Values.config -}}
{{- $secret := .Values.secrets.environment -}}
{{- if not (or $config.log.bootstrap (hasKey $secret "log.bootstrap")) -}}
{{- fail "config.log.bootstrap: name the brokers, such as kafka-kafka-bootstrap.kafka:9093" -}}
{{- end -}}
{{- if ne ($config.directory.kind | default "embedded") "redis" -}}
{{- fail "config.directory.kind: several processes share their views; set it to \"redis\" where config.log.kind is \"kafka\"" -}}
{{- end -}}
{{- if not (or $config.directory.redis_url (hasKey $secret "directory.redis_url")) -}}
{{- fail "config.directory.redis_url: name the server, such as rediss://redis:6379, here or by secrets.environment" -}}
{{- end -}}
{{- if contains "@" ($config.directory.redis_url | default "") -}}
{{- fail "config.directory.redis_url: it holds a password, and values are no secret; give it by secrets.environment.\"directory.redis_url\"" -}}
{{- end -}}
{{- if not $config.store.s3_bucket -}}
{{- fail "config.store.s3_bucket: several pods share one object store; name a bucket, a folder belongs to one pod" -}}
{{- end -}}
{{- if and $config.store.s3_access_key_id (not .Values.secrets.s3.name) -}}
{{- fail "secrets.s3.name: name the Secret with the key that belongs to config.store.s3_access_key_id" -}}
{{- end -}}
{{- if and (include "staffetta.users" .) .Values.strimzi.namespace (ne .Values.strimzi.namespace .Release.Namespace) -}}
{{- fail (printf "strimzi.namespace: the users' Secrets would lie in %s, where pods of this release cannot mount them; install the release there, or set strimzi.users to false" .Values.strimzi.namespace) -}}
{{- end -}}
{{- if and (include "staffetta.users" .) (or $config.log.security (hasKey $secret "log.security")) -}}
{{- fail "config.log.security: strimzi.users sets it; leave it out, or set strimzi.users to false" -}}
{{- end -}}
{{- end }}

{{- define "staffetta.checkProcesses" -}}
{{- $several := list "directory" "status" "ingest" -}}
{{- $runs := dict -}}
{{- range $name, $process := include "staffetta.processes" . | fromJson -}}
{{- range $process.stages -}}
{{- if and (hasKey $runs .) (not (has . $several)) -}}
{{- fail (printf "processes.%s: %s runs in processes.%s already, and two sets of pods would fence each other out of their seats; name it once" $name . (get $runs .)) -}}
{{- end -}}
{{- $_ := set $runs . $name -}}
{{- end -}}
{{- end -}}
{{- range list "consent" "vault" "apns" "fcm" "email" "delay" "batch" "directory" "status" "ingest" -}}
{{- if not (hasKey $runs .) -}}
{{- fail (printf "processes: nothing runs %s, and what it should do would wait for ever; add it to the stages of a process" .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "staffetta.checkScaling" -}}
{{- $partitions := include "staffetta.partitions" . | int -}}
{{- range $name, $process := include "staffetta.processes" . | fromJson -}}
{{- $most := max ($process.replicas | default 1 | int) ($process.maxReplicas | default 0 | int) -}}
{{- if and (include "staffetta.seated" (dict "stages" $process.stages)) (gt $most $partitions) -}}
{{- fail (printf "processes.%s: %d pods and %d partitions, so some would have none; lower it, or raise config.log.partitions before the topics are made" $name (int $most) $partitions) -}}
{{- end -}}
{{- if and $process.maxReplicas (lt (int $process.maxReplicas) (int ($process.replicas | default 1))) -}}
{{- fail (printf "processes.%s.maxReplicas: %d is below replicas; KEDA scales between the two" $name (int $process.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- with .Values.scaling -}}
{{- if and .enabled (eq .by "drainTime") (not .prometheus) -}}
{{- fail "scaling.prometheus: drainTime is asked of Prometheus; write its address, such as http://prometheus.monitoring:9090" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.scaling.enabled (eq .Values.scaling.by "lag") (not .Values.config.log.bootstrap) -}}
{{- fail "config.log.bootstrap: KEDA asks the brokers too, and reads no Secret for their names; write them here" -}}
{{- end -}}
{{- end }}
