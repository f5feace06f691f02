// Draws docs/images/augment-*.jpg, what each step of data.augment does to the same four pictures, by goshawk data augment:
//   npm run build && node scripts/write-augmentation-pictures.mjs
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sharp = createRequire(join(root, 'packages/goshawk/package.json'))('sharp');
const goshawk = (...args) =>
  execFileSync(process.execPath, [join(root, 'packages/goshawk/bin/goshawk.js'), ...args], { stdio: 'pipe' });

const masks = 'mask_rcnn';
const keypoints = 'keypoint_rcnn';
const pictures = {
  none: [masks, []],
  hsv: [masks, [{ type: 'hsv' }]],
  color: [masks, [{ type: 'color' }]],
  blur: [masks, [{ type: 'blur', kernels: [5] }]],
  noise: [masks, [{ type: 'noise', minSigma: 10, maxSigma: 25 }]],
  crop: [masks, [{ type: 'crop' }]],
  resize: [masks, [{ type: 'resize', size: 240 }]],
  affine: [masks, [{ type: 'affine', degrees: 20, minScale: 0.7, maxScale: 1.2, shear: 8, translate: 0.1 }]],
  perspective: [masks, [{ type: 'perspective', distortion: 0.5 }]],
  flip: [keypoints, [{ type: 'flip', probability: 1 }]],
  'flip-vertical': [keypoints, [{ type: 'flip', probability: 1, direction: 'vertical' }]],
  mosaic: [
    masks,
    [
      { type: 'resize', size: 240, pad: false },
      { type: 'mosaic', size: 240 },
      { type: 'affine', size: [240, 240], minScale: 0.5, maxScale: 1, translate: 0.1 },
    ],
  ],
  mixup: [masks, [{ type: 'mixup' }]],
};

const folder = mkdtempSync(join(tmpdir(), 'goshawk-augment-'));
try {
  const scenes = join(folder, 'scenes');
  const size = ['--images', '16', '--size', '240x180', '--seed', '4', '--split', 'train=16'];
  goshawk('data', 'synth', '--output', scenes, ...size, '--shapes', 'circle,star,figure,ring');
  for (const [name, [type, augment]] of Object.entries(pictures)) {
    const config = {
      model: { type },
      preprocess: { resize: { rule: 'none' } },
      data: {
        train: { annotations: join(scenes, 'train.json'), images: join(scenes, 'images') },
        flip: 0,
        requireKeypoints: false,
        augment,
      },
      train: { batchSize: 1 },
    };
    const file = join(folder, 'config.yaml');
    writeFileSync(file, JSON.stringify(config));
    const output = join(folder, name);
    goshawk('data', 'augment', file, '--output', output, '--count', '4');
    const target = join(root, 'docs/images', `augment-${name}.jpg`);
    await sharp(join(output, 'contact-sheet.png')).jpeg({ quality: 78, mozjpeg: true }).toFile(target);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
