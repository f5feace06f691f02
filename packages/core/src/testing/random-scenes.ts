// Small crowded scenes for tests of evaluations: boxes on a coarse grid, so that overlaps, ties and duplicates are common.
import { boxXywh } from '../boxes/box.js';
import type { Annotation, Dataset, Detection } from '../formats/dataset.js';
import { createRandom } from '../random/index.js';

export interface RandomScenes {
  readonly groundTruth: Dataset;
  readonly detections: Detection[];
}

/** Up to 6 pictures, 3 categories, 5 objects and 9 detections a picture; a tenth of the objects are crowds. */
export function randomScenes(seed: number): RandomScenes {
  const random = createRandom(seed);
  const boxAt = (x: number, y: number) =>
    boxXywh(
      x + random.integer(3) * 4,
      y + random.integer(3) * 4,
      12 + random.integer(6) * 4,
      12 + random.integer(6) * 4,
    );
  const categories = [3, 1, 8].map((id) => ({ id, name: `kind ${id}` }));
  const categoryId = () => categories[random.integer(random.integer(4) === 0 ? 3 : 2)]!.id;
  const images = Array.from({ length: 1 + random.integer(6) }, (_, i) => ({
    id: i + 1,
    fileName: `${i + 1}.jpg`,
    width: 160,
    height: 120,
  }));
  const annotations: Annotation[] = [];
  const detections: Detection[] = [];
  for (const { id: imageId } of images) {
    const places = Array.from({ length: 3 }, () => [random.integer(80), random.integer(60)] as const);
    const somewhere = () => places[random.integer(places.length)]!;
    for (let i = random.integer(6); i > 0; i--) {
      const bbox = boxAt(...somewhere());
      annotations.push({
        id: annotations.length + 1,
        imageId,
        categoryId: categoryId(),
        bbox,
        area: bbox[2] * bbox[3],
        isCrowd: random.integer(10) === 0,
      });
    }
    for (let i = random.integer(10); i > 0; i--) {
      // Scores that never tie: the order of equal ones is no part of a definition.
      const score = (random.integer(1000) + detections.length / 1000) / 1001;
      const object = annotations[random.integer(annotations.length + 1)];
      // Some detections are right, or right again.
      if (object?.imageId === imageId && random.integer(3) > 0) {
        detections.push({ imageId, categoryId: object.categoryId, score, bbox: object.bbox });
      } else {
        detections.push({ imageId, categoryId: categoryId(), score, bbox: boxAt(...somewhere()) });
      }
    }
  }
  return { groundTruth: { images, annotations, categories }, detections };
}
