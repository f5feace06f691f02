"""PyTorch's and OpenCV's side of bench/solov2.ts: SOLOv2-Light from a picture's pixels to its masks.

Reads one JSON command a line on stdin, does it, answers with one JSON line on stdout:
  {"do": "setup", "threads": 2, "state": of a parity case, "weights": .pth to write, "picture": PNG, "size": [w, h],
   "enlarged": PNG to write, "channels_last": bool}
  {"do": "run"}  -> {"seconds": s, "cpuSeconds": of all threads, "objects": n, "scores": sum of the scores, "pixels": of all masks}

The network is the one of packages/goshawk/src/parity/fixtures/solov2_training; what is behind it is written as pytorch_solov2 has
it, without its loops over levels and objects.
"""
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

FIXTURES = Path(__file__).parents[2] / "packages/goshawk/src/parity/fixtures"
sys.dont_write_bytecode = True
sys.path[:0] = [str(FIXTURES), str(FIXTURES / "solov2_training")]
from torchvision_common import uniform  # noqa: E402
from solov2_plain import GRIDS, STRIDES, Solov2Light, prepare  # noqa: E402


def points_nms(scores):
    best = F.max_pool2d(scores, 2, stride=1, padding=1)[:, :, :-1, :-1]
    return scores * (best == scores)


def detect(model, rgb, limits):
    height, width = rgb.shape[:2]
    pixels, (_, new_width, new_height) = prepare(rgb, *limits)
    features, logits, kernels = model(torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None])
    scores = torch.cat([points_nms(x.sigmoid())[0].flatten(1).t() for x in logits])
    weights = torch.cat([x[0].flatten(1).t() for x in kernels])
    strides = torch.cat([torch.full((side * side,), float(s)) for side, s in zip(GRIDS, STRIDES)])
    cells, labels = (scores > 0.3).nonzero(as_tuple=True)
    own = scores[cells, labels]
    soft = F.conv2d(features, weights[cells][:, :, None, None])[0].sigmoid()
    masks = soft > 0.5
    areas = masks.sum((1, 2)).float()
    kept = areas > strides[cells]
    soft, masks, areas, own, labels = soft[kept], masks[kept], areas[kept], own[kept], labels[kept]
    own = own * (soft * masks).sum((1, 2)) / areas
    order = own.argsort(descending=True)[:500]
    soft, masks, areas, own, labels = soft[order], masks[order].flatten(1).float(), areas[order], own[order], labels[order]
    shared = masks @ masks.t()
    iou = (shared / (areas[:, None] + areas[None] - shared)).triu(1) * (labels[:, None] == labels[None])
    most = iou.max(0).values[:, None]
    own = own * (torch.exp(-2 * iou**2) / torch.exp(-2 * most**2)).min(0).values
    kept = own >= 0.05
    soft, own = soft[kept], own[kept]
    order = own.argsort(descending=True)[:30]
    soft, own = soft[order], own[order]
    size = features.shape[-2] * 4, features.shape[-1] * 4
    large = F.interpolate(soft[None], size=size, mode="bilinear", align_corners=False)[:, :, :new_height, :new_width]
    return own, F.interpolate(large, size=(height, width), mode="bilinear", align_corners=False)[0] > 0.5


def make_weights(entries):
    """Of a parity case."""
    return {
        e["name"]: uniform(e["name"], e["shape"], e["rule"]["lo"], e["rule"]["hi"])
        if "rule" in e
        else torch.full(e["shape"], e["const"], dtype=getattr(torch, e["dtype"]))
        for e in entries
    }


def main():
    state = {}
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "setup":
            torch.set_num_threads(command["threads"])
            cv2.setNumThreads(command["threads"])
            model = Solov2Light(18).eval()
            model.load_state_dict(make_weights(json.loads(Path(command["state"]).read_text())))
            torch.save(model.state_dict(), command["weights"])
            if command["channels_last"]:
                model = model.to(memory_format=torch.channels_last)
            picture = cv2.cvtColor(cv2.imread(command["picture"]), cv2.COLOR_BGR2RGB)
            state = {"model": model, "picture": cv2.resize(picture, tuple(command["size"]))}
            cv2.imwrite(command["enlarged"], cv2.cvtColor(state["picture"], cv2.COLOR_RGB2BGR))
            answer = {"version": torch.__version__}
        else:
            begun, used = time.perf_counter(), time.process_time()
            with torch.inference_mode():
                scores, masks = detect(state["model"], state["picture"], (480, 448))
                found = masks.numpy()
            seconds, cpu = time.perf_counter() - begun, time.process_time() - used
            answer = {"seconds": seconds, "cpuSeconds": cpu, "objects": len(scores), "scores": float(scores.sum()), "pixels": int(np.count_nonzero(found))}
        print(json.dumps(answer), flush=True)


main()
