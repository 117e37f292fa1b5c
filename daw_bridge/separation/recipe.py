"""What the options ask for: one model, an ensemble, and chains behind either, checked before a model is loaded."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

from daw_bridge.progress import OnProgress, ignore_progress
from daw_bridge.separation.catalog import chosen_model, model_info
from daw_bridge.separation.chain import Link, Tree, parse_chain, plan_tree
from daw_bridge.separation.disk.residual import COMPLEMENT_PREFIX, RESIDUAL
from daw_bridge.separation.ensemble import Ensemble, parse_ensemble
from daw_bridge.separation.families import loader
from daw_bridge.separation.families.store import combined_sha256
from daw_bridge.separation.licence import require_accepted
from daw_bridge.separation.model_info import ModelInfo, check_stems
from daw_bridge.separation.options import SeparationOptions, wanted_stems


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What the options ask for, checked as far as it can be before a model is loaded."""

    options: SeparationOptions
    root: ModelInfo | None
    """The one model of the first separation; None for an ensemble."""

    ensemble: Ensemble | None
    taken: tuple[tuple[str, ...], ...]
    """Which stems are taken from each member of the ensemble."""

    tree: Tree

    @property
    def is_plain(self) -> bool:
        """One model and nothing else."""
        return self.ensemble is None and not self.tree.links

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """Every model that will run, in that order."""
        members = [model_info(member.model) for member in self.ensemble.members] if self.ensemble else []
        roots = [self.root] if self.root is not None else members
        return (*roots, *(model_info(link.model) for link in self.tree.links))

    @property
    def name(self) -> str:
        """For the manifest and the song's notes."""
        members = "+".join(member.model for member in self.ensemble.members) if self.ensemble else ""
        root = self.root.name if self.root is not None else f"ensemble {members}"
        return " > ".join([root, *(f"{link.parent}:{link.model}" for link in self.tree.links)])

    @property
    def stem_names(self) -> tuple[str, ...]:
        """The files that will be written, for all that is known before the models are loaded."""
        return tuple(leaf.name for leaf in self.tree.leaves)

    def options_for(self, link: Link) -> SeparationOptions:
        """How a link's model runs on its parent: the rest is kept, nothing is rounded, and a stem is what it wants."""
        return options_for_model(self.options, link.model, link.stems, residual="keep")


def read_recipe(options: SeparationOptions) -> Recipe:
    """Raises UsageError, ModelError, TemplateError, WeightsMissing, and GuardRefused for a licence not accepted."""
    ensemble = parse_ensemble(options.ensemble) if options.ensemble else None
    links = parse_chain(options.chain)
    root: ModelInfo | None = None
    taken: tuple[tuple[str, ...], ...] = ()
    if ensemble is None:
        root = chosen_model(options)
        known = root.stems
    else:
        given = [model_info(member.model).stems for member in ensemble.members]
        taken = ensemble.stems_of(given)
        known = tuple(dict.fromkeys(itertools.chain(*taken)))
    if options.weights is None:  # weights of one's own may give other stems
        check_stems(wanted_stems(options) or (), root.name if root is not None else "the ensemble", known)
    made_by = [(info.stems, _rest_of(info, link.stems)) for link in links for info in (model_info(link.model),)]
    tree = plan_tree(_first_stems(options, root, known), links, made_by)
    recipe = Recipe(options=options, root=root, ensemble=ensemble, taken=taken, tree=tree)
    require_accepted(recipe.models, accept=options.accept_licence)
    return recipe


def _rest_of(info: ModelInfo, stems: tuple[str, ...] | None) -> str:
    whole = len(info.stems) == 1 and (stems is None or stems == info.stems)
    return info.complement if whole else ""


def _first_stems(options: SeparationOptions, root: ModelInfo | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """The stems of the first separation, with its residual or complement."""
    if options.two_stems:
        return (options.two_stems, COMPLEMENT_PREFIX + options.two_stems)
    kept = tuple(name for name in known if options.stems is None or name in options.stems) or (options.stems or ())
    rest = _rest_of(root, options.stems) if root is not None else ""
    return (*kept, rest or RESIDUAL) if options.residual == "keep" else kept


def options_for_model(
    options: SeparationOptions, model: str, stems: tuple[str, ...] | None, *, residual: Any
) -> SeparationOptions:
    """One step's own options."""
    return replace(
        options,
        model=model,
        stems=stems,
        residual=residual,
        weights=None,
        checkpoint=None,
        config=None,
        ensemble=None,
        chain=(),
        two_stems=None,
        encoding="float32",
        allow_stems=True,
    )


def weights_of(options: SeparationOptions, on_progress: OnProgress = ignore_progress) -> str:
    """One sha256 over the weights of all models, fetched where they are not here. Raises as `loader.weights_sha256`."""
    recipe = read_recipe(options)
    steps = [options_for_model(options, info.name, None, residual="keep") for info in recipe.models]
    if recipe.root is not None:
        steps[0] = options
    return combined_sha256([loader.weights_sha256(step, on_progress) for step in steps])
