"""A full rebuild: from a bucket with backups to an application that answers, whatever is left of the rest.

Each step looks before it acts. So a second run finds nothing to do, and one that is resumed continues where the first
stopped. Recovery and switchover are the very operations that are run alone on another day.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

from dr.config.stack_file import stack_file_text
from dr.core.errors import DrError
from dr.core.history import Estimate, estimate
from dr.core.text import about_seconds_of
from dr.rebuild.database import keep_file
from dr.rebuild.layers import RebuildContext, Watch
from dr.rebuild.plan import RebuildDecision
from dr.rebuild.progress import EtaReporter
from dr.rebuild.report import RebuildReport
from dr.rebuild.steps import (
    AwaitOperator,
    BringArgoCd,
    BringDurable,
    BringPlatform,
    Connect,
    FindDatabase,
    LookAtSurvivors,
    Rebuilding,
    RebuildStep,
    Recover,
    SmokeTest,
    Switchover,
)
from dr.run.lease import held
from dr.run.report_keeping import save_report
from dr.run.runner import after_steps, run_steps


class Rebuild(Rebuilding):
    """One full rebuild that was decided."""

    def __init__(self, decision: RebuildDecision) -> None:
        super().__init__(decision)
        experience = {step.key: step.experience for step in self.steps()}
        self.estimate = estimate([step.key for step in self.plan.steps], decision.history, experience=experience)
        expected = f"{about_seconds_of(self.estimate.total.total_seconds())}, {_known(self.estimate)}"
        self.plan = replace(self.plan, facts={**decision.facts, "Expected": expected})

    def steps(self) -> Iterator[RebuildStep]:
        """From what survives to an application that answers."""
        yield LookAtSurvivors(self)
        yield BringDurable(self)
        yield BringPlatform(self)
        yield Connect(self)
        yield BringArgoCd(self)
        yield AwaitOperator(self)
        yield FindDatabase(self)
        yield Recover(self)
        yield Switchover(self)
        if self.environment.smoke_test_url:
            yield SmokeTest(self)

    def run(self, stage: RebuildContext) -> RebuildReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came; the engine is never left behind."""
        decision = self.decision
        self.stage, self.told = stage, EtaReporter(stage.reporter, self.estimate)
        self.watch = Watch(stop=stage.stop, say=self.told.progress, commands=stage.environment.commands)
        go_on = decision.request.command(stage.environment)
        started, begin = stage.clock(), time.monotonic()
        stage.report_data.until = self.plan.steps[-1].key
        with held(stage.lease, stage.holder, take_over=stage.take_over, clock=stage.clock, stop=stage.stop):
            for layer in stage.layers.all:
                layer.claim(take_over=stage.take_over)
            stage.journal.begin(self.plan, go_on, stage.clock())
            try:
                results = run_steps(
                    self.plan.steps,
                    reporter=self.told,
                    journal=stage.journal,
                    clock=stage.clock,
                    stop=stage.stop,
                    go_on=go_on,
                )
            except DrError as error:
                save_report(stage.environment, self.plan, stage.journal, stage.report_data, error=error)
                raise
            with after_steps(self.plan.steps, stage.journal, go_on):
                report = RebuildReport(
                    environment=stage.environment,
                    decision=decision,
                    estimate=self.estimate,
                    started=started,
                    seconds=time.monotonic() - begin,
                    steps=results,
                    origin=self.found.verdict,
                    serving=self.served,
                    smoke=self.smoke,
                    journal=str(stage.journal.path),
                    stack_file=self._keep_stack_file(),
                )
                stage.journal.done(report.as_json(), stage.clock(), at_end=lambda record: record)
                save_report(stage.environment, self.plan, stage.journal, stage.report_data, result=report.as_json())
                return report

    def _keep_stack_file(self) -> str:
        """The file of the platform's stack in another region, for Git: that stack is made of values of this run."""
        moved = self.stage.moved
        if moved is None:
            return ""
        command = self.decision.request.command(self.stage.environment)
        note = f"The platform in {moved.region}, as {command} has built it."
        return keep_file(f"Pulumi.{moved.name}.yaml", stack_file_text(moved, note=note))


def _known(expected: Estimate) -> str:
    measured, all_steps = len(expected.measured), len(expected.seconds)
    if not measured:
        return "by experience: this was never done here"
    return f"{measured} of {all_steps} steps as they took before, the others by experience"
