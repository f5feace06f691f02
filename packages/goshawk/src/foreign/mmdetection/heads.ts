// Keys that the heads of mmdetection 1.x share.
import type { ConfigPart } from '../dialect.js';
import type { Section } from '../shared/python-section.js';
import type { Norm } from './translate-backbone.js';

/** Classes without the background, which mmdetection 1.x counts as the first one. */
export function readClasses(head: Section): number {
  return head.count('num_classes', undefined, 2) - 1;
}

/** What a head reads is what the levels have. */
export function readInputChannels(head: Section, channels: number): void {
  const got = head.count('in_channels', channels);
  if (got !== channels) throw head.wrong('in_channels', `got ${got}, the levels have ${channels}: set it so`);
}

/** The norm behind the convolutions of a head on RoIs. */
export function normPart(norm: Norm | undefined): ConfigPart {
  if (norm === undefined) return { norm: 'none' };
  if (norm.kind === 'group') return { norm: 'group' };
  return { norm: norm.kind, normEps: norm.eps, normMomentum: norm.momentum };
}

/** Offsets of boxes as they are: means of 0 and deviations of 1. */
export function readUnitTargets(head: Section): void {
  head.fixed('target_means', [0, 0, 0, 0]);
  head.fixed('target_stds', [1, 1, 1, 1]);
}

/** The rest of a MaxIoUAssigner. */
export function readBestClaims(assigner: Section): void {
  assigner.fixed('ignore_iof_thr', -1);
  assigner.fixed('gt_max_assign_all', true);
  assigner.passOver('ignore_wrt_candidates');
}

/** The threshold of `nms=dict(type='nms', iou_thr=...)`. */
export function readNms(testing: Section): number {
  const nms = testing.section('nms');
  nms.choice('type', ['nms'], 'nms');
  const threshold = nms.number('iou_thr');
  nms.finish();
  return threshold;
}
