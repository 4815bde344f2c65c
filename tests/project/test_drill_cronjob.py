"""The drill's CronJob, as far as it can be read: what it asks for is there, and it may do nothing beside it."""

from pathlib import Path

import yaml

from dr.drill.command import command

MANIFEST = Path(__file__).resolve().parents[2] / "deploy" / "drill-cronjob.yaml"


def test_it_calls_a_command_that_there_is_and_has_time_to_tidy_up() -> None:
    job = yaml.safe_load(MANIFEST.read_text())["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    name, *words = container["args"]
    assert name == command.name
    assert {word for word in words if word.startswith("--")} <= {
        option for parameter in command.params for option in parameter.opts
    }
    # A scratch Cluster may take three minutes to be gone, and the Job is not tried again.
    assert pod["terminationGracePeriodSeconds"] > 180
    assert (job["backoffLimit"], pod["restartPolicy"]) == (0, "Never")


def test_it_is_no_root_and_writes_to_its_own_folder_only() -> None:
    pod = yaml.safe_load(MANIFEST.read_text())["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert variables["DR_STATE_DIR"].startswith("/tmp/")
    assert [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")] == ["/tmp"]
