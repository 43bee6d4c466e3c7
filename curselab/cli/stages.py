"""The stages of the workflow, one command each."""

from pathlib import Path
from typing import Annotated

import typer

from curselab.cli.options import Config, FitFile, Results, Venue, Workers, law_names
from curselab.errors import InputError

app = typer.Typer()
PANEL = "Stages of the workflow"


@app.command(rich_help_panel=PANEL)
def text(text_id: str, config: Config, out: Annotated[Path, typer.Option(help="Folder to make.")]) -> None:
    """Prepare one text of a grid: read, split, tokenise, write memory-mapped token files.

    Example: `curselab text 0123456789ab --config config/smoke.yaml --out results/text/0123456789ab`
    """
    from sweeps.plan import load_plan
    from trainer.text import prepare_text

    texts = load_plan(config).texts
    if text_id not in texts:
        raise InputError(f"text {text_id!r}: not in {config} (allowed: {', '.join(texts)})")
    prepared = prepare_text(texts[text_id], out)
    for split in ("train", "teacher", "validation") if texts[text_id].teacher_share > 0 else ("train", "validation"):
        tokens, size = prepared.n_tokens(split), prepared.n_bytes(split)
        typer.echo(f"text {text_id}: {split} {size:,} bytes, {tokens:,} tokens", err=True)


@app.command(rich_help_panel=PANEL)
def train(
    sweep: str,
    shard: str,
    config: Config,
    digest: Annotated[
        str, typer.Option(help="Digest of the shard that was planned; refused when the grid says otherwise.")
    ] = "",
    results: Results = Path("results"),
    workers: Workers = 1,
    log: Annotated[Path | None, typer.Option(help="Progress is also written here.")] = None,
) -> None:
    """Train one shard of a grid; complete runs are kept, a half-done run goes on from its checkpoint.

    Example: `curselab train scaling run-0 --config config/smoke.yaml --workers 2`
    """
    from contextlib import nullcontext

    from sweeps.plan import load_plan
    from trainer.progress import Progress
    from trainer.spec import PlannedRun

    plan = load_plan(config)
    runs = plan.shard(sweep, shard)
    if digest and digest != plan.digest(sweep, shard):
        raise InputError(
            f"shard {shard} of {sweep}: {config} is not the grid that was planned; grids are changed in their file"
        )
    from trainer.shard import train_shard  # loads torch

    def folder(run: PlannedRun) -> Path:
        return results / "runs" / run.sweep / run.run_id

    with log.open("w") if log else nullcontext() as log_file:
        progress = Progress(
            flop={folder(run) / "summary.json": plan.flop(run) for run in plan.runs},
            folder=folder,
            label=lambda run: f"{run.sweep} {run.stage} {run.run_id}",
            workers=workers,
            log=log_file,
        )
        train_shard(
            runs,
            name=shard,
            texts=results / "text",
            runs=results / "runs" / sweep,
            out=results / "shards" / sweep / f"{shard}.json",
            progress=progress,
            workers=workers,
        )


@app.command(rich_help_panel=PANEL)
def problem(
    name: str,
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for the table.")],
    results: Results = Path("results"),
    workers: Workers = 1,
) -> None:
    """Run a controlled truth of a grid and write its table, checked against results/contract.yaml.

    Complete teachers with their students are kept in RESULTS/runs/NAME; the same command goes on from there.

    Example: `curselab problem mapping --config config/smoke.yaml --out results/tables/mapping`
    """
    from analysis.collect import write_problem
    from sweeps.plan import load_plan
    from trainer.mapping_spec import MappingSpec

    spec = load_plan(config).problem(name)
    if isinstance(spec, MappingSpec):
        from trainer.mapping import run_mapping

        runs = results / "runs" / name
        write_problem(out, name, *run_mapping(spec, runs=runs, workers=workers, say=lambda line: typer.echo(line, err=True)))
        return
    from trainer.provenance import code_hash, git_state, versions

    source = {**git_state(), "code_sha256": code_hash("sweeps.problem"), **versions(), "device": "cpu"}
    write_problem(out, name, spec.rows(), [source])


@app.command(rich_help_panel=PANEL)
def bench(name: str, config: Config, out: Annotated[Path, typer.Option(help="Folder for the table.")]) -> None:
    """Time a bench of a grid on this machine and write its table, checked against results/contract.yaml.

    Nothing else should run meanwhile.

    Example: `curselab bench prepacking --config config/smoke.yaml --out results/tables/prepacking`
    """
    from analysis.collect import write_problem
    from sweeps.plan import load_plan
    from trainer import prefill_bench
    from trainer.provenance import code_hash, git_state, versions

    spec = load_plan(config).bench(name)
    rows = list(prefill_bench.bench(spec, say=lambda line: typer.echo(line, err=True)))
    code = {"code_sha256": code_hash("trainer.prefill_bench")}
    write_problem(out, name, rows, [git_state() | code | versions() | {"device": "cpu", "threads": spec.threads}])


@app.command(rich_help_panel=PANEL)
def collect(
    shards: Annotated[list[Path], typer.Argument(help="Shard files of one sweep.")],
    runs: Annotated[Path, typer.Option(help="Folder of the sweep's runs.")],
    out: Annotated[Path, typer.Option(help="Folder for the tables.")],
) -> None:
    """Gather run folders into tables, checked against results/contract.yaml.

    Example: `curselab collect results/shards/scaling/run-0.json --runs results/runs/scaling --out results/tables/scaling`
    """
    from analysis.collect import collect, write_tables

    write_tables(out, collect(shards, runs))


@app.command(rich_help_panel=PANEL)
def fit(
    runs: Annotated[Path, typer.Argument(help="Table of runs, parquet or CSV.")],
    law: Annotated[
        str,
        typer.Option(
            help="Law to fit: a law or problem of the workflow, such as scaling; or a form, such as chinchilla.",
            autocompletion=law_names,
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="JSON file for the fit.")] = None,
    params: Annotated[str, typer.Option(help="Column of a form: parameters.")] = "params",
    tokens: Annotated[str, typer.Option(help="Column of a form: training tokens.")] = "tokens",
    loss: Annotated[str, typer.Option(help="Column of a form: final loss, nats/token.")] = "loss",
    groups: Annotated[str | None, typer.Option(help="Column of a form: runs that are resampled together.")] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples of a form.")] = 4000,
    figure: Annotated[Path | None, typer.Option(help="Path of a figure of a form, without its ending.")] = None,
) -> None:
    """Fit a law to a table of runs and print its summary.

    Example: `curselab fit my_runs.csv --law chinchilla --params N --tokens D --out fit.json --figure fit`
    """
    from analysis.laws.registry import LAWS, PROBLEMS

    if law in LAWS | PROBLEMS:
        if out is None or figure is not None:
            raise InputError(f"fit: law {law} of the workflow is written by --out and drawn by 'curselab figure'")
        from analysis.fit import fit_file

        typer.echo(fit_file(law, runs, out).summary())
        return
    from analysis.fit_form import fit_form

    result, table = fit_form(law, runs, out, params=params, tokens=tokens, loss=loss, groups=groups, bootstrap=bootstrap)
    typer.echo(result.summary())
    if figure is not None:
        from figures.form import draw_form

        draw_form(result, table, figure)


@app.command(rich_help_panel=PANEL)
def figure(
    law: Annotated[str, typer.Argument(autocompletion=law_names)],
    fit: Annotated[Path, typer.Option(help="JSON file of the fit.")],
    runs: Annotated[Path, typer.Option(help="Table of runs.")],
    stem: Annotated[Path, typer.Option(help="Path of the figure without its ending; .pdf, .png and .svg are made.")],
    venue: Venue = "neurips",
) -> None:
    """Draw a law's figure from its fit.

    Example: `curselab figure depth --fit results/fits/depth.json --runs results/tables/depth/runs.parquet --stem depth`
    """
    from figures.draw import draw_file

    draw_file(law, fit, runs, stem, venue=venue)


@app.command(rich_help_panel=PANEL)
def overview(
    stem: Annotated[Path, typer.Option(help="Path of the figure without its ending; .pdf, .png and .svg are made.")],
    laws: Annotated[list[str] | None, typer.Argument(help="Laws to draw, all when left out.")] = None,
    results: Results = Path("results"),
    venue: Venue = "neurips",
) -> None:
    """Draw the headlines of all laws whose fits are there, on one page.

    Fits are read from RESULTS/fits/LAW.json, tables from RESULTS/tables/LAW.

    Example: `curselab overview --stem overview`
    """
    from figures.overview import draw_files

    draw_files(laws, results, stem, venue=venue)


@app.command(rich_help_panel=PANEL)
def table(
    fit: FitFile,
    out: Annotated[Path, typer.Option(help="File to write: .tex, .md, .csv or .html.")],
) -> None:
    """Write a law's table from its fit, as LaTeX, Markdown, CSV or HTML.

    Example: `curselab table results/fits/scaling.json --out scaling.tex`
    """
    from analysis.tables import write_table

    write_table(fit, out)


@app.command(rich_help_panel=PANEL)
def record(
    law: str,
    config: Config,
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    caption: Annotated[str, typer.Option(help="Caption of the figure.")] = "",
    results: Results = Path("results"),
) -> None:
    """Write all there is about a law as one HTML page: figure, table, record of the fit, configuration, provenance.

    They are read from RESULTS/fits/LAW.json, RESULTS/figures/LAW.png and RESULTS/tables/LAW.

    Example: `curselab record scaling --config config/smoke.yaml --out scaling.html`
    """
    from analysis.record import write_record
    from sweeps.plan import configuration

    write_record(law, results, configuration(config, law), caption, out)
