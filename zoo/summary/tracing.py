"""Running a model on shapes, while what each cell saw is handed on from operation to operation."""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from zoo.summary.calls import Call, pointwise, tensors
from zoo.summary.intervals import Field, UndefinedError
from zoo.summary.rules import CONSTANTS, RULES

_COMPOSITE = "CompositeImplicitAutograd"
_FACTORIES = (torch.ops.aten.arange,)
_SMALL = 1 << 16


class Tracing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows fields through everything that is computed inside.

    Where an operation has no rule, or a tensor is changed behind the back of another that shares its memory, what
    follows from it is undefined; nothing is guessed.

    Attributes:
        loose: Operations after which the intervals may be wider than the truth, never narrower.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fields: Any = WeakTensorKeyDictionary()
        self._sharing: dict[int, list[weakref.ref[Tensor]]] = {}
        self._changed: dict[int, torch.UntypedStorage] = {}
        self._known: Any = WeakTensorKeyDictionary()
        self.loose: set[str] = set()

    def start(self, tensor: Tensor, field: Field) -> None:
        """Say what a tensor has seen."""
        self._remember(tensor, field)

    def field(self, tensor: Tensor) -> Field | None:
        """What a tensor has seen; None for a constant.

        Raises:
            UndefinedError: It cannot be told.
        """
        found = self._fields.get(tensor)
        if found is None and self._memory(tensor) in self._changed:
            raise UndefinedError("a tensor that was changed through another one")
        if isinstance(found, UndefinedError):
            raise UndefinedError(str(found))
        assert found is None or isinstance(found, Field)
        return found

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = func.name().removeprefix("aten::").partition(".")[0]
        rule = RULES.get(name) or RULES.get(name.removesuffix("_"))
        if rule is None and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE):
            with self:
                done = func.decompose(*args, **kwargs)
            if done is not NotImplemented:
                return done
        if rule is None and torch.Tag.pointwise in func.tags:
            rule = pointwise
        call = Call(name.removesuffix("_"), _bound(func, args, kwargs), None, self.field)
        fields: list[Field | UndefinedError | None]
        given = tensors([*args, *kwargs.values()])
        # Looked up before the call: what it changes in place would be gone.
        call.lookup = self._as_they_are(given)
        call.value = self._known.get
        call.loose = self.loose
        call.result = func(*args, **kwargs)
        results = tensors(call.result)
        try:
            if name in CONSTANTS or all(call.lookup(tensor) is None for tensor in given):
                fields = [None] * len(results)
                self._compute(func, args, kwargs, call.result)
            elif rule is None:
                raise UndefinedError(name)
            else:
                answer = rule(call)
                listed = answer if isinstance(answer, list) else [answer]
                fields = [*listed, *[None] * (len(results) - len(listed))]
        except UndefinedError as error:
            fields = [error] * len(results)
        written = any(argument.alias_info is not None and argument.alias_info.is_write for argument in _schema(func))
        if written:
            self._known.clear()  # it may have been a view of one of them
        for result, field in zip(results, fields, strict=True):
            if written:
                self._overwrite(result, field)
            elif field is not None:
                self._remember(result, field)
        return call.result

    def _compute(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> None:
        """Work out small whole numbers, which may be used as indices, although the model has no storage."""
        if not isinstance(result, Tensor) or result.is_floating_point() or result.numel() > _SMALL:
            return
        made = func.overloadpacket in _FACTORIES
        if not made and (not tensors([*args]) or any(tensor not in self._known for tensor in tensors([*args]))):
            return
        on_cpu = {**kwargs, "device": torch.device("cpu")} if made or "device" in kwargs else kwargs
        known = [self._known[arg] if isinstance(arg, Tensor) else arg for arg in args]
        self._known[result] = func(*known, **on_cpu)

    def _as_they_are(self, given: Sequence[Tensor]) -> Any:
        known: dict[int, Field | UndefinedError | None] = {}
        for tensor in given:
            try:
                known[id(tensor)] = self.field(tensor)
            except UndefinedError as error:
                known[id(tensor)] = error

        def lookup(tensor: Tensor) -> Field | None:
            found = known[id(tensor)]
            if isinstance(found, UndefinedError):
                raise found
            return found

        return lookup

    def _overwrite(self, tensor: Tensor, field: Field | UndefinedError | None) -> None:
        before = self._fields.get(tensor)
        if not _same(before, field):
            memory = self._memory(tensor)
            for reference in self._sharing.get(memory, []):
                other = reference()
                if other is not None and other is not tensor:
                    self._fields[other] = UndefinedError("a tensor that was changed through another one")
            if before is None:
                self._changed[memory] = tensor.untyped_storage()  # held, so that no other gets its address
            if field is None:
                self._fields.pop(tensor, None)
                return
        if field is not None:
            self._remember(tensor, field)

    def _remember(self, tensor: Tensor, field: Field | UndefinedError) -> None:
        self._fields[tensor] = field
        references = self._sharing.setdefault(self._memory(tensor), [])
        references[:] = [reference for reference in references if reference() is not None]
        references.append(weakref.ref(tensor))

    @staticmethod
    def _memory(tensor: Tensor) -> int:
        return int(tensor.untyped_storage()._cdata)


def _same(first: Field | UndefinedError | None, second: Field | UndefinedError | None) -> bool:
    if not isinstance(first, Field) or not isinstance(second, Field):
        return first is second
    for mine, its in zip(first.parts, second.parts, strict=True):
        if mine.ndim != its.ndim or not bool((mine == its).all()):
            return False
    return True


def _schema(func: Any) -> Sequence[Any]:
    arguments: Sequence[Any] = func._schema.arguments
    return arguments


def _bound(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    values = {argument.name: argument.default_value for argument in _schema(func) if argument.has_default_value()}
    values |= {argument.name: value for argument, value in zip(_schema(func), args, strict=False)}
    return {**values, **kwargs}
