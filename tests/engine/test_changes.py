"""What a preview says, folded from the engine's steps."""

import pytest

from dr.engine.changes import Changes, EngineStep, Op, fold_steps

CLUSTER = "kubernetes:postgresql.cnpg.io/v1:Cluster"


def step(op: str, name: str = "one", *, kind: str = CLUSTER, **more: object) -> EngineStep:
    return EngineStep(op=op, urn=f"urn:pulumi:prod::postgres-dr::{kind}::{name}", type=kind, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        (["same"], Op.KEEP),
        (["create"], Op.CREATE),
        (["update"], Op.UPDATE),
        (["delete"], Op.DELETE),
        (["read"], Op.READ),
        (["import"], Op.IMPORT),
        (["import", "update"], Op.IMPORT),
        (["discard"], Op.FORGET),
        (["remove-pending-replace", "create"], Op.CREATE),
        (["create-replacement", "replace", "delete-replaced"], Op.REPLACE),
        (["delete-replaced", "replace", "create-replacement"], Op.REPLACE),
        (["import-replacement", "replace", "delete-replaced"], Op.REPLACE),
        (["delete", "create"], Op.REPLACE),
    ],
)
def test_the_steps_of_one_resource_become_one_change(ops: list[str], expected: Op) -> None:
    (change,) = fold_steps([step(op) for op in ops])
    assert change.op is expected


def test_a_deletion_that_is_retained_only_forgets() -> None:
    (change,) = fold_steps([step("delete", retained=True)])
    assert (change.op, change.goes, change.changes) == (Op.FORGET, False, True)


def test_the_stack_itself_and_what_a_refresh_looked_at_are_left_out() -> None:
    assert fold_steps([step("same", kind="pulumi:pulumi:Stack"), step("refresh")]) == ()


def test_a_change_has_both_states_and_the_paths_with_their_values() -> None:
    (change,) = fold_steps(
        [
            step(
                "replace",
                old={"metadata": {"name": "a"}, "spec": {"instances": 1}},
                new={"metadata": {"name": "b"}, "spec": {"instances": 2}},
                diff={"metadata.name": "update-replace", "spec.instances": "update", "__own": "add"},
                keys=("metadata.name",),
                protected=True,
            )
        ]
    )
    name, instances = change.paths
    assert (name.path, name.kind, name.replaces, name.before, name.after) == ("metadata.name", "update", True, "a", "b")
    assert (instances.replaces, instances.before, instances.after) == (False, 1, 2)
    assert (change.protected, change.name, change.kind) == (True, "one", "Cluster")
    assert (change.old("spec.instances"), change.new("spec.instances")) == (1, 2)


def test_no_secret_gets_in() -> None:
    (change,) = fold_steps(
        [step("update", old={"password": "was"}, new={"password": "hush"}, diff={"password": "update"})]
    )
    told = str(Changes(stack="prod", items=(change,)).as_json()) + str(change)
    assert "hush" not in told
    assert "was" not in told.replace("was_", "")


def test_whether_anything_is_done() -> None:
    kept = Changes(stack="prod", items=fold_steps([step("same"), step("read", "two")]))
    assert not kept.any
    assert not Changes(stack="prod", items=fold_steps([step("create", kind="pulumi:providers:kubernetes")])).any
    assert Changes(stack="prod", items=fold_steps([step("same"), step("create", "two")])).any
    assert [change.name for change in kept.of(Op.READ)] == ["two"]


def test_an_adoption_may_import_what_is_there_and_nothing_more() -> None:
    clean = fold_steps([step("import"), step("create", kind="pulumi:providers:gcp"), step("same", "two")])
    assert Changes(stack="durable", items=clean).beyond_import == ()
    changing = fold_steps([step("import"), step("update", diff={"labels": "add"}), step("create", "new")])
    assert [change.name for change in Changes(stack="durable", items=changing).beyond_import] == ["one", "new"]
