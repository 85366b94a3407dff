"""The multimodal LLMs: in which frame each answers, how it is loaded, how it is made to answer."""
