"""The other side of bench/loading.ts: torch's DataLoader over JPEG files, without workers of its own, on one thread.

Answers JSON lines: {"open": [paths], "batch": N, "short": S, "long": L}, then {"way": "torch" | "pil" | "opencv"} with the processor's
seconds for one pass. What is read, of each picture: RGB, the short side S unless the long one exceeded L, normalised, zero padded
with the others of its batch.

torch: torchvision's decoder and detection transform (normalise, then bilinear in float). pil: PIL's decoder and antialiased
bilinear. opencv: OpenCV's decoder and bilinear. The DataLoader has no workers: with them the processor's time is the same and what
they send each other comes on top.
"""
import json
import sys
import time

import cv2
import numpy as np
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_jpeg, read_file

torch.set_num_threads(1)
cv2.setNumThreads(1)
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
FAST_MEAN, FAST_STD = 255 * MEAN, 255 * STD


class Photos(Dataset):
    def __init__(self, paths, short, long, way):
        self.paths, self.short, self.long, self.way = paths, short, long, way

    def __len__(self):
        return len(self.paths)

    def size(self, height, width):
        scale = min(self.short / min(height, width), self.long / max(height, width))
        return int(height * scale), int(width * scale)

    def __getitem__(self, index):
        path = self.paths[index]
        if self.way == "pil":
            image = Image.open(path).convert("RGB")
            height, width = self.size(image.height, image.width)
            resized = torch.from_numpy(np.array(image.resize((width, height), Image.BILINEAR))).permute(2, 0, 1)
            return resized.float().sub_(FAST_MEAN).div_(FAST_STD)
        if self.way == "opencv":
            image = cv2.imread(path)
            height, width = self.size(*image.shape[:2])
            resized = cv2.cvtColor(cv2.resize(image, (width, height)), cv2.COLOR_BGR2RGB)
            return torch.from_numpy(resized).permute(2, 0, 1).float().sub_(FAST_MEAN).div_(FAST_STD)
        image = decode_jpeg(read_file(path), ImageReadMode.RGB)
        size = self.size(*image.shape[-2:])
        normalised = (image.float() / 255).sub_(MEAN).div_(STD)
        return torch.nn.functional.interpolate(normalised[None], size=size, mode="bilinear", align_corners=False)[0]


def padded(images):
    height = -(-max(image.shape[1] for image in images) // 32) * 32
    width = -(-max(image.shape[2] for image in images) // 32) * 32
    batch = images[0].new_zeros(len(images), 3, height, width)
    for slot, image in zip(batch, images):
        slot[:, : image.shape[1], : image.shape[2]].copy_(image)
    return batch


def main():
    asked_first = None
    for line in sys.stdin:
        asked = json.loads(line)
        if "open" in asked:
            asked_first = asked
            version = f"torch {torch.__version__}, torchvision {torchvision.__version__}, OpenCV {cv2.__version__}"
            print(json.dumps({"version": version}), flush=True)
            continue
        photos = Photos(asked_first["open"], asked_first["short"], asked_first["long"], asked["way"])
        loader = DataLoader(photos, batch_size=asked_first["batch"], collate_fn=padded, num_workers=0)
        started = time.process_time()
        total = sum(float(batch[0, 0, 0, 0]) for batch in loader)
        print(json.dumps({"seconds": time.process_time() - started, "sum": total}), flush=True)


main()
