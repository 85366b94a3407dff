"""DIP-R1: teach a multimodal LLM to think, look at the regions it is unsure of, then answer.

The library behind the workflow. Each step of the pipeline is one verb of ``dipr1 --help``; the
rewards (:mod:`dipr1.rewards`) and the box statistics (:mod:`dipr1.regions`) import without torch.
"""

__version__ = "0.1.0"
