// The files of weights that torchvision publishes and that this toolbox can use: their names, sizes and figures as torchvision states
// them (torchvision 0.29, models/*.py and models/detection/*.py: url, _file_size, num_params, _metrics of each entry). The eight
// digits at the end of a file's name are the first of its SHA-256.

export interface PublishedWeights {
  /** As `goshawk weights get` and `--init` take it. */
  readonly name: string;
  /** With the first digits of its SHA-256: `resnet18-f37072fd.pth`. */
  readonly file: string;
  /** Size in units of 2^20 bytes, rounded to three decimals. */
  readonly mebibytes: number;
  /** A whole detector, or a classifier whose backbone is taken. */
  readonly part: 'detector' | 'backbone';
  readonly trainedOn: 'COCO 2017' | 'COCO 2017, persons' | 'ImageNet-1K';
  /** Parameters as torchvision counts them: of a backbone's file with those of its classifier. */
  readonly parameters: number;
  /** As torchvision states it, in percent. */
  readonly figure: string;
  /** The shipped config that it fits, and what is to be set in it. */
  readonly config: string;
  readonly sets: readonly string[];
}

/** Where torchvision publishes them; the name of the file follows. */
export const PUBLISHED_AT = 'https://download.pytorch.org/models';

/** Of torchvision and the files; its page adds that the data that they were trained on may bring terms of their own. */
export const PUBLISHED_LICENCE = 'BSD-3-Clause';

type Row = readonly [name: string, file: string, mebibytes: number, parameters: number, figure: string];

function detector(
  [name, file, mebibytes, parameters, figure]: Row,
  config: string,
  sets: readonly string[] = [],
): PublishedWeights {
  const trainedOn = config.startsWith('keypoint') ? 'COCO 2017, persons' : 'COCO 2017';
  const place = `configs/torchvision/${config}.yaml`;
  return { name, file, mebibytes, part: 'detector', trainedOn, parameters, figure, config: place, sets };
}

function backbone([name, file, mebibytes, parameters, top1]: Row, config: string, sets: string): PublishedWeights {
  return {
    name,
    file,
    mebibytes,
    part: 'backbone',
    trainedOn: 'ImageNet-1K',
    parameters,
    figure: `top-1 ${top1}`,
    config: `configs/torchvision/${config}.yaml`,
    sets: sets === '' ? [] : sets.split(' ').map((set) => `model.backbone.${set}`),
  };
}

/** What torchvision sets where it loads its first detectors (overwrite_eps). */
const NO_EPS = ['model.backbone.normEps=0'];
const RESNET = 'faster_rcnn_r50_fpn';
const MOBILENET = 'faster_rcnn_mobilenet_v3_large_fpn';

// biome-ignore format: a table
export const publishedWeights: readonly PublishedWeights[] = [
  detector(['fasterrcnn_resnet50_fpn_coco', 'fasterrcnn_resnet50_fpn_coco-258fb6c6.pth', 159.743, 41755286, 'box AP 37.0'], 'faster_rcnn_r50_fpn', NO_EPS),
  detector(['fasterrcnn_resnet50_fpn_v2_coco', 'fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth', 167.104, 43712278, 'box AP 46.7'], 'faster_rcnn_r50_fpn_v2'),
  detector(['fasterrcnn_mobilenet_v3_large_fpn', 'fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth', 74.239, 19386354, 'box AP 32.8'], MOBILENET),
  detector(['fasterrcnn_mobilenet_v3_large_320_fpn', 'fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth', 74.239, 19386354, 'box AP 22.8'], 'faster_rcnn_mobilenet_v3_large_320_fpn'),
  detector(['maskrcnn_resnet50_fpn_coco', 'maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth', 169.84, 44401393, 'box AP 37.9, mask AP 34.6'], 'mask_rcnn_r50_fpn', NO_EPS),
  detector(['maskrcnn_resnet50_fpn_v2_coco', 'maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth', 177.219, 46359409, 'box AP 47.4, mask AP 41.8'], 'mask_rcnn_r50_fpn_v2'),
  detector(['keypointrcnn_resnet50_fpn_coco', 'keypointrcnn_resnet50_fpn_coco-fc266e95.pth', 226.054, 59137258, 'box AP 54.6, keypoint AP 65.0'], 'keypoint_rcnn_r50_fpn', NO_EPS),
  detector(['keypointrcnn_resnet50_fpn_coco_legacy', 'keypointrcnn_resnet50_fpn_coco-9f466800.pth', 226.054, 59137258, 'box AP 50.6, keypoint AP 61.1'], 'keypoint_rcnn_r50_fpn'),
  detector(['retinanet_resnet50_fpn_coco', 'retinanet_resnet50_fpn_coco-eeacb38b.pth', 130.267, 34014999, 'box AP 36.4'], 'retinanet_r50_fpn', NO_EPS),
  detector(['retinanet_resnet50_fpn_v2_coco', 'retinanet_resnet50_fpn_v2_coco-5905b1c5.pth', 146.037, 38198935, 'box AP 41.5'], 'retinanet_r50_fpn_v2'),
  backbone(['resnet18', 'resnet18-f37072fd.pth', 44.661, 11689512, '69.758'], RESNET, 'depth=18'),
  backbone(['resnet34', 'resnet34-b627a593.pth', 83.275, 21797672, '73.314'], RESNET, 'depth=34'),
  backbone(['resnet50', 'resnet50-0676ba61.pth', 97.781, 25557032, '76.130'], RESNET, ''),
  backbone(['resnet50_v2', 'resnet50-11ad3fa6.pth', 97.79, 25557032, '80.858'], RESNET, ''),
  backbone(['resnet101', 'resnet101-63fe2227.pth', 170.511, 44549160, '77.374'], RESNET, 'depth=101'),
  backbone(['resnet101_v2', 'resnet101-cd907fc2.pth', 170.53, 44549160, '81.886'], RESNET, 'depth=101'),
  backbone(['resnet152', 'resnet152-394f9c45.pth', 230.434, 60192808, '78.312'], RESNET, 'depth=152'),
  backbone(['resnet152_v2', 'resnet152-f82ba261.pth', 230.474, 60192808, '82.284'], RESNET, 'depth=152'),
  backbone(['resnext50_32x4d', 'resnext50_32x4d-7cdf4587.pth', 95.789, 25028904, '77.618'], RESNET, 'groups=32 widthPerGroup=4'),
  backbone(['resnext50_32x4d_v2', 'resnext50_32x4d-1a0047aa.pth', 95.833, 25028904, '81.198'], RESNET, 'groups=32 widthPerGroup=4'),
  backbone(['resnext101_32x8d', 'resnext101_32x8d-8ba56ff5.pth', 339.586, 88791336, '79.312'], RESNET, 'depth=101 groups=32 widthPerGroup=8'),
  backbone(['resnext101_32x8d_v2', 'resnext101_32x8d-110c445d.pth', 339.673, 88791336, '82.834'], RESNET, 'depth=101 groups=32 widthPerGroup=8'),
  backbone(['resnext101_64x4d', 'resnext101_64x4d-173b62eb.pth', 319.318, 83455272, '83.246'], RESNET, 'depth=101 groups=64 widthPerGroup=4'),
  backbone(['wide_resnet50_2', 'wide_resnet50_2-95faca4d.pth', 131.82, 68883240, '78.468'], RESNET, 'widthPerGroup=128'),
  backbone(['wide_resnet50_2_v2', 'wide_resnet50_2-9ba9bcbe.pth', 263.124, 68883240, '81.602'], RESNET, 'widthPerGroup=128'),
  backbone(['wide_resnet101_2', 'wide_resnet101_2-32ee1156.pth', 242.896, 126886696, '78.848'], RESNET, 'depth=101 widthPerGroup=128'),
  backbone(['wide_resnet101_2_v2', 'wide_resnet101_2-d733dc28.pth', 484.747, 126886696, '82.510'], RESNET, 'depth=101 widthPerGroup=128'),
  backbone(['mobilenet_v2', 'mobilenet_v2-b0353104.pth', 13.555, 3504872, '71.878'], MOBILENET, 'variant=v2 featureLayers=[13,18]'),
  backbone(['mobilenet_v2_v2', 'mobilenet_v2-7ebf99e0.pth', 13.598, 3504872, '72.154'], MOBILENET, 'variant=v2 featureLayers=[13,18]'),
  backbone(['mobilenet_v3_large', 'mobilenet_v3_large-8738ca79.pth', 21.114, 5483032, '74.042'], MOBILENET, ''),
  backbone(['mobilenet_v3_large_v2', 'mobilenet_v3_large-5c1a4163.pth', 21.107, 5483032, '75.274'], MOBILENET, ''),
  backbone(['mobilenet_v3_small', 'mobilenet_v3_small-047dcff4.pth', 9.829, 2542856, '67.668'], MOBILENET, 'variant=v3_small featureLayers=[8,12]'),
];

/** @param name of the list, or of the file itself */
export function publishedAs(name: string): PublishedWeights | undefined {
  return publishedWeights.find((entry) => entry.name === name || entry.file === name);
}
