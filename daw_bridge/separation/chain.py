"""Chains: a stem is separated further by another model, as far as it was asked for in so many words.

`drums:drumsep5` gives the drums to drumsep5; its pieces and what they leave of the drums take their place. Each parent
is the sum of its children, so the leaves of the whole tree null against the mix. That a stem is never separated again
stays the rule for everything that is not such a declared chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daw_bridge.errors import UsageError, did_you_mean
from daw_bridge.separation.disk.residual import RESIDUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One further separation: of `parent`, by `model`, keeping `stems` (None: all); the rest is kept in any case."""

    parent: str
    model: str
    stems: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A stem of a tree: its name in the song, its own name where it was made, and the link that made it (-1: the mix's
    own separation)."""

    name: str
    made_as: str
    link: int


def parse_chain(items: Sequence[str]) -> tuple[Link, ...]:
    """Links from `STEM:MODEL` or `STEM:MODEL:A+B`. Raises UsageError."""
    links: list[Link] = []
    for item in items:
        parent, *rest = item.split(":")
        if len(rest) not in (1, 2) or not parent or not all(rest):
            raise UsageError(f"chain {item!r}: write STEM:MODEL, as in drums:drumsep5, or STEM:MODEL:A+B")
        stems = tuple(rest[1].split("+")) if len(rest) == 2 else None
        if any(parent == link.parent for link in links):
            raise UsageError(f"chain: {parent} is separated twice; one model can have it")
        links.append(Link(parent=parent, model=rest[0], stems=stems))
    return tuple(links)


@dataclass(frozen=True, slots=True)
class Tree:
    """What a chain makes of the first separation's stems, known before anything is computed."""

    links: tuple[Link, ...]
    leaves: tuple[Leaf, ...]
    children: tuple[tuple[Leaf, ...], ...]
    """Of each link."""

    parents: tuple[Leaf, ...]
    """Of each link: the stem that it takes apart."""

    def above(self, leaf: Leaf) -> tuple[str, ...]:
        """The stems that one was taken out of, the outermost first."""
        way: list[str] = []
        while leaf.link >= 0:
            leaf = self.parents[leaf.link]
            way.insert(0, leaf.name)
        return tuple(way)


def plan_tree(roots: Sequence[str], links: Sequence[Link], made_by: Sequence[tuple[tuple[str, ...], str]]) -> Tree:
    """The tree of a chain. `made_by` gives the stems of each link's model and what their rest is called ("" for none).

    Raises UsageError for a parent that is not there when its turn comes, or a stem that a model does not give.
    """
    leaves = [Leaf(name=name, made_as=name, link=-1) for name in roots]
    all_children, parents = [], []
    for index, (link, (known, rest)) in enumerate(zip(links, made_by, strict=True)):
        names = [leaf.name for leaf in leaves]
        if link.parent not in names:
            raise UsageError(
                f"chain {link.parent}:{link.model}: there is no stem called {link.parent!r}"
                f"{did_you_mean(link.parent, names)}; there are {', '.join(names)}"
            )
        for stem in link.stems or ():
            if stem not in known:
                raise UsageError(
                    f"chain {link.parent}:{link.model}: the model has no stem called {stem!r}"
                    f"{did_you_mean(stem, known)}; it gives {', '.join(known)}"
                )
        made = [*(stem for stem in known if link.stems is None or stem in link.stems), rest or RESIDUAL]
        place = names.index(link.parent)
        parents.append(leaves.pop(place))
        children: list[Leaf] = []
        for own in made:
            taken = {leaf.name for leaf in (*leaves, *children)}
            wanted = f"{link.parent}-rest" if own == RESIDUAL else own
            name = wanted if wanted not in taken else f"{link.parent}-{own}"
            children.append(Leaf(name=name, made_as=own, link=index))
        leaves[place:place] = children
        all_children.append(tuple(children))
    return Tree(tuple(links), tuple(leaves), tuple(all_children), tuple(parents))


def tree_as_json(tree: Tree, root_model: str, models: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The tree for the manifest: every stem with the model that took it apart, and its children."""

    def node(leaf: Leaf) -> dict[str, Any]:
        for index, parent in enumerate(tree.parents):
            if parent == leaf:
                return {"name": leaf.name, **models[index], "children": [node(child) for child in tree.children[index]]}
        return {"name": leaf.name}

    roots = [leaf for leaf in (*tree.parents, *tree.leaves) if leaf.link < 0]
    return {"name": "mix", "model": root_model, "children": [node(leaf) for leaf in roots]}
