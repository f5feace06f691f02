// What two-stage models and RetinaNets read alike.
import type { ConfigPart } from '../dialect.js';
import { keyError, show } from '../shared/yaml-settings.js';
import type { MaskrcnnSettings } from './keys.js';

/** Without the background; only where a person asks for it, since the data say it too. */
export function classesOf(settings: MaskrcnnSettings, key: string, count: number): ConfigPart {
  return settings.set.has(key) ? { classes: count - 1 } : {};
}

/** The older name counts where a file has it alone. */
export function bodyChannels({ given, values: { MODEL } }: MaskrcnnSettings): number {
  const isOld = given.has('MODEL.BACKBONE.OUT_CHANNELS') && !given.has('MODEL.RESNETS.BACKBONE_OUT_CHANNELS');
  return isOld ? MODEL.BACKBONE.OUT_CHANNELS : MODEL.RESNETS.BACKBONE_OUT_CHANNELS;
}

/** @throws InputError where numbers that follow from the body are others */
export function checkList(
  settings: MaskrcnnSettings,
  key: string,
  given: readonly number[],
  expected: readonly number[],
): void {
  if (given.length === expected.length && given.every((value, i) => Math.abs(value - expected[i]!) < 1e-6)) return;
  const list = `(${expected.join(', ')}${expected.length === 1 ? ',' : ''})`;
  const message = `is ${show(given)}, which ${settings.values.MODEL.BACKBONE.CONV_BODY} does not go with: set it to ${list}`;
  throw keyError(settings, key, message);
}
