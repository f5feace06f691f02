"""torchvision's side of bench/gpu: Mask R-CNN R-50-FPN and single kernels on a card, as they come and tuned.

    python gpu.py DEVICE [--tuned]

Tuned: channels_last, TF32 in matrix products too, fused SGD, pinned transfers, one read-back a step. Without cudnn.benchmark: the
mask head has another size every step, and measuring its convolutions anew took 0.6 s a step on an H200.
Reads one JSON command a line on stdin, does it, answers with one JSON line on stdout:
  {"do": "setup", "size": [h, w], "classes": 91, "threads": n, "quick": bool, "write": file or null, "read": file or null}
  {"do": "prepare", "mode": "train" | "predict", "images": n, "precision": "fp32" | "bf16" | "fp16"}
  {"do": "run", "count": n}        steps or predictions -> {"seconds": each, "objects": found in the first picture, "loss": last}
  {"do": "settle"}                 -> {}   after the first steps, which may have tried ways that need more memory than the others
  {"do": "memory"}                 -> {"reserved": n, "in_use": n, "taken": n}   bytes: the most since settle, or null
  {"do": "kernel", "name": ..., "quick": bool}    -> {"seconds": s}
"""
import gc
import json
import sys
import time

import torch
import torchvision
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.resnet import resnet50
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, batched_nms, box_iou, nms

OBJECTS = 7
# To try the programs, not to measure: bench/gpu/detector-ours.ts has the same.
QUICK = {
    "rpn_pre_nms_top_n_train": 100,
    "rpn_pre_nms_top_n_test": 100,
    "rpn_post_nms_top_n_train": 50,
    "rpn_post_nms_top_n_test": 50,
    "box_batch_size_per_image": 16,
    "box_detections_per_img": 10,
}
# Deviation of class logits at which more boxes pass the score threshold than are kept, as in a trained detector.
LOGIT_DEVIATION = 2.0
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

device = torch.device(sys.argv[1])
tuned = "--tuned" in sys.argv
on_card = device.type == "cuda"
if not on_card:
    # A CPU takes minutes for a step in float16: where there is no card, the programs are tried with the other short type.
    DTYPES["fp16"] = torch.bfloat16
state = {}


def wait():
    if on_card:
        torch.cuda.synchronize(device)


def scene(height, width, index):
    """The same boxes and boxed masks as bench/detector-scene.ts, their sides cut to small pictures."""
    image = torch.rand(3, height, width)
    boxes, labels = [], []
    for i in range(OBJECTS):
        side = min(40 + 30 * i, min(height, width) // 2)
        x = (37 * (i + 1) * (index + 1)) % (width - side)
        y = (53 * (i + 2) * (index + 1)) % (height - side)
        boxes.append([x, y, x + side, y + side])
        labels.append(1 + (i * 11) % 90)
    masks = torch.zeros(OBJECTS, height, width, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = 1
    return image, {"boxes": torch.tensor(boxes, dtype=torch.float32), "labels": torch.tensor(labels), "masks": masks}


def spread_scores(model, image):
    """Fresh weights find nothing, and no time would go into choosing and pasting."""
    seen = []
    head = model.roi_heads.box_predictor.cls_score
    hook = head.register_forward_hook(lambda module, args, output: seen.append((output - head.bias).std().item()))
    model.eval()
    with torch.no_grad():
        model([image])
        head.weight.mul_(LOGIT_DEVIATION / seen[0])
    hook.remove()


def setup(command):
    torch.set_num_threads(command["threads"])
    torch.manual_seed(0)
    if tuned:
        torch.backends.cuda.matmul.allow_tf32 = True
    height, width = command["size"]
    body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
    # The usual fine-tuning set-up: frozen batch norms, the stem and the first stage frozen too.
    options = {"min_size": min(height, width), "max_size": max(height, width), **(QUICK if command["quick"] else {})}
    model = MaskRCNN(_resnet_fpn_extractor(body, 3), command["classes"], **options)
    if command["read"]:
        model.load_state_dict(torch.load(command["read"]))
    model.to(device)
    if tuned:
        model.to(memory_format=torch.channels_last)
    if command["write"]:
        spread_scores(model, scene(height, width, 0)[0].to(device))
        torch.save({name: value.cpu() for name, value in model.state_dict().items()}, command["write"])
    state.update(model=model, size=(height, width))
    answer = {"torch": torch.__version__, "torchvision": torchvision.__version__, "card": None}
    if on_card:
        properties = torch.cuda.get_device_properties(device)
        answer["card"] = properties.name
    return answer


def prepare(command):
    state.pop("optimizer", None)
    model = state["model"]
    for parameter in model.parameters():
        parameter.grad = None
    gc.collect()
    if on_card:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        state["free"] = torch.cuda.mem_get_info(device)[0]
    state["mode"], state["dtype"] = command["mode"], DTYPES[command["precision"]]
    model.train(command["mode"] == "train")
    made = [scene(*state["size"], index) for index in range(command["images"])]
    state["images"] = [image for image, _ in made]
    state["targets"] = [target for _, target in made]
    if tuned and on_card:
        state["images"] = [image.pin_memory() for image in state["images"]]
        state["targets"] = [{name: value.pin_memory() for name, value in target.items()} for target in state["targets"]]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    fused = {"fused": True} if tuned else {}
    state["optimizer"] = torch.optim.SGD(trained, lr=1e-5, momentum=0.9, weight_decay=1e-4, **fused)
    state["scaler"] = torch.amp.GradScaler(device.type, enabled=on_card and state["dtype"] == torch.float16)
    return {}


def autocast():
    return torch.autocast(device.type, dtype=state["dtype"], enabled=state["dtype"] != torch.float32)


def train_step():
    """As torchvision's reference train_one_epoch: to the device, losses, one look at their sum, backward, step."""
    model, optimizer, scaler = state["model"], state["optimizer"], state["scaler"]
    images = [image.to(device, non_blocking=tuned) for image in state["images"]]
    targets = [{name: value.to(device, non_blocking=tuned) for name, value in target.items()} for target in state["targets"]]
    with autocast():
        losses = sum(model(images, targets).values())
    value = None if tuned else losses.item()
    optimizer.zero_grad()
    scaler.scale(losses).backward()
    scaler.step(optimizer)
    scaler.update()
    return losses.item() if tuned else value


def prediction():
    """Boxes, scores and classes come back; the masks stay on the device, pasted into the picture."""
    images = [image.to(device, non_blocking=tuned) for image in state["images"]]
    with torch.no_grad(), autocast():
        outputs = state["model"](images)
    found = [{name: output[name].cpu() for name in ("boxes", "scores", "labels")} for output in outputs]
    return len(found[0]["boxes"])


def run(command):
    answer = {"objects": 0, "loss": None}
    wait()
    begun = time.perf_counter()
    for _ in range(command["count"]):
        if state["mode"] == "train":
            answer["loss"] = train_step()
        else:
            answer["objects"] = prediction()
    wait()
    answer["seconds"] = (time.perf_counter() - begun) / command["count"]
    return answer


def settle():
    if on_card:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    return {}


def memory():
    if not on_card:
        return {"reserved": None, "in_use": None, "taken": None}
    return {
        "reserved": torch.cuda.max_memory_reserved(device),
        "in_use": torch.cuda.max_memory_allocated(device),
        "taken": state["free"] - torch.cuda.mem_get_info(device)[0],
    }


def random_boxes(count, least, most, height, width):
    sides = torch.rand(count, 2) * (most - least) + least
    corners = torch.rand(count, 2) * (torch.tensor([width, height]) - sides).clamp(min=0)
    return torch.cat([corners, corners + sides], 1).to(device)


def kernel_work(name, quick):
    """What is timed; the sizes are those of bench/gpu/kernel-times.ts."""
    torch.manual_seed(0)
    height, width = (64, 96) if quick else (800, 1088)
    few = 10 if quick else 1
    pooling = {"7x7": (1024 // few, 7), "14x14": (256 // few, 14)}
    for bins, (count, side) in pooling.items():
        if name.startswith(f"RoIAlign {bins}"):
            maps = {
                str(level): torch.randn(2, 256 // few, height // stride, width // stride, device=device)
                for level, stride in enumerate((4, 8, 16, 32))
            }
            rois = [random_boxes(count // 2, 16, min(height, width) / 1.5, height, width) for _ in range(2)]
            align = MultiScaleRoIAlign(list(maps), side, 2)
            sizes = [(height, width)] * 2
            if name.endswith("forward"):
                return lambda: align(maps, rois, sizes)
            for level in maps.values():
                level.requires_grad_()
            gradient = torch.randn_like(align(maps, rois, sizes))
            return lambda: torch.autograd.grad(align(maps, rois, sizes), list(maps.values()), gradient)
    if name.startswith("batched NMS"):
        count = 4741 // few
        boxes, scores, groups = random_boxes(count, 16, 200, 800, 1088), torch.rand(count, device=device), torch.randint(0, 5, (count,), device=device)
        return lambda: batched_nms(boxes, scores, groups, 0.7)
    if name.startswith("NMS"):
        count = 1000 // few
        boxes, scores = random_boxes(count, 16, 200, 800, 1088), torch.rand(count, device=device)
        return lambda: nms(boxes, scores, 0.7)
    if name.startswith("matching"):
        objects, anchors = random_boxes(7, 40, 240, 800, 1088), random_boxes(217413 // few, 16, 500, 800, 1088)
        matcher = Matcher(0.7, 0.3, allow_low_quality_matches=True)
        return lambda: matcher(box_iou(objects, anchors))
    if name.startswith("SGD"):
        parameters = [torch.nn.Parameter(torch.randn(256, 256, 3, 3, device=device)) for _ in range(80 // few)]
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        way = {"fused": True} if tuned else {}
        return torch.optim.SGD(parameters, lr=1e-5, momentum=0.9, weight_decay=1e-4, **way).step
    if name.startswith("small operator"):
        value = torch.ones(4, device=device)
        return lambda: value + 1
    raise ValueError(name)


def kernel(command):
    work = kernel_work(command["name"], command["quick"])
    count = 3 if command["quick"] else 5000 if command["name"].startswith("small operator") else 20
    for _ in range(max(3, count // 5)):
        work()
    wait()
    begun = time.perf_counter()
    for _ in range(count):
        work()
    wait()
    return {"seconds": (time.perf_counter() - begun) / count}


def main():
    commands = {"setup": setup, "prepare": prepare, "run": run, "kernel": kernel, "settle": lambda _: settle(), "memory": lambda _: memory()}
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = commands[command["do"]](command)
        except Exception as error:  # The other side goes on, and says that this was not to be had.
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
            if on_card and "CUDA error" in str(error):
                raise
        print(json.dumps(answer), flush=True)


main()
