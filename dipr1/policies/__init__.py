"""Load, sample and build the multimodal LLMs that are trained."""
