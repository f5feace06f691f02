// Two-stage detectors. Every default is that of torchvision's maskrcnn_resnet50_fpn and fasterrcnn_resnet50_fpn
// (torchvision/models/detection), so that a config without a model's details is exactly that model.
import { z } from 'zod';
import { classCount, MOST_ANCHORS, tooManyAnchors } from '../bounds.js';
import { type BackboneConfig, backboneSchema } from './backbone-schema.js';
import { boxHeadSchema } from './box-head-schema.js';
import { keypointHeadSchema } from './keypoint-head-schema.js';
import { maskHeadSchema } from './mask-head-schema.js';
import { checkNeck, levelCount, type NeckConfig, neckSchema } from './neck-schema.js';
import { type AnchorsConfig, anchorsSchema, rpnSchema } from './rpn-schema.js';

export const classesSchema = z
  .union([classCount(), z.literal('from-data')])
  .default('from-data')
  .describe('Number of classes without the background; from-data takes the categories of the training annotations.');

const conventionsSchema = z
  .enum(['torchvision', 'detectron', 'mmdetection', 'maskrcnn_benchmark'])
  .default('torchvision')
  .describe(
    'Whose rules decide where systems differ: whether a box includes its last pixel, how anchors are rounded, drawn and counted, how masks are cut and pasted.',
  );

const proposalsSchema = z
  .enum(['rpn', 'stored'])
  .default('rpn')
  .describe('Where proposals come from: the region proposal network, or the file in data.*.proposals (Fast R-CNN).');

const stageOneShape = {
  conventions: conventionsSchema,
  classes: classesSchema,
  backbone: backboneSchema.prefault({}),
  neck: neckSchema.prefault({}),
  anchors: anchorsSchema.prefault({}),
  rpn: rpnSchema,
};

const rcnnShape = { ...stageOneShape, proposals: proposalsSchema, boxHead: boxHeadSchema };

const rpnOnlySchema = z
  .strictObject({ type: z.literal('rpn').describe('The kind of model.'), ...stageOneShape })
  .superRefine(checkNeck)
  .superRefine(checkAnchors);

const fasterRcnnSchema = z
  .strictObject({ type: z.literal('faster_rcnn').describe('The kind of model.'), ...rcnnShape })
  .superRefine(checkNeck)
  .superRefine(checkAnchors)
  .superRefine(checkHeads);

const maskRcnnSchema = z
  .strictObject({ type: z.literal('mask_rcnn').describe('The kind of model.'), ...rcnnShape, maskHead: maskHeadSchema })
  .superRefine(checkNeck)
  .superRefine(checkAnchors)
  .superRefine(checkHeads);

const keypointRcnnSchema = z
  .strictObject({
    type: z.literal('keypoint_rcnn').describe('The kind of model.'),
    ...rcnnShape,
    keypointHead: keypointHeadSchema,
    maskHead: maskHeadSchema.unwrap().optional().describe('Masks beside the keypoints; absent: none.'),
  })
  .superRefine(checkNeck)
  .superRefine(checkAnchors)
  .superRefine(checkHeads);

export const rcnnSchemas = [fasterRcnnSchema, maskRcnnSchema, keypointRcnnSchema, rpnOnlySchema] as const;

export type FasterRcnnConfig = z.output<typeof fasterRcnnSchema>;
export type MaskRcnnConfig = z.output<typeof maskRcnnSchema>;
export type KeypointRcnnConfig = z.output<typeof keypointRcnnSchema>;
export type RpnOnlyConfig = z.output<typeof rpnOnlySchema>;
export type RcnnConfig = FasterRcnnConfig | MaskRcnnConfig | KeypointRcnnConfig;
export type RcnnConventions = z.output<typeof conventionsSchema>;

interface Anchored {
  readonly anchors: AnchorsConfig;
  readonly neck: NeckConfig;
  readonly backbone: BackboneConfig;
}

/** One list of sizes a level, equally long: the RPN's one convolution gives every level as many anchors. */
function checkAnchors(model: Anchored, context: z.RefinementCtx): void {
  const { sizes } = model.anchors;
  const levels = levelCount(model.backbone, model.neck);
  const issue = (message: string) => context.addIssue({ code: 'custom', path: ['anchors', 'sizes'], message });
  if (sizes.length !== levels) {
    issue(`got ${sizes.length} lists for the ${levels} levels of the neck: give one list a level`);
  } else if (sizes.some((list) => list.length !== sizes[0]!.length)) {
    issue('the lists differ in length: give every level as many sizes');
  } else if (sizes[0]!.length * model.anchors.ratios.length > MOST_ANCHORS) {
    issue(tooManyAnchors(sizes[0]!.length * model.anchors.ratios.length));
  }
}

/** Stage 5 is the box head of C4 models and of no others. */
function checkHeads(
  model: Anchored & Pick<FasterRcnnConfig, 'boxHead'> & { readonly maskHead?: MaskRcnnConfig['maskHead'] },
  context: z.RefinementCtx,
): void {
  const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  const isC4 = model.backbone.type !== 'spinenet' && model.neck.type === 'none' && model.neck.stage === 4;
  if ((model.boxHead.kind === 'stage5') !== isC4) {
    issue(
      ['boxHead', 'kind'],
      isC4
        ? `is ${model.boxHead.kind}, but without a neck at stage 4 the box head is stage5: set it so`
        : 'is stage5, which needs neck.type none and neck.stage 4: set these, or take two_layer',
    );
  }
  const mask = model.maskHead?.kind;
  if (mask !== undefined && mask !== 'convolutions' && !isC4)
    issue(['maskHead', 'kind'], `is ${mask}, which needs a box head of kind stage5: take convolutions`);
}
