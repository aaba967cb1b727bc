"""One run of the cost of styles, in a process of its own: prints what it cost as a line of JSON.

python -m Benchmarks.styles_cost_run train HEADS CASES DEVICE
python -m Benchmarks.styles_cost_run segment SIZE BFLOAT16 DEVICE
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from pgt.geometry import Geometry
from pgt.precision import bfloat16_is_fast
from pgt.styles.hypernetwork import HyperNetworkShape
from pgt.styles.inference import Segmenter
from pgt.styles.losses import segmentation_loss
from pgt.styles.model_planning import SIZES, choose_patch
from pgt.styles.preparation import Preparation
from pgt.styles.style_model import StyleModel
from pgt.styles.unet import UNetShape
from pgt.volume import Volume

from .cost_run import peak_gpu_gb, peak_resident_gb

PATCH = 48
SIDE = 128
REPEATS = 3


def train_step(heads: str, cases: int, device: str) -> dict[str, object]:
    """Adam on hyper-network and latent vectors as in `pgt.styles.training`, on noise."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(cases, 1, *(PATCH,) * 3, generator=generator).to(device)
    labels = torch.rand(cases, 2, *(PATCH,) * 3, generator=generator).softmax(dim=1).to(device)
    latents = torch.randn(cases, 2, generator=generator).to(device).requires_grad_(True)
    before = peak_resident_gb()
    model = _model(heads, (PATCH,) * 3)
    network = model.hypernetwork.to(device)
    optimizer = torch.optim.Adam([*network.parameters(), latents], lr=1e-4)

    def step() -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=bfloat16_is_fast(device)):
            logits = model.logits(images, latents)
        loss = segmentation_loss(logits, labels).total.mean() + 0.05 * latents.abs().sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    seconds, cpu_seconds = _timed(step, device)
    return {
        "heads": heads,
        "cases": cases,
        "device": device,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_gb": peak_resident_gb() - before if device == "cpu" else peak_gpu_gb(device),
    }


def change_style(size: str, half: bool, device: str) -> dict[str, object]:
    """Segment a prepared volume in one style after another."""
    wanted = SIZES[size]
    patch = choose_patch([(SIDE,) * 3], 2**wanted.levels, wanted.voxels)
    model = _model(size, patch)
    voxels = np.random.default_rng(0).normal(size=(SIDE,) * 3).astype(np.float32)
    segmenter = Segmenter(model, Volume(voxels, Geometry((SIDE,) * 3)), device, mixed_precision=half)
    styles = iter(np.linspace(-1, 1, 2 + REPEATS))
    seconds, cpu_seconds = _timed(lambda: segmenter.segment((float(next(styles)), 0.5)), device)
    return {
        "size": size,
        "bfloat16": half,
        "device": device,
        "threads": torch.get_num_threads(),
        "windows": segmenter.windows,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }


def _model(size: str, patch: tuple[int, int, int]) -> StyleModel:
    wanted = SIZES[size]
    torch.manual_seed(0)
    return StyleModel.new(
        UNetShape(channels=wanted.channels, levels=wanted.levels, layers=wanted.layers),
        HyperNetworkShape(rank=wanted.rank),
        Preparation((1.0, 1.0, 1.0), (1,)),
        patch,
        ("Structure",),
    )


def _timed(work: Callable[[], object], device: str) -> tuple[float, float]:
    """Medians of seconds and of the processor's seconds, after a first call that loads and plans."""
    work()
    walls, loads = [], []
    for _ in range(REPEATS):
        if device == "cuda":
            torch.cuda.synchronize()
        started, cpu_started = time.monotonic(), time.process_time()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        walls.append(time.monotonic() - started)
        loads.append(time.process_time() - cpu_started)
    return statistics.median(walls), statistics.median(loads)


if __name__ == "__main__":
    what, name, number, place = sys.argv[1:]
    if what == "train":
        print(json.dumps(train_step(name, int(number), place)))
    else:
        print(json.dumps(change_style(name, bool(int(number)), place)))
