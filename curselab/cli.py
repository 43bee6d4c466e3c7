"""The command line: one verb a stage of the workflow, and a look at the grids.

Each command imports what it needs when it runs, so help and planning never pay for torch.
"""

import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from curselab.errors import InputError

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")
sweep_app = typer.Typer(no_args_is_help=True, help="Look at the grids: which runs a configuration means.")
app.add_typer(sweep_app, name="sweep")

Config = Annotated[Path, typer.Option(help="Grid, such as config/smoke.yaml.")]
Results = Annotated[Path, typer.Option(help="Folder of results.")]


@app.callback()
def curselab() -> None:
    """Scaling laws of where more stops helping: sweeps, fits, figures.

    `snakemake` runs all stages; each command here is one stage by itself.
    """


@app.command()
def text(text_id: str, config: Config, out: Annotated[Path, typer.Option(help="Folder to make.")]) -> None:
    """Prepare one text of a grid: read, split, tokenise, write memory-mapped token files."""
    from sweeps.plan import load_plan
    from trainer.text import prepare_text

    texts = load_plan(config).texts
    if text_id not in texts:
        raise InputError(f"text {text_id!r}: not in {config} (allowed: {', '.join(texts)})")
    prepared = prepare_text(texts[text_id], out)
    for split in ("train", "teacher", "validation") if texts[text_id].teacher_share > 0 else ("train", "validation"):
        tokens, size = prepared.n_tokens(split), prepared.n_bytes(split)
        typer.echo(f"text {text_id}: {split} {size:,} bytes, {tokens:,} tokens", err=True)


@app.command()
def train(
    sweep: str,
    shard: str,
    config: Config,
    digest: Annotated[
        str, typer.Option(help="Digest of the shard that was planned; refused when the grid says otherwise.")
    ] = "",
    results: Results = Path("results"),
    workers: Annotated[int, typer.Option(min=1, help="Processes that train at once, one thread each.")] = 1,
    log: Annotated[Path | None, typer.Option(help="Progress is also written here.")] = None,
) -> None:
    """Train one shard of a grid; complete runs are kept, a half-done run goes on from its checkpoint."""
    from contextlib import nullcontext

    from sweeps.plan import load_plan
    from trainer.progress import Progress
    from trainer.shard import train_shard
    from trainer.spec import PlannedRun

    plan = load_plan(config)
    runs = plan.shard(sweep, shard)
    if digest and digest != plan.digest(sweep, shard):
        raise InputError(
            f"shard {shard} of {sweep}: {config} is not the grid that was planned; grids are changed in their file"
        )

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


@app.command()
def problem(
    name: str,
    config: Config,
    out: Annotated[Path, typer.Option(help="Folder for the table.")],
    results: Results = Path("results"),
    workers: Annotated[int, typer.Option(min=1, help="Processes that train at once, one thread each.")] = 1,
) -> None:
    """Run a controlled truth of a grid and write its table, checked against results/contract.yaml.

    Complete teachers with their students are kept in RESULTS/runs/NAME; the same command goes on from there.
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


@app.command()
def bench(name: str, config: Config, out: Annotated[Path, typer.Option(help="Folder for the table.")]) -> None:
    """Time a bench of a grid on this machine and write its table, checked against results/contract.yaml.

    Nothing else should run meanwhile.
    """
    from analysis.collect import write_problem
    from sweeps.plan import load_plan
    from trainer import prefill_bench
    from trainer.provenance import code_hash, git_state, versions

    spec = load_plan(config).bench(name)
    rows = list(prefill_bench.bench(spec, say=lambda line: typer.echo(line, err=True)))
    code = {"code_sha256": code_hash("trainer.prefill_bench")}
    write_problem(out, name, rows, [git_state() | code | versions() | {"device": "cpu", "threads": spec.threads}])


@app.command()
def collect(
    shards: Annotated[list[Path], typer.Argument(help="Shard files of one sweep.")],
    runs: Annotated[Path, typer.Option(help="Folder of the sweep's runs.")],
    out: Annotated[Path, typer.Option(help="Folder for the tables.")],
) -> None:
    """Gather run folders into tables, checked against results/contract.yaml."""
    from analysis.collect import collect, write_tables

    write_tables(out, collect(shards, runs))


@app.command()
def fit(
    runs: Annotated[Path, typer.Argument(help="Table of runs, parquet or CSV.")],
    law: Annotated[
        str, typer.Option(help="Law to fit: a law or problem of the workflow, such as scaling; or a form, such as chinchilla.")
    ],
    out: Annotated[Path | None, typer.Option(help="JSON file for the fit.")] = None,
    params: Annotated[str, typer.Option(help="Column of a form: parameters.")] = "params",
    tokens: Annotated[str, typer.Option(help="Column of a form: training tokens.")] = "tokens",
    loss: Annotated[str, typer.Option(help="Column of a form: final loss, nats/token.")] = "loss",
    groups: Annotated[str | None, typer.Option(help="Column of a form: runs that are resampled together.")] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples of a form.")] = 4000,
    figure: Annotated[Path | None, typer.Option(help="Path of a figure of a form, without its ending.")] = None,
) -> None:
    """Fit a law to a table of runs and print its summary."""
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


@app.command()
def figure(
    law: str,
    fit: Annotated[Path, typer.Option(help="JSON file of the fit.")],
    runs: Annotated[Path, typer.Option(help="Table of runs.")],
    stem: Annotated[Path, typer.Option(help="Path of the figure without its ending; .pdf and .png are made.")],
) -> None:
    """Draw a law's figure from its fit."""
    from figures.draw import draw_file

    draw_file(law, fit, runs, stem)


@app.command()
def table(
    fit: Annotated[Path, typer.Argument(help="JSON file of the fit.")],
    out: Annotated[Path, typer.Option(help="LaTeX file.")],
) -> None:
    """Write a law's LaTeX table from its fit."""
    from analysis.tables import write_table

    write_table(fit, out)


@sweep_app.command("list")
def sweep_list() -> None:
    """List the sweeps, the controlled truths and the benches, and what each asks."""
    from sweeps.registry import BENCHES, PROBLEMS, SWEEPS, read_yaml, sweep_file

    for name in SWEEPS + PROBLEMS + BENCHES:
        typer.echo(f"{name:16} {read_yaml(sweep_file(name))['question']}")


@sweep_app.command("expand")
def sweep_expand(config: Config) -> None:
    """Print every run of a grid, one a line: id, sweep, stage, shard, parameters, tokens, FLOP."""
    from sweeps.plan import load_plan
    from trainer.flops import count_parameters

    plan = load_plan(config)
    shard_of = {run: shard for sweep in plan.sweeps for shard in plan.shards(sweep) for run in plan.shard(sweep, shard)}
    for run in plan.runs:
        params = count_parameters(run.spec.model, run.spec.text.tokenizer.vocab_size).non_embedding
        tokens = run.spec.steps * run.spec.tokens_per_step
        typer.echo(
            f"{run.run_id} {run.sweep} {shard_of[run]} seed={run.spec.seed} N={params} D={tokens} {plan.flop(run):.2e} FLOP"
        )
    typer.echo(f"{len(plan.runs)} runs, {sum(map(plan.flop, plan.runs)):.2e} FLOP", err=True)


@sweep_app.command("show")
def sweep_show(run_id: str, config: Config) -> None:
    """Print the whole spec of one run as JSON."""
    import json

    from sweeps.plan import load_plan
    from trainer.strict import to_mapping

    for run in load_plan(config).runs:
        if run.run_id == run_id:
            typer.echo(json.dumps(to_mapping(run.spec), indent=2))
            return
    raise InputError(f"run {run_id!r}: not in {config}; 'curselab sweep expand --config {config}' lists its runs")


class _Stop(BaseException):
    """A signal asked the process to stop."""


def _stop(number: int, frame: object) -> NoReturn:
    raise _Stop(number)


def main() -> NoReturn:
    """Run the command line; what a person can mend is one line and exit status 1."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        app()
    except InputError as error:
        _leave(str(error), 1)
    except OSError as error:
        _leave(f"{error.filename or 'files'}: {error.strerror or str(error).splitlines()[0]}", 1)
    except _Stop as stop:
        received = signal.Signals(stop.args[0])
        _leave(f"stopped by {received.name}; complete runs are kept, and the same command goes on from there", 128 + received)
    sys.exit(0)


def _leave(line: str, status: int) -> NoReturn:
    print(f"curselab: {line}", file=sys.stderr)
    sys.exit(status)
