"""Containers: dicts, dataclasses, files, and keywords for what is common."""

import json
import os
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from . import _native

if TYPE_CHECKING:
    from .types import Container, ContainerDict, MountDict, Mount, Network, NetworkDict

    StrOrBytesPath = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
    AnyContainer = Union[ContainerDict, Container, Dict[str, Any], StrOrBytesPath]
    AnyNetwork = Union[str, NetworkDict, Network, Dict[str, Any]]
    AnyMount = Union[MountDict, Mount, Dict[str, Any]]

Keyword = Tuple[str, str, Any]


def load(path: "StrOrBytesPath") -> Dict[str, Any]:
    """Reads a container from a TOML or JSON file; its relative paths begin where the file lies.

    Only a regular file is read, of 4 MiB at most: anything else is an error at once.
    """
    request: Dict[str, Any] = _native.load(os.fsdecode(path))
    return request


def read(container: "Optional[AnyContainer]") -> Any:
    """What the native module takes."""
    if isinstance(container, (str, bytes)) or hasattr(type(container), "__fspath__"):
        return load(container)  # type: ignore[arg-type]
    return container


def keywords(
    preset: Optional[str] = None,
    memory: Union[int, str, None] = None,
    cpus: Optional[float] = None,
    pids: Optional[int] = None,
    network: "Optional[AnyNetwork]" = None,
    mounts: "Optional[Iterable[AnyMount]]" = None,
) -> List[Keyword]:
    """The keywords that were given, and the fields that they stand for."""
    given: List[Keyword] = [
        (name, field, value)
        for name, field, value in (
            ("preset", "preset", preset),
            ("memory", "limits.memory_max", memory),
            ("cpus", "limits.cpu_max", cpus),
            ("pids", "limits.pids_max", pids),
        )
        if value is not None
    ]
    if isinstance(network, str):
        kinds: Dict[str, Tuple[str, Any]] = {
            "none": ("namespaces.net", "new"),
            "host": ("namespaces.net", "inherit"),
            "veth": ("network", {"type": "veth"}),
            "pasta": ("network", {"type": "pasta"}),
        }
        if network not in kinds:
            raise ValueError(f'network: "{network}"; it can be "none", "host", "veth", "pasta" or a dict')
        field, value = kinds[network]
        given.append(("network", field, value))
    elif network is not None:
        given.append(("network", "network", network))
    if mounts is not None:
        given.append(("mounts", "mounts", mounts if isinstance(mounts, (str, bytes, dict)) else list(mounts)))
    return given


class Explanation(List[Dict[str, Any]]):
    """Who would do what, in which order: a list of actions, and as a str the text that ``seclude explain`` prints."""

    text: str

    def __str__(self) -> str:
        return self.text


def explain(
    args: "Union[StrOrBytesPath, Sequence[StrOrBytesPath]]",
    *,
    container: "Optional[AnyContainer]" = None,
    preset: Optional[str] = None,
    memory: Union[int, str, None] = None,
    cpus: Optional[float] = None,
    pids: Optional[int] = None,
    network: "Optional[AnyNetwork]" = None,
    mounts: "Optional[Iterable[AnyMount]]" = None,
) -> Explanation:
    """What a start would do, without doing it."""
    words = [args] if isinstance(args, (str, bytes, os.PathLike)) else list(args)
    given = keywords(preset, memory, cpus, pids, network, mounts)
    actions, text = _native.explain(words, read(container), given)
    explanation = Explanation(json.loads(actions))
    explanation.text = text
    return explanation


def doctor() -> Dict[str, Any]:
    """What this host can do, found by doing it: ``findings``, ``root``, ``sandbox_works`` and a ``summary``."""
    text, works, summary = _native.doctor()
    return {**json.loads(text), "sandbox_works": works, "summary": summary}
