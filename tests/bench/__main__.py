"""Runs all subjects, or those that are named."""

from __future__ import annotations

import argparse

from tests.bench.alerts import alerts
from tests.bench.churn import churn
from tests.bench.export import export
from tests.bench.fleet import fleet
from tests.bench.flow import flow
from tests.bench.hardware import hardware
from tests.bench.keep import keep
from tests.bench.late import late
from tests.bench.log import log
from tests.bench.observe import observe
from tests.bench.overview import overview
from tests.bench.paced import paced
from tests.bench.paint import paint
from tests.bench.raster import raster
from tests.bench.relay import relay
from tests.bench.scrape import scrape
from tests.bench.start import start
from tests.bench.store import store
from tests.bench.table import Subject, machine, note, print_markdown, print_plain

SUBJECTS: dict[str, tuple[str, Subject]] = {
    "log": ("One call in a tight loop", log),
    "paced": ("Calls at 1 kHz", paced),
    "start": ("Import", start),
    "flow": ("Publisher to store, one receiving core", flow),
    "store": ("Store", store),
    "relay": ("A relay for 1000 ranks", relay),
    "export": ("A page for Prometheus of 1000 ranks", export),
    "keep": ("Runs on disk", keep),
    "late": ("Everything is there again", late),
    "churn": ("A relay's day, compressed", churn),
    "raster": ("One frame of one chart", raster),
    "paint": ("Start", paint),
    "overview": ("Overview", overview),
    "fleet": ("A fleet on the screen", fleet),
    "alerts": ("Alert rules", alerts),
    "scrape": ("Servers", scrape),
    "observe": ("A server that publishes", observe),
    "hardware": ("Hardware", hardware),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("subject", nargs="*", help=", ".join(SUBJECTS))
    parser.add_argument("--markdown", action="store_true", help="one table for the README")
    options = parser.parse_args()
    unknown = set(options.subject) - set(SUBJECTS)
    if unknown:
        parser.error(f"no subject {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    wanted = [SUBJECTS[name] for name in options.subject or SUBJECTS]
    if options.markdown:
        tables = []
        for title, measure in wanted:
            note(f"{title} ...")
            tables.append((title, [*measure()]))
        print_markdown(tables)
        return
    print(machine())
    for title, measure in wanted:
        print_plain(title, measure())


if __name__ == "__main__":
    main()
