"""Laws, and what their fits say: formulas and constants, predictions, comparisons."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curselab.cli.options import FitFile, Form, Format, Points, law_names, read_points
from curselab.errors import InputError

if TYPE_CHECKING:
    from analysis.laws.parametric import Law as LossForm
    from analysis.laws.registry import Law

app = typer.Typer()
PANEL = "Laws and fits"
laws_app = typer.Typer(no_args_is_help=True, help="Laws: their formulas, what they read, and published constants.")
app.add_typer(laws_app, name="laws", rich_help_panel=PANEL)


@app.command("import", rich_help_panel=PANEL)
def import_(
    log: Annotated[Path, typer.Argument(help="trainer_state.json, CSV of Weights & Biases, TensorBoard's file or folder.")],
    what: Annotated[list[str], typer.Argument(metavar="NAME=WHAT[:DOMAIN]...", help="What was logged under a name.")],
    tokens: Annotated[str, typer.Option(help="Training tokens of one step, or the name under which the log counts them.")],
    out: Annotated[Path, typer.Option(help="File to write: .parquet or .csv.")],
    step: Annotated[str | None, typer.Option(help="Column of the optimiser step, of a CSV.")] = None,
    start: Annotated[int, typer.Option(min=0, help="Step at which the run begins.")] = 0,
    keep_last: Annotated[bool, typer.Option(help="Keep the last of several values of one step.")] = False,
) -> None:
    """Read a log of another trainer into the contract's table of evaluations.

    Example: `curselab import trainer_state.json eval_loss=loss_nats_per_token --tokens 65536 --out metrics.parquet`
    """
    from analysis import import_log

    metrics = import_log(log, out, what, tokens=tokens, step=step, start=start, keep_last=keep_last)
    typer.echo(f"{out}: {len(metrics)} values of {metrics['metric'].nunique()} metrics", err=True)


class Tracker(StrEnum):
    """Whose page the runs are for."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"
    MLFLOW = "mlflow"


@app.command("export", rich_help_panel=PANEL)
def export(
    source: Annotated[Path, typer.Argument(help="Tables of a sweep, or its run folders while it is trained.")],
    to: Annotated[Tracker, typer.Option(help="Tracker; Weights & Biases stays offline unless WANDB_MODE says otherwise.")],
    out: Annotated[Path, typer.Option(help="Folder to write to; runs that are there are kept.")],
) -> None:
    """Write the runs of a sweep for TensorBoard, Weights & Biases or MLflow, on this machine.

    Example: `curselab export results/tables/scaling --to tensorboard --out tracked`
    """
    from analysis import export_runs

    typer.echo(f"{out}: {export_runs(source, out, to=to)} runs written", err=True)


@laws_app.command("list")
def laws_list(form: Form = Format.TEXT) -> None:
    """List the laws of the workflow, the controlled truths and the forms of the loss.

    Example: `curselab laws list`
    """
    from analysis.laws.forms import FORMS
    from analysis.laws.registry import LAWS, PROBLEMS
    from curselab.cli.terminal import show
    from sweeps.registry import read_yaml, sweep_file

    rows = [{"name": law, "kind": "law", "about": read_yaml(sweep_file(law))["question"]} for law in LAWS]
    rows += [{"name": law, "kind": "controlled truth", "about": read_yaml(sweep_file(law))["question"]} for law in PROBLEMS]
    rows += [{"name": name, "kind": "form of the loss", "about": law.formula} for name, law in FORMS.items()]
    show(rows, form)


@laws_app.command("show")
def laws_show(
    name: Annotated[
        str,
        typer.Argument(help="A name of 'curselab laws list', or a published set that a law names.", autocompletion=law_names),
    ],
    form: Form = Format.TEXT,
) -> None:
    """Show a law's formula, symbols with units, source, range, known failures; or the constants of a published set.

    With `--format csv` or `json`, its published constants alone.

    Example: `curselab laws show chinchilla`
    """
    from analysis.laws.constants import published_sets
    from analysis.laws.forms import FORMS
    from analysis.laws.registry import LAWS, PROBLEMS, find
    from curselab.cli.terminal import show

    sets = published_sets()
    if name in FORMS:
        constants = _constants_of(FORMS[name])
        if form is Format.TEXT:
            typer.echo(_describe_form(FORMS[name]))
    elif name in LAWS | PROBLEMS:
        constants = [{"set": key} | row for key, rows in sets.items() for row in rows if row["law"] == find(name).room]
        if form is Format.TEXT:
            typer.echo(_describe_law(find(name), list(dict.fromkeys(row["set"] for row in constants))))
            return
    elif name in sets:
        constants = sets[name]
        if form is Format.TEXT:
            typer.echo("\n".join(dict.fromkeys(f"{name}: {row['source']} ({row['trust']})" for row in constants)))
            constants = [{key: row[key] for key in ("symbol", "value", "lower", "upper", "unit")} for row in constants]
    else:
        known = ", ".join((*LAWS, *PROBLEMS, *FORMS))
        raise InputError(f"law {name!r}: unknown (allowed: {known}, and the published sets that 'laws show' names for a law)")
    show(constants, form)


def _constants_of(law: "LossForm") -> list[dict[str, Any]]:
    """One row a parameter of a form, with a column a paper."""
    return [
        {"symbol": symbol, "unit": unit} | {paper: values.get(symbol) for paper, values in law.published.items()}
        for symbol, unit in zip(law.symbols, law.units, strict=True)
    ]


def _describe_form(law: "LossForm") -> str:
    units = {"params": "parameters", "tokens": "tokens", "compute": "FLOP"}
    reads = ", ".join(f"{name} ({units.get(name, '1')})" for name in law.inputs)
    facts = (law.formula, f"reads   {reads}", f"source  {law.source}", f"valid   {law.valid}", "")
    return "\n".join(facts)


def _describe_law(law: "Law", sets: list[str]) -> str:
    """The law's page as its module says it, without importing the module."""
    import ast

    from curselab.cli.terminal import wrapped
    from sweeps.registry import read_yaml, sweep_file
    from trainer.provenance import ROOT

    source = ROOT.joinpath(*law.module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    page = _without_roles(ast.get_docstring(ast.parse(source)) or "")
    question, reads = read_yaml(sweep_file(law.name))["question"], f"Reads: table {law.table}, {law.reads}."
    blocks = [f"{law.name}: {question}", *page.split("\n\n"), reads, f"Manual: docs/laws/{law.room}.md."]
    if sets:
        blocks.append(f"Published constants ('curselab laws show NAME'): {', '.join(sets)}.")
    return "\n\n".join(map(wrapped, blocks))


def _without_roles(page: str) -> str:
    """Drop the marks of reStructuredText that only a web page needs; columns of tables stay where they are."""
    import re

    def bare(line: str) -> str:
        table = "  " in line.strip()
        return re.sub(
            r"(?::\w+:`|``)([^`]*)``?", lambda found: found[1].ljust(len(found[0])) if table else found[1], line
        ).rstrip()

    return "\n".join(map(bare, page.splitlines()))


@app.command(rich_help_panel=PANEL)
def predict(
    fit: FitFile,
    at: Points,
    kind: Annotated[
        str | None, typer.Option(help="Of the interval of a loss: mean (of the curve), new_run or calibrated.")
    ] = None,
    level: Annotated[float | None, typer.Option(help="Of the interval of a loss; that of the fit when left out.")] = None,
    form: Form = Format.TEXT,
) -> None:
    """Say what a fit predicts, with its interval, at every combination of the inputs; say so where it extrapolates.

    A fit of the loss reads what its form reads, one of `capacity_gap` `student`; one of `multilinguality` `params`, `tokens`,
    `added` and perhaps `mixture`; one of `prepacking` `lengths`, `width`, `depth`, `ffn_width` and perhaps `batch`.

    Example: `curselab predict results/fits/scaling.json params=1e5,3e5 tokens=1e7 --kind new_run`
    """
    from analysis.decisions.predict import predict as predict_at
    from analysis.fit import read_fit
    from curselab.cli.terminal import records, show

    options = {name: value for name, value in (("kind", kind), ("level", level)) if value is not None}
    frame, notes = predict_at(read_fit(fit), read_points(at), **options)
    show(records(frame), form)
    for note in notes:
        typer.echo(f"{note.code}: {note.message}", err=True)


@app.command(rich_help_panel=PANEL)
def compare(
    fits: Annotated[list[Path], typer.Argument(help="JSON files of fits of one law.")],
    law: Annotated[
        list[str] | None, typer.Option(help="A rival form of the loss, for the runs of one fit; repeatable.")
    ] = None,
    by: Annotated[str, typer.Option(help="Scale from which to which rivals predict: compute, params or tokens.")] = "compute",
    published: Annotated[bool, typer.Option("--published", help="Put published numbers beside those of one fit.")] = False,
    runs: Annotated[Path | None, typer.Option(help="With --published: table of times, of a fit of prepacking.")] = None,
    out: Annotated[Path | None, typer.Option(help="With --published: file to write, .tex, .md, .csv or .html.")] = None,
    form: Form = Format.TEXT,
) -> None:
    """Put fits of one law side by side, or hold rival forms of the loss against the runs of one fit.

    Rivals are ranked by how they predict larger runs from smaller ones. Two fits of the loss to runs at the same settings are
    also compared in pairs at their largest run, where what both share cancels. With --published one fit stands beside what
    is published of the same quantities: `curselab compare results/fits/depth.json --published --out published.md`.

    Example: `curselab compare fit.json --law kaplan --law outer`
    """
    from analysis.decisions.compare import compare_laws
    from analysis.decisions.side_by_side import BRIEF, side_by_side
    from analysis.fit import read_fit
    from curselab.cli.terminal import records, show

    read = {str(path): read_fit(path) for path in fits}
    if published:
        _beside_published(read, runs, out, form)
        return
    if law:
        only = _only_loss(read)
        table = compare_laws(only, list(dict.fromkeys((only.form.name, *law))), by=by)
    elif len(read) > 1:
        table = side_by_side(read)
    else:
        raise InputError("compare: one fit was given; give a second one, or rival forms by --law")
    kind = next(iter(read.values())).law
    if form is Format.TEXT and kind in BRIEF:
        table = table[["fit", *BRIEF[kind]]]
    show(records(table), form)
    if not law and kind == "scaling" and len(read) == 2 and form is Format.TEXT:
        typer.echo(_paired(*read.values()))


def _beside_published(read: dict[str, Any], runs: Path | None, out: Path | None, form: Form) -> None:
    from analysis.beside_published import beside_published
    from analysis.fit import read_table
    from analysis.typeset import plain
    from curselab.cli.terminal import records, show
    from curselab.files import write_text

    if len(read) != 1:
        raise InputError(f"compare: --published takes one fit, {len(read)} were given")
    (fit,) = read.values()
    table = beside_published(fit, None if runs is None else read_table(fit.law, runs))
    if out is not None:
        write_text(out, table.render(out.suffix))
        return
    show(records(table.cells.map(plain)), form)
    if form is Format.TEXT:
        typer.echo(table.note)


def _only_loss(read: dict[str, Any]) -> Any:
    (label, first), *others = read.items()
    if others or first.law != "scaling":
        raise InputError(
            f"compare: --law takes one fit of the loss, {len(read)} were given, the first of {first.law} ({label})"
        )
    return first


def _paired(a: Any, b: Any) -> str:
    """How the second system's loss stands to the first's at the largest run of both, or why that cannot be said."""
    from analysis.decisions.compare import compare_systems

    largest = a.problem.x[:, a.scale(a.problem.x, "compute").argmax()] if "tokens" in a.form.inputs else a.problem.x[:, -1]
    try:
        row = compare_systems(a, b, *largest).iloc[0]
    except InputError as error:
        return f"not in pairs: {error}"
    at = ", ".join(f"{name} {value:.3g}" for name, value in zip(a.form.inputs, largest, strict=True))
    verdict = "1 lies outside" if row["differs"] else "1 lies inside"
    return f"loss of the second over the first at {at}: {row['ratio']:.4f} [{row['lower']:.4f}, {row['upper']:.4f}], {verdict}"
