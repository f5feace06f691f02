// The mask branch of Mask R-CNN (He et al. 2017): convolutions on pooled features, an upsampling, a mask a class.
import { Conv2d, ConvTranspose2d, cropMaskTargets, init, Module, ops, Sequential, type Tensor } from '@goshawk/torch';
import { binaryCrossEntropyMean, zeroLoss } from '../losses.js';
import type { HeightWidth, MaskTargets } from '../structures.js';

function initialised<Conv extends Conv2d | ConvTranspose2d>(conv: Conv): Conv {
  init.kaimingNormal(conv.weight, { mode: 'fan_out', nonlinearity: 'relu' });
  if (conv.bias) init.constant(conv.bias, 0);
  return conv;
}

class ConvRelu extends Sequential {
  override forward(input: Tensor): Tensor {
    return ops.relu_(super.forward(input));
  }
}

/** [K, C, S, S] -> [K, last of channels, S, S] by 3x3 convolutions with ReLU. */
export class MaskHead extends Sequential {
  constructor(inChannels: number, channels: readonly number[]) {
    super(
      ...channels.map(
        (count, index) =>
          new ConvRelu(initialised(new Conv2d(channels[index - 1] ?? inChannels, count, 3, { padding: 1 }))),
      ),
    );
  }
}

/** Doubles the resolution, then one logit a class and cell. */
export class MaskPredictor extends Module {
  readonly conv5Mask: ConvTranspose2d;
  readonly maskFcnLogits: Conv2d;

  constructor(inChannels: number, channels: number, classes: number) {
    super();
    this.conv5Mask = initialised(new ConvTranspose2d(inChannels, channels, 2, { stride: 2 }));
    this.maskFcnLogits = initialised(new Conv2d(channels, classes, 1));
  }

  /**
   * The mask of one class for each RoI: [K, C, S, S] and [K] int64 classes -> [K, 2 * S, 2 * S] logits.
   * Only the wanted class's map is computed; the others would get no gradient and no reader.
   */
  forward(hidden: Tensor, labels: Tensor): Tensor {
    const upsampled = ops.relu_(this.conv5Mask.forward(hidden));
    const [count = 0, channels = 0, height = 0, width = 0] = upsampled.shape;
    const weight = ops.index_select(ops.view(this.maskFcnLogits.weight, [-1, channels]), 0, labels);
    const cells = ops.reshape(ops.permute(upsampled, [0, 2, 3, 1]), [count, height * width, channels]);
    const logits = ops.squeeze(ops.matmul(cells, ops.unsqueeze(weight, 2)), 2);
    const bias = this.maskFcnLogits.bias
      ? ops.unsqueeze(ops.index_select(this.maskFcnLogits.bias, 0, labels), 1)
      : undefined;
    return ops.view(bias ? ops.add(logits, bias) : logits, [count, height, width]);
  }
}

export interface MaskSample {
  /** [P, 4] xyxy proposals. */
  readonly proposals: Tensor;
  /** [P] int64: each one's object. */
  readonly objects: Tensor;
  readonly masks: MaskTargets;
  /** Of the image without padding, at whose border the masks end. */
  readonly size: HeightWidth;
}

/** Mean binary cross entropy between [sum of P, M, M] logits and the objects' masks inside the proposals. */
export function maskLoss(logits: Tensor, samples: readonly MaskSample[]): Tensor {
  if (logits.length === 0) return zeroLoss(logits);
  const resolution = logits.size(1);
  const goals = samples.map(({ proposals, objects, masks, size }) =>
    cropMaskTargets(masks.pixels, masks.crops, proposals, objects, {
      imageHeight: size[0],
      imageWidth: size[1],
      resolution,
    }),
  );
  return binaryCrossEntropyMean(logits.to('float32'), ops.cat(goals));
}
