// The network of an mmdetection 1.x config as the model part of ours: RetinaNet, Faster R-CNN and Mask R-CNN on SpineNet or
// on a ResNet with FPN. Names and defaults are those of mmdetection 1.1 and SpineNet-Pytorch.
import type { ConfigPart } from '../dialect.js';
import type { Section } from '../shared/python-section.js';
import { translateRcnn } from './translate-rcnn.js';
import { translateRetinaNet } from './translate-retinanet.js';

/** @param config the whole file: train_cfg and test_cfg have options of the heads */
export function translateModel(config: Section): ConfigPart {
  const model = config.section('model');
  const type = model.choice('type', ['RetinaNet', 'FasterRCNN', 'MaskRCNN']);
  if (model.isGiven('pretrained')) {
    const source = model.text('pretrained');
    model.notice(
      `model.pretrained ${source} is not fetched: --set model.backbone.weights=FILE starts from a file of it`,
    );
  }
  const training = config.section('train_cfg');
  const testing = config.section('test_cfg');
  const part =
    type === 'RetinaNet'
      ? translateRetinaNet(model, training, testing)
      : translateRcnn(model, training, testing, { hasMasks: type === 'MaskRCNN' });
  for (const section of [model, training, testing]) section.finish();
  return part;
}
