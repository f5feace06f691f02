// Finds objects in a folder of pictures with a trained checkpoint, and draws them. The checkpoint names its model, its
// categories and how it wants its pictures: no other file is needed.
//
//     node examples/dist/predict-folder.js runs/first/best.safetensors photos found
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { drawDetections } from '@goshawk/core';
import { decodeImageFile, encodePng, findImages, nodeCanvas, openDetector } from 'goshawk';

const [weights, pictures, output = 'found'] = process.argv.slice(2);
if (weights === undefined || pictures === undefined) {
  console.error('usage: node examples/dist/predict-folder.js CHECKPOINT PICTURES [OUTPUT]');
  process.exitCode = 2;
} else {
  await predictFolder(weights, pictures, output);
}

async function predictFolder(weights: string, pictures: string, output: string): Promise<void> {
  const { predictor, categories } = openDetector(weights);
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
    const drawn = drawDetections(image, sure, { categories, canvas: nodeCanvas });
    const target = path.join(output, `${file.fileName}.png`);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, await encodePng(drawn));
  }
}
