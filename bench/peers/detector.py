"""torchvision's side of bench/compare-detector.ts.

Reads one JSON command a line on stdin, does it, answers with one JSON line on stdout:
  {"do": "setup", "model": "mask_rcnn" | "retinanet" | "res2net_mask_rcnn" | "sparse_rcnn", "threads": 2, "size": [h, w], "images": n,
   "mode": "train" | "predict", "precision": "fp32" | "bf16", "tuned": whether the model and its input are channels_last
   and the optimizer fused, "compile": whether its backbone and RPN head are compiled, where there is a compiler, "weights": file to write the fresh weights to}
  {"do": "run"}      one training step or one prediction
                     -> {"seconds": s, "processor_seconds": s of all threads, "objects": found in the first image}
  {"do": "memory"}   -> {"peak_bytes": n}
"""
import json
import os
import resource
import shutil
import sys
import time

import torch
import torchvision
from res2net import res2net50
from sparse_rcnn import SparseRcnn
from torchvision.models.detection import MaskRCNN, RetinaNet
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.resnet import resnet50
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

OBJECTS = 7


# Deviation of class logits at which some thousand of them pass the threshold, as in a trained RetinaNet.
LOGIT_DEVIATION = 0.45


def build(model, size):
    if model == "sparse_rcnn":
        return SparseRcnn(100)
    # The usual fine-tuning set-up: frozen batch norms, the stem and the first stage frozen too.
    if model == "res2net_mask_rcnn":
        body = res2net50(FrozenBatchNorm2d)
    else:
        body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    if model != "retinanet":
        return MaskRCNN(_resnet_fpn_extractor(body, 3), 91, min_size=min(size), max_size=max(size))
    backbone = _resnet_fpn_extractor(body, 3, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256))
    return RetinaNet(backbone, 91, min_size=min(size), max_size=max(size))


def spread_scores(model, image):
    """Fresh weights find nothing, and no time would go into choosing."""
    model.eval()
    with torch.no_grad():
        features = model.backbone(model.transform([image])[0].tensors)
        head = model.head.classification_head
        deviation = head.cls_logits(head.conv(features["0"])).std()
        head.cls_logits.weight.mul_(LOGIT_DEVIATION / deviation)


def lay_out_by_pixel(model):
    """channels_last, the weights and what comes into the backbone."""
    model.to(memory_format=torch.channels_last)
    if isinstance(model, SparseRcnn):
        model.channels_last = True
        return
    model.backbone.register_forward_pre_hook(
        lambda _, inputs: (inputs[0].contiguous(memory_format=torch.channels_last),)
    )


def compile_parts(model):
    """The backbone and the RPN's head; the rest has sizes that change with every picture."""
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        return "no compiler"
    if isinstance(model, SparseRcnn):
        model.fpn = torch.compile(model.fpn, dynamic=False)
        return "pyramid compiled"
    model.backbone = torch.compile(model.backbone, dynamic=False)
    if hasattr(model, "rpn"):
        model.rpn.head = torch.compile(model.rpn.head, dynamic=False)
    return "compiled"


def scene(height, width, index):
    """The same boxes and boxed masks as bench/detector-scene.ts."""
    image = torch.rand(3, height, width)
    boxes, labels = [], []
    for i in range(OBJECTS):
        side = 40 + 30 * i
        x = (37 * (i + 1) * (index + 1)) % (width - side)
        y = (53 * (i + 2) * (index + 1)) % (height - side)
        boxes.append([x, y, x + side, y + side])
        labels.append(1 + (i * 11) % 90)
    masks = torch.zeros(OBJECTS, height, width, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = 1
    return image, {"boxes": torch.tensor(boxes, dtype=torch.float32), "labels": torch.tensor(labels), "masks": masks}


def main():
    state = {}
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "setup":
            torch.set_num_threads(command["threads"])
            torch.manual_seed(0)
            height, width = command["size"]
            state["mode"] = command["mode"]
            state["bf16"] = command["precision"] == "bf16"
            state["model"] = build(command["model"], command["size"])
            made = [scene(height, width, i) for i in range(command["images"])]
            state["images"] = [image for image, _ in made]
            state["targets"] = [target for _, target in made]
            if command["model"] == "retinanet" and command["mode"] == "predict":
                spread_scores(state["model"], state["images"][0])
            torch.save(state["model"].state_dict(), command["weights"])
            state["model"].train(command["mode"] == "train")
            tuned = bool(command.get("tuned"))
            tuning = []
            if tuned:
                lay_out_by_pixel(state["model"])
                tuning.append("memory kept, channels_last, fused optimizer")
            if command.get("compile"):
                tuning.append(compile_parts(state["model"]))
            trained = [p for p in state["model"].parameters() if p.requires_grad]
            if command["model"] == "sparse_rcnn":
                state["optimizer"] = torch.optim.AdamW(trained, lr=1e-6, weight_decay=1e-4, fused=tuned or None)
            else:
                state["optimizer"] = torch.optim.SGD(trained, lr=1e-5, momentum=0.9, weight_decay=1e-4, fused=tuned or None)
            answer = {"version": torch.__version__, "torchvision": torchvision.__version__, "threads": torch.get_num_threads(), "tuning": ", ".join(tuning)}
        elif command["do"] == "run":
            objects = 0
            begun = time.perf_counter()
            processor = time.process_time()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=state["bf16"]):
                if state["mode"] == "train":
                    losses = sum(state["model"](state["images"], state["targets"]).values())
                else:
                    with torch.no_grad():
                        objects = len(state["model"](state["images"])[0]["boxes"])
            if state["mode"] == "train":
                losses.item()
                state["optimizer"].zero_grad()
                losses.backward()
                state["optimizer"].step()
            seconds = {"seconds": time.perf_counter() - begun, "processor_seconds": time.process_time() - processor}
            answer = {**seconds, "objects": objects}
        else:
            answer = {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
