"""The mean of the weights of two runs of which one began where the other ended.

    python3 mix.py FIRST SECOND --share 0.6 --out CHECKPOINT

Between what it could before and what it learned since lies a network that often does both better than either (Wortsman et al.
2022, "Robust fine-tuning"). `--share` is that of the second.
"""

import argparse
from pathlib import Path

import torch

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    checkpoint, other = (torch.load(path, weights_only=False) for path in (options.first, options.second))
    weights = other["model"].float().state_dict()
    model = checkpoint["model"].float()
    for name, mine in model.state_dict().items():
        if mine.dtype.is_floating_point:
            mine.lerp_(weights[name], options.share)
    checkpoint["model"] = model.half()
    torch.save(checkpoint, options.out)
