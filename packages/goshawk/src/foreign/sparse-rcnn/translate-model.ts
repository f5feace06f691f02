// The model of a sparse_rcnnv1 config (its nets/sparse_rcnn.py and losses/sparse_rcnn_loss.py) as a model of ours.
import type { ConfigPart } from '../dialect.js';
import { truth } from '../shared/python-truth.js';
import { keyError, show } from '../shared/yaml-settings.js';
import { BACKBONES } from './backbones.js';
import type { SparseRcnnSettings } from './keys.js';

const WEIGHTS_FOLDER = 'data/pretrained_model';

export function translateModel(settings: SparseRcnnSettings): ConfigPart {
  const { model } = settings.values;
  if (model.num_cls < 1) throw keyError(settings, 'model.num_cls', `got ${show(model.num_cls)}: expected at least 1`);
  return {
    type: 'sparse_rcnn',
    ...(settings.set.has('model.num_cls') ? { classes: model.num_cls } : {}),
    backbone: {
      type: 'resnet',
      ...BACKBONES[model.backbone],
      norm: 'frozen_batch',
      frozenStages: 0,
      ...(truth(model.pretrained) ? { weights: `${WEIGHTS_FOLDER}/${model.backbone}.pth` } : {}),
    },
    neck: { type: 'fpn', channels: model.in_channel, extraLevel: 'none', biases: false, upsampling: 'bilinear' },
    proposals: model.num_proposals,
    head: {
      stages: model.num_heads,
      attentionHeads: model.nhead,
      feedforwardSize: model.dim_feedforward,
      dynamicChannels: model.inner_channel,
      dropout: model.dropout,
      classLayers: model.cls_tower_num,
      boxLayers: model.reg_tower_num,
      poolSize: model.pooling_resolution,
      samplingRatio: 2,
    },
    loss: {
      classWeight: model.cls_weights,
      l1Weight: model.l1_weights,
      iouWeight: model.iou_weights,
      iou: model.iou_type,
      focalAlpha: model.alpha,
      focalGamma: model.gamma,
      allStages: truth(model.return_intermediate),
    },
    // The pairing takes the generalized IoU whatever the loss takes.
    matching: { classCost: model.cls_cost, l1Cost: model.l1_cost, iouCost: model.iou_cost, iou: 'giou' },
  };
}
