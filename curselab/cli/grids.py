"""Looks at a grid: which runs it means, and where they stand."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curselab.cli.options import Config, Form, Format, OnlySweeps, Results
from curselab.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from sweeps.plan import Plan
    from sweeps.standing import Standing

app = typer.Typer()
PANEL = "Before and during training"
sweep_app = typer.Typer(no_args_is_help=True, help="Look at the grids: which runs a configuration means.")
app.add_typer(sweep_app, name="sweep", rich_help_panel=PANEL)

_EVERY_S = 5.0
Live = Annotated[bool, typer.Option("--live", help="Stay, and show it anew every few seconds; on a terminal only.")]


@sweep_app.command("list")
def sweep_list() -> None:
    """List the sweeps, the controlled truths and the benches, and what each asks.

    Example: `curselab sweep list`
    """
    from sweeps.registry import BENCHES, PROBLEMS, SWEEPS, read_yaml, sweep_file

    for name in SWEEPS + PROBLEMS + BENCHES:
        typer.echo(f"{name:16} {read_yaml(sweep_file(name))['question']}")


@sweep_app.command("expand")
def sweep_expand(config: Config) -> None:
    """Print every run of a grid, one a line: id, sweep, stage, shard, parameters, tokens, FLOP.

    Example: `curselab sweep expand --config config/smoke.yaml`
    """
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
    """Print the whole spec of one run as JSON.

    Example: `curselab sweep show 0123456789ab --config config/smoke.yaml`
    """
    import json

    from sweeps.plan import load_plan
    from trainer.strict import to_mapping

    for run in load_plan(config).runs:
        if run.run_id == run_id:
            typer.echo(json.dumps(to_mapping(run.spec), indent=2))
            return
    raise InputError(f"run {run_id!r}: not in {config}; 'curselab sweep expand --config {config}' lists its runs")


@app.command(rich_help_panel=PANEL)
def status(
    config: Config = Path("config/default.yaml"),
    results: Results = Path("results"),
    sweep: OnlySweeps = None,
    live: Live = False,
    runs: Annotated[bool, typer.Option("--runs", help="One line a run that is not complete.")] = False,
    form: Form = Format.TEXT,
) -> None:
    """Say where the runs of a grid stand: complete, diverged, running, begun, stale or missing.

    *left out*: the run's teacher or base diverged. *begun*: it was stopped or failed, and goes on when it is started again.
    *stale*: complete, but of other code or text than now, so it would be trained again.

    Example: `curselab status --config config/smoke.yaml --live`
    """
    from curselab.cli.terminal import console, show
    from sweeps.plan import load_plan
    from sweeps.standing import standings, strangers

    grid = load_plan(config)
    plan = grid.only(sweep)
    found = standings(plan, results)
    screen = console()
    if live and screen.is_terminal and form is Format.TEXT:
        _watch(plan, results, found)
        return
    if runs:
        rest = [s for s in found if s.state != "complete"]
        show([{"sweep": s.run.sweep, "stage": s.run.stage, "run_id": s.run.run_id, "state": s.state} for s in rest], form)
        return
    if form is not Format.TEXT:
        show(_by_sweep(found), form)
        return
    screen.print(_table(found))
    typer.echo(_line(found))
    for line in plan.left_out.values():
        typer.echo(line)
    others = strangers(grid, results)
    if others:
        typer.echo(f"not of this grid: {len(others)} in {results / 'runs'}, such as {others[0]}")


def _watch(plan: "Plan", results: Path, found: "list[Standing]") -> None:
    """Show the table until nothing is left to train."""
    from rich.console import Group
    from rich.live import Live as LiveView

    from curselab.cli.terminal import console
    from sweeps.standing import standings

    with LiveView(console=console(), auto_refresh=False) as view:
        while True:
            view.update(Group(_table(found), _line(found)), refresh=True)
            if all(s.done for s in found):
                return
            time.sleep(_EVERY_S)
            found = standings(plan, results)


def _by_sweep(found: "list[Standing]") -> list[dict[str, Any]]:
    """One row a sweep: how many runs are in which state, and the share of the FLOP that is done."""
    from sweeps.standing import STATES

    rows = []
    for sweep in dict.fromkeys(s.run.sweep for s in found):
        mine = [s for s in found if s.run.sweep == sweep]
        counts: dict[str, Any] = {state: sum(s.state == state for s in mine) for state in STATES}
        share = sum(s.flop for s in mine if s.done) / sum(s.flop for s in mine)
        rows.append({"sweep": sweep, "runs": len(mine)} | counts | {"flop_done_percent": round(100 * share, 1)})
    return rows


def _table(found: "list[Standing]") -> "Table":
    """Lay out the states that there are."""
    from curselab.cli.terminal import text_table

    rows = _by_sweep(found)
    there = [name for name in rows[0] if name == "complete" or any(row[name] for row in rows)] if rows else []
    return text_table([{name: row[name] for name in there} for row in rows])


def _line(found: "list[Standing]") -> str:
    """Runs done of all, how many are being trained, how fast, and how long still."""
    from sweeps.standing import pace
    from trainer.progress import time_left

    done, running = sum(s.done for s in found), sum(s.state == "running" for s in found)
    words = [f"{done} of {len(found)} runs done"]
    if running:
        now = pace(found, now=time.time())
        words += [f"{running} running"]
        words += ["time left unknown"] if now is None else [f"{now.tokens_per_s:,.0f} tokens/s", time_left(now.seconds_left)]
    return ", ".join(words)
