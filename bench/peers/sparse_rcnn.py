"""Sparse R-CNN written plainly in PyTorch, with the names of sparse_rcnnv1's checkpoints: torchvision's ResNet and RoIAlign,
scipy's assignment, an operator at a time."""
import math

import torch
from scipy.optimize import linear_sum_assignment
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import resnet50
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, clip_boxes_to_image, generalized_box_iou

CLASSES = 90


class Pyramid(nn.Module):
    def __init__(self, channels):
        super().__init__()
        for level, count in zip((2, 3, 4, 5), channels):
            setattr(self, f"c{level}_to_f{level}", nn.Conv2d(count, 256, 1, bias=False))
        for level in (2, 3, 4, 5):
            setattr(self, f"p{level}_out", nn.Conv2d(256, 256, 3, padding=1, bias=False))

    def forward(self, features):
        above, levels = None, []
        for level in (5, 4, 3, 2):
            merged = getattr(self, f"c{level}_to_f{level}")(features[level - 2])
            if above is not None:
                merged = merged + F.interpolate(above, merged.shape[-2:], mode="bilinear", align_corners=True)
            levels.insert(0, getattr(self, f"p{level}_out")(merged))
            above = merged
        return levels


class Interaction(nn.Module):
    def __init__(self):
        super().__init__()
        self.dynamic_layer = nn.Linear(256, 2 * 256 * 64)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(64), nn.LayerNorm(256), nn.LayerNorm(256)
        self.out_layer = nn.Linear(256 * 49, 256)

    def forward(self, proposals, cells):
        first, second = self.dynamic_layer(proposals).split(256 * 64, dim=1)
        hidden = F.relu(self.norm1(torch.bmm(cells, first.view(-1, 256, 64))))
        shown = F.relu(self.norm2(torch.bmm(hidden, second.view(-1, 64, 256))))
        return F.relu(self.norm3(self.out_layer(shown.flatten(1))))


def tower(layers):
    parts = []
    for _ in range(layers):
        parts += [nn.Linear(256, 256, bias=False), nn.LayerNorm(256), nn.ReLU()]
    return nn.Sequential(*parts)


class Stage(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(256, 8, batch_first=True)
        self.inst_interact = Interaction()
        self.feed_forward = nn.Sequential(nn.Linear(256, 2048), nn.ReLU(), nn.Dropout(0.0), nn.Linear(2048, 256))
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(256) for _ in range(3))
        self.cls_tower, self.reg_tower = tower(1), tower(3)
        self.class_logits, self.bboxes_delta = nn.Linear(256, CLASSES), nn.Linear(256, 4)

    def forward(self, proposals, cells):
        shape = proposals.shape
        proposals = self.norm1(proposals + self.self_attn(proposals, proposals, proposals, need_weights=False)[0])
        flat = proposals.reshape(-1, 256)
        flat = self.norm2(flat + self.inst_interact(flat, cells))
        flat = self.norm3(flat + self.feed_forward(flat))
        logits = self.class_logits(self.cls_tower(flat)).view(*shape[:2], -1)
        return flat.view(shape), logits, self.bboxes_delta(self.reg_tower(flat)).view(*shape[:2], 4)


def decode(deltas, boxes):
    size = boxes[..., 2:] - boxes[..., :2]
    centre = boxes[..., :2] + 0.5 * size
    new_size = size * torch.exp((deltas[..., 2:] * 0.2).clamp(max=math.log(1000 / 16)))
    start = centre + deltas[..., :2] * 0.1 * size - 0.5 * new_size
    return torch.cat([start, start + new_size], -1)


class SparseRcnn(nn.Module):
    def __init__(self, proposals):
        super().__init__()
        body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
        del body.fc, body.avgpool
        self.backbones, self.fpn = body, Pyramid((256, 512, 1024, 2048))
        self.init_proposal_features = nn.Embedding(proposals, 256)
        self.init_proposal_boxes = nn.Embedding(proposals, 4)
        nn.init.constant_(self.init_proposal_boxes.weight[:, :2], 0.5)
        nn.init.constant_(self.init_proposal_boxes.weight[:, 2:], 1)
        self.head = nn.Module()
        self.head.heads = nn.ModuleList(Stage() for _ in range(6))
        for parameter in self.head.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for stage in self.head.heads:
            nn.init.constant_(stage.class_logits.bias, -math.log(99))
        self.pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False)

    def features(self, pixels):
        body = self.backbones
        hidden = body.maxpool(body.relu(body.bn1(body.conv1(pixels))))
        levels = []
        for layer in (body.layer1, body.layer2, body.layer3, body.layer4):
            hidden = layer(hidden)
            levels.append(hidden)
        return self.fpn(levels)

    def forward(self, images, targets=None):
        pixels = torch.stack([(image - self.mean) / self.std for image in images])
        if getattr(self, "channels_last", False):
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        height, width = pixels.shape[-2:]
        levels = dict(zip("0123", self.features(pixels)))
        scale = pixels.new_tensor([width, height, width, height])
        relative = self.init_proposal_boxes.weight * scale
        boxes = torch.cat([relative[:, :2] - relative[:, 2:] / 2, relative[:, :2] + relative[:, 2:] / 2], 1)
        boxes = boxes.expand(len(images), -1, -1)
        proposals = self.init_proposal_features.weight.expand(len(images), -1, -1)
        outputs = []
        for stage in self.head.heads:
            cells = self.pool(levels, list(boxes.detach()), [(height, width)] * len(images))
            proposals, logits, deltas = stage(proposals, cells.flatten(2).transpose(1, 2))
            moved = decode(deltas.float(), boxes)
            outputs.append((logits.float(), moved))
            boxes = moved.detach()
        if targets is None:
            return self.detections(*outputs[-1], (height, width))
        return self.losses(outputs, targets, scale)

    def detections(self, logits, boxes, size):
        found = []
        for own, place in zip(logits.sigmoid(), boxes):
            scores, index = own.flatten().topk(own.shape[0])
            found.append({
                "boxes": clip_boxes_to_image(place[index // CLASSES], size),
                "scores": scores,
                "labels": index % CLASSES + 1,
            })
        return found

    def losses(self, outputs, targets, scale):
        count = max(1, sum(len(target["labels"]) for target in targets))
        totals = {"classification": 0.0, "box_l1": 0.0, "box_iou": 0.0}
        for logits, boxes in outputs:
            wanted = torch.zeros_like(logits)
            for image, target in enumerate(targets):
                rows, columns = self.match(logits[image], boxes[image], target, scale)
                wanted[image, rows, target["labels"][columns] - 1] = 1
                own, other = boxes[image, rows], target["boxes"][columns]
                totals["box_l1"] += 5 * (own / scale - other / scale).abs().sum() / count
                totals["box_iou"] += 2 * (1 - torch.diag(generalized_box_iou(own, other))).sum() / count
            share = logits.sigmoid()
            entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
            right = share * wanted + (1 - share) * (1 - wanted)
            alpha = 0.25 * wanted + 0.75 * (1 - wanted)
            totals["classification"] += 2 * (alpha * (1 - right) ** 2 * entropy).sum() / count
        return totals

    @torch.no_grad()
    def match(self, logits, boxes, target, scale):
        share = logits.sigmoid()[:, target["labels"] - 1]
        present = 0.25 * (1 - share) ** 2 * -(share + 1e-8).log()
        absent = 0.75 * share**2 * -(1 - share + 1e-8).log()
        distance = torch.cdist(boxes / scale, target["boxes"] / scale, p=1)
        cost = 2 * (present - absent) + 5 * distance - 2 * generalized_box_iou(boxes, target["boxes"])
        return [torch.as_tensor(index) for index in linear_sum_assignment(cost.cpu())]
