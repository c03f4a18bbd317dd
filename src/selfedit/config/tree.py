"""One config tree: TOML in, `--set a.b=c` over it, JSON out. The defaults are SEAL's values (spec 1.2, 1.3)."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from selfedit.errors import InputError
from selfedit.types import Recipe

Row = TypeVar("Row")


def lookup(table: Mapping[str, Row], name: str, key: str) -> Row:
    """The row of a table that the config names. Raises InputError with the names there are."""
    if name not in table:
        raise InputError(f"{key} is {name!r}; it can be {', '.join(table)}")
    return table[name]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelConfig(_Section):
    name: str = Field("almanac", description="`almanac` (embedded), a local directory, or a hub id")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 or mps")
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = Field(
        "auto", description="of the base weights; auto is bfloat16 on a GPU and float32 elsewhere"
    )
    processes: int = Field(
        0, ge=0, description="for experiments; 0 is one per core (at most 8) for a small model on a CPU, otherwise 1"
    )
    template: str = Field(
        "", description="wraps every prompt, `{prompt}` in its place; empty: the tokenizer's own chat template, if any"
    )
    quantize: Literal["", "4bit"] = Field("", description="4bit: base weights in 4 bits; needs selfedit[quantized]")
    memory: str = Field("", description="most memory for the process, such as 8GB; empty: what is free")

    @property
    def memory_bytes(self) -> int:
        """`memory` in bytes, 0 for no limit."""
        return _bytes(self.memory) if self.memory else 0

    @field_validator("memory")
    @classmethod
    def _is_a_size(cls, text: str) -> str:
        if text:
            _bytes(text)
        return text


def _bytes(text: str) -> int:
    """8GB, 512 MB, 1.5TB: powers of ten, as disks and this project's own figures have them."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.IGNORECASE)
    if not found or not float(found[1]):
        raise ValueError("a size is a number with KB, MB, GB or TB, such as 8GB")
    return int(float(found[1]) * 1000 ** " KMGT".index(found[2].upper() or " "))


class DataConfig(_Section):
    train: str = Field("almanac", description="`almanac`, or a JSON file in SEAL's layout, for the outer loop")
    eval: str = Field("", description="the same, for the final table; empty: only the outer loop is run")
    eval_passages: int = Field(0, ge=0, description="how many passages to evaluate on; 0 is all (60 of generated ones)")


class DocumentsConfig(_Section):
    split_newlines: bool = Field(True, description="each line of the notes is a training document of its own")
    passage: Literal["once", "each", "none"] = Field(
        "once", description="among the documents: once, with each edit (SEAL's first CPT recipe), or none"
    )
    most: int = Field(0, ge=0, description="documents taken from one edit at most; 0: all (SEAL's later code has 30)")
    together: int = Field(
        1, ge=0, description="passages that one adapter learns in the final table; 0: all (continued pretraining)"
    )
    edits: int = Field(1, ge=1, description="self-edits per passage in the final table (SEAL's CPT has 5)")


class ArcConfig(_Section):
    """What only the domain `arc` reads. The sizes and counts are SEAL's (spec 3.3, 3.5)."""

    format: Literal["compact", "seal"] = Field(
        "compact", description="compact: a character per cell; seal: SEAL's chat prompt, for language models"
    )
    wide: bool = Field(False, description="plans choose copies, rank, early stop and views as well")
    leave_two: bool = Field(True, description="training rows with two demonstrations left out, beside those with one")
    most_side: int = Field(30, ge=1, le=30, description="training rows with a longer side are dropped")
    most_tokens: int = Field(8192, ge=1, description="training rows and views that are longer are dropped")
    most_rows: int = Field(250, ge=1, description="training rows of a plan")
    most_steps: int = Field(375, ge=1, description="a plan with more optimizer steps is refused")
    orders: int = Field(2, ge=0, description="further orders of the demonstrations in which a test grid is asked")
    transformed: int = Field(5, ge=0, le=5, description="views of a test grid that are turned or mirrored")
    views: int = Field(0, ge=0, description="views of a test grid at most, where the plan does not say; 0: all")
    scoring: Literal["votes", "product"] = Field(
        "votes", description="attempts by SEAL's voting, or by the product of their probabilities over the views"
    )
    search: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="every answer of at least this probability is a candidate (0.09 is usual); 0: greedy",
    )
    tasks: Literal["all", "seal", "seal-truncated"] = Field(
        "all", description="of the files: all, SEAL's 12 + 10, or those of them that its scripts did not drop"
    )


_OF_ARC: dict[str, Any] = {
    "inner": {"rank": 128, "alpha": 16, "batch_size": 2, "epochs": 2, "learning_rate": 1e-4, "schedule": "cosine"},
    "outer": {
        "rounds": 1,
        "edits_per_passage": 15,
        "reward": "solved",
        "credit": "threshold",
        "writing": {"temperature": 0.8, "top_p": 1.0, "max_new_tokens": 128},
        "recipe": {"rank": 16, "alpha": 16, "epochs": 8, "learning_rate": 5e-5, "batch_size": 5},
    },
    "exam": {"grader": "attempts", "max_new_tokens": 1024},
}
"""What is the default in the domain `arc` instead: SEAL's values (spec 3.2 to 3.4), and room for a grid of 30 x 30."""


class RecipeConfig(_Section):
    rank: int = Field(32, ge=1)
    alpha: float = Field(64.0, gt=0)
    epochs: int = Field(10, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    batch_size: int = Field(1, ge=1, description="examples per optimizer step")
    targets: tuple[str, ...] = Field((), description="layers with an adapter, by name; empty: every linear one")
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="of the learning rate")
    warmup: float = Field(0.0, ge=0, lt=1, description="share of the steps in which the learning rate rises")
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, ge=0, description="largest gradient norm; 0: no limit")
    dropout: float = Field(0.0, ge=0, lt=1, description="of an adapter's input")
    pack: bool = Field(False, description="all examples in one step per epoch")
    top_layers: bool = Field(False, description="adapters on the upper half of the layers only: cheaper")
    early_stop: float = Field(0.0, ge=0, description="stop after an epoch with a mean loss below this; 0: never")
    padding: Literal["none", "seal"] = Field(
        "none", description="seal: every text is filled up with end-of-text, which is learned too, as SEAL's code does"
    )
    ratio_clip: float = Field(
        0.0, ge=0, lt=1, description="how far a token's probability may move from the parent's (GRPO: 0.2); 0: off"
    )
    kl: float = Field(0.0, ge=0, description="weight of the divergence from the base (GRPO: 0.04); 0: off")

    mixed: bool = Field(False, description="rows of all lengths in every step, not of like length")
    method: Literal["lora", "full"] = Field(
        "lora", description="full: all weights of the model instead of an adapter, one update at a time"
    )

    @model_validator(mode="after")
    def _has_an_adapter_to_shape(self) -> Self:
        if self.method == "full" and (self.targets or self.top_layers or self.dropout):
            raise ValueError(
                "method full trains all weights, and targets, top_layers and dropout shape an adapter; leave them out, "
                "or set method to lora"
            )
        return self

    def recipe(self) -> Recipe:
        return Recipe(**self.model_dump())


class EndpointConfig(_Section):
    url: str = Field("", description="of an OpenAI-compatible endpoint, such as http://localhost:8000/v1")
    model: str = Field("", description="as the endpoint calls it")
    key_env: str = Field("OPENAI_API_KEY", description="the environment variable that holds the key; may be unset")
    parallel: int = Field(8, ge=1, description="requests at once")
    timeout: float = Field(60, gt=0, description="seconds without a sign of life before a request is tried again")
    retries: int = Field(5, ge=0, le=20, description="further tries of a request, each after twice the wait")
    chat: bool = Field(True, description="ask /chat/completions; false: /completions")

    @field_validator("url")
    @classmethod
    def _is_an_address_without_secrets(cls, text: str) -> str:
        parts = urlsplit(text)
        if text and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("an endpoint's url begins with http:// or https:// and a host")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("a url has no user, password or ?key=... in it; put the key in an environment variable")
        return text

    @field_validator("key_env")
    @classmethod
    def _is_a_name(cls, text: str) -> str:
        if not re.fullmatch(r"(?:[A-Za-z_][A-Za-z0-9_]*)?", text):
            raise ValueError("this is the name of an environment variable, not the key itself")
        return text


class WritingConfig(_Section):
    temperature: float = Field(1.0, ge=0)
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(512, ge=1)


class PolicyRecipe(RecipeConfig):
    rank: int = Field(64, ge=1)
    alpha: float = Field(128.0, gt=0)
    epochs: int = Field(2, ge=1)
    learning_rate: float = Field(3e-4, gt=0)
    batch_size: int = Field(10, ge=1)


class OuterConfig(_Section):
    rounds: int = Field(2, ge=0)
    policy: str = Field("", description="begin with this trained policy, a run or an adapter folder; empty: the model")
    passages_per_round: int = Field(50, ge=1)
    edits_per_passage: int = Field(5, ge=1)
    prompt: str = Field(
        "notes",
        description="notes, implications, long, very-long, rewrite, self-qa, none, chain-of-thought, entity-pair, or "
        "pool (several of them in turn)",
    )
    repeats: int = Field(3, ge=1, description="tries of every edit, with different seeds; their mean is its reward")
    probe: int = Field(
        0, ge=0, description="passages per round whose edits are tried at least twice, to see how reliable rewards are"
    )
    reward: str = Field(
        "gain",
        description="gain, accuracy, binary, solved, likelihood; or a proxy, which tries no edit: learned, rubric",
    )
    forgetting: float = Field(0.0, ge=0, description="reward lost per nat per token lost on unrelated passages")
    cost: float = Field(0.0, ge=0, description="reward lost per thousand trained tokens")
    retention: float = Field(
        0.0, ge=0, description="reward lost per accuracy lost on passages learned before: for streams of edits"
    )
    earlier: int = Field(4, ge=1, description="how many passages that are, the first of data.train; used by retention")
    questions: Literal["given", "own"] = Field(
        "given", description="own: the model writes the questions that its edits are rewarded by"
    )
    credit: str = Field(
        "rest_em",
        description="rest_em (the best edit of each passage), top2, threshold (all that helped), or "
        "group_relative (GRPO)",
    )
    anchors: int = Field(
        0, ge=0, description="answers per passage that hold a new policy to what the model answers in exams"
    )
    writing: WritingConfig = WritingConfig()
    recipe: PolicyRecipe = Field(PolicyRecipe(), validate_default=True)  # against `credit`

    @field_validator("recipe")
    @classmethod
    def _follows_negative_weights_within_a_limit(cls, recipe: PolicyRecipe, others: ValidationInfo) -> PolicyRecipe:
        if others.data.get("credit") == "group_relative" and recipe.epochs > 1 and not recipe.ratio_clip:
            raise ValueError(
                "credit group_relative has negative weights, and more than one epoch would follow them without limit; "
                "set outer.recipe.epochs to 1, or outer.recipe.ratio_clip above 0, such as 0.2"
            )
        return recipe

    rubric: EndpointConfig = EndpointConfig()


class ExamConfig(_Section):
    grader: str = Field(
        "contains",
        description="contains, exact, f1, calibrated (fitted to a judge), or judge (a model at exam.judge); "
        "attempts for grids",
    )
    max_new_tokens: int = Field(64, ge=1)
    rows: tuple[str, ...] = Field((), description="conditions of the final table, by name; empty: all")
    judge: EndpointConfig = EndpointConfig()


class TeacherConfig(_Section):
    completions: str = Field("", description="a file of another model's notes, JSON in SEAL's format")
    endpoint: EndpointConfig = EndpointConfig()


class ContinualConfig(_Section):
    keepers: tuple[str, ...] = Field(
        ("replay",), description="merge, replay, distil, ortho, ewc, gate, bank, consolidate; several work together"
    )
    streams: int = Field(1, ge=1, description="streams of the almanac, side by side; documents are one stream")
    tasks: int = Field(8, ge=1, description="documents of each almanac stream")
    exams: Literal["all", "doubling"] = Field(
        "all", description="after which edits everything is examined; doubling: 1, 2, 4, 8, … and the last"
    )
    control: int = Field(40, ge=0, description="tasks that are never taught and examined all the same")
    control_share: int = Field(10, ge=1, description="how many of them each stream is asked")
    neutral: str = Field("", description="a JSON list of texts, or a text file; empty: the almanac's own")
    neutral_texts: int = Field(30, ge=0, description="texts of it that are read after an edit")
    keep: Literal["all", "last"] = Field("all", description="the updates of all steps, for rollback, or those in use")
    budget: int = Field(800, ge=0, description="replay, distil: words of earlier documents per edit")
    anchors: int = Field(8, ge=0, description="distil: texts that the start model writes freely, per edit")
    rank: int = Field(2, ge=1, description="ortho: rank of each edit; a layer has room for its width")
    strength: float = Field(1e4, gt=0, description="ewc: how hard the numbers are held that matter")
    measure: str = Field("bits", description="gate: accuracy, bits or kl")
    most: float = Field(0.08, description="gate: the largest drop that is let through (STABLE: 0.07, 0.08, 0.7)")
    abstain: float = Field(0.1, ge=0, le=1, description="bank: below this likeness the start model answers")
    every: int = Field(8, ge=1, description="consolidate: edits between times")


class Config(_Section):
    """Everything a run depends on. Equal configs give equal runs."""

    domain: Literal["knowledge", "arc"] = Field("knowledge", description="knowledge (passages) or arc (grids)")
    seed: int = 0
    wave: int = Field(64, ge=1, description="adapters trained together; what a kill can cost at most")
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    documents: DocumentsConfig = DocumentsConfig()
    arc: ArcConfig = ArcConfig()
    inner: RecipeConfig = RecipeConfig()
    outer: OuterConfig = OuterConfig()
    exam: ExamConfig = ExamConfig()
    teacher: TeacherConfig = TeacherConfig()
    continual: ContinualConfig = ContinualConfig()

    @model_validator(mode="before")
    @classmethod
    def _has_its_domains_defaults(cls, tree: Any) -> Any:
        return merge(_OF_ARC, tree) if isinstance(tree, dict) and tree.get("domain") == "arc" else tree


def load_config(path: Path | None, overrides: list[str], base: dict[str, Any] | None = None) -> Config:
    """`base` (a recipe), then the TOML file, then `a.b=c` overrides. Raises InputError naming the key that is wrong."""
    tree: dict[str, Any] = base or {}
    if path:
        tree = merge(tree, read_toml(path))
    for override in overrides:
        tree = merge(tree, _parse_override(override))
    return resolve(tree, str(path or "the options"))


def resolve(tree: dict[str, Any], source: str) -> Config:
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise InputError(f"{source}: {_explain(error)}") from None


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no config file {path}; `selfedit init` writes one to start from") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, raw = text.partition("=")
    if not equals or not key:
        raise InputError(f"--set takes key=value, such as --set outer.rounds=3; this is {text!r}")
    try:
        value: Any = json.loads(raw)
    except json.JSONDecodeError:
        value = raw
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return dict(value)


_MAY_HOLD_SECRETS = {"url", "key_env"}
"""Keys whose wrong values are not shown: a password or an API key may have been put there."""


def _explain(error: ValidationError) -> str:
    """The first problem in one sentence; an unknown key comes with the nearest right one."""
    problem = error.errors()[0]
    *parents, key = [str(part) for part in problem["loc"]] or ["the config"]
    name = ".".join([*parents, key])
    if problem["type"] != "extra_forbidden":
        unsaid = key in _MAY_HOLD_SECRETS or isinstance(problem["input"], dict | BaseModel)
        return f"{name} is wrong: {problem['msg']}" + ("" if unsaid else f" (it is {problem['input']!r})")
    near = difflib.get_close_matches(key, _keys(parents), n=1)
    hint = f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(_keys(parents))}"
    return f"there is no key {name}; {hint}"


def _keys(parents: list[str]) -> list[str]:
    table: type[BaseModel] = Config
    for parent in parents:
        table = table.model_fields[parent].annotation  # type: ignore[assignment]
    return list(table.model_fields)
