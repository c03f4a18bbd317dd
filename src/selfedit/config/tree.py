"""The config tree. Everything a run depends on stands here once, with its limits, its default and a line on what it is.

The defaults are SEAL's values (docs/seal.md 1.2, 1.3). Two tables are nouns of their own: `inner` and `outer.recipe`
are `types.Recipe`, `outer.sampling` is `types.SamplingParams`. The keys of `domain` but for its name are its domain's.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from selfedit.types import Recipe, SamplingParams

POLICY_RECIPE = Recipe(rank=64, alpha=128.0, epochs=2, learning_rate=3e-4, batch_size=10)
"""How SEAL trains the policy on the edits it imitates (docs/seal.md 1.2)."""


MANY, LARGE = 1_000_000, 1e9
"""No count and no number is meant to be above these; 10**30 of anything would only fail later, and less clearly."""


class Section(BaseModel):
    """A table of the config: frozen, and no key that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelConfig(Section):
    name: str = Field(
        "almanac", description="`almanac` (embedded), `smollm2` (fetched), a directory, a GGUF file, or a hub id"
    )
    engine: str = Field("local", description="local, fake (no model at all, for dry runs), or package.module:function")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 or mps")
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = Field(
        "auto", description="of the base weights; auto is bfloat16 on a GPU and float32 elsewhere"
    )
    processes: int = Field(
        0,
        ge=0,
        le=MANY,
        description="for experiments; 0 is one per core (at most 8) for a small model on a CPU, otherwise 1",
    )
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="of each process on a CPU; 0 is the cores, of which a larger model takes idle ones",
    )
    template: str = Field(
        "", description="wraps every prompt, `{prompt}` in its place; empty: the tokenizer's own chat template, if any"
    )
    thinking: bool = Field(
        False,
        description="let a reasoning model think first, where its chat template says how; thoughts are never kept, and "
        "count as tokens of the answer",
    )
    quantize: Literal["", "4bit"] = Field("", description="4bit: base weights in 4 bits; needs selfedit[quantized]")
    memory: str = Field("", description="most memory for the process, such as 8GB; empty: what is free")

    @property
    def memory_bytes(self) -> int:
        """`memory` in bytes, 0 for no limit."""
        return _bytes(self.memory) if self.memory else 0

    @field_validator("template")
    @classmethod
    def _holds_the_prompt(cls, text: str) -> str:
        if text and "{prompt}" not in text:
            raise ValueError("a template has {prompt} in it, where the prompt goes, such as 'User: {prompt}'")
        return text

    @field_validator("memory")
    @classmethod
    def _is_a_size(cls, text: str) -> str:
        if text:
            _bytes(text)
        return text


def _bytes(text: str) -> int:
    """8GB, 512 MB, 1.5TB: powers of ten, as disks and this project's own figures have them."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip(), re.IGNORECASE)
    if not found or not float(found[1]):
        raise ValueError("a size is a number with KB, MB, GB or TB, such as 8GB")
    return int(float(found[1]) * 1000 ** " KMGT".index(found[2].upper() or " "))


class DataConfig(Section):
    train: str = Field("almanac", description="a generated world, or a file or folder of tasks, for the outer loop")
    eval: str = Field("", description="the same, for the final table; empty: only the outer loop is run")
    max_eval_tasks: int = Field(0, ge=0, le=MANY, description="how many tasks to evaluate on; 0 is all (40 of a world)")
    replay: int = Field(
        0,
        ge=0,
        le=MANY,
        description="adapt: everyday prompts (32 at most) to which it is held to its own answers",
    )
    teacher: str = Field("", description="a file of another model's self-edits, JSON in SEAL's format")


class DomainConfig(BaseModel):
    """The domain's name; all other keys are its own (`Options` of its class)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field("knowledge", description="knowledge (passages), arc (grids), or package.module:class")

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


_ADDRESS = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?(/[!-\[\]-~]*)?", re.A | re.I)
"""One reading for everybody: what decides where a key may go must see the host that is asked."""


class EndpointConfig(Section):
    url: str = Field("", description="of an OpenAI-compatible endpoint, such as http://localhost:8000/v1")
    model: str = Field("", description="as the endpoint calls it")
    key_env: str = Field(
        "OPENAI_API_KEY", description="the environment variable with the key, which `selfedit keys` allows"
    )
    parallel: int = Field(8, ge=1, le=256, description="requests at once")
    timeout: float = Field(60, gt=0, le=LARGE, description="seconds for a whole answer before a request is tried again")
    retries: int = Field(5, ge=0, le=20, description="further tries of a request, each after twice the wait")
    thinking_tokens: int = Field(
        4096, ge=0, le=MANY, description="room for thoughts, given to an answer that was cut off before it began"
    )
    chat: bool = Field(True, description="ask /chat/completions; false: /completions")

    @field_validator("url")
    @classmethod
    def _is_an_address_without_secrets(cls, text: str) -> str:
        parts = urlsplit(text)
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("a url has no user, password or ?key=... in it; put the key in an environment variable")
        if text and not _ADDRESS.fullmatch(text):
            raise ValueError("an endpoint's url begins with http:// or https:// and a host, and is written in ASCII")
        if any(len(label) > 63 for label in parts.netloc.split(".")) or ".." in parts.netloc or parts.port == 0:
            raise ValueError("there can be no host of this name and port")
        return text

    @field_validator("key_env")
    @classmethod
    def _is_a_name(cls, text: str) -> str:
        if not re.fullmatch(r"(?:[A-Za-z_][A-Za-z0-9_]*)?", text):
            raise ValueError("this is the name of an environment variable, not the key itself")
        return text


class EndpointsConfig(Section):
    """Models elsewhere, by what they do."""

    judge: EndpointConfig = EndpointConfig()
    rubric: EndpointConfig = EndpointConfig()
    teacher: EndpointConfig = EndpointConfig()


class OuterConfig(Section):
    rounds: int = Field(2, ge=0, le=MANY)
    policy: str = Field("", description="begin with this trained policy, a run or an adapter folder; empty: the model")
    tasks_per_round: int = Field(50, ge=1, le=MANY)
    edits_per_task: int = Field(5, ge=1, le=MANY)
    repeats: int = Field(
        3, ge=1, le=MANY, description="tries of every edit, with different seeds; their mean is its reward"
    )
    repeat_check: int = Field(
        0,
        ge=0,
        le=MANY,
        description="tasks per round whose edits are tried at least twice, to see how reliable rewards are",
    )
    reward: str = Field(
        "gain",
        description="gain, accuracy, binary, solved, likelihood; a proxy, which tries no edit: learned, rubric; or "
        "package.module:function",
    )
    forgetting: float = Field(
        0.0, ge=0, le=LARGE, description="reward lost per nat per token lost on unrelated passages"
    )
    cost: float = Field(0.0, ge=0, le=LARGE, description="reward lost per thousand trained tokens")
    retention: float = Field(
        0.0, ge=0, le=LARGE, description="reward lost per accuracy lost on tasks learned before: for streams of edits"
    )
    retention_tasks: int = Field(4, ge=1, le=MANY, description="how many tasks that are, the first of data.train")
    questions: Literal["given", "own"] = Field(
        "given", description="own: the model writes the questions that its edits are rewarded by"
    )
    credit: str = Field(
        "rest_em",
        description="rest_em (the best edit of each task), best_by_advantage, top2, threshold (all that helped), "
        "group_relative (GRPO), or package.module:function",
    )
    line_tokens: int = Field(
        0,
        ge=0,
        le=10**9,
        description="try every line of an edit alone, for so many tokens; of a task's lines those that win questions "
        "are imitated; 0: edits are tried whole",
    )
    anew: bool = Field(
        False, description="learn each policy from the first one and the examples of all rounds, not from the last one"
    )
    kl_prompts: int = Field(
        0, ge=0, le=MANY, description="exam prompts per task on which a new policy is held to the first one's answers"
    )
    sampling: SamplingParams = SamplingParams()
    recipe: Recipe = Field(POLICY_RECIPE, validate_default=True)  # against `credit`

    @field_validator("recipe", mode="before")
    @classmethod
    def _has_the_policys_defaults(cls, given: Any) -> Any:
        return {**asdict(POLICY_RECIPE), **given} if isinstance(given, dict) else given

    @field_validator("recipe")
    @classmethod
    def _follows_negative_weights_within_a_limit(cls, recipe: Recipe, others: ValidationInfo) -> Recipe:
        is_long = recipe.epochs > 1 or recipe.tokens
        if others.data.get("credit") == "group_relative" and is_long and not recipe.ratio_clip:
            raise ValueError(
                "credit group_relative has negative weights, and more than one epoch would follow them without limit; "
                "set outer.recipe.epochs to 1 (and tokens to 0), or outer.recipe.ratio_clip above 0, such as 0.2"
            )
        return recipe


class ExamConfig(Section):
    grader: str = Field(
        "contains",
        description="contains (SQuAD's rule), phrase (sees decimals, signs, single letters; for own documents), "
        "exact, f1, calibrated (fitted to a judge), judge (a model at endpoints.judge), attempts for grids, or "
        "package.module:class",
    )
    max_new_tokens: int = Field(64, ge=1, le=MANY)
    rows: tuple[str, ...] = Field((), description="conditions of the final table, by name; empty: the usual ones")
    budgets: tuple[Annotated[int, Field(ge=1, le=MANY)], ...] = Field(
        (), description="train: the rows that learn, again at these numbers of tokens a task; for curves"
    )
    rival_recipe: Recipe | None = Field(
        None, description="how the passage alone is trained, tuned on its own; none: by `inner`, as the notes are"
    )
    rivals: bool = Field(
        False, description="adapt: examine beside the notes the text alone at equal tokens, and the text in the prompt"
    )
    edits_per_task: int = Field(
        1, ge=1, le=MANY, description="self-edits per task in the final table (SEAL's CPT has 5)"
    )
    temperature: float | None = Field(
        None,
        ge=0,
        le=LARGE,
        description="of the edit that is examined, where there is one a task; none, and of several: outer.sampling",
    )
    tasks_per_adapter: int = Field(
        1, ge=0, le=MANY, description="tasks that one adapter learns in the final table; 0: all (continued pretraining)"
    )
    repeat_context: bool = Field(
        False, description="the passage stands among the documents once for every edit (SEAL's first CPT recipe)"
    )


class ContinualConfig(Section):
    methods: tuple[str, ...] = Field(
        ("replay",),
        description="sequential, replay, self_distill, olora, ewc, gate, bank, consolidate, or "
        "package.module:function; several work together",
    )
    router: str = Field(
        "", description="which update answers: last, bank, consolidate, or package.module:function; empty: the methods'"
    )
    streams: int = Field(1, ge=1, le=MANY, description="streams of the almanac, side by side; documents are one stream")
    tasks: int = Field(8, ge=1, le=MANY, description="documents of each almanac stream")
    exams: Literal["all", "doubling"] = Field(
        "all", description="after which edits everything is examined; doubling: 1, 2, 4, 8, … and the last"
    )
    control: int = Field(40, ge=0, le=MANY, description="tasks that are never taught and examined all the same")
    control_share: int = Field(10, ge=1, le=MANY, description="how many of them each stream is asked")
    neutral: str = Field("", description="a JSON list of texts, or a text file; empty: the almanac's own")
    neutral_texts: int = Field(30, ge=0, le=MANY, description="texts of it that are read after an edit")
    keep: Literal["all", "last"] = Field("all", description="the updates of all steps, for rollback, or those in use")
    replay_budget: int = Field(
        800, ge=0, le=MANY, description="replay, self_distill: words of earlier documents per edit"
    )
    recall_texts: int = Field(
        8, ge=0, le=MANY, description="self_distill: texts that the start model writes freely, per edit"
    )
    olora_rank: int = Field(2, ge=1, le=MANY, description="olora: rank of each edit; a layer has room for its width")
    ewc_strength: float = Field(1e4, gt=0, le=LARGE, description="ewc: how hard the parameters are held that matter")
    gate_measure: str = Field("bits", description="gate: accuracy, bits or kl")
    gate_max_drop: float = Field(
        0.08, ge=-LARGE, le=LARGE, description="gate: the largest drop that is let through (STABLE: 0.07 to 0.7)"
    )
    min_similarity: float = Field(0.1, ge=0, le=1, description="bank: below this similarity the start model answers")
    consolidate_every: int = Field(8, ge=1, le=MANY, description="consolidate: edits between times")


CheckName = Literal["instructions", "chat_format", "multiple_choice", "neutral"]


class CostConfig(Section):
    """What else a model can do, measured before and after it is taught."""

    checks: tuple[CheckName, ...] = Field(
        get_args(CheckName), description="instructions, chat_format, multiple_choice, neutral; []: none"
    )
    instructions: str = Field("", description="prompts in IFEval's layout; empty: the package's own 24")
    multiple_choice: tuple[str, ...] = Field(
        (), description="files with a question or a context, choices and answer, or a target; empty: the package's own"
    )
    neutral: str = Field("", description="a JSON list of texts, or a text file; empty: the package's own")
    max_items: int = Field(0, ge=0, le=MANY, description="of every file, the first ones; 0 is all")
    max_new_tokens: int = Field(96, ge=1, le=MANY, description="of an answer to an instruction; IFEval's needs 1280")


class Config(Section):
    """Everything a run depends on. Equal configs give equal runs."""

    seed: int = Field(0, ge=-(2**63), lt=2**63)
    max_adapters: int = Field(64, ge=1, le=MANY, description="adapters trained together; what a kill can cost at most")
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    domain: DomainConfig = DomainConfig()
    inner: Recipe = Recipe()
    outer: OuterConfig = OuterConfig()
    exam: ExamConfig = ExamConfig()
    endpoints: EndpointsConfig = EndpointsConfig()
    continual: ContinualConfig = ContinualConfig()
    cost: CostConfig = CostConfig()
