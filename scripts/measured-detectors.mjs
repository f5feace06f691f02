// What check:export and check:browser measure, as a command line says: the first pictures of a folder, and detectors. These are files that a
// person names, and the weights of the parity tests with the configs of their systems.
//   PHOTOS DETECTOR... [--parity WORD] [--pictures 20]
// A DETECTOR is
//   WEIGHTS                              a checkpoint that brings its config, or an exported file
//   WEIGHTS:CONFIG,KEY=VALUE,...         weights without one, and changes of it
//   'NAME = ...'                         either, by a name for the table
//   --parity WORD                        those of the parity tests whose name has the word; `all` is all of them
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findImages } from '../packages/goshawk/dist/infer/index.js';
import { writeSafetensors } from '../packages/torch/dist/checkpoint/index.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const main = path.join(root, 'packages/goshawk/dist/cli/main.js');

const SMALLER_FIRST_STAGE = [
  ...['model.rpn.preNmsTopN.test=300', 'model.rpn.postNmsTopN.test=100'],
  ...['preprocess.resize.minSize=200', 'preprocess.resize.maxSize=320'],
];

// Weights by a rule say little: each threshold leaves out what all boxes reach.
const PARITY = [
  {
    name: "Mask R-CNN R-50-FPN by torchvision's conventions",
    case: 'torchvision_maskrcnn_r50_fpn',
    config: 'torchvision/mask_rcnn_r50_fpn.yaml',
    sets: [
      ...['model.classes=90', 'model.boxHead.scoreThreshold=0.3', 'model.boxHead.maxDetections=60'],
      ...['preprocess.resize.minSize=192', 'preprocess.resize.maxSize=320'],
    ],
  },
  {
    name: "Mask R-CNN R-50-FPN by Detectron's conventions",
    case: 'detectron_maskrcnn_R50_FPN',
    config: 'detectron/mask_rcnn_r50_fpn_1x.yaml',
    sets: ['model.classes=80', 'model.boxHead.scoreThreshold=0.2834', ...SMALLER_FIRST_STAGE],
  },
  {
    name: "Keypoint R-CNN R-50-FPN by Detectron's conventions",
    case: 'detectron_keypoint_R50_FPN',
    config: 'detectron/keypoint_rcnn_r50_fpn_1x.yaml',
    sets: ['model.classes=1', 'model.boxHead.scoreThreshold=0.06328', ...SMALLER_FIRST_STAGE],
  },
  {
    name: "Mask R-CNN Res2Net-50 26w x 4s by maskrcnn-benchmark's conventions",
    case: 'res2net50_26w4s_maskrcnn_fpn',
    config: 'res2net/mask_rcnn_res2net50_26w_4s_fpn_2x.yaml',
    sets: ['model.classes=80', 'model.boxHead.scoreThreshold=0.4711', ...SMALLER_FIRST_STAGE],
  },
  {
    name: "RetinaNet on SpineNet-49S by mmdetection's conventions",
    case: 'spinenet49S_retinanet',
    config: 'spinenet/spinenet_49S_B_8gpu.yaml',
    sets: [
      ...['model.classes=80', 'model.head.scoreThreshold=0.7755'],
      ...['preprocess.resize.minSize=256', 'preprocess.resize.maxSize=256'],
    ],
  },
  {
    name: "SOLOv2-Light R-18, pytorch_solov2's",
    case: 'solov2_light_r18',
    config: 'solov2/solov2_light_448_r18_3x.yaml',
    sets: [
      ...['model.classes=80', 'model.head.maxDetections=30'],
      ...['preprocess.resize.minSize=192', 'preprocess.resize.maxSize=288'],
    ],
  },
  {
    name: "Sparse R-CNN R-50 of 128 proposals, sparse_rcnnv1's",
    case: 'sparse_rcnn_r50',
    config: 'sparse-rcnn/sparse_rcnn_resnet50_3x.yaml',
    sets: ['model.classes=80', 'preprocess.resize.minSize=192', 'preprocess.resize.maxSize=192'],
  },
];

/** What a detector of the table is called, and how its files are had. @typedef {{ name: string, files(folder: string): Promise<Files> }} Detector */
/** @typedef {{ weights: string, config?: string, sets: readonly string[] }} Files */

/**
 * What this process's command line asks for; ends the process where it asks for nothing.
 * @param {string} command its name, for the message
 * @param {import('node:util').ParseArgsConfig['options']} more options of the command's own
 * @returns {{ folder: string, pictures: string[], others: string[], detectors: Detector[], options: Record<string, any> }}
 *   folder of the pictures, those that are measured on, those behind them, and what is measured
 */
export function askedMeasurement(command, more) {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      parity: { type: 'string', multiple: true, default: [] },
      pictures: { type: 'string', default: '20' },
      ...more,
    },
  });
  const [folder, ...words] = positionals;
  const isWanted = ({ case: name }) => options.parity.some((word) => word === 'all' || name.includes(word));
  const detectors = [...words.map(named), ...PARITY.filter(isWanted).map(ofParity)];
  if (folder === undefined || detectors.length === 0) {
    console.error(`${command}: name a folder of pictures, and files of weights or --parity all`);
    process.exit(2);
  }
  const files = findImages([folder]).map(({ path: file }) => file);
  const count = Number(options.pictures);
  return { folder, pictures: files.slice(0, count), others: files.slice(count), detectors, options };
}

function named(word) {
  const [, given, argument = word] = /^(.+?) = (.+)$/.exec(word) ?? [];
  // The config is told by its ending: names of folders may have a colon too.
  const [, weights = argument, rest] = /^(.+?):([^:]+\.ya?ml\b.*)$/.exec(argument) ?? [];
  const [config, ...sets] = rest?.split(/,(?=[\w.]+[= ])/) ?? [];
  const name = given ?? path.join(path.basename(path.dirname(weights)), path.basename(weights));
  return { name, files: async () => ({ weights, config, sets }) };
}

function ofParity({ name, case: folderName, config, sets }) {
  const files = async (folder) => {
    const { makeParityState } = await import('../packages/goshawk/dist/parity/parity-weights.js');
    const state = path.join(root, 'packages/goshawk/src/parity/fixtures', folderName, 'state.json');
    const weights = path.join(folder, 'weights.safetensors');
    const tensors = makeParityState(JSON.parse(readFileSync(state, 'utf8')));
    writeSafetensors(
      weights,
      Array.from(tensors, ([own, tensor]) => ({ name: own, ...tensor })),
    );
    return { weights, config: path.join(root, 'configs', config), sets };
  };
  return { name, files };
}

/** What `goshawk export` prints with `--json`. @param {Files} files */
export function exported({ weights, config, sets }, output, options = []) {
  const command = [main, 'export', weights, '--output', output, ...options, '--json'];
  if (config) command.push('--config', config, ...sets.flatMap((set) => ['--set', set]));
  return JSON.parse(execFileSync(process.execPath, command, { encoding: 'utf8', maxBuffer: 2 ** 27 }));
}

/** Cells of a table's row: how far what was found agrees. */
export function agreementCells({ detections, unmatched, leastIou, largestScoreDifference, ...parts }) {
  const { leastMaskIou, leastMask, keypoints } = parts;
  const ofMasks =
    leastMaskIou === undefined ? '-' : `${leastMaskIou.toFixed(4)} (${leastMask.differing} of ${leastMask.pixels})`;
  const ofKeypoints =
    keypoints &&
    `within ${keypoints.largestDistance.toFixed(3)} pixels, ${keypoints.moved} of ${keypoints.count} moved`;
  const apart = [leastIou.toFixed(4), largestScoreDifference.toExponential(1)];
  return [detections, unmatched, ...apart, ofKeypoints ?? ofMasks];
}

export const AGREEMENT_COLUMNS = [
  ...['detections', 'unmatched', 'least IoU', 'scores within'],
  'masks, least IoU (pixels that differ); keypoints',
];

/** What speaks against two runtimes being the same. */
export function problemsOf({ detections, unmatched, leastIou, largestScoreDifference, leastMaskIou = 1 }) {
  const checks = [
    [detections > 0, 'nothing was found: shows nothing'],
    [unmatched === 0, 'unmatched detections'],
    [leastIou >= 0.99, 'IoU below 0.99'],
    [largestScoreDifference <= 1e-3, 'scores over 0.001 apart'],
    [leastMaskIou >= 0.99, 'masks below 0.99'],
  ];
  return checks.filter(([holds]) => !holds).map(([, what]) => what);
}

export function printHead(columns) {
  console.log(`| ${columns.join(' | ')} |`);
  console.log(`|${' --- |'.repeat(columns.length)}`);
}

export function printRow(cells) {
  console.log(`| ${cells.join(' | ')} |`);
}
