"""From what people say to a config: the domain's and the model's defaults, the file, the options; or from a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfedit.config import Config, ModelConfig, config_tree, merge, resolve, validated
from selfedit.config.presets import DEFAULT
from selfedit.config.presets import preset as preset_tree
from selfedit.config.toml import to_toml
from selfedit.domains import DOMAINS, DomainType
from selfedit.engines import embedded, fetched
from selfedit.engines.generation_config import own_sampling
from selfedit.errors import InputError
from selfedit.plugins import lookup
from selfedit.store import MACHINE, Run

OWN_GRADER = "phrase"
"""For documents that are not SEAL's: `contains`, its rule, does not see decimals, signs and single letters."""

NO_MODEL = (
    "no model is named to learn this: add --model with a directory, a GGUF file or a hub id of a chat model, or "
    "--model smollm2 after selfedit fetch smollm2 (93 MB); the embedded one, --model almanac, is a toy that knows its "
    "own world only"
)


def make_config(
    model: str | None = None,
    overrides: Sequence[str] = (),
    path: Path | None = None,
    base: dict[str, Any] | None = None,
    source: str = "the options",
    own_documents: bool = False,
    needs_model: bool = False,
    preset: str = DEFAULT,
) -> Config:
    """The config that a file (TOML) and options (`a.b=c`) make, over `base`, the embedded model's recipe or, for other
    models, a preset and their own sampling, and the domain's defaults. What people bring themselves (`own_documents`)
    is graded by OWN_GRADER, if a model learns it that they brought as well. Raises InputError with the key that is
    wrong, and where a model must be named (`needs_model`) and none is.
    """
    given = config_tree(path, list(overrides), base)
    if model:
        given = merge(given, {"model": {"name": model}})
    named = given.get("model")
    named = named if isinstance(named, dict) else {}
    name = named.get("name") or "almanac"
    lowest = embedded.recipe(name) if name in embedded.NAMES else _defaults(preset, str(name), given)
    tree = merge(lowest, given)
    config = resolve(tree, str(path or source))
    if needs_model and not named.get("name") and config.model.engine == "local":
        raise InputError(NO_MODEL)
    lowest = {"exam": {"grader": OWN_GRADER}} if own_documents and name not in embedded.NAMES else {}
    config = resolve(merge(merge(lowest, dict(domain_type(config).defaults)), tree), str(path or source))
    return _resolved(config, str(path or source))


def _defaults(name: str, model: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a preset says of documents, nothing of other domains; and of sampling, what the model's maker says."""
    tree, domain = preset_tree(name), given.get("domain")
    if isinstance(domain, dict) and domain.get("name", "knowledge") != "knowledge":
        return {}
    sampling = {} if name == "seal" else own_sampling(str(fetched.folder_of(model) or model))
    return merge(tree, {"outer": {"sampling": sampling}})


def _resolved(config: Config, source: str) -> Config:
    """With the domain's own keys, all of them, and by their full paths a model's directory or GGUF file and the files
    of `cost`: runs and adapters can be used from other directories. A name of ours stays one, for other machines.
    """
    kind, model = domain_type(config), config.model.name
    options = validated(kind.Options, config.domain.options, source, "domain")
    path = Path(model).expanduser()
    if model not in (*embedded.NAMES, *fetched.MODELS) and path.exists():
        model = str(path.resolve())
    domain = type(config.domain)(name=config.domain.name, **options.model_dump())
    cost = config.cost.model_copy(
        update={
            "instructions": _full_path(config.cost.instructions),
            "multiple_choice": tuple(map(_full_path, config.cost.multiple_choice)),
            "neutral": _full_path(config.cost.neutral),
        }
    )
    named = config.model.model_copy(update={"name": model})
    return config.model_copy(update={"model": named, "domain": domain, "cost": cost})


def _full_path(name: str) -> str:
    return str(Path(name).expanduser().resolve()) if name else ""


def domain_type(config: Config) -> DomainType:
    return lookup(DOMAINS, config.domain.name, "domain.name")


def config_of(run: Run) -> Config:
    """The config that a run was started with, and on another machine too with as many processes and threads: sums of
    floating-point numbers depend on them.
    """
    tree = {key: value for key, value in run.config.items() if key in Config.model_fields}
    found = {key: value for key, value in run.config.get(MACHINE, {}).items() if key in ModelConfig.model_fields}
    return resolve(merge(tree, {"model": found} if found else {}), str(run.path / "config.json"))


def commented(config: Config) -> str:
    """The config as TOML, every key with a line on what it is: what `selfedit init` writes."""
    return to_toml(config, validated(domain_type(config).Options, config.domain.options, "the config", "domain"))
