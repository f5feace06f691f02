"""The other side of bench/augment.ts: Sparse R-CNN's augmentations in OpenCV and numpy, on one thread.

Answers JSON lines: {"open": file of pictures, "pictures": [[width, height, boxes], ...], "size": S}, then
{"samples": N, "best": bool} with the processor's seconds for N samples. `best` draws noise by OpenCV, fills the canvas
in place and normalises by OpenCV; otherwise each is what numpy code usually writes.
"""
import json
import math
import random
import sys
import time

import cv2
import numpy as np

cv2.setNumThreads(1)
FILL = (123, 116, 103)
MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
STD = np.array([0.229, 0.224, 0.225], np.float32) * 255


def hsv(image):
    gains = 1 + np.random.uniform(-1, 1, 3) * (0.014, 0.68, 0.36)
    levels = np.arange(256)
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
    tables = [(levels * gains[0]) % 180, np.clip(levels * gains[1], 0, 255), np.clip(levels * gains[2], 0, 255)]
    tables = [table.astype(np.uint8) for table in tables]
    merged = cv2.merge((cv2.LUT(hue, tables[0]), cv2.LUT(saturation, tables[1]), cv2.LUT(value, tables[2])))
    return cv2.cvtColor(merged, cv2.COLOR_HSV2RGB)


def blur(image):
    side = random.choice((3, 5))
    kind = random.randrange(3)
    if kind == 0:
        return cv2.GaussianBlur(image, (side, side), 0)
    return cv2.medianBlur(image, side) if kind == 1 else cv2.blur(image, (side, side))


def noise(image, best):
    sigma = random.uniform(1, 15)
    if best:
        drawn = np.empty(image.shape, np.int16)
        cv2.randn(drawn, 0, sigma)
        return cv2.add(image, drawn, dtype=cv2.CV_8U)
    return np.clip(image + np.random.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def jitter(image, best):
    kind = random.randrange(4)
    if kind == 1:
        return hsv(image)
    if kind == 2 and random.random() < 0.5:
        return blur(image)
    if kind == 3 and random.random() < 0.5:
        return noise(image, best)
    return image


def crop(image, boxes):
    height, width = image.shape[:2]
    w, h = (int(side * random.uniform(0.6, 1)) for side in (width, height))
    x, y = random.randint(0, width - w), random.randint(0, height - h)
    return image[y : y + h, x : x + w], kept(boxes - (x, y, x, y), boxes, w, h, 1)


def kept(moved, before, width, height, scale, least=0.2, aspect=20):
    inside = moved.copy()
    inside[:, 0::2] = inside[:, 0::2].clip(0, width)
    inside[:, 1::2] = inside[:, 1::2].clip(0, height)
    w, h = inside[:, 2] - inside[:, 0], inside[:, 3] - inside[:, 1]
    area = (before[:, 2] - before[:, 0]) * (before[:, 3] - before[:, 1]) * scale * scale
    drawn_out = np.maximum(w / (h + 1e-9), h / (w + 1e-9))
    return inside[(w > 2) & (h > 2) & (w * h > least * area) & (drawn_out < aspect)]


def resized(image, boxes, size):
    height, width = image.shape[:2]
    factor = size / max(width, height)
    if factor != 1:
        image = cv2.resize(image, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_LINEAR)
    return image, boxes * factor


def padded(image, boxes, size):
    image, boxes = resized(image, boxes, size)
    height, width = image.shape[:2]
    left, top = round((size - width) / 2 - 0.1), round((size - height) / 2 - 0.1)
    image = cv2.copyMakeBorder(
        image, top, size - height - top, left, size - width - left, cv2.BORDER_CONSTANT, value=FILL
    )
    return image, boxes + (left, top, left, top)


def affine(image, boxes, size, degrees, scales, move):
    height, width = image.shape[:2]
    scale = random.uniform(*scales)
    centre = np.eye(3)
    centre[:2, 2] = -width / 2, -height / 2
    turn = np.eye(3)
    turn[:2] = cv2.getRotationMatrix2D((0, 0), random.uniform(-degrees, degrees), scale)
    shift = np.eye(3)
    shift[:2, 2] = [size * random.uniform(0.5 - move, 0.5 + move) for _ in range(2)]
    matrix = shift @ turn @ centre
    image = cv2.warpAffine(image, matrix[:2], (size, size), flags=cv2.INTER_LINEAR, borderValue=FILL)
    if len(boxes) == 0:
        return image, boxes
    corners = np.ones((len(boxes) * 4, 3))
    corners[:, :2] = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    points = (corners @ matrix.T)[:, :2].reshape(-1, 4, 2)
    return image, kept(np.concatenate((points.min(1), points.max(1)), 1), boxes, size, size, scale)


def mosaic(parts, size, best):
    side = 2 * size
    if best:
        canvas = np.empty((side, side, 3), np.uint8)
        canvas[0] = FILL
        canvas[1:] = canvas[0]
    else:
        canvas = np.full((side, side, 3), FILL, np.uint8)
    cx, cy = (int(random.uniform(size / 2, 3 * size / 2)) for _ in range(2))
    found = []
    for place, (image, boxes) in enumerate(parts):
        height, width = image.shape[:2]
        x = cx - width if place % 2 == 0 else cx
        y = cy - height if place < 2 else cy
        x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + width, side), min(y + height, side)
        canvas[y1:y2, x1:x2] = image[y1 - y : y2 - y, x1 - x : x2 - x]
        found.append(kept(boxes + (x, y, x, y), boxes, side, side, 1, 0, math.inf))
    return canvas, np.concatenate(found)


def normalised(image, best):
    if best:
        values = cv2.subtract(image, tuple(float(value) for value in MEAN) + (0.0,), dtype=cv2.CV_32F)
        return cv2.multiply(values, tuple(float(1 / value) for value in STD) + (0.0,))
    return ((image.astype(np.float32) / 255 - MEAN / 255) / (STD / 255)).astype(np.float32)


def sample(pictures, index, size, best):
    if random.random() < 0.2:
        image, boxes = pictures[index]
        image = jitter(image, best)
        if random.random() < 0.2:
            image, boxes = crop(image, boxes)
        image, boxes = affine(*padded(image, boxes, size), size, 10, (0.8, 1.2), 0)
    else:
        chosen = [index] + [random.randrange(len(pictures)) for _ in range(3)]
        parts = [resized(jitter(pictures[i][0], best), pictures[i][1], size) for i in chosen]
        image, boxes = affine(*mosaic(parts, size, best), size, 0, (0.5, 1.5), 0.1)
    if random.random() < 0.5:
        image = image[:, ::-1]
        boxes = np.stack((size - boxes[:, 2], boxes[:, 1], size - boxes[:, 0], boxes[:, 3]), 1)
    return normalised(np.ascontiguousarray(image), best), boxes


def main():
    pictures, size = [], 0
    for line in sys.stdin:
        asked = json.loads(line)
        if "open" in asked:
            data, at, size = np.fromfile(asked["open"], np.uint8), 0, asked["size"]
            for width, height, boxes in asked["pictures"]:
                length = width * height * 3
                pictures.append((data[at : at + length].reshape(height, width, 3), np.array(boxes, float).reshape(-1, 4)))
                at += length
            print(json.dumps({"version": f"OpenCV {cv2.__version__}, numpy {np.__version__}"}), flush=True)
            continue
        started = time.process_time()
        objects = 0
        for i in range(asked["samples"]):
            objects += len(sample(pictures, i % len(pictures), size, asked["best"])[1])
        print(json.dumps({"seconds": time.process_time() - started, "objects": objects}), flush=True)


main()
