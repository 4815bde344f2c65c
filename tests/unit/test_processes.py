"""Whether a process is known to be gone."""

import os
import socket

from dr.clients.processes import known_dead
from tests.builders import a_holder
from tests.doubles import a_dead_process

HERE = socket.gethostname()


def test_a_process_of_this_machine_that_ended_is_known_dead() -> None:
    assert known_dead(a_holder(pid=a_dead_process(), host=HERE))


def test_a_process_that_runs_is_not_dead() -> None:
    assert not known_dead(a_holder(pid=os.getpid(), host=HERE))


def test_of_another_machine_nothing_is_known() -> None:
    assert not known_dead(a_holder(pid=a_dead_process(), host=f"not-{HERE}"))


def test_of_a_holder_in_another_form_nothing_is_known() -> None:
    assert not known_dead(None)
