// The generators that a training draws from, and what they are called in a checkpoint.
import { randomState, setRandomState, type Tensor } from '@goshawk/torch';

export interface RandomSource {
  /** Its name in a checkpoint. */
  readonly name: string;
  /** Whether checkpoints have it that were written before there was one, or by a run on another kind of device. */
  readonly isAlwaysSaved: boolean;
  /** uint8, on the CPU. Asking for it waits for no device. */
  state(): Tensor;
  setState(state: Tensor): void;
}

/** The engine's generator of the CPU, from which samples are drawn on every device, and that of the run's card. */
export function randomSourcesOf(device: string): readonly RandomSource[] {
  const sourceOf = (name: string, isAlwaysSaved: boolean, where: string): RandomSource => ({
    name,
    isAlwaysSaved,
    state: () => randomState(where),
    setState: (state) => setRandomState(state, where),
  });
  const ofCpu = sourceOf('engine', true, 'cpu');
  return device === 'cpu' ? [ofCpu] : [ofCpu, sourceOf('cuda', false, device)];
}
