// The keys of liangheming/sparse_rcnnv1's config/sparse_rcnn.yaml and of the model options that its code takes from there, with the
// values that count where a file leaves them out: those of its model, and for the rest those of its file.
import { any, choice, float, int, ints, noted, settled, text, unused, type ValuesOf } from '../shared/key-kinds.js';
import type { KnownKeys, YamlSettings } from '../shared/yaml-settings.js';
import { BACKBONES } from './backbones.js';

const TRUTH = 'any value, taken as Python takes it for a condition: a text such as Ture is true';

const tree = {
  model_name: unused(text('sparse_rcnn'), '`--output` names the folder of a run'),
  data: {
    train_annotation_path: text(''),
    val_annotation_path: text(''),
    train_img_root: text(''),
    val_img_root: text(''),
    max_thresh: noted(int(640), 'the side of the square that pictures are fitted into'),
    use_crowd: noted(any(false), TRUTH),
    batch_size: noted(int(4), 'pictures of each GPU that `gpus` lists; one step has all of them'),
    num_workers: noted(int(4), 'worker threads that read pictures'),
    debug: noted(any(false), 'a number: only so many of the first pictures'),
    remove_blank: noted(any(true), TRUTH),
  },
  model: {
    num_cls: noted(int(80), 'the categories of the data count, unless `--set model.num_cls` gives it'),
    backbone: choice('resnet18', ...Object.keys(BACKBONES).filter((name) => name !== 'resnet18')),
    pretrained: noted(any(true), `${TRUTH}; the weights are looked for as data/pretrained_model/BACKBONE.pth`),
    in_channel: int(256),
    inner_channel: int(64),
    dim_feedforward: int(2048),
    nhead: int(8),
    dropout: float(0),
    pooling_resolution: int(7),
    cls_tower_num: int(1),
    reg_tower_num: int(3),
    num_heads: int(6),
    return_intermediate: noted(any(true), TRUTH),
    num_proposals: int(100),
    alpha: noted(float(0.25), "of the focal loss; the original's code passes it on to nothing"),
    gamma: noted(float(2), "of the focal loss; the original's code passes it on to nothing"),
    iou_type: choice('giou', 'iou', 'diou', 'ciou'),
    iou_weights: float(2),
    iou_cost: float(1),
    cls_weights: float(2),
    cls_cost: float(1),
    l1_weights: float(5),
    l1_cost: float(1),
  },
  optim: {
    optimizer: choice('AdamW', 'Adam', 'SGD'),
    lr: float(2.5e-5),
    momentum: noted(float(0.9), 'of SGD'),
    milestones: noted(ints(27, 33), 'epochs'),
    warm_up_iter: int(1000),
    warm_up_factor: float(0.01),
    weight_decay: float(1e-4),
    epochs: int(36),
    alpha: float(0.1),
    sync_bn: settled(any(false), 'its norms are frozen'),
    amp: noted(any(false), `${TRUTH}: \`train.precision: bf16\``),
  },
  val: {
    interval: noted(int(1), 'epochs'),
    weight_path: unused(text('weights'), '`--output` names the folder of a run'),
  },
  gpus: noted(any('0'), 'how many there are counts: data.batch_size times that is the batch of a step'),
} as const;

export const sparseRcnnKeys: KnownKeys<typeof tree> = { system: 'sparse_rcnnv1', tree };

export type SparseRcnnSettings = YamlSettings<ValuesOf<typeof tree>>;
