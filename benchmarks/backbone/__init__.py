"""How fast the language model is beside transformers' Llama, and CLIP's image tower with RMSNorm in it.

    python -m benchmarks.backbone --json backbone.json

language.py    prefill and decode of one size with the same weights in both, eager and compiled alike
clip.py        a tower of ViT-B's size as it was made and rewritten to RMSNorm and CRMSNorm

Every ratio is a median over paired rounds: in each round every variant runs once, in turn, so that what else
the machine does hits all alike. Absolute times are of this machine at this moment.
"""
