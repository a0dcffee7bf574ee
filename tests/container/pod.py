"""Makes of the rendered manifests of deploy/kubernetes a pod that podman can play. What it changes, and no more:

- podman has no native sidecars: the init container becomes a container
- the images are those that were just built; the bot is a shell that submits, beside it stands a sandbox of the API
- the ConfigMap is a folder of this machine, which the test swaps as kubelet does
- podman runs a probe by a shell, of which the image has none: the test runs the probes' command; and this machine knows no limits
  of memory
"""

import json
import sys

import yaml

rendered, rules = sys.argv[1:]
deployment = next(part for part in yaml.safe_load_all(open(rendered)) if part["kind"] == "Deployment")
pod = deployment["spec"]["template"]
spec = pod["spec"]
(gateway,) = spec.pop("initContainers")
(bot,) = spec["containers"]

assert gateway.pop("restartPolicy") == "Always", "a native sidecar"
assert spec.pop("terminationGracePeriodSeconds") > 30 and spec.pop("enableServiceLinks") is False
for probe in ["startupProbe", "readinessProbe", "livenessProbe"]:
    assert gateway.pop(probe)["exec"]["command"] == ["/nocache-gateway", "healthcheck"]
assert set(gateway.pop("resources")) == {"requests", "limits"}
# The restricted pod security standard, of every container.
assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
for container in [gateway, bot]:
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False and context["capabilities"] == {"drop": ["ALL"]}
(volume,) = spec["volumes"]
assert volume.pop("configMap") == {"name": "nocache-gateway-rules"}
volume["hostPath"] = {"path": rules, "type": "Directory"}

image = {"image": "localhost/nocache-gateway:test", "imagePullPolicy": "Never"}
gateway.update(image)
gateway["env"].append({"name": "NOCACHE_GATEWAY_UPSTREAM", "value": "http://127.0.0.1:6624"})
sandbox = {
    "name": "sandbox",
    **image,
    "args": ["sandbox"],
    "env": [{"name": "NOCACHE_GATEWAY_LISTEN", "value": "127.0.0.1:6624"}],
    "securityContext": gateway["securityContext"],
}
submit = """
body='{"clientKey":"K","task":{"type":"RecaptchaV2Task","websiteURL":"https://shop.example/"}}'
while sleep 0.2; do
  address=${CAPMONSTER_URL#http://}
  exec 3<>"/dev/tcp/${address%:*}/${address#*:}" || continue
  printf 'POST /createTask HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Length: %s\\r\\n\\r\\n%s' "${#body}" "$body" >&3
  cat <&3 && echo
done
"""
bot.update({"image": "localhost/rust-stand-in:bookworm", "imagePullPolicy": "Never", "command": ["bash", "-c", submit.strip()]})
spec["containers"] = [gateway, sandbox, bot]
json.dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bot", **pod["metadata"]}, "spec": spec}, sys.stdout)
