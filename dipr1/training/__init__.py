"""Train a policy: teacher-forced (`sft`) or with the three rewards (`grpo`), both through TRL."""
