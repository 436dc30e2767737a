"""Each value is what the standard library would have made, beside which it stands here."""

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from orch.core import values


class Point:
    """A class whose fields have every kind of default."""

    x: int
    y: int = 2
    more: list[int] = dataclasses.field(default_factory=list)
    hidden: int = dataclasses.field(default=3, repr=False, compare=False)


class Single:
    only: float = 1.0


class Empty:
    pass


class Checked:
    x: int

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError(self.x)


class Special:
    x: int = 0

    def __repr__(self) -> str:
        return "special"

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def pair(cls: type[Any], **more: bool) -> tuple[Any, Any]:
    """The class as it is made here, and as the standard library makes it."""

    def fresh() -> type[Any]:
        inner = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        return type(cls.__name__, (), inner)

    ours = values.dataclass(frozen=True, slots=True, **more)(fresh())
    return ours, dataclasses.dataclass(frozen=True, slots=True, **more)(fresh())


CALLS: list[tuple[type[Any], tuple[Any, ...], dict[str, Any]]] = [
    (Point, (1,), {}),
    (Point, (1, 5, [7]), {"hidden": 9}),
    (Point, (), {}),
    (Point, (1,), {"z": 1}),
    (Single, (), {}),
    (Single, (2.5,), {}),
    (Empty, (), {}),
    (Checked, (1,), {}),
    (Checked, (-1,), {}),
    (Special, (4,), {}),
]


def attempt(call: Any) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - which one it is is what is compared
        return type(error), str(error).rpartition(".")[2]


@pytest.mark.parametrize(("cls", "given", "named"), CALLS)
def test_it_behaves_as_the_standard_librarys(
    cls: type[Any], given: tuple[Any, ...], named: dict[str, Any]
) -> None:
    told = []
    for made in pair(cls):
        one = attempt(lambda made=made: made(*given, **named))
        if isinstance(one, tuple):
            told.append(one)
            continue
        told.append(
            (
                attempt(lambda one=one: repr(one)),
                attempt(lambda one=one: hash(one)),
                attempt(lambda one=one, made=made: one == made(*given, **named)),
                one == 1,
                dataclasses.asdict(one),
                made.__match_args__,
                [field.name for field in dataclasses.fields(made)],
                attempt(lambda one=one: setattr(one, "x", 1)) is not None,
                attempt(lambda one=one: delattr(one, "x")) is not None,
                attempt(lambda one=one: setattr(one, "new", 1)) is not None,
                repr(copy.copy(one)),
                attempt(lambda one=one: repr(dataclasses.replace(one, x=8))),
                made.__dataclass_params__.frozen,
                hasattr(one, "__dict__"),
                made.__init__.__qualname__,
            )
        )
    assert told[0] == told[1]


@values.dataclass(frozen=True, slots=True)
class Known:
    x: int = 1


def test_it_can_be_pickled_and_inherited_from() -> None:
    assert pickle.loads(pickle.dumps(Known(5))) == Known(5)  # noqa: S301

    class Wider(Known):
        __slots__ = ("free",)
        free: int

    wider = Wider(3)
    wider.free = 1
    assert wider.free == 1
    del wider.free
    assert wider != Known(3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        wider.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del wider.x


def test_fields_by_keyword_only() -> None:
    for made in pair(Point, kw_only=True):
        assert made(x=1) == made(y=2, x=1)
        with pytest.raises(TypeError):
            made(1)
    assert pair(Empty, kw_only=True)[0]() is not None


def test_all_other_options_are_the_standard_librarys() -> None:
    @values.dataclass(frozen=True, slots=True, order=True)
    class Ordered:
        x: int

    ordered: Any = Ordered
    assert ordered(1) < ordered(2)
