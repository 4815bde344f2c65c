"""What the workflow runs on a pull request: previews each environment, checks manifests, comments once.

    python docs/github/dr_review.py --env dev --env prod --schemas cnpg.yaml --manifests k8s

Nothing is changed but the one comment. It ends with 1 where a change is dangerous, where something cannot be previewed,
and where a manifest is wrong. Outside of GitHub (no GITHUB_TOKEN) it prints the comment.
"""

import argparse
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from dr.gitops.manifest_schemas import Schemas, faults, faults_of_folder, read_schemas  # noqa: E402

MARK = "<!-- postgres-dr: preview -->"
LONGEST = 65_536
_AT_MOST_FAULTS = 50
_SECONDS = 30


def preview(env: str, limit: int, more: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """The exit code of ``dr preview`` and its document."""
    words = [sys.executable, "-m", "dr", "preview", "--env", env, "--format", "json", "--limit", str(limit), *more]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
    try:
        document = json.loads(done.stdout)
    except ValueError:
        document = {
            "problems": [{"code": "fault", "cause": done.stderr[-2000:] or "no answer", "remedy": "see the log"}]
        }
    return done.returncode, document


def part_of(env: str, code: int, document: dict[str, Any], schemas: Schemas | None) -> tuple[bool, str]:
    """Whether one environment is in order, and what to say of it."""
    if "markdown" not in document:
        problems = "\n".join(f"{one['code']}: {one['cause']}\n  {one['remedy']}" for one in document["problems"])
        return False, f"### ⛔ {env}: no preview\n\n````\n{problems}\n````\n"
    wrong = [fault for manifest in document["manifests"] for fault in faults(manifest, schemas or {})]
    return code in {0, 2} and not wrong, document["markdown"] + _told(f"What {env} would declare is wrong", wrong)


def comment(text: str) -> str:
    """Put ``text`` into the pull request's one comment: the one with our mark, or a new one."""
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    number, repository = event["pull_request"]["number"], os.environ["GITHUB_REPOSITORY"]
    comments = f"/repos/{repository}/issues/{number}/comments"
    page, ours = 1, None
    while ours is None and (found := _ask("GET", f"{comments}?per_page=100&page={page}")):
        ours = next((one for one in found if MARK in (one.get("body") or "")), None)
        page += 1
    if ours is None:
        return str(_ask("POST", comments, {"body": text})["html_url"])
    return str(_ask("PATCH", f"/repos/{repository}/issues/comments/{ours['id']}", {"body": text})["html_url"])


def _ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - GitHub's own address, from its own variable
        os.environ.get("GITHUB_API_URL", "https://api.github.com") + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json"},
    )
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
        return json.load(answer)


def _told(heading: str, wrong: Sequence[str]) -> str:
    if not wrong:
        return ""
    shown = "\n".join(wrong[:_AT_MOST_FAULTS])
    more = f"\n… and {len(wrong) - _AT_MOST_FAULTS} more" if len(wrong) > _AT_MOST_FAULTS else ""
    return f"\n### ⛔ {heading}\n\n````\n{shown}{more}\n````\n"


def main(arguments: Sequence[str]) -> int:
    """Do all of it. 0 in order, 1 not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--env", action="append", required=True, help="an environment; may be given several times")
    parser.add_argument("--schemas", type=Path, help="a file with the CustomResourceDefinitions to check against")
    parser.add_argument("--manifests", type=Path, action="append", default=[], help="a folder of manifests to check")
    parser.add_argument("--config-dir", help="the folder of Pulumi.<env>.yaml")
    asked = parser.parse_args(arguments)
    schemas = read_schemas(asked.schemas) if asked.schemas else None
    limit = (LONGEST - 8_000) // len(asked.env)
    more = ["--config-dir", asked.config_dir] if asked.config_dir else []
    parts = [part_of(env, *preview(env, limit, more), schemas) for env in asked.env]
    wrong = [fault for folder in asked.manifests for fault in faults_of_folder(folder, schemas or {})]
    body = "\n".join([MARK, *(text for _, text in parts), _told("Manifests are wrong", wrong)])[:LONGEST]
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(body + "\n")
    print(comment(body) if os.environ.get("GITHUB_TOKEN") else body)
    return 0 if all(good for good, _ in parts) and not wrong else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
