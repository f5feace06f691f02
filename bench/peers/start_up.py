"""torchvision's side of bench/start-up.ts: one photo with Mask R-CNN, as a script does it from the shell.

python start_up.py WEIGHTS PHOTO OUTPUT [--tuned]: writes OUTPUT/detections.json and draws the photo beside it.
"""
import json
import sys
from pathlib import Path

import torch
from torchvision.io import read_image, write_png
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.resnet import resnet50
from torchvision.ops import FrozenBatchNorm2d
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks


def main():
    weights, photo, output = sys.argv[1:4]
    tuned = "--tuned" in sys.argv
    if tuned:
        # Parameters that are overwritten at once are not drawn first.
        with torch.device("meta"):
            model = MaskRCNN(_resnet_fpn_extractor(resnet50(weights=None, norm_layer=FrozenBatchNorm2d), 3), 91)
        model.load_state_dict(torch.load(weights, mmap=True), assign=True)
        model = model.eval().to(memory_format=torch.channels_last)
        model.backbone.register_forward_pre_hook(
            lambda _, inputs: (inputs[0].contiguous(memory_format=torch.channels_last),)
        )
    else:
        model = MaskRCNN(_resnet_fpn_extractor(resnet50(weights=None, norm_layer=FrozenBatchNorm2d), 3), 91)
        model.load_state_dict(torch.load(weights))
        model.eval()
    picture = read_image(photo)
    with torch.inference_mode():
        found = model([picture / 255])[0]
    kept = found["scores"] >= 0.05
    boxes, masks = found["boxes"][kept], found["masks"][kept, 0] > 0.5
    Path(output).mkdir(parents=True, exist_ok=True)
    listed = [
        {"category_id": int(label), "score": float(score), "bbox": box.tolist()}
        for label, score, box in zip(found["labels"][kept], found["scores"][kept], boxes)
    ]
    Path(output, "detections.json").write_text(json.dumps(listed))
    if len(boxes):
        picture = draw_bounding_boxes(draw_segmentation_masks(picture, masks), boxes)
    write_png(picture, str(Path(output, "drawn.png")))


main()
