"""Commands on a seized tree of files."""

import typer

from geldspur.cli.evidence import custody, deep, demo, lists, match, report, scan, timeline

app = typer.Typer(
    help="Account for a seized server's files without looking at them: digests, fingerprints, hash sets, report.",
    epilog="Example: geldspur evidence scan /mnt/seized --out scan",
    no_args_is_help=True,
    rich_markup_mode=None,
)

scan.register(app)
deep.register(app)
lists.register(app)
match.register(app)
report.register(app)
custody.register(app)
timeline.register(app)
demo.register(app)
