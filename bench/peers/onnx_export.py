"""PyTorch's side of bench/onnx.ts: a torchvision detector of fresh weights, as its state dict and as the ONNX file that PyTorch's exporter makes.

usage: onnx_export.py mask_rcnn|retinanet HEIGHT WIDTH WEIGHTS.pth MODEL.onnx
Prints one JSON line: {"version": torch's, "torchvision": its, "opset": of the file}. The exporter is the one that records TorchScript
(dynamo=False), which needs no other package than onnx; torchvision's models bring their own functions for it.
"""
import json
import sys
import warnings

import onnx
import torch
import torchvision
from detector import build, scene, spread_scores

OPSET = 17

# Deviation of a proposal's class logits at which a picture has as many detections as there may be.
LOGIT_DEVIATION = 1.5


def spread_class_scores(model, image):
    """Fresh weights are sure of nothing."""
    seen = []
    predictor = model.roi_heads.box_predictor.cls_score
    hook = predictor.register_forward_hook(lambda _, __, logits: seen.append(logits.std()))
    with torch.no_grad():
        model.eval()([image])
    hook.remove()
    with torch.no_grad():
        predictor.weight.mul_(LOGIT_DEVIATION / seen[0])


def main():
    kind, height, width, weights, output = sys.argv[1:]
    size = [int(height), int(width)]
    torch.manual_seed(0)
    model = build(kind, size)
    image, _ = scene(*size, 0)
    (spread_scores if kind == "retinanet" else spread_class_scores)(model, image)
    model.eval()
    torch.save(model.state_dict(), weights)
    names = ["boxes", "scores", "labels"] if kind == "retinanet" else ["boxes", "labels", "scores", "masks"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            ([image],),
            output,
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=names,
            dynamic_axes={"image": {1: "height", 2: "width"}},
        )
    opset = onnx.load(output, load_external_data=False).opset_import[0].version
    print(json.dumps({"version": torch.__version__, "torchvision": torchvision.__version__, "opset": opset}))


main()
