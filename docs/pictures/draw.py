"""Draws the pictures of the documentation: `python docs/pictures/draw.py` writes `stacks.svg`."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
_STYLE = """
text { font: 14px "DejaVu Sans", Verdana, sans-serif; fill: #1b2733 }
.small { font-size: 12px; fill: #45525e }
.title { font-weight: bold }
.zone { fill: #f4f6f8; stroke: #9aa7b3; stroke-dasharray: 6 4 }
.box { fill: #ffffff; stroke: #45525e; stroke-width: 1.5 }
.stack { fill: #e7f0fb; stroke: #2f6db5; stroke-width: 1.5 }
.data { fill: #fdf3e0; stroke: #b57a1e; stroke-width: 1.5 }
.arrow { fill: none; stroke: #45525e; stroke-width: 1.5 }
"""


@dataclass(frozen=True)
class Box:
    """A box with a title and smaller lines below it."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: tuple[str, ...] = ()
    kind: str = "box"

    def drawn(self) -> Iterator[str]:
        place = f'x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}"'
        yield f'<rect class="{self.kind}" {place} rx="6"/>'
        yield f'<text class="title" x="{self.x + 12}" y="{self.y + 24}">{escape(self.title)}</text>'
        for number, line in enumerate(self.lines):
            yield f'<text class="small" x="{self.x + 12}" y="{self.y + 44 + 17 * number}">{escape(line)}</text>'


@dataclass(frozen=True)
class Arrow:
    """A line through points, with words beside its beginning or wherever they are put."""

    points: tuple[tuple[int, int], ...]
    words: str = ""
    at: tuple[int, int] = (0, 0)

    def drawn(self) -> Iterator[str]:
        path = " L ".join(f"{x} {y}" for x, y in self.points)
        yield f'<path class="arrow" marker-end="url(#head)" d="M {path}"/>'
        if self.words:
            yield f'<text class="small" x="{self.at[0]}" y="{self.at[1]}">{escape(self.words)}</text>'


STACKS = (
    Box(20, 20, 250, 300, "People and machines", kind="zone"),
    Box(36, 60, 218, 70, "python -m dr", ("decides, asks, does, verifies", "on any machine, any operator")),
    Box(36, 145, 218, 70, "pulumi up", ("by hand, from the same file", "--policy-pack policy")),
    Box(36, 230, 218, 70, "Pull request", ("dr preview: one comment", "fails on a danger")),
    Box(330, 20, 240, 300, "One declaration", kind="zone"),
    Box(346, 60, 208, 70, "Pulumi.<stack>.yaml", ("what an environment is", "what is asked for anew")),
    Box(346, 145, 208, 70, "dr/stacks", ("the programs: recovery,", "durable, platform, argocd")),
    Box(346, 230, 208, 70, "The guard", ("rules over every preview", "before anything is done")),
    Box(630, 20, 610, 620, "Google Cloud project", kind="zone"),
    Box(
        650,
        60,
        270,
        110,
        "stack durable",
        ("the bucket of the backups,", "its account and rights", "outlives everything; protected"),
        "stack",
    ),
    Box(
        950,
        60,
        270,
        110,
        "stack platform",
        ("network, GKE, node pools,", "Workload Identity", "can be made anew"),
        "stack",
    ),
    Box(650, 210, 570, 410, "GKE cluster", kind="zone"),
    Box(
        670,
        250,
        250,
        90,
        "stack of an environment",
        ("recovered Clusters,", "where the Service points", "empty on an ordinary day"),
        "stack",
    ),
    Box(950, 250, 250, 90, "Argo CD", ("keeps what Git declares;", "paused while an operation", "needs it")),
    Box(
        670,
        380,
        250,
        90,
        "Cluster postgres-prod",
        ("CloudNativePG, PostgreSQL", "archives WAL, base backup daily"),
        "data",
    ),
    Box(
        670,
        510,
        250,
        90,
        "Cluster …-recovered",
        ("bootstrap.recovery from the", "bucket; a serverName of its own"),
        "data",
    ),
    Box(950, 380, 250, 90, "Service (ExternalName)", ("the workloads connect by it;", "moved by declaration")),
    Box(950, 510, 250, 90, "Record and lease", ("what is declared, what was", "done, who is at work")),
    Box(20, 360, 550, 280, "The way of an incident", kind="zone"),
)
WAY = (
    ("diagnose", "which failure is this?"),
    ("pitr, latest, extract", "recover beside it, and verify"),
    ("switchover", "fence, point the Service, start, smoke test"),
    ("rollback", "and back, at any time before the end"),
    ("finalize", "Git, base backup, then delete the old one"),
    ("full-rebuild", "the cluster is gone: platform, Argo CD, data"),
)
ARROWS = (
    Arrow(((254, 95), (346, 95))),
    Arrow(((254, 180), (346, 180))),
    Arrow(((254, 265), (346, 265))),
    Arrow(((570, 180), (600, 180), (600, 115), (650, 115)), "up", (604, 175)),
    Arrow(((600, 115), (600, 50), (1085, 50), (1085, 60))),
    Arrow(((600, 180), (600, 295), (670, 295))),
    Arrow(((920, 295), (932, 295), (932, 540), (920, 540)), "declares", (938, 366)),
    Arrow(((950, 410), (920, 410))),
    Arrow(((670, 425), (640, 425), (640, 150), (650, 150)), "WAL, base backups", (646, 200)),
    Arrow(((640, 425), (640, 555), (670, 555)), "recovery", (646, 500)),
    Arrow(((950, 450), (944, 450), (944, 575), (920, 575)), "after a switchover", (950, 495)),
    Arrow(((1075, 340), (1075, 380))),
)


def picture() -> str:
    """The stacks and what flows between them, as SVG."""
    parts = [part for thing in (*STACKS, *ARROWS) for part in thing.drawn()]
    way = [
        f'<text class="{kind}" x="{x}" y="{420 + 34 * number}">{escape(words)}</text>'
        for number, (command, what) in enumerate(WAY)
        for kind, x, words in (("title", 40, command), ("small", 230, what))
    ]
    head = (
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M 0 0 L 10 5 L 0 10 z" fill="#45525e"/></marker></defs>'
    )
    body = "\n".join([f"<style>{_STYLE}</style>", head, *parts, *way])
    title = "<title>The stacks of postgres-dr, and what flows between them</title>"
    background = '<rect width="1260" height="660" fill="#ffffff"/>'
    opening = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1260 660" role="img">'
    return "\n".join([opening, title, background, body, "</svg>", ""])


if __name__ == "__main__":
    (FOLDER / "stacks.svg").write_text(picture(), encoding="utf-8")
