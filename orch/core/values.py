"""Frozen dataclasses, made several times faster than the standard library makes them. Pure.

orch has some two hundred of them, and they were a third of the time that each command takes to start: Python
before 3.13 compiles six functions for each. Here one is compiled, `__init__`; the others are closures over
the names of the fields. What comes out is a dataclass like any other, for `dataclasses.replace`, `match` and
msgspec, and type checkers take it for the standard library's own.
"""

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_MISSING = dataclasses.MISSING


def _dataclass(**options: bool) -> Callable[[type[Any]], type[Any]]:
    """As `dataclasses.dataclass`. Frozen ones with slots are made quickly, all others as ever."""
    kw_only = options.get("kw_only", False)
    if options not in ({"frozen": True, "slots": True}, {"frozen": True, "slots": True, "kw_only": kw_only}):
        return dataclasses.dataclass(**options)

    def make(cls: type[Any]) -> type[Any]:
        made: type[Any] = dataclasses.dataclass(
            init=False, repr=False, eq=False, slots=True, kw_only=kw_only
        )(cls)
        fields = dataclasses.fields(made)
        made.__dataclass_params__.frozen = True
        made.__dataclass_params__.eq = True
        methods = {
            "__init__": _make_init(made, fields, kw_only=kw_only),
            "__repr__": _make_repr(fields),
            **_make_comparison(fields),
            **_make_frozen(made, fields),
        }
        for name, method in methods.items():
            if cls.__dict__.get(name) is None:
                method.__name__, method.__qualname__ = name, f"{made.__qualname__}.{name}"
                setattr(made, name, method)
        return made

    return make


def _make_init(
    cls: type[Any], fields: tuple["dataclasses.Field[Any]", ...], *, kw_only: bool
) -> Callable[..., None]:
    known: dict[str, Any] = {"_set": object.__setattr__, "_missing": _MISSING}
    parameters, lines = ["self", "*"] if kw_only and fields else ["self"], []
    for field in fields:
        name, value = field.name, field.name
        if field.default_factory is not _MISSING:
            known[f"_make_{name}"] = field.default_factory
            parameters.append(f"{name}=_missing")
            value = f"_make_{name}() if {name} is _missing else {name}"
        elif field.default is not _MISSING:
            known[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        lines.append(f" _set(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    text = f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines or [" pass"])
    exec(text, known)  # noqa: S102 - the names are those of our own fields
    made: Callable[..., None] = known["__init__"]
    made.__annotations__ = {**{field.name: field.type for field in fields}, "return": None}
    return made


def _make_repr(fields: tuple["dataclasses.Field[Any]", ...]) -> Callable[[Any], str]:
    names = [field.name for field in fields if field.repr]

    def show(self: Any) -> str:
        told = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({told})"

    return show


def _make_comparison(fields: tuple["dataclasses.Field[Any]", ...]) -> dict[str, Callable[..., Any]]:
    get = _make_getter([field.name for field in fields if field.compare])

    def equals(self: Any, other: Any) -> Any:
        return get(self) == get(other) if other.__class__ is self.__class__ else NotImplemented

    def hash_of(self: Any) -> int:
        return hash(get(self))

    return {"__eq__": equals, "__hash__": hash_of}


def _make_frozen(
    cls: type[Any], fields: tuple["dataclasses.Field[Any]", ...]
) -> dict[str, Callable[..., Any]]:
    names = [field.name for field in fields]
    get = _make_getter(names)

    def assign(self: Any, name: str, value: Any) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def delete(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    def get_state(self: Any) -> list[Any]:
        return list(get(self))

    def set_state(self: Any, state: list[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {
        "__setattr__": assign,
        "__delattr__": delete,
        "__getstate__": get_state,
        "__setstate__": set_state,
    }


def _make_getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What gives the values of the fields as a tuple."""
    if not names:
        return lambda _: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda self: (get(self),)


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
