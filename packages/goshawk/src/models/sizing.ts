// How large the tensors of a step are where that depends on values: on how many proposals survive, how many anchors match.
import type { Device } from '@goshawk/torch';

/**
 * `exact`: as large as what they hold, a tensor an image; the host reads every number. `fixed`: a bound that the config and the
 * shapes give, the same for every image of a batch, with flags for the rows that count; the host reads nothing. Both compute
 * the same losses and detections. On the CPU exact sizes cost nothing and save work; for a card a number read is a wait until
 * it has done everything before, and a row too many costs less.
 */
export type Sizing = 'exact' | 'fixed';

export function sizingOn(device: Device): Sizing {
  return device === 'cpu' ? 'exact' : 'fixed';
}
