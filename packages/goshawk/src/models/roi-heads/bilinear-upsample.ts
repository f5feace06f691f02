// Bilinear enlargement by a fixed deconvolution, as Detectron writes it (BilinearInterpolation, after FCN, Long et al. 2015).
import { Module, ops, Parameter, type Tensor, tensor, zeros } from '@goshawk/torch';

/** [N, C, H, W] -> [N, C, H * ratio, W * ratio]; the constants are parameters that do not learn and need not be in a file. */
export class BilinearUpsample extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly #ratio: number;

  constructor(channels: number, ratio: number) {
    super();
    // FCN's kernel: an odd ratio's has a middle.
    const side = 2 * ratio - (ratio % 2);
    const filter = bilinearFilter(side);
    const weight = new Float32Array(channels * channels * side * side);
    for (let channel = 0; channel < channels; channel++) weight.set(filter, channel * (channels + 1) * side * side);
    this.weight = new Parameter(tensor(weight, { shape: [channels, channels, side, side] }), { requiresGrad: false });
    this.bias = new Parameter(zeros([channels]), { requiresGrad: false });
    this.#ratio = ratio;
  }

  forward(input: Tensor): Tensor {
    const stride = [this.#ratio, this.#ratio];
    const padding = [Math.floor(this.#ratio / 2), Math.floor(this.#ratio / 2)];
    return ops.conv_transpose2d(input, this.weight, { bias: this.bias, stride, padding });
  }

  override toleratedState(): readonly string[] {
    return ['weight', 'bias'];
  }
}

/** [side * side] weights of a deconvolution kernel that interpolates. */
function bilinearFilter(side: number): Float32Array {
  const factor = Math.floor((side + 1) / 2);
  const centre = side % 2 === 1 ? factor - 1 : factor - 0.5;
  const along = Array.from({ length: side }, (_, at) => 1 - Math.abs(at - centre) / factor);
  return Float32Array.from({ length: side * side }, (_, i) => along[Math.floor(i / side)]! * along[i % side]!);
}
