"""Train a policy: teacher-forced (`sft`) or with rewards (`grpo`), both through TRL."""
