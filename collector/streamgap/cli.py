"""The command line: `streamgap serve`, `demo`, `doctor`, `idle`, `canary`, `conformance`, `rules`, `dashboards`."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

DESCRIPTION = "Measures and alerts on the gap between what an LLM server streamed and what the browser saw."
EXTRAS = {
    "serve": "collector",
    "demo": "all",
    "doctor": "doctor",
    "idle": "doctor",
    "canary": "doctor",
    "conformance": "doctor",
    "rules": "collector",
    "dashboards": "collector",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status (2: usage)."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="streamgap", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"streamgap {version('streamgap')}")
    parser.add_argument("command", choices=COMMANDS, help="what to do; `streamgap COMMAND --help` says more")
    command = parser.parse_args(words[:1]).command
    try:
        return COMMANDS[command](words[1:])
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("streamgap"):
            raise
        sys.stderr.write(
            f"streamgap {command}: expected the module {error.name}, found none; "
            f"try `pip install 'streamgap[{EXTRAS[command]}]'`\n"
        )
        return 2


# Imports stand inside the commands: an app server installs streamgap without what the others need.


def _serve(argv: Sequence[str]) -> int:
    from streamgap.service import serve  # noqa: PLC0415

    return serve.main(argv)


def _demo(argv: Sequence[str]) -> int:
    from streamgap.demo.run import DemoOptions, run_demo  # noqa: PLC0415

    usual = DemoOptions()
    parser = argparse.ArgumentParser(
        prog="streamgap demo", description="Run everything on loopback, a fake model first."
    )
    parser.add_argument("--port", type=int, default=usual.port, help="port of the demo page, 0 for any free one")
    parser.add_argument("--model", default=usual.model, help="model to ask where GEMINI_API_KEY is set")
    parser.add_argument("--once", action="store_true", help="drive headless Chromium along every path, then end")
    parser.add_argument("--streams", type=int, default=4, help="with --once: streams per path")
    parser.add_argument("--json", action="store_true", help="with --once: print one JSON document")
    parser.add_argument("--no-pager", action="store_true", help="without Prometheus and Alertmanager")
    given = parser.parse_args(argv)
    if given.streams < 1:
        parser.error(f"--streams: expected at least 1, got {given.streams}")
    options = DemoOptions(
        port=0 if given.once else given.port,
        model=given.model,
        once=given.streams if given.once else 0,
        as_json=given.json,
        with_pager=not (given.no_pager or given.once),
    )
    logging.basicConfig(level=logging.WARNING)
    return asyncio.run(run_demo(options))


def _doctor(argv: Sequence[str]) -> int:
    from streamgap.doctor import command  # noqa: PLC0415

    return command.main(argv)


def _idle(argv: Sequence[str]) -> int:
    from streamgap.doctor.idle import command  # noqa: PLC0415

    return command.main(argv)


def _canary(argv: Sequence[str]) -> int:
    from streamgap.doctor.canary import command  # noqa: PLC0415

    return command.main(argv)


def _conformance(argv: Sequence[str]) -> int:
    from streamgap.conformance import command  # noqa: PLC0415

    return command.main(argv)


def _rules(argv: Sequence[str]) -> int:
    from streamgap.alerting.grafana import grafana_rules  # noqa: PLC0415
    from streamgap.alerting.prometheus import prometheus_rules  # noqa: PLC0415

    formats = {"prometheus": prometheus_rules, "grafana": grafana_rules}
    parser = argparse.ArgumentParser(prog="streamgap rules", description="Print the alert rules.")
    parser.add_argument(
        "--format", choices=formats, default="prometheus", help="Prometheus rule file or Grafana-managed"
    )
    sys.stdout.write(formats[parser.parse_args(argv).format]())
    return 0


def _dashboards(argv: Sequence[str]) -> int:
    from streamgap.alerting.dashboard import dashboard  # noqa: PLC0415

    argparse.ArgumentParser(prog="streamgap dashboards", description="Print the Grafana dashboard.").parse_args(argv)
    sys.stdout.write(dashboard())
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "serve": _serve,
    "demo": _demo,
    "doctor": _doctor,
    "idle": _idle,
    "canary": _canary,
    "conformance": _conformance,
    "rules": _rules,
    "dashboards": _dashboards,
}

if __name__ == "__main__":
    raise SystemExit(main())
