"""Every command of the documentation, run on the lab's prod in an order in which each makes sense."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.cli_runner import CliRunner, Outcome, await_health, lab
from tests.support.documentation import PAGES, ROOT, commands
from tests.support.repositories import platform_in

pytestmark = pytest.mark.long

AGREE = ("--yes", "--confirm")
UNCONFIRMED, UNCONFIGURED, REFUSED = 2, 3, 4
NOT_ONE = {"--env <env>", "full-rebuild --region R"}
"""No command, but a word about an option."""
CHECKOUTS = ("FOLDER", "platform", "~/src/platform")
TIMES = ("2026-04-27T09:55:00Z", "2026-11-23T06:52:59Z", "X")


@dataclass
class Reader:
    """Somebody who types what the pages say, with their own names and times in place of the pages'."""

    runner: CliRunner
    checkout: Path
    typed: set[str] = field(default_factory=set)
    times: str = ""
    backup: str = ""
    report: str = ""

    def type(self, line: str, *agreed: str, code: int = 0) -> Outcome:
        """Run a documented command; ``agreed`` is what a script adds to it. It has to end with ``code``."""
        self.typed.add(line)
        own = {
            **dict.fromkeys(TIMES, self.times),
            **dict.fromkeys(CHECKOUTS, str(self.checkout)),
            **dict.fromkeys(("FILE", "old.tfstate"), str(ROOT / "tests" / "support" / "terraform.tfstate.json")),
            "20260427T030000": self.backup,
            "ID": self.report,
            "ENV": "prod",
        }
        words = [own.get(word, word) for word in line.split()]
        outcome = self.runner.dr(*words, *agreed, variables={"BROWSER": "true"})
        assert outcome.code == code, f"{line}: {json.dumps(outcome.document, indent=1)[-3000:]}{outcome.stderr[-2000:]}"
        return outcome


@pytest.fixture(scope="module")
def reader(lab_variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    runner = CliRunner("prod", lab_variables, Path(lab_variables["DR_CONFIG_DIR"]))
    yield Reader(runner, platform_in(tmp_path_factory.mktemp("platform")))
    runner.end_started()
    lab("reset")


def test_whoever_only_looks(reader: Reader) -> None:
    for line in ("status", "window", "diagnose", "preview", "health"):
        reader.type(f"{line} --env prod")
    reader.type("health --all")
    reader.type("report --env prod --list")
    reader.type("report --env ENV --list")
    reader.type("adopt --env prod --terraform-state old.tfstate --dry-run")
    reader.type("full-rebuild --env prod --dry-run")
    reader.type("full-rebuild --env prod", code=UNCONFIRMED)
    # The bucket of the runbook is in one region.
    reader.type("full-rebuild --env prod --region asia-northeast2 --dry-run", code=REFUSED)
    reader.type("full-rebuild --env prod --region europe-west1", code=REFUSED)
    # Nobody has made the copy's stack here: test_another_region.py does.
    reader.type("full-rebuild --env prod --region asia-northeast2 --durable durable-osaka", code=UNCONFIGURED)
    reader.type("resume --env prod", code=REFUSED)


def test_on_an_ordinary_day(reader: Reader) -> None:
    reader.type("mark before-migration-42 --env prod")
    reader.type("mark --list --env prod")
    reader.report = str(reader.type("drill --env prod").document["report"]).rsplit("/", 1)[-1].removesuffix(".html")
    reader.type("report --env prod")
    reader.type("report --env prod --open")
    reader.type("report --env prod ID")
    for line in ("adopt --env prod --terraform-state old.tfstate", "adopt --env prod --terraform-state FILE"):
        reader.type(line, *AGREE, "development-485000")
    reader.type("migrate-to-plugin --env prod --checkout FOLDER", "--dry-run")
    reader.type("migrate-to-plugin --env prod --checkout ~/src/platform")
    reader.typed.add("pitr --help")
    assert "--before-drop" in reader.runner.run(sys.executable, "-m", "dr", "pitr", "--help")


def test_one_table_back(reader: Reader) -> None:
    runner = reader.runner
    reader.times = runner.database_time()
    extract = "extract --env prod --table public.users --target-time 2026-04-27T09:55:00Z"
    reader.type(extract, *AGREE, runner.source)
    reader.type(f"{extract} --swap", *AGREE, runner.source)
    runner.psql(runner.source, "DROP TABLE users CASCADE")
    reader.type("extract --env prod --table public.users --before-drop --swap", *AGREE, runner.source)
    assert int(runner.psql(runner.source, "SELECT count(*) FROM users")) > 0


def test_a_recovery_to_its_end(reader: Reader) -> None:
    runner = reader.runner
    reader.times = runner.database_time()
    runner.psql(runner.source, "INSERT INTO jobs (worker) VALUES ('late')")
    reader.type("pitr --env prod --target-time 2026-04-27T09:55:00Z --dry-run")
    reader.type("pitr --env prod --target-time X --dry-run")
    reader.type("pitr --env prod --target-time 2026-04-27T09:55:00Z", *AGREE, runner.recovered)
    reader.type("pitr --env prod --target-time X --continue", *AGREE, runner.recovered)
    again = "pitr --env prod --target-time 2026-11-23T06:52:59Z --yes --confirm postgres-prod-recovered"
    reader.type(again, code=REFUSED)
    reader.type("switchover --env prod", *AGREE, runner.recovered)
    reader.type("rollback --env prod", *AGREE, runner.source)
    reader.type("switchover --env prod --yes --confirm postgres-prod-recovered")
    assert await_health(runner.health_url(), 200).status_code == 200


def test_the_other_targets(reader: Reader) -> None:
    runner = reader.runner
    reader.type("rollback --env prod", *AGREE, runner.source)
    runner.delete_recovered()
    reader.type("latest --env prod", *AGREE, runner.recovered)
    runner.delete_recovered()
    runner.psql(runner.source, "DROP TABLE users CASCADE")
    reader.type("pitr --env prod --before-drop public.users", *AGREE, runner.recovered)
    runner.delete_recovered()
    (archive, *_) = reader.type("window --env prod").document["archives"]
    reader.backup = archive["backups"][0]["id"]
    line = "pitr --env prod --target-name before-migration-42 --backup-id 20260427T030000"
    reader.type(line, *AGREE, runner.recovered)


def test_the_end(reader: Reader) -> None:
    runner = reader.runner
    reader.type("switchover --env prod --override traffic-unproven=traffic", *AGREE, runner.recovered)
    reader.type("finalize --env prod --checkout FOLDER", code=UNCONFIRMED)
    reader.type("finalize --env prod --checkout platform", code=UNCONFIRMED)
    reader.type("finalize --env prod --checkout ~/src/platform", *AGREE, runner.source)
    assert runner.cluster(runner.source) is None


def test_nothing_of_the_pages_was_left_out(reader: Reader) -> None:
    """But for the changelog, and a word that only names a command or an option of it."""
    lines = {" ".join(words) for page in PAGES if page.name != "CHANGELOG.md" for words in commands(page)}
    asked = {line for line in lines if line not in NOT_ONE and " " in line}
    assert asked - reader.typed == set()
