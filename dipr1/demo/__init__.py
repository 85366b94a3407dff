"""The built-in world: drawn scenes, and a tiny policy that was pretrained on them."""
