"""torchvision's side of bench/kernels.ts.

Reads one JSON command a line on stdin, does it, answers with one JSON line on stdout:
  {"do": "hello", "threads": 2}     -> {"torch": version, "torchvision": version}
  {"do": "prepare", "task": {...}}  -> {}
  {"do": "run"}                     -> {"seconds": s}
"""
import json
import sys
import time

import torch
import torchvision
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import batched_nms, box_iou, nms, roi_align

MAP = (2, 256, 128, 128)
STRIDE = 4


def prepare(task):
    kind = task["kind"]
    if kind == "roi_align":
        dtype = getattr(torch, task["dtype"])
        # Planes: the layout that torchvision's kernel reads without converting first.
        feature = torch.randn(MAP).to(dtype)
        rois = torch.tensor(task["rois"])

        def align():
            # As in a detector under autocast, which lets roi_align compute in float32.
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                return roi_align(feature, rois, (task["bins"], task["bins"]), 1 / STRIDE, 2)

        if task["pass"] == "forward":
            return align
        feature.requires_grad_()
        pooled = align()
        gradient = torch.randn_like(pooled)
        return lambda: torch.autograd.grad(pooled, feature, gradient, retain_graph=True)
    if kind == "batch_norm":
        def placed():
            values = torch.randn(task["shape"]).to(getattr(torch, task["dtype"]))
            return values.to(memory_format=torch.channels_last)

        channels = task["shape"][1]
        source, weight, bias = placed(), torch.ones(channels), torch.zeros(channels)
        running = torch.zeros(channels), torch.ones(channels)

        def norm():
            return torch.nn.functional.batch_norm(source, *running, weight, bias, training=True)

        if task["pass"] == "forward":
            return norm
        leaves = [leaf.requires_grad_() for leaf in (source, weight, bias)]
        output, slope = norm(), placed()
        return lambda: torch.autograd.grad(output, leaves, slope, retain_graph=True)
    boxes = torch.tensor(task.get("boxes", []))
    if kind == "nms":
        scores = torch.tensor(task["scores"])
        return lambda: nms(boxes, scores, task["threshold"])
    if kind == "batched_nms":
        scores, groups = torch.tensor(task["scores"]), torch.tensor(task["groups"])
        return lambda: batched_nms(boxes, scores, groups, task["threshold"])
    if kind == "match":
        objects, anchors = torch.tensor(task["objects"]), torch.tensor(task["anchors"])
        matcher = Matcher(0.7, 0.3, allow_low_quality_matches=True)
        return lambda: matcher(box_iou(objects, anchors))
    if kind == "paste":
        from pycocotools import mask as coco

        side = task["resolution"]
        cells = torch.nn.functional.avg_pool2d(torch.rand(len(boxes), 1, side, side), 5, 1, 2)

        def paste():
            pasted = paste_masks_in_image(cells, boxes, (task["size"], task["size"])) >= 0.5
            return [coco.encode(mask[0].numpy().astype("uint8", order="F")) for mask in pasted]

        return paste
    raise ValueError(kind)


def main():
    work = None
    for line in sys.stdin:
        command = json.loads(line)
        answer = {}
        if command["do"] == "hello":
            torch.set_num_threads(command["threads"])
            torch.manual_seed(0)
            answer = {"torch": torch.__version__, "torchvision": torchvision.__version__}
        elif command["do"] == "prepare":
            work = prepare(command["task"])
        else:
            begun = time.perf_counter()
            work()
            answer = {"seconds": time.perf_counter() - begun}
        print(json.dumps(answer), flush=True)


main()
