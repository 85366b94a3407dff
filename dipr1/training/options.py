"""Options of training: what `training` gives to every arm, and what each kind of arm is.

An arm has the options of its method and no others. Those that it does not set itself are taken from
`training`, so that ``dipr1 train`` is told all that an arm depends on, and nothing else.
"""

from __future__ import annotations

import inspect
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

from pydantic import AfterValidator, Field, create_model, model_validator

from dipr1.options import Section
from dipr1.policies.options import Asked, Looks
from dipr1.rewards import REWARDS, Reward, RewardOption

ROLLOUTS = "second_look"
"""The module of rollouts that look again."""

VLLM_ROLLOUTS = "vllm_rollouts"
"""The module of rollouts that vLLM generates."""

OF_VLLM = {"rollout_memory", "rollout_sleep", "rollout_server"}
"""Options of rollouts that vLLM generates: what it takes and where it is."""

PARALLEL = ("ddp", "fsdp2", "zero3")
"""The configurations of accelerate in `parallel/`."""

REWARD_OF = {option.key: name for name, reward in REWARDS.items() for option in reward.options}
"""Options of an arm -> the reward that they belong to."""

Seeds = Annotated[list[int], AfterValidator(lambda seeds: sorted(set(seeds)))]
"""Each once, in ascending order, so that the order in which they are written changes nothing."""

ADAPTER_OPTIONS = ("lora_alpha", "lora_dropout", "quantisation")
"""Options that mean something only where adapters are trained."""


class TrainedOptions(Section):
    """What both methods use."""

    wordings: int = Field(
        1,
        ge=1,
        le=4,
        description="Wordings of a question about an image: the usual one, and others drawn for"
        " each image. Sampling and evaluation always use the usual one.",
    )
    ask: Literal["all", "each", "both"] = Field(
        "all",
        description="Ask for all labels together, for each alone (also where an image has none of"
        " it), or both.",
    )
    absent_labels: list[str] = Field(
        [],
        description="Labels that no image of the split has: each image is asked for one of them as"
        " well, and the right answer is `[]`.",
    )
    crops: int = Field(
        0,
        ge=0,
        description="Crops of each image that are trained on besides, those of the most uncertain"
        " regions.",
    )
    least_base_f1: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Only images are trained on of which the base policy finds so much: the F1 of"
        " its samples' boxes, by the variance artifact. V-Triune (arXiv 2505.18129) takes 0.125"
        " to 0.625 of its own measure.",
    )
    most_base_f1: float = Field(
        1.0, ge=0, le=1, description="And not more than so much, where nothing is left to learn."
    )
    updates: int = Field(50, ge=1, description="Optimiser steps.")
    prompts_per_update: int = Field(16, ge=1, description="Different prompts in one update.")
    micro_batch_size: int = Field(
        64,
        ge=1,
        description="Responses in one forward and backward pass; SFT takes the largest number up to"
        " it that divides `prompts_per_update`.",
    )
    precision: Literal["float32", "bf16"] = Field(
        "float32",
        description="What is computed in. Weights and optimiser are float32 in both, since small"
        " updates vanish in bfloat16; `bf16` computes under bfloat16 autocast. The policy is saved"
        " in `policy.dtype`.",
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant",
        description="What becomes of the learning rate after the warm-up: it stays, or falls to 0"
        " at the last update.",
    )
    warmup: int = Field(
        0, ge=0, description="Updates in which the learning rate rises, from 0 in the first."
    )
    max_grad_norm: float = Field(0.2, gt=0, description="Gradient norm is clipped to this.")
    freeze_vision: bool = Field(True, description="Leave the vision tower as it is.")
    freeze_projector: bool | None = Field(
        None,
        description="Leave what makes tokens of the tower's features as it is; by default as"
        " `freeze_vision` says.",
    )
    lora_rank: int = Field(
        0,
        ge=0,
        description="Rank of the adapters that are trained in place of the weights (LoRA); 0: the"
        " weights themselves. Adapters are on every linear layer of what is not frozen, which by"
        " default is the language model.",
    )
    lora_alpha: float = Field(
        32, gt=0, description="LoRA: what adapters add is multiplied by this / `lora_rank`."
    )
    lora_dropout: float = Field(
        0.0, ge=0, lt=1, description="LoRA: share of an adapter's inputs that are left out."
    )
    quantisation: Literal["none", "4bit"] = Field(
        "none",
        description="Of the frozen language model under adapters: `4bit` (QLoRA; needs an NVIDIA"
        " GPU and bitsandbytes) takes a quarter of bfloat16's memory and more time.",
    )
    gradient_checkpointing: bool = Field(
        False, description="Trade time for memory: needed for models of billions of parameters."
    )
    save_every: int = Field(10, ge=1, description="Updates between checkpoints.")
    keep_checkpoints: bool = Field(
        False,
        description="Keep all checkpoints, also after the last update: a longer run goes on from"
        " them, and `predict --policy` takes each.",
    )

    eval_images: int = Field(
        0,
        ge=0,
        description="Images of the training split that are not trained on, the same for every arm"
        " and seed, but answered in between; `eval/accuracy` in the training log.",
    )
    eval_every: int = Field(10, ge=1, description="Updates between two such evaluations.")
    eval_tokens: int = Field(256, ge=1, description="Longest answer of them, in tokens.")
    keep_best: bool = Field(
        False, description="The policy is that of the best evaluation, not that of the last update."
    )
    report_to: list[Literal["tensorboard", "trackio", "wandb"]] = Field(
        ["tensorboard"],
        description="Where the training log goes besides the artifact: files for TensorBoard in the"
        " policy's folder, or a service that is installed. WANDB_MODE=offline keeps W&B from the"
        " network.",
    )

    @model_validator(mode="after")
    def _best_is_judged(self) -> TrainedOptions:
        if self.keep_best and (not self.eval_images or self.eval_every > self.updates):
            raise ValueError(
                "keep_best: no update would be evaluated; set eval_images, and eval_every to"
                f" {self.updates} updates at most"
            )
        return self

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> TrainedOptions:
        if self.least_base_f1 > self.most_base_f1:
            raise ValueError(
                f"least_base_f1 {self.least_base_f1:g} is above most_base_f1"
                f" {self.most_base_f1:g}; no image can be both"
            )
        return self


class SftOptions(TrainedOptions):
    """What supervised fine-tuning uses."""

    sft_learning_rate: float = Field(3e-5, gt=0, description="SFT: highest learning rate.")
    sft_think: str = Field(
        "{count} objects.",
        min_length=1,
        description="SFT: what the teacher thinks; {count} is the number of objects.",
    )
    sft_why: str | None = Field(None, description="SFT: the teacher's `why` of every look.")


class GrpoOptions(TrainedOptions):
    """What GRPO uses."""

    learning_rate: float = Field(3e-5, gt=0, description="GRPO: highest learning rate.")
    group_size: int = Field(8, ge=2, description="GRPO: responses per prompt.")
    max_completion_length: int = Field(256, ge=1, description="GRPO: longest response, in tokens.")
    temperature: float = Field(1.0, gt=0, description="GRPO: temperature of the rollouts.")
    objective: Literal["batch", "paper", "dapo", "dr_grpo", "gspo"] = Field(
        "batch",
        description="GRPO: what is optimised; docs/method.md says what each name stands for. It"
        " gives the values of those of the next seven options that are not set.",
    )
    loss_type: Literal["group", "dapo", "bnpo", "grpo", "dr_grpo"] | None = Field(
        None,
        description="GRPO: by what the sum over tokens is divided: `group` by the tokens of the"
        " group, or TRL's name of the loss: `dapo` by those of the update, `bnpo` of the"
        " micro-batch, `grpo` of the response, `dr_grpo` by `max_completion_length`.",
    )
    beta: float | None = Field(
        None, ge=0, description="GRPO: weight of the KL term; 0 keeps no reference model."
    )
    epsilon: float | None = Field(
        None, gt=0, description="GRPO: importance ratios are clipped to 1 - this from below."
    )
    epsilon_high: float | None = Field(
        None, gt=0, description="GRPO: importance ratios are clipped to 1 + this from above."
    )
    scale_rewards: Literal["group", "batch", "none"] | None = Field(
        None, description="GRPO: whose standard deviation advantages are divided by."
    )
    importance_sampling_level: Literal["token", "sequence"] | None = Field(
        None, description="GRPO: what has an importance ratio of its own."
    )
    mask_truncated_completions: bool | None = Field(
        None, description="GRPO: nothing is learned from responses that were cut."
    )
    bias_correction_kl: bool = Field(
        False, description="GRPO: TRL's importance-corrected KL; false is the plain k3 estimator."
    )
    per_reward_normalisation: bool = Field(
        False,
        description="GRPO: each reward is normalised within the group before they are summed"
        " (GDPO, arXiv 2601.05242).",
    )
    iterations: int = Field(
        1, ge=1, description="GRPO: updates that are made of the same responses, one after another."
    )
    updates_per_generation: int = Field(
        1,
        ge=1,
        description="GRPO: updates whose responses are generated together, before the first.",
    )
    show_every: int = Field(
        0,
        ge=0,
        description="GRPO: updates between those whose responses are kept, in `completions.parquet`"
        " beside the training log, and shown by the report. 0: none. What is trained already is not"
        " trained again for it.",
    )
    rollout_engine: Literal["transformers", "vllm", "vllm_server"] = Field(
        "transformers",
        description="GRPO: what generates responses: the model itself (`transformers`), `vllm` on"
        " the same GPUs, or a server (`vllm_server`); docs/training.md says what each needs.",
    )
    rollout_memory: float = Field(
        0.3, gt=0, le=1, description="`rollout_engine: vllm`: share of the GPU's memory it takes."
    )
    rollout_sleep: bool = Field(
        False,
        description="`rollout_engine: vllm`: gives its memory back while the policy learns, and"
        " takes time to wake up.",
    )
    rollout_server: str | None = Field(
        None, description="`rollout_engine: vllm_server`: its address, such as http://node:8000."
    )


class TrainingSplit(Section):
    """What every arm is trained on."""

    dataset: str = Field("crowdscenes", description="Data set that is trained on.")
    split: str = Field("train", description="Its split.")


class Spread(Section):
    """Over what a training is spread."""

    processes: int = Field(
        1,
        ge=1,
        description="Processes of one training on each node, each on a GPU of its own, or on the"
        " CPU where there is none. An update is the same, whatever their number, but GRPO's"
        " responses are drawn anew.",
    )
    nodes: int = Field(1, ge=1, description="Nodes of one training.")
    parallel: Literal[*PARALLEL] = Field(
        "ddp",
        description="What several processes share: `ddp` the images alone, `fsdp2` (PyTorch) and"
        " `zero3` (DeepSpeed) the weights and the optimiser, too; docs/scaling.md says more.",
    )


class Training(GrpoOptions, SftOptions, TrainingSplit, Spread):
    """What is trained on, and the options of all arms that do not set them themselves."""

    threads: int = Field(
        2,
        ge=1,
        description="CPU threads of one training; with 1 and two cores, two run side by side.",
    )


class Repeated(Looks):
    """How often an arm is trained, and from where on."""

    without_flag: ClassVar[frozenset[str]] = Looks.without_flag | {"seeds", "start"}

    seeds: Seeds | None = Field(
        None,
        min_length=1,
        description="One training per seed, in place of the experiment's `seeds`. Arms are compared"
        " on the seeds that both have.",
    )
    start: str | None = Field(
        None,
        description="The arm whose trained policy of the same seed this one begins with, in place"
        " of the base policy, such as `sft` before GRPO. A KL term is then to that policy; samples"
        " and statistics stay the base policy's.",
    )


class UntrainedArm(Looks, Asked):
    """The base policy itself, not trained."""

    method: Literal["none"] = Field(description="No training.")


class Adapting(Section):
    """What an arm's options of adapters have to do with each other."""

    @model_validator(mode="after")
    def _what_is_quantised_has_adapters(self) -> Adapting:
        if self.quantisation != "none" and not self.lora_rank:
            raise ValueError(
                "quantisation: weights of 4 bit cannot be trained themselves; set lora_rank"
            )
        return self


class SftArm(Adapting, Repeated, Asked, SftOptions):
    """Supervised fine-tuning on a perfect teacher's responses."""

    method: Literal["sft"] = Field(description="Supervised fine-tuning.")
    learning_rate: float | None = Field(
        None, gt=0, description="Another name of `sft_learning_rate`."
    )

    @model_validator(mode="after")
    def _one_learning_rate(self) -> SftArm:
        if self.learning_rate is not None:
            if "sft_learning_rate" in self.model_fields_set:
                raise ValueError("learning_rate and sft_learning_rate are the same; give one")
            self.sft_learning_rate, self.learning_rate = self.learning_rate, None
        return self


class _RewardedArm(Adapting, Repeated, Asked, GrpoOptions):
    """GRPO with a weighted sum of rewards."""

    method: Literal["grpo"] = Field(description="Group relative policy optimisation.")
    rewards: dict[Literal[*REWARDS], float] = Field(
        {}, description=f"Weight of each reward: {', '.join(REWARDS)}."
    )

    rollout_looks: int = Field(
        0,
        ge=0,
        description="Look boxes of a response, at most, that the policy is asked about again before"
        " its accuracy is judged: of the final boxes. 0: none.",
    )
    rollout_control: Literal["none", "other_image"] = Field(
        "none",
        description="What is shown of a look box in its place: the same part of another image of"
        " the update. A gain that stays is none of looking.",
    )

    @model_validator(mode="after")
    def _looks_again_for_accuracy(self) -> _RewardedArm:
        if self.rollout_looks and not (self.rewards.get("accuracy") and self.form == "steps"):
            raise ValueError(
                "rollout_looks needs responses that look (form 'steps') and the accuracy reward,"
                " which judges what they find; give it a weight or take rollout_looks out"
            )
        if self.rollout_control != "none" and not self.rollout_looks:
            raise ValueError("rollout_control: nothing is looked at again; set rollout_looks")
        return self

    @model_validator(mode="after")
    def _has_rewards(self) -> _RewardedArm:
        if not any(self.rewards.values()):
            raise ValueError("an arm of method 'grpo' needs at least one reward with a weight")
        return self

    @model_validator(mode="after")
    def _rewards_fit_the_form(self) -> _RewardedArm:
        unfit = [name for name in REWARDS if self.rewards.get(name) and REWARDS[name].of_steps]
        if self.form == "answer" and unfit:
            raise ValueError(
                f"form 'answer' asks for boxes alone, which the {unfit[0]} reward cannot judge;"
                " take it out of `rewards` or ask for `steps`"
            )
        return self

    @model_validator(mode="after")
    def _options_have_their_reward(self) -> _RewardedArm:
        for key, name in REWARD_OF.items():
            chosen = getattr(self, key) != type(self).model_fields[key].default
            if chosen and name not in self.rewards:
                raise ValueError(
                    f"{key} is an option of the {name} reward, which this arm does not have; add it"
                    " to `rewards` or take the option out"
                )
        return self

    @model_validator(mode="after")
    def _options_fit_together(self) -> _RewardedArm:
        for name in self.rewards:
            REWARDS[name].make(
                **{option.parameter: getattr(self, option.key) for option in REWARDS[name].options}
            )
        return self


def _field(reward: Reward, option: RewardOption) -> tuple[Any, Any]:
    """A reward's option as a field; its type and default are those of the constructor."""
    kind = get_type_hints(reward.make.__init__)[option.parameter]
    default = inspect.signature(reward.make).parameters[option.parameter].default
    return kind, Field(default, ge=option.minimum, description=option.description)


GrpoArm = create_model(
    "GrpoArm",
    __base__=_RewardedArm,
    __doc__=_RewardedArm.__doc__,
    **{
        option.key: _field(reward, option)
        for reward in REWARDS.values()
        for option in reward.options
    },
)

TrainedArm = Annotated[SftArm | GrpoArm, Field(discriminator="method")]
Arm = Annotated[UntrainedArm | SftArm | GrpoArm, Field(discriminator="method")]


def shared_options(arm: type[Section]) -> list[str]:
    """The options of `training` that a kind of arm uses, and may set itself.

    >>> shared_options(UntrainedArm)
    []
    """
    common = next(base for base in arm.__mro__ if issubclass(Training, base))
    return list(common.model_fields)


def settled(arm: Any, training: Training) -> Any:
    """`arm` with the values of `training` for what it does not set itself.

    >>> settled(SftArm(method="sft", updates=3), Training(updates=9, sft_why="crowd")).sft_why
    'crowd'
    """
    shared = training.model_dump(include=set(shared_options(type(arm))))
    return type(arm).model_validate(shared | arm.model_dump(exclude_unset=True))


def without_meaning(arm: Any) -> set[str]:
    """Options of `arm` on which nothing depends.

    They are those of rewards without a weight, a teacher's words where boxes alone are asked for,
    and those of adapters and of engines where there are none.
    """
    names = set() if getattr(arm, "lora_rank", 0) else {*ADAPTER_OPTIONS}
    if arm.method == "sft" and arm.form == "answer":
        return names | {"sft_think", "sft_why"}
    if arm.method != "grpo":
        return names
    names |= OF_VLLM if arm.rollout_engine == "transformers" else set()
    return names | {key for key, name in REWARD_OF.items() if not arm.rewards.get(name)}


ON_THE_WAY = {"keep_checkpoints", "save_every", "show_every"}
"""Options that say what is kept of a training beside what is learned."""


def of_machine(arm: Any) -> set[str]:
    """Options that change how long `arm` trains, in what memory and what is kept on the way.

    What is learned is the same but for the last digits, so no training is repeated for them.

    >>> {"save_every", "learning_rate"} & of_machine(SftArm(method="sft"))
    {'save_every'}
    """
    names = ON_THE_WAY | {"gradient_checkpointing", "report_to"}
    names |= OF_VLLM if arm.method == "grpo" else set()
    # TRL's `bnpo` divides by the tokens of each micro-batch
    return names if getattr(arm, "loss_type", None) == "bnpo" else names | {"micro_batch_size"}


def without_effect(arm: Any) -> set[str]:
    """Options that change nothing that is learned, and `updates`: a longer run goes on."""
    names = of_machine(arm)
    # the learning rate may fall towards the last update, or thresholds rise
    goes_on = arm.schedule == "constant" and not getattr(arm, "match_ious", None)
    return names | {"updates"} if goes_on else names


def needs_gain(arm: Any) -> bool:
    """Whether an arm is trained with what is found oftener on crops.

    >>> arm = GrpoArm(method="grpo", rewards={"accuracy": 1, "looking": 0}, looking_target="gain")
    >>> needs_gain(arm), needs_gain(arm.model_copy(update={"rewards": {"looking": 1}}))
    (False, True)
    """
    used = "looking_target" not in without_meaning(arm)
    return used and getattr(arm, "looking_target", None) == "gain"


def code_of_training(arm: Any) -> dict[str, Any]:
    """What the training of `arm` uses by name, for :func:`dipr1.provenance.code_digest`.

    >>> code_of_training(GrpoArm(method="grpo", rewards={"accuracy": 1, "looking": 0}))
    {'method': 'grpo', 'rewards': ('accuracy',)}
    """
    rewards = getattr(arm, "rewards", {})
    code = {"method": arm.method, "rewards": tuple(name for name in REWARDS if rewards.get(name))}
    code |= {"rollouts": ROLLOUTS} if getattr(arm, "rollout_looks", 0) else {}
    return code | ({"generation": VLLM_ROLLOUTS} if by_vllm(arm) else {})


def by_vllm(arm: Any) -> bool:
    """Whether an arm's rollouts are generated by vLLM."""
    return getattr(arm, "rollout_engine", "transformers") != "transformers"
