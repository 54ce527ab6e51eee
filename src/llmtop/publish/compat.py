"""What a script written for wandb finds under `import llmtop as wandb`, beside init, log, finish.

    import llmtop as wandb
    run = wandb.init(project="gpt", config={"lr": 3e-4})
    wandb.config.lr, run.summary["best"] = 1e-4, 0.9

`config` and `summary` are dicts whose changes are published: config as an event and in what later
monitors are told, summary as gauges summary/NAME. What a terminal cannot show is accepted and told
once. Sweeps, artifacts that are used and the public API are not here: a script that needs their
answers must fail where it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llmtop.publish import current
from llmtop.publish.describe import tags_of
from llmtop.publish.inbox import Inbox
from llmtop.publish.run import Run

TAGS = ("project", "entity", "group", "job_type", "notes", "id")
"""Arguments of wandb.init that say what a run belongs to: they become tags."""
ACCEPTED = (
    "define_metric", "link_model", "log_artifact", "log_code", "log_model", "login",
    "mark_preempting", "save", "setup", "unwatch", "watch",
)  # fmt: skip
"""Functions without an answer that a script waits for."""
MEDIA = (
    "Artifact", "Audio", "Graph", "Histogram", "Html", "Image", "Molecule", "Object3D", "Plotly",
    "Settings", "Table", "Video",
)  # fmt: skip
"""Classes whose objects can be made and logged, and are not drawn."""


class Placeholder(Mapping[str, Any]):
    """Stands in for an image, a table and the like; empty, so that logging it logs nothing."""

    def __init__(self, *values: object, **named: object) -> None:
        """Accept anything."""
        accept(type(self).__name__)

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *values, **named: None


class Told(dict[str, Any]):
    """A dict with its keys as attributes, whose changes are told."""

    def __init__(
        self, what: str, inbox: Inbox, tell: Callable[[dict[str, Any]], None],
        known: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Hold `known`; `tell` gets {name: value} of what is changed, `inbox` what goes wrong."""
        super().__init__(known)
        for name, value in (("_what", what), ("_inbox", inbox), ("_tell", tell)):
            object.__setattr__(self, name, value)

    def __setitem__(self, name: str, value: Any) -> None:
        try:
            super().__setitem__(name, value)
            self._tell({name: value})
        except Exception as error:  # A key or a value of the user's may fail in any way.
            self._failed(error)

    def update(self, *more: Any, **named: Any) -> None:
        """Do what dict.update does, of an object's fields too; allow_val_change is no name."""
        named.pop("allow_val_change", None)
        try:
            changed = {**fields_of(more[0] if more else None), **named}
            super().update(changed)
            self._tell(changed)
        except Exception as error:  # So may whatever it is updated from.
            self._failed(error)

    def as_dict(self) -> dict[str, Any]:
        """Return a plain dict of the same."""
        return dict(self)

    def setdefault(self, name: str, value: Any = None) -> Any:
        """Do what dict.setdefault does."""
        if name not in self:
            self[name] = value
        return self[name]

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            known = ", ".join(one for one in self if isinstance(one, str)) or "nothing"
            raise AttributeError(f"no {name!r} among {known}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def _failed(self, error: Exception) -> None:
        self._inbox.problem(f"{self._what} could not be told: {type(error).__name__}", 0)


def fields_of(given: Any) -> dict[str, Any]:
    """Return what `given` holds by name: a mapping, pairs, or an object such as a Namespace."""
    if given is None:
        return {}
    fields = getattr(given, "__dict__", None)
    if fields is not None and not isinstance(given, Mapping):
        return dict(fields)
    return dict(given)


class AlertLevel:
    """Levels of `alert`."""

    INFO = "info"
    WARN = "warning"
    ERROR = "error"


def alert(run: Run) -> Callable[..., None]:
    """Return the function that tells an event of `run`."""

    def tell(title: object, text: object = "", level: object = "info", **named: object) -> None:
        try:
            run.event(f"{title}: {text}" if text else title, level)
        except Exception as error:  # Their __str__ is the user's.
            run._inbox.problem(f"alert() failed: {type(error).__name__}", 0)

    return tell


def accept(name: str) -> None:
    """Tell the run that is open, once, that something is accepted and nothing comes of it."""
    run = current.opened()
    if run is not None:
        run._inbox.problem(f"{name} is accepted, not shown", 0)


def acceptor(name: str) -> Callable[..., None]:
    """Return the function `name`, which accepts anything."""
    return lambda *values, **named: accept(f"{name}()")


def adopt(name: Any, tags: Any, unknown: dict[str, Any]) -> tuple[Any, dict[str, Any] | None]:
    """Take what says where a run belongs out of `unknown`; return the run's name and tags."""
    places = {tag: unknown.pop(tag) for tag in TAGS if tag in unknown}
    named = dict(tags) if isinstance(tags, Mapping) else {"tags": tags}
    told = {key: value for key, value in {**places, **named}.items() if value is not None}
    return places.get("project") if name is None else name, told or None


def config(run: Run) -> Told:
    """Return the configuration of `run`, as it was given to init and changed since."""
    told = run._config
    if not isinstance(told, Told):
        known: dict[str, Any] = {}
        try:
            # Of a run that was pickled there is only what it told.
            known |= fields_of(told) or fields_of(run._about["tags"].get("config"))
        except Exception as error:  # It may be of any type.
            run._inbox.problem(f"config could not be read: {type(error).__name__}", 0)

        def tell(changed: dict[str, Any]) -> None:
            known.update(changed)
            tags = {key: value for key, value in run._about["tags"].items() if key != "config"}
            run._about["tags"] = tags_of(run._inbox, {"tags": tags, "config": known})
            for name, value in changed.items():
                run.event(f"config {name} = {value}", "note")

        told = run._config = Told("config", run._inbox, tell, known)
    return told


def summary(run: Run) -> Told:
    """Return the summary of `run`: what is put there is a gauge, or a note if it is text."""
    told = run._summary
    if not isinstance(told, Told):

        def tell(changed: dict[str, Any]) -> None:
            for name, value in changed.items():
                run.gauge(f"summary/{name}").set(value)

        told = run._summary = Told("summary", run._inbox, tell, {})
    return told


def of_run(run: Run, name: str) -> Any:
    """Return what a run of wandb has under `name`, as far as there is something like it here.

    Raises:
        AttributeError: there is not.
    """
    if name in _OF_RUN:
        return _OF_RUN[name](run)
    if name in TAGS:
        return run._about["tags"].get(name)
    if name in ACCEPTED:
        return acceptor(name)
    raise AttributeError(f"a run has no attribute {name!r}")


def attribute(name: str) -> Any:
    """Return what the module wandb has under `name`, as far as there is something like it here.

    Raises:
        AttributeError: there is not.
    """
    if name == "run":
        return current.opened()
    if name in _OF_RUN:
        return _OF_RUN[name](current.current())
    if name in _OF_MODULE:
        return _OF_MODULE[name]
    raise AttributeError(f"module 'llmtop' has no attribute {name!r}")


_OF_RUN: dict[str, Callable[[Run], Any]] = {
    "alert": alert, "config": config, "summary": summary, "url": lambda run: "",
}  # fmt: skip
_OF_MODULE: dict[str, Any] = {
    "AlertLevel": AlertLevel,
    **{name: acceptor(name) for name in ACCEPTED},
    **{name: type(name, (Placeholder,), {"__doc__": "Accepted."}) for name in MEDIA},
}
