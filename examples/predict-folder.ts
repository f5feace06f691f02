// Finds objects in a folder of pictures with a trained checkpoint, and draws them. The checkpoint names its model, its
// categories and how it wants its pictures: no other file is needed.
//
//     node examples/dist/predict-folder.js runs/first/best.safetensors photos found
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { drawDetections } from '@goshawk/core';
import { decodeImageFile, findImages, labelText, openDetector, readDescription } from 'goshawk';
import sharp from 'sharp';

const [weights, pictures, output = 'found'] = process.argv.slice(2);
if (weights === undefined || pictures === undefined) {
  console.error('usage: node examples/dist/predict-folder.js CHECKPOINT PICTURES [OUTPUT]');
  process.exitCode = 2;
} else {
  await predictFolder(weights, pictures, output);
}

async function predictFolder(weights: string, pictures: string, output: string): Promise<void> {
  const description = readDescription(weights);
  if (description === undefined) throw new Error(`${weights}: is not a checkpoint of goshawk train`);
  const { predictor, categories } = openDetector({ config: description.config, weights });
  const nameOf = new Map(categories.map((category) => [category.id, category.name]));

  for (const file of findImages([pictures])) {
    const image = await decodeImageFile(file.path);
    const [found = []] = predictor.predict([image]);
    const sure = found.filter((detection) => detection.score >= 0.5);
    for (const { categoryId, score, bbox } of sure) {
      const [x = 0, y = 0, width = 0, height = 0] = bbox ?? [];
      const place = `${width.toFixed(0)} x ${height.toFixed(0)} at ${x.toFixed(0)}, ${y.toFixed(0)}`;
      console.log(`${file.fileName}: ${nameOf.get(categoryId)} ${score.toFixed(2)}, ${place}`);
    }
    const drawn = drawDetections(image, sure, { categories, text: labelText });
    const target = path.join(output, `${file.fileName}.png`);
    mkdirSync(path.dirname(target), { recursive: true });
    await sharp(drawn.data, { raw: { width: drawn.width, height: drawn.height, channels: 3 } }).toFile(target);
  }
}
