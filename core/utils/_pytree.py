"""torch.utils._pytree: nested containers as a list of leaves and a description of the nesting.

PyTorch's own libraries and some others import it by this name. Serialisation of descriptions is not here.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = [
    "LeafSpec", "PyTree", "TreeSpec", "register_pytree_node", "tree_all", "tree_all_only", "tree_any", "tree_any_only",
    "tree_flatten", "tree_is_leaf", "tree_iter", "tree_leaves", "tree_map", "tree_map_", "tree_map_only", "tree_map_only_",
    "tree_structure", "tree_unflatten",
]  # fmt: skip

PyTree = Any
IsLeaf = Callable[[Any], bool] | None


class _Node(NamedTuple):
    flatten: Callable[[Any], tuple[Iterable[Any], Any]]
    unflatten: Callable[[Iterable[Any], Any], Any]


_NODES: dict[type, _Node] = {}


def register_pytree_node(
    cls: type,
    flatten_fn: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten_fn: Callable[[Iterable[Any], Any], Any],
    **_: Any,
) -> None:
    """Enters a container: flatten_fn(x) gives its children and a context, unflatten_fn(children, context) makes it again."""
    if cls in _NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _NODES[cls] = _Node(flatten_fn, unflatten_fn)


register_pytree_node(tuple, lambda x: (list(x), None), lambda c, _: tuple(c))
register_pytree_node(list, lambda x: (x, None), lambda c, _: list(c))
register_pytree_node(dict, lambda x: (list(x.values()), list(x)), lambda c, k: dict(zip(k, c, strict=True)))
register_pytree_node(
    OrderedDict, lambda x: (list(x.values()), list(x)), lambda c, k: OrderedDict(zip(k, c, strict=True))
)
register_pytree_node(
    defaultdict,
    lambda x: (list(x.values()), [x.default_factory, list(x)]),
    lambda c, k: defaultdict(k[0], zip(k[1], c, strict=True)),
)
register_pytree_node(deque, lambda x: (list(x), x.maxlen), lambda c, n: deque(c, maxlen=n))
_NAMED = _Node(lambda x: (list(x), type(x)), lambda c, kind: kind(*c))


def _is_named(x: Any) -> bool:
    return isinstance(x, tuple) and type(x) is not tuple and hasattr(type(x), "_fields")


def _node_of(x: Any) -> tuple[Any, _Node] | None:
    """What stands for the container's type in a TreeSpec, and how it is taken apart; None for a leaf."""
    found = _NODES.get(type(x))
    if found is not None:
        return type(x), found
    return (_Named, _NAMED) if _is_named(x) else None


class _Named:
    """In a TreeSpec's type: a namedtuple, whose class is the context."""


_Named.__name__ = "namedtuple"


@dataclass(frozen=True)
class TreeSpec:
    """The nesting of a tree: the type of its container, what makes it again, and the children's TreeSpecs."""

    type: Any
    context: Any
    children_specs: list[TreeSpec]

    def is_leaf(self) -> bool:
        return self.type is None

    @property
    def num_leaves(self) -> int:
        return 1 if self.is_leaf() else sum(c.num_leaves for c in self.children_specs)

    @property
    def num_nodes(self) -> int:
        return 1 + sum(c.num_nodes for c in self.children_specs)

    @property
    def num_children(self) -> int:
        return len(self.children_specs)

    def children(self) -> list[TreeSpec]:
        return list(self.children_specs)

    def child(self, index: int) -> TreeSpec:
        return self.children_specs[index]

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        given = list(leaves)
        if len(given) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(given)} but the spec refers to a pytree that holds "
                f"{self.num_leaves} items ({self})."
            )
        return self._made(iter(given))

    def _made(self, leaves: Any) -> Any:
        if self.is_leaf():
            return next(leaves)
        node = _NAMED if self.type is _Named else _NODES[self.type]
        return node.unflatten([c._made(leaves) for c in self.children_specs], self.context)

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The subtrees of `tree` at this one's leaves. ValueError where the nesting differs above them."""
        if self.is_leaf():
            return [tree]
        found = _node_of(tree)
        if found is None or found[0] is not self.type:
            raise ValueError(f"Node type mismatch; expected {self.type!r}, but got {type(tree)!r}.")
        children, context = found[1].flatten(tree)
        parts = list(children)
        if len(parts) != len(self.children_specs):
            raise ValueError(
                f"Node arity mismatch; expected {len(self.children_specs)}, but got {len(parts)}."
            )
        if self.type in (dict, OrderedDict):
            if set(context) != set(self.context):
                raise ValueError(f"Node keys mismatch; expected {self.context}, but got {context}.")
            parts = [tree[k] for k in self.context]
        elif context != self.context:
            raise ValueError(f"Node context mismatch; expected {self.context}, but got {context}.")
        return [
            leaf for c, part in zip(self.children_specs, parts, strict=True) for leaf in c.flatten_up_to(part)
        ]

    def __repr__(self, indent: int = 0) -> str:
        if self.is_leaf():
            return "*"
        inner = (",\n" + " " * (indent + 2)).join(c.__repr__(indent + 2) for c in self.children_specs)
        return f"TreeSpec({self.type.__name__}, {self.context}, [{inner}])"


_LEAF = TreeSpec(None, None, [])


def LeafSpec() -> TreeSpec:
    """The TreeSpec of a tree that is one leaf."""
    return _LEAF


def _flatten(tree: Any, leaves: list[Any], is_leaf: IsLeaf) -> TreeSpec:
    found = None if is_leaf is not None and is_leaf(tree) else _node_of(tree)
    if found is None:
        leaves.append(tree)
        return _LEAF
    kind, node = found
    children, context = node.flatten(tree)
    return TreeSpec(kind, context, [_flatten(c, leaves, is_leaf) for c in children])


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], TreeSpec]:
    """The leaves in order, and the TreeSpec that makes the tree of them again. None is a leaf; is_leaf: what else is one."""
    leaves: list[Any] = []
    spec = _flatten(tree, leaves, is_leaf)
    return leaves, spec


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The tree of these leaves. ValueError where their number differs, TypeError where treespec is no TreeSpec."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            f"Expected `treespec` to be an instance of TreeSpec but got item of type {type(treespec)}."
        )
    return treespec.unflatten(leaves)


def tree_iter(tree: Any, is_leaf: IsLeaf = None) -> Iterable[Any]:
    yield from tree_flatten(tree, is_leaf)[0]


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> TreeSpec:
    return tree_flatten(tree, is_leaf)[1]


def tree_is_leaf(tree: Any, is_leaf: IsLeaf = None) -> bool:
    return (is_leaf is not None and is_leaf(tree)) or _node_of(tree) is None


def _calls(func: Callable[..., Any], tree: Any, rests: Any, is_leaf: IsLeaf) -> tuple[Any, TreeSpec]:
    leaves, spec = tree_flatten(tree, is_leaf)
    return map(func, leaves, *(spec.flatten_up_to(r) for r in rests)), spec


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """A tree of func(leaf, …), whose further arguments come from the same places of `rests`."""
    made, spec = _calls(func, tree, rests, is_leaf)
    return spec.unflatten(made)


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """Calls func on every leaf for what it does, and gives back `tree`."""
    deque(_calls(func, tree, rests, is_leaf)[0], maxlen=0)
    return tree


def _is_one(kinds: Any) -> Callable[[Any], bool]:
    if isinstance(kinds, type | tuple) or hasattr(kinds, "__args__"):
        return lambda x: isinstance(x, kinds)
    if callable(kinds):
        return kinds  # type: ignore[no-any-return]
    raise TypeError("Argument must be a type, a tuple of types, or a callable.")


def _only(kinds: Any, func: Callable[..., Any]) -> Callable[..., Any]:
    wanted = _is_one(kinds)
    return lambda x: func(x) if wanted(x) else x


def tree_map_only(kinds: Any, func: Callable[..., Any], tree: Any, is_leaf: IsLeaf = None) -> Any:
    """tree_map over leaves of these types (a type, several, or a predicate); the others stay."""
    return tree_map(_only(kinds, func), tree, is_leaf=is_leaf)


def tree_map_only_(kinds: Any, func: Callable[..., Any], tree: Any, is_leaf: IsLeaf = None) -> Any:
    return tree_map_(_only(kinds, func), tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    return any(map(pred, tree_leaves(tree, is_leaf)))


def tree_all_only(kinds: Any, pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    wanted = _is_one(kinds)
    return all(pred(x) for x in tree_leaves(tree, is_leaf) if wanted(x))


def tree_any_only(kinds: Any, pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    wanted = _is_one(kinds)
    return any(pred(x) for x in tree_leaves(tree, is_leaf) if wanted(x))
