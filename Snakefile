from snakemake.utils import min_version, validate

min_version("9.27")


# two experiments never mix: a file given with --configfile stands for config.yaml
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "rules/common.smk"


experiment = read_experiment(config)
config.update(experiment.model_dump())
validate(config, "workflow/schemas/config.schema.yaml", set_default=False)
places = Places(experiment)
refuse_former_paths()


pathvars:
    results=places.own,
    logs=f"logs/{experiment.name}",
    benchmarks=f"benchmarks/{experiment.name}",


wildcard_constraints:
    dataset="|".join(experiment.datasets),
    split="[A-Za-z0-9_]+",
    arm="|".join(experiment.arms),
    look="[A-Za-z0-9_]+",
    seed=r"\d+",
    shard=r"(\.\d+of\d+)?",
    digest=places.digests,


include: "rules/download.smk"
include: "rules/convert.smk"
include: "rules/describe.smk"
include: "rules/export.smk"
include: "rules/sample.smk"
include: "rules/join.smk"
include: "rules/variance.smk"
include: "rules/audit.smk"
include: "rules/crop.smk"
include: "rules/gain.smk"
include: "rules/train.smk"
include: "rules/predict.smk"
include: "rules/inspect.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"
include: "rules/pretrain.smk"


onstart:
    if is_plain():
        unfinished().parent.mkdir(parents=True, exist_ok=True)
        unfinished().touch()


onsuccess:
    if is_plain():
        unfinished().unlink(missing_ok=True)
    workflow.persistence.deactivate_cache()  # it lacks the last job
    for job in workflow.dag.jobs:
        clear_work_of(job)


rule all:
    default_target: True
    input:
        wanted,


# after the rules, of all of which it is true
include: "rules/memory.smk"
