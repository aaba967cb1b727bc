"""What styles do, as points: styles lie close together that segment the same images alike.

The map of latent vectors is warped. Along one direction a step changes nothing that a network predicts,
along another it adds a millimetre to every border, and how far a case lies from the others depends on when
its Adam stopped. A case's signature is what the network of its latent vector predicts on a few reference
images, so distances between signatures are distances between segmentations: squared, they are 1 - Dice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional

from pgt.errors import Cancelled
from pgt.precision import bfloat16_is_fast
from pgt.styles.clustering import Points
from pgt.styles.sampling import PreparedCase, window
from pgt.styles.style_model import Latent, StyleModel

REFERENCES = 6
"""Images that are enough: a style changes every image."""

_MOST_STYLES = 256
_MOST_VOXELS = 20_000
_RIM = 4
_STYLES_AT_ONCE = 8

CaseProgress = Callable[[int, int], None]


def reference_cases(latents: Mapping[str, Latent], having: Sequence[str]) -> tuple[str, ...]:
    """Cases whose images serve as references: those nearest to the main style, of which images are at hand.

    Args:
        latents: of the training cases.
        having: cases whose images are at hand.
    """
    nearest = sorted(having, key=lambda case: float(np.linalg.norm(latents[case])))
    return tuple(nearest[:REFERENCES])


def signatures(
    model: StyleModel,
    latents: Mapping[str, Latent],
    references: Sequence[PreparedCase],
    device: str = "cpu",
    progress: CaseProgress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Points:
    """Signatures of the cases.

    Args:
        model: whose map it is.
        latents: of the cases.
        references: images, and labels that tell where the structures are.
        device: where to compute.
        progress: called with the number of predictions done and of all.
        cancelled: asked before every prediction.

    Returns:
        [case, dimension], centred, dimensions of falling variance. More than 256 cases share the signatures
        of 256 places among them.

    Raises:
        Cancelled: ``cancelled`` said so.
    """
    points = np.array(list(latents.values()), dtype=np.float64)
    places, which = _places(points)
    hypernetwork = model.hypernetwork.to(device)
    features: list[Tensor] = []
    total, done, filled = len(places) * len(references), 0, 0.0
    with torch.inference_mode():
        for reference in references:
            image, chosen = _seen(model, reference)
            rows = []
            for some in torch.from_numpy(places).float().split(_STYLES_AT_ONCE):
                if cancelled():
                    raise Cancelled
                weights = hypernetwork(some.to(device))
                images = image[None].to(device).expand(len(some), -1, -1, -1, -1)
                with torch.autocast(device, dtype=torch.bfloat16, enabled=bfloat16_is_fast(device)):
                    logits = model.unet.segment(images, weights)
                shares = logits.float().softmax(dim=1)[:, 1:].flatten(2)[:, :, chosen.to(device)]
                rows.append(shares.flatten(1).cpu())
                done += len(some)
                progress(done, total)
            features.append(torch.cat(rows))
            filled += float(features[-1].sum(dim=1).mean())
    predicted = torch.cat(features, dim=1).double().numpy() / np.sqrt(max(2 * filled, 1e-12))
    return _principal(predicted)[which]


def _places(points: Points) -> tuple[Points, np.ndarray]:
    """The places on the map that stand for all cases, and the one of each case."""
    if len(points) <= _MOST_STYLES:
        return points, np.arange(len(points))
    means = KMeans(_MOST_STYLES, n_init=1, random_state=0).fit(points)
    return means.cluster_centers_.astype(np.float64), means.labels_


def _seen(model: StyleModel, reference: PreparedCase) -> tuple[Tensor, Tensor]:
    """A window around the structures, [1, i, j, k], and which of its voxels count, as flat indices."""
    labelled = reference.labels[0].float() < 0.5
    inside = torch.nonzero(labelled)
    sizes = reference.image.shape[1:]
    middle = inside.float().mean(dim=0) if len(inside) else torch.tensor([size / 2 for size in sizes])
    corner = [
        -((side - size) // 2) if size <= side else min(max(round(float(at)) - side // 2, 0), size - side)
        for at, size, side in zip(middle, sizes, model.patch, strict=True)
    ]
    image = window(reference.image, corner, model.patch)
    near = window(labelled[None].float(), corner, model.patch)
    near = functional.max_pool3d(near[None], 2 * _RIM + 1, stride=1, padding=_RIM)[0, 0]
    chosen = torch.nonzero(near.flatten() > 0)[:, 0]
    if len(chosen) > _MOST_VOXELS:
        order = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))
        chosen = chosen[order[:_MOST_VOXELS].sort().values]
    return image, chosen


def _principal(predicted: Points) -> Points:
    """Principal components of [case, feature], of the fewer cases' many features."""
    centred = predicted - predicted.mean(axis=0)
    variances, vectors = np.linalg.eigh(centred @ centred.T)
    falling = np.argsort(variances)[::-1]
    return vectors[:, falling] * np.sqrt(np.maximum(variances[falling], 0))
