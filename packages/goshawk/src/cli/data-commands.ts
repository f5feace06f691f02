// goshawk data: its commands with their options and examples.
import { type Command, Option } from 'commander';
import { command, group } from './command-tree.js';
import { setOption } from './shared-options.js';

export function addDataCommands(program: Command): void {
  const data = group(program, 'data', 'look at, check and make annotation files');

  command(
    data,
    'check',
    'say what training and evaluation do with annotations of any format',
    'goshawk data check train.json val.json --images photos/ --for config.yaml',
  )
    .argument('<annotations...>', 'COCO files, folders of any other format')
    .option(
      '--images <folder>',
      'also decode every picture: size, damage, the same bytes twice; one for all files, or once for each',
      (folder: string, before: string[] = []) => [...before, folder],
    )
    .option('--for <config>', 'as this config takes them: its model and its data settings')
    .option(
      '--model <type>',
      'as a model of this type takes them: faster_rcnn (default), mask_rcnn, keypoint_rcnn, ...',
    )
    .option('--masks', 'the same as --model mask_rcnn')
    .option('--purpose <use>', 'training, or evaluation, which keeps every box and needs every mask', 'training')
    .option('--follow-links', 'allow pictures that are links out of their folder, as data.followLinks')
    .option(
      '--near-duplicates [bits]',
      'also pictures that look alike, in other sizes or compressions: hashes of 64 bits that differ in at most this many (default: 4)',
    )
    .option(...imageSetOption)
    .option(...classesOption)
    .option('--json', 'print one JSON object')
    .action(async (files, options) => (await import('./data-check.js')).runDataCheck(files, options));

  annotated(data, 'stats', 'count pictures, objects and sizes', 'goshawk data stats train.json')
    .option('--json', 'print one JSON object')
    .action(async (file, options) => (await import('./data-stats.js')).runDataStats(file, options));

  command(
    data,
    'synth',
    'make pictures of shapes with boxes, masks and keypoints',
    'goshawk data synth --output scenes --images 200 --seed 1',
  )
    .requiredOption('--output <folder>', 'folder to make: images/ and a COCO file for each split')
    .option('--images <count>', 'number of pictures, all splits together', '100')
    .option('--seed <number>', 'another seed is another data set; the same gives the same files', '0')
    .option('--size <width x height>', 'size of the pictures in pixels', '320x240')
    .addOption(new Option('--difficulty <kind>', 'demo is quick to learn').choices(['demo', 'hard']).default('demo'))
    .option('--split <names>', 'names of the splits, or with numbers: train=80,val=20', 'train,val')
    .option('--shapes <names>', 'only these, such as figure, which has keypoints (default: as the difficulty says)')
    .action(async (options) => (await import('./data-synth.js')).runDataSynth(options));

  annotated(
    data,
    'draw',
    'draw annotations on their pictures',
    'goshawk data draw train.json --images photos/ --output drawn',
  )
    .option('--images <folder>', "folder that the file names start from (default: the format's own)")
    .option('--output <folder>', 'where the drawn pictures and contact-sheet.png go', 'drawn')
    .option('--limit <count>', 'draw so many pictures, evenly from all; 0 draws all', '36')
    .option('--follow-links', 'allow pictures that are links out of their folder, as data.followLinks')
    .action(async (file, options) => (await import('./data-draw.js')).runDataDraw(file, options));

  command(
    data,
    'augment',
    'draw training pictures as the network gets them, with the boxes, masks and keypoints that it learns',
    'goshawk data augment config.yaml --output augmented --count 36',
  )
    .argument('<config>', 'config file')
    .addOption(setOption())
    .option('--output <folder>', 'where the drawn pictures and contact-sheet.png go', 'augmented')
    .option('--count <count>', 'draw so many pictures, the first of a training', '36')
    .action(async (config, options) => (await import('./data-augment.js')).runDataAugment(config, options));

  annotated(
    data,
    'split',
    'part a data set for training and validation: twins together, every category in each part',
    'goshawk data split all.json --images photos/ --output parts --parts train=0.8,val=0.2',
  )
    .requiredOption('--output <folder>', 'where the COCO file of each part goes, such as parts/train.json')
    .option('--parts <shares>', 'names and shares of the pictures', 'train=0.8,val=0.2')
    .option('--seed <number>', 'another seed is another split; the same gives the same', '0')
    .option('--images <folder>', "look at the pictures and keep twins together (default: the format's own folder)")
    .action(async (file, options) => (await import('./data-split.js')).runDataSplit(file, options));

  command(
    data,
    'merge',
    'put several data sets into one COCO file; categories are one where their names are',
    'goshawk data merge a.json b.json --images a/ --images b/ --output all.json',
  )
    .argument('<annotations...>', 'COCO files, folders of any other format')
    .requiredOption('--output <file>', 'the .json file to write')
    .option(
      '--images <folder>',
      "folder that the file names start from; one for all, or once for each (default: the formats' own)",
      (folder: string, before: string[] = []) => [...before, folder],
    )
    .action(async (files, options) => (await import('./data-merge.js')).runDataMerge(files, options));

  annotated(
    data,
    'filter',
    'keep some of the objects and pictures, in a COCO file',
    'goshawk data filter all.json --categories cat,dog --min-side 8 --drop-empty --output pets.json',
  )
    .requiredOption('--output <file>', 'the .json file to write')
    .option('--categories <names>', 'only these, separated by commas')
    .option('--without <names>', 'all but these')
    .option('--min-side <pixels>', 'only objects whose box has no shorter side')
    .option('--drop-crowds', 'no crowd regions')
    .option('--drop-empty', 'no pictures without objects')
    .action(async (file, options) => (await import('./data-filter.js')).runDataFilter(file, options));

  annotated(
    data,
    'convert',
    'write annotations of any format as a COCO file, or as a folder of PASCAL VOC or YOLO',
    'goshawk data convert VOC2007 --image-set train --output train.json',
  )
    .requiredOption('--output <path>', 'a .json file for COCO, a folder for PASCAL VOC and YOLO')
    .addOption(
      new Option(
        '--format <format>',
        'what is written (default: coco where the output ends in .json, else voc)',
      ).choices(['coco', 'voc', 'yolo']),
    )
    .option('--copy-pictures', 'voc and yolo: also put copies of the pictures there')
    .option('--images <folder>', "folder that the file names start from (default: the format's own)")
    .action(async (source, options) => (await import('./data-convert.js')).runDataConvert(source, options));
}

/** A command on annotations of any format. */
function annotated(parent: Command, name: string, description: string, example: string): Command {
  return command(parent, name, description, example)
    .argument('<annotations>', "COCO file, folder of PASCAL VOC, YOLO, labelme or Cityscapes, CVAT's annotations.xml")
    .option(...imageSetOption)
    .option(...classesOption);
}

const imageSetOption = [
  '--image-set <name>',
  'PASCAL VOC: a list in ImageSets/Main (default: all files); YOLO, CVAT, Cityscapes: train, val or test',
] as const;
const classesOption = [
  '--classes <names>',
  'PASCAL VOC and labelme: class names in order, separated by commas',
] as const;
