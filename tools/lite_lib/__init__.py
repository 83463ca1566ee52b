"""What tools/train_lite.py is made of. Modules that benchmarks/quality.py imports do not import torch."""
