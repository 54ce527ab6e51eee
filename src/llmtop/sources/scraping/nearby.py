"""The inference servers of this machine, found by themselves: usual ports whose page is known.

Only pages of metrics are asked for, without a token, from ports that this user's or a container's
process listens at; what answers with something else is asked ever more rarely.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from llmtop.clock import Clock
from llmtop.samples import Batch
from llmtop.sources.scraping.address import PATHS
from llmtop.sources.scraping.engines import ENGINES
from llmtop.sources.scraping.exposition import NotMetricsError, Reader
from llmtop.sources.scraping.fetch import Fetch, FetchError
from llmtop.sources.scraping.listening import listening
from llmtop.sources.scraping.plan import plans
from llmtop.sources.scraping.settings import Settings
from llmtop.sources.scraping.source import LOOK_SECONDS, Scrape

PORTS = (
    *range(8000, 8010), *range(30000, 30010), *range(8080, 8084), 3000, 4000, 9090, 23333, 9091,
    5000, 5001, 9000, 10000,
)  # fmt: skip
"""vLLM and others from 8000 (Triton 8002), SGLang from 30000, llama.cpp and TGI 8080, TGI 3000,
LiteLLM 4000, llm-d 9090, LMDeploy 23333, and where people move them to."""
SEARCH_SECONDS = 10.0
PROBE_SECONDS = 0.5
"""An answer from this machine takes milliseconds."""
LONGEST_PAUSE = 300.0
"""A port that answers with something else is asked again after 10, 20, 40 ... 300 seconds."""


@dataclass(slots=True)
class Probed:
    """A port that was asked in vain."""

    inode: str
    """Another one is another listener."""
    due: float
    pause: float = SEARCH_SECONDS


class Nearby(Scrape):
    """Finds and watches the servers of this machine."""

    def __init__(
        self, *, clock: Clock, settings: Settings | None = None, ports: tuple[int, ...] = PORTS,
        look: Callable[[], dict[int, str] | None] = listening,
    ) -> None:  # fmt: skip
        """Look at `ports` of those that `look` says listen."""
        # A token is for servers that somebody named.
        super().__init__((), clock=clock, settings=replace(settings or Settings(), token=""))
        self.name = "servers"
        self._ports, self._look = ports, look
        self._probed: dict[int, Probed] = {}
        self._known: set[int] = set()
        self._found: SimpleQueue[str] = SimpleQueue()
        self._searched = threading.Event()
        self._trouble = ""

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield what the servers say, those that begin later too."""
        thread = threading.Thread(
            target=self._search, args=(stop,), name="llmtop-nearby", daemon=True
        )
        thread.start()
        yield from super().batches(stop)

    def status(self) -> str:
        """Return why nothing was found; a server that was found and ends is nobody's fault."""
        return self._trouble

    def settled(self) -> bool:
        """Tell whether all there is was found and looked at."""
        searched = self._searched.is_set()
        self.extend()
        return searched and super().settled()

    def check_lost(self) -> None:
        """Raise nothing: there may be none."""

    def search_once(self) -> None:
        """Ask the ports that are due, and note the servers among them."""
        now = self.clock.monotonic()
        open_ports = self._look()
        if open_ports is None:
            # Where the system does not tell, a closed port says so at once.
            open_ports = dict.fromkeys(self._ports, "")
        for port in [port for port in self._probed if port not in open_ports]:
            del self._probed[port]
        for port in self._ports:
            if port not in open_ports or port in self._known:
                continue
            before = self._probed.get(port)
            if before is not None and before.inode == open_ports[port] and before.due > now:
                continue
            if (address := self._probe(port)) is not None:
                self._known.add(port)
                self._found.put(address)
            else:
                same = before is not None and before.inode == open_ports[port]
                pause = min(2 * before.pause, LONGEST_PAUSE) if before and same else SEARCH_SECONDS
                self._probed[port] = Probed(open_ports[port], now + pause, pause)

    def _search(self, stop: threading.Event) -> None:
        due = self.clock.monotonic()
        while not stop.is_set():
            if self.clock.monotonic() >= due:
                due = self.clock.monotonic() + SEARCH_SECONDS
                try:
                    self.search_once()
                    self._trouble = ""
                except Exception as error:  # what is odd today must not end the looking for good
                    self._trouble = f"looking for servers: {error or type(error).__name__}"
                finally:
                    self._searched.set()
            stop.wait(LOOK_SECONDS)

    def _probe(self, port: int) -> str | None:
        """Return the address of the page of a server that a table knows."""
        fetch = Fetch(self.clock)
        try:
            for path in PATHS:
                url = f"http://127.0.0.1:{port}{path}"
                try:
                    page = Reader().read(fetch.get(url, PROBE_SECONDS).text)
                except (FetchError, NotMetricsError):
                    continue
                # Devices of this machine are read from their driver.
                if any(plan.engine.phase == "serve" for plan in plans(page.samples, ENGINES)):
                    return url
            return None
        finally:
            fetch.close()

    def extend(self) -> None:
        """Watch the servers that were found."""
        while True:
            try:
                self.add(self._found.get_nowait())
            except Empty:
                return
